//! Mutations: tagged changes of one key or one range, and the list of them that a commit carries.
//!
//! ```text
//! list      = mutation*                           until the end of the bytes
//! mutation  = tag (1)  key len (varint)  key  [ second len (varint)  second ]
//!
//! tag  name         second
//!  1   Insert       value     the key did not exist
//!  2   Update       value     the key existed
//!  3   Put          value     not known whether the key existed
//!  4   Delete       -
//!  5   DeleteRange  end key   [key, end)
//!  6   Touch        -         data unchanged; a write for the certifier (C2)
//!  7   Merge        operator (1 byte) and operand
//! ```
//!
//! A varint is LEB128: seven bits a byte, the least significant first. A reader refuses tags it
//! does not know. Checksums are those of the record around the list.

use crate::{Error, Result};
use bytes::{BufMut, Bytes, BytesMut};

/// Tag bytes, as drawn at the head of this module.
pub mod tag {
    /// See the table above.
    pub const INSERT: u8 = 1;
    /// See the table above.
    pub const UPDATE: u8 = 2;
    /// See the table above.
    pub const PUT: u8 = 3;
    /// See the table above.
    pub const DELETE: u8 = 4;
    /// See the table above.
    pub const DELETE_RANGE: u8 = 5;
    /// See the table above.
    pub const TOUCH: u8 = 6;
    /// See the table above.
    pub const MERGE: u8 = 7;
}

/// A change of one key, or of a range of keys, borrowed from the bytes it came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are the columns of the table above")]
pub enum Mutation<'a> {
    /// A new key with its value.
    Insert { key: &'a [u8], value: &'a [u8] },
    /// A new value for a key that existed.
    Update { key: &'a [u8], value: &'a [u8] },
    /// A value for a key that may or may not have existed.
    Put { key: &'a [u8], value: &'a [u8] },
    /// The key is gone, whether or not it existed.
    Delete { key: &'a [u8] },
    /// Every key in `[start, end)` is gone.
    DeleteRange { start: &'a [u8], end: &'a [u8] },
    /// Nothing changes, but the certifier counts a write of the key.
    Touch { key: &'a [u8] },
    /// The value is to be combined with the operand by the operator.
    Merge { key: &'a [u8], operator: u8, operand: &'a [u8] },
}

/// What a write does to a key, as far as checks can see (C2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Aspects(u8);

impl Aspects {
    /// No aspect.
    pub const NONE: Aspects = Aspects(0);
    /// Whether the key exists.
    pub const EXISTENCE: Aspects = Aspects(1);
    /// The value under the key.
    pub const CONTENT: Aspects = Aspects(2);
    /// A lock taken on the row with FOR UPDATE and its kin.
    pub const TOUCH: Aspects = Aspects(4);
    /// A plain serializable read: existence and content.
    pub const READ: Aspects = Aspects(3);
    /// Written and locked rows: all three.
    pub const ALL: Aspects = Aspects(7);

    /// Both sets together.
    #[must_use]
    pub const fn union(self, other: Aspects) -> Aspects {
        Aspects(self.0 | other.0)
    }

    /// Whether the two share an aspect.
    pub const fn intersects(self, other: Aspects) -> bool {
        self.0 & other.0 != 0
    }

    /// The set's bits, for a format that stores it.
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// The set with these bits; fails on unknown ones.
    pub fn from_bits(bits: u8) -> Result<Aspects> {
        if bits > 7 {
            Err(Error::corrupt(format!("unknown check aspects {bits:#04x}")))
        } else {
            Ok(Aspects(bits))
        }
    }
}

impl<'a> Mutation<'a> {
    /// The key, or the start of the range.
    pub fn key(&self) -> &'a [u8] {
        match *self {
            Mutation::Insert { key, .. }
            | Mutation::Update { key, .. }
            | Mutation::Put { key, .. }
            | Mutation::Delete { key }
            | Mutation::Touch { key }
            | Mutation::Merge { key, .. }
            | Mutation::DeleteRange { start: key, .. } => key,
        }
    }

    /// What the certifier records of this write. Unknown prior existence counts as changed (C2).
    pub fn aspects(&self) -> Aspects {
        match self {
            Mutation::Insert { .. }
            | Mutation::Put { .. }
            | Mutation::Delete { .. }
            | Mutation::DeleteRange { .. } => Aspects::READ,
            Mutation::Update { .. } => Aspects::CONTENT,
            Mutation::Merge { .. } => Aspects::READ,
            Mutation::Touch { .. } => Aspects::TOUCH,
        }
    }

    /// How many bytes [`Mutation::encode`] appends.
    pub fn encoded_len(&self) -> usize {
        let prefixed = |len: usize| varint_len(len as u64) + len;
        let second = match *self {
            Mutation::Insert { value, .. } | Mutation::Update { value, .. } | Mutation::Put { value, .. } => {
                prefixed(value.len())
            }
            Mutation::DeleteRange { end, .. } => prefixed(end.len()),
            Mutation::Merge { operand, .. } => prefixed(operand.len() + 1),
            Mutation::Delete { .. } | Mutation::Touch { .. } => 0,
        };
        1 + prefixed(self.key().len()) + second
    }

    /// Appends the mutation's bytes.
    pub fn encode(&self, out: &mut impl BufMut) {
        let (tag, second): (u8, Option<&[u8]>) = match *self {
            Mutation::Insert { value, .. } => (tag::INSERT, Some(value)),
            Mutation::Update { value, .. } => (tag::UPDATE, Some(value)),
            Mutation::Put { value, .. } => (tag::PUT, Some(value)),
            Mutation::Delete { .. } => (tag::DELETE, None),
            Mutation::DeleteRange { end, .. } => (tag::DELETE_RANGE, Some(end)),
            Mutation::Touch { .. } => (tag::TOUCH, None),
            Mutation::Merge { operand, .. } => (tag::MERGE, Some(operand)),
        };
        out.put_u8(tag);
        put_varint(out, self.key().len() as u64);
        out.put_slice(self.key());
        if let Mutation::Merge { operator, operand, .. } = *self {
            put_varint(out, operand.len() as u64 + 1);
            out.put_u8(operator);
            out.put_slice(operand);
        } else if let Some(second) = second {
            put_varint(out, second.len() as u64);
            out.put_slice(second);
        }
    }

    /// Reads the mutation at the head of `bytes`, and moves `bytes` past it.
    pub fn decode(bytes: &mut &'a [u8]) -> Result<Mutation<'a>> {
        let tag = take(bytes, 1)?[0];
        let key = take_prefixed(bytes)?;
        Ok(match tag {
            tag::INSERT => Mutation::Insert { key, value: take_prefixed(bytes)? },
            tag::UPDATE => Mutation::Update { key, value: take_prefixed(bytes)? },
            tag::PUT => Mutation::Put { key, value: take_prefixed(bytes)? },
            tag::DELETE => Mutation::Delete { key },
            tag::DELETE_RANGE => Mutation::DeleteRange { start: key, end: take_prefixed(bytes)? },
            tag::TOUCH => Mutation::Touch { key },
            tag::MERGE => match take_prefixed(bytes)? {
                [operator, operand @ ..] => Mutation::Merge { key, operator: *operator, operand },
                [] => return Err(Error::corrupt("a Merge without an operator")),
            },
            other => return Err(Error::corrupt(format!("unknown mutation tag {other}"))),
        })
    }
}

/// The mutations of one commit, or of one fragment of it, encoded once and shared from then on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MutationList(Bytes);

impl MutationList {
    /// Takes bytes that are a list; they are verified as they are iterated.
    pub fn from_bytes(bytes: Bytes) -> Self {
        Self(bytes)
    }

    /// The list's bytes.
    pub fn as_bytes(&self) -> &Bytes {
        &self.0
    }

    /// Whether the list has no mutations.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The mutations in order; ends after the first error.
    pub fn iter(&self) -> impl Iterator<Item = Result<Mutation<'_>>> {
        let mut rest: &[u8] = &self.0;
        std::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let mutation = Mutation::decode(&mut rest);
            if mutation.is_err() {
                rest = &[];
            }
            Some(mutation)
        })
    }

    /// The shared bytes of a slice that came from [`MutationList::iter`], without a copy.
    pub fn share(&self, slice: &[u8]) -> Bytes {
        self.0.slice_ref(slice)
    }
}

