//! From text to a bound tree: parsing, names, types. Every unknown literal, `$n`, SQLSTATE and
//! error position is decided here and nowhere else.

pub mod bound;
