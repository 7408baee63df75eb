//! Key columns: values as order-preserving bytes under the markers of [`shardforge_common::key`].
//!
//! The byte order of encoded columns is the order of [`crate::compare::compare`], and equal values
//! have equal bytes. So a body holds the equality class of a value and no more: the display scale of
//! a numeric, the sign of a zero and the parts of an interval are lost here and kept in the row.
//!
//! | types | marker | body, before it is inverted for a descending column |
//! |---|---|---|
//! | `boolean`, `"char"` | fixed, 1 | the byte |
//! | `smallint`, `integer`, `bigint`, `date`, `time`, `timestamp`, `timestamptz` | fixed, 2, 4, 8 | big endian, sign bit flipped |
//! | `oid` and its like | fixed, 4 | big endian |
//! | `real`, `double precision` | fixed, 4, 8 | big endian IEEE; sign bit flipped when clear, all bits when set; -0 as 0, one `NaN` |
//! | `interval` | fixed, 16 | its compare value, big endian, sign bit flipped |
//! | `uuid` | fixed, 16 | the bytes |
//! | `text`, `varchar`, `name`, `bytea` | variable | the bytes |
//! | `char(n)` | variable | the bytes without trailing blanks |
//! | `numeric` | variable | see below |
//! | arrays | nested | each element as an ascending column, nulls last; then the shape, see below |
//! | `oidvector` | nested | number of elements, 4 bytes, big endian; then as an array |
//! | records | nested | each field as an ascending column, nulls last; then `00` |
//!
//! ```text
//! numeric  = 10                            -Infinity
//!          | 20 ~(exponent digits) ff      below zero: every byte inverted, and longer is less
//!          | 30                            zero
//!          | 40 exponent digits            above zero
//!          | 50                            Infinity
//!          | 60                            NaN
//! exponent = 40..bf                        of the first digit, from -64 to 63, plus 0x80
//!          | 20 e+0x800000 (3 bytes)       below -64
//!          | e0 e (3 bytes)                above 63
//! digits   = two decimal digits a byte, plus 1, without zeros at the end
//!
//! shape    = 00  number of dimensions (1 byte)
//!            length of each dimension but the last (4 bytes each, big endian)
//!            lower bound of each dimension (4 bytes each, big endian, sign bit flipped)
//! ```
//!
//! A column is at its end when `00` stands where an element's marker would. The last length follows
//! from the number of elements.

mod decode;
mod encode;
#[cfg(test)]
mod tests;

pub use decode::decode_key_column;
pub use encode::encode_key_column;

use crate::{PgType, oids};

/// The order of one key column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct KeyOrder {
    /// Greatest first.
    pub desc: bool,
    /// Nulls before all values, whichever way the values go.
    pub nulls_first: bool,
}

impl KeyOrder {
    /// `ASC NULLS LAST`, what SQL means when it says nothing.
    pub const ASC: KeyOrder = KeyOrder { desc: false, nulls_first: false };
    /// `DESC NULLS FIRST`, what SQL means by `DESC`.
    pub const DESC: KeyOrder = KeyOrder { desc: true, nulls_first: true };
}

/// First bytes of a numeric's body.
mod numeric_class {
    pub(super) const NEGATIVE_INFINITY: u8 = 0x10;
    pub(super) const NEGATIVE: u8 = 0x20;
    pub(super) const ZERO: u8 = 0x30;
    pub(super) const POSITIVE: u8 = 0x40;
    pub(super) const INFINITY: u8 = 0x50;
    pub(super) const NAN: u8 = 0x60;
}

/// Exponents of a numeric, as drawn above.
mod numeric_exponent {
    pub(super) const NEAR: std::ops::RangeInclusive<i32> = -64..=63;
    pub(super) const NEAR_BIAS: i32 = 0x80;
    pub(super) const FAR_BELOW: u8 = 0x20;
    pub(super) const FAR_ABOVE: u8 = 0xe0;
    pub(super) const FAR_BIAS: i32 = 0x80_0000;
}

/// Where an element's marker would stand: the end of the elements.
const END_OF_ELEMENTS: u8 = 0x00;

/// Whether values of the type can be key columns.
pub fn is_key_type(ty: PgType) -> bool {
    if let Some(element) = ty.element() {
        return is_key_type(element);
    }
    ty.oid.is_oid_like()
        || ty.oid.is_text_like() && ty.oid != oids::JSON
        || matches!(
            ty.oid,
            oids::BOOL
                | oids::CHAR
                | oids::INT2
                | oids::INT4
                | oids::INT8
                | oids::FLOAT4
                | oids::FLOAT8
                | oids::NUMERIC
                | oids::BYTEA
                | oids::DATE
                | oids::TIME
                | oids::TIMESTAMP
                | oids::TIMESTAMPTZ
                | oids::INTERVAL
                | oids::UUID
                | oids::INT2VECTOR
                | oids::OIDVECTOR
                | oids::RECORD
        )
}

/// Whether the key gives back the value itself, so that the row need not hold it too.
///
/// `char(n)` is recoverable because its values are always filled to their length.
pub fn key_recoverable(ty: PgType) -> bool {
    if let Some(element) = ty.element() {
        return key_recoverable(element);
    }
    match ty.oid {
        oids::FLOAT4 | oids::FLOAT8 | oids::NUMERIC | oids::INTERVAL | oids::RECORD => false,
        oids::BPCHAR => ty.char_len().is_some(),
        _ => is_key_type(ty),
    }
}