/// Builds a [`MutationList`].
#[derive(Debug, Default)]
pub struct MutationListBuilder(BytesMut);

impl MutationListBuilder {
    /// An empty list.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a mutation.
    pub fn push(&mut self, mutation: Mutation<'_>) {
        mutation.encode(&mut self.0);
    }

    /// Appends all mutations of a list.
    pub fn extend(&mut self, list: &MutationList) {
        self.0.extend_from_slice(&list.0);
    }

    /// The size of the list so far, in bytes.
    pub fn len_bytes(&self) -> usize {
        self.0.len()
    }

    /// The finished list.
    pub fn finish(self) -> MutationList {
        MutationList(self.0.freeze())
    }
}

/// How many bytes [`put_varint`] appends.
pub const fn varint_len(value: u64) -> usize {
    (u64::BITS - (value | 1).leading_zeros()).div_ceil(7) as usize
}

/// Appends a LEB128 varint.
pub fn put_varint(out: &mut impl BufMut, mut value: u64) {
    while value >= 0x80 {
        out.put_u8(value as u8 | 0x80);
        value >>= 7;
    }
    out.put_u8(value as u8);
}

/// Reads the varint at the head of `bytes`, and moves `bytes` past it.
#[inline]
pub fn take_varint(bytes: &mut &[u8]) -> Result<u64> {
    // Nearly all are lengths below 16 KiB, and scans read three of them for each row.
    match **bytes {
        [low @ 0..=0x7f, ..] => {
            *bytes = &bytes[1..];
            Ok(u64::from(low))
        }
        [low, high @ 0..=0x7f, ..] => {
            *bytes = &bytes[2..];
            Ok(u64::from(low & 0x7f) | u64::from(high) << 7)
        }
        _ => take_long_varint(bytes),
    }
}

fn take_long_varint(bytes: &mut &[u8]) -> Result<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let byte = take(bytes, 1)?[0];
        if shift == 63 && byte > 1 {
            break;
        }
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err(Error::corrupt("a varint above 64 bits"))
}

/// Takes `len` bytes from the head of `bytes`.
#[inline]
pub fn take<'a>(bytes: &mut &'a [u8], len: usize) -> Result<&'a [u8]> {
    match bytes.split_at_checked(len) {
        Some((head, rest)) => {
            *bytes = rest;
            Ok(head)
        }
        None => Err(Error::corrupt(format!("cut short: {len} bytes wanted, {} left", bytes.len()))),
    }
}

/// Takes a byte string with a varint length before it.
#[inline]
pub fn take_prefixed<'a>(bytes: &mut &'a [u8]) -> Result<&'a [u8]> {
    let len = take_varint(bytes)?;
    let len = usize::try_from(len)
        .map_err(|e| Error::corrupt("a length above the address space").with_source(e))?;
    take(bytes, len)
}
