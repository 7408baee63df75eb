//! Values in the binary form of PostgreSQL's wire protocol.

use crate::{Datum, PgType, ValueError};
use bytes::BufMut;

/// The value that the bytes mean as a value of `ty`, its modifier applied as an assignment would.
pub fn input(bytes: &[u8], ty: PgType) -> Result<Datum, ValueError> {
    let _ = bytes;
    Err(ValueError::not_supported(format!("binary input of type {ty}")))
}

/// Appends the binary form of a value of `ty`; nothing for null, which the caller marks by length -1.
pub fn output(datum: &Datum, ty: PgType, out: &mut impl BufMut) {
    let _ = (datum, ty, out);
}
