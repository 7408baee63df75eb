//! Part of ShardForge.
