//! Key columns: values as order-preserving bytes under the markers of [`shardforge_common::key`].

use crate::{Datum, PgType, ValueError};
use shardforge_common::Result as CommonResult;

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

/// Appends one key column: marker and body. Fails with 0A000 for a type that has no order.
pub fn encode_key_column(
    out: &mut Vec<u8>,
    datum: &Datum,
    ty: PgType,
    order: KeyOrder,
) -> Result<(), ValueError> {
    let _ = (out, datum, order);
    Err(ValueError::not_supported(format!("type {ty} as a key")))
}

/// Takes one key column off the front of `bytes`. What comes back is equal to what was encoded, and
/// identical to it where [`key_recoverable`] says so.
pub fn decode_key_column(bytes: &mut &[u8], ty: PgType, order: KeyOrder) -> CommonResult<Datum> {
    let _ = (bytes, ty, order);
    Err(shardforge_common::Error::corrupt("no key columns yet"))
}

/// Whether the key gives back the value itself, so that the row need not hold it too.
pub fn key_recoverable(ty: PgType) -> bool {
    let _ = ty;
    false
}
