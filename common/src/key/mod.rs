//! Keys: order-preserving, self-delimiting byte strings.
//!
//! ```text
//! key     = storage id (8 bytes, big endian)  column*
//! column  = marker (1 byte)  body
//! ```
//!
//! Comparing two keys byte by byte compares their columns as PostgreSQL would. The marker says how
//! long the body is, so that the end of a column is found without knowing any SQL type:
//!
//! | marker | body |
//! |---|---|
//! | `0x01` | null that sorts first: no body |
//! | `0xfe` | null that sorts last: no body |
//! | `0x10 + n`, n = 0 to 8 | fixed, 2^(n-1) bytes for n > 0, none for n = 0: 0, 1, 2, 4, 8, 16, 32, 64, 128 |
//! | `0x20` | variable, ascending: `00` written `00 ff`, ended by `00 01` |
//! | `0x21` | variable of at least one element, ended the same way (arrays and composites nest columns in it) |
//! | `0x40 + n`, `0x50`, `0x51` | the same, descending: every byte of the body (terminator included) inverted |
//!
//! All non-null values of one key column have the same marker, so markers never decide their order.
//! What a type writes into a body is the business of `shardforge-types`.
//!
//! The **slot** of a key is a hash of its storage id and leading column: [`slot_of`]. It is part of
//! the format: a change of it would send rows to shards that do not have them.

use crate::{Error, Result, StorageId};

/// Length of the storage id at the head of a key, in bytes.
pub const STORAGE_ID_LEN: usize = 8;
/// Keys above this size are refused (SQLSTATE 54000), in bytes.
pub const MAX_KEY_LEN: usize = 8 * 1024;

/// Column markers, as drawn at the head of this module.
pub mod marker {
    /// A null that sorts before all values.
    pub const NULL_FIRST: u8 = 0x01;
    /// A null that sorts after all values.
    pub const NULL_LAST: u8 = 0xfe;
    /// Fixed bodies, ascending: this plus the length class.
    pub const FIXED_ASC: u8 = 0x10;
    /// A terminated body, ascending.
    pub const VARIABLE_ASC: u8 = 0x20;
    /// A terminated body of nested columns, ascending.
    pub const NESTED_ASC: u8 = 0x21;
    /// Fixed bodies, descending: this plus the length class.
    pub const FIXED_DESC: u8 = 0x40;
    /// A terminated body, descending.
    pub const VARIABLE_DESC: u8 = 0x50;
    /// A terminated body of nested columns, descending.
    pub const NESTED_DESC: u8 = 0x51;
}

/// The storage id at the head of a key. Fails on fewer than eight bytes.
pub fn storage_id_of(key: &[u8]) -> Result<StorageId> {
    match key.first_chunk::<STORAGE_ID_LEN>() {
        Some(head) => Ok(StorageId(u64::from_be_bytes(*head))),
        None => Err(Error::corrupt(format!("a key of {} bytes has no storage id", key.len()))),
    }
}

/// The first key of a storage id: its eight bytes alone.
pub fn storage_prefix(id: StorageId) -> [u8; STORAGE_ID_LEN] {
    id.0.to_be_bytes()
}

/// The range `[lo, hi)` of every key of a storage id.
pub fn storage_range(id: StorageId) -> (Vec<u8>, Vec<u8>) {
    (storage_prefix(id).to_vec(), storage_prefix(StorageId(id.0 + 1)).to_vec())
}

/// The least byte string above every string that starts with `prefix`, or `None` when there is none.
pub fn prefix_end(prefix: &[u8]) -> Option<Vec<u8>> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last != 0xff {
            end.push(last + 1);
            return Some(end);
        }
    }
    None
}

/// The length of the column that starts `bytes`, marker included.
pub fn column_len(bytes: &[u8]) -> Result<usize> {
    let short = || Error::corrupt("a key column is cut short");
    let kind = *bytes.first().ok_or_else(short)?;
    let fixed = |class: u8| if class == 0 { 0 } else { 1usize << (class - 1) };
    let (len, inverted) = match kind {
        marker::NULL_FIRST | marker::NULL_LAST => return Ok(1),
        0x10..=0x18 => (Some(fixed(kind - 0x10)), 0),
        0x40..=0x48 => (Some(fixed(kind - 0x40)), 0),
        marker::VARIABLE_ASC | marker::NESTED_ASC => (None, 0x00),
        marker::VARIABLE_DESC | marker::NESTED_DESC => (None, 0xff),
        other => return Err(Error::corrupt(format!("unknown key column marker {other:#04x}"))),
    };
    if let Some(len) = len {
        return if bytes.len() > len { Ok(1 + len) } else { Err(short()) };
    }
    let mut at = 1;
    loop {
        match (bytes.get(at).map(|b| b ^ inverted), bytes.get(at + 1).map(|b| b ^ inverted)) {
            (Some(0x00), Some(0x01)) => return Ok(at + 2),
            (Some(0x00), Some(0xff)) => at += 2,
            (Some(0x00), Some(other)) => {
                return Err(Error::corrupt(format!("bad escape {other:#04x} in a key column")));
            }
            (Some(_), Some(_)) => at += 1,
            _ => return Err(short()),
        }
    }
}

/// The slot of a key: a hash of its storage id and leading column. A key without columns hashes
/// its storage id alone.
pub fn slot_of(key: &[u8]) -> Result<u16> {
    storage_id_of(key)?;
    let lead = match &key[STORAGE_ID_LEN..] {
        [] => 0,
        columns => column_len(columns)?,
    };
    let hash = xxhash_rust::xxh3::xxh3_64(&key[..STORAGE_ID_LEN + lead]);
    Ok((hash >> 48) as u16)
}
