//! `shardforge start`: every part in this process.
