//! Pages: the rows of one key interval of one shard, as of one LSN.
//!
//! A page is what a pageserver serves and a compute caches. It is immutable; a row is found by a
//! binary search over an offset array, which decodes only the keys that it compares.
//!
//! ```text
//! offset  size  field                                  all integers little endian
//!      0     4  magic "SFPG"
//!      4     2  format version, 1
//!      6     2  required-feature bits, 0
//!      8     4  CRC-32C of everything from offset 12 to the end
//!     12     2  first slot of the shard
//!     14     2  last slot of the shard, included
//!     16     8  LSN
//!     24     4  row count n
//!     28     4  length of lo
//!     32     4  length of hi; 0xffffffff when there is no upper bound
//!     36     4  length of the prefix that every key of the page starts with
//!     40   4*n  offset of each row from the start of the page, in key order
//!   ...         lo, hi, prefix, then the rows
//!
//! row = key len less the prefix (varint)  key less the prefix
//!       page LSN minus row LSN (varint)   value len (varint)  value
//! ```
//!
//! A page is valid when its checksum matches, its keys strictly increase and all lie in `[lo, hi)`.
//! [`Page::from_bytes`] checks the checksum and the bounds of every offset; the order is
//! the writer's business and is asserted in debug builds by [`Page::validate`].

use crate::mutation::{put_varint, take_prefixed, take_varint};
use crate::{Error, Lsn, Result, SlotRange};
use bytes::{BufMut, Bytes, BytesMut};

const MAGIC: &[u8; 4] = b"SFPG";
const VERSION: u16 = 1;
const CRC_AT: usize = 8;
const CHECKED_FROM: usize = 12;
const HEADER_LEN: usize = 40;
const NO_HI: u32 = u32::MAX;

/// No page exceeds this, in bytes; values that would are stored outside (section 11 of the design).
pub const MAX_PAGE_LEN: usize = 64 * 1024;

/// The rows of one key interval of one shard at one LSN.
#[derive(Debug, Clone)]
pub struct Page {
    bytes: Bytes,
    lsn: Lsn,
    slots: SlotRange,
    rows: usize,
    lo: (usize, usize),
    hi: Option<(usize, usize)>,
    prefix: (usize, usize),
}

/// One row of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageRow<'a> {
    /// The row's key without the page's prefix.
    pub key_suffix: &'a [u8],
    /// The commit that wrote it last.
    pub lsn: Lsn,
    /// Its value.
    pub value: &'a [u8],
}

impl Page {
    /// Takes bytes from outside: verifies checksum, version and every offset.
    pub fn from_bytes(bytes: Bytes) -> Result<Page> {
        let bad = |what: &str| Error::corrupt(format!("page of {} bytes: {what}", bytes.len()));
        if bytes.len() < HEADER_LEN || &bytes[..4] != MAGIC {
            return Err(bad("not a page"));
        }
        let u16_at = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
        let u32_at = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        if u16_at(4) != VERSION || u16_at(6) != 0 {
            return Err(bad(&format!("format version {} (this program reads {VERSION})", u16_at(4))));
        }
        if crc32c::crc32c(&bytes[CHECKED_FROM..]) != u32_at(CRC_AT) {
            return Err(bad("checksum mismatch"));
        }
        let lsn = Lsn(u64::from_le_bytes(*bytes[16..].first_chunk().expect("the header is 40 bytes")));
        let slots = SlotRange { first: u16_at(12), last: u16_at(14) };
        let rows = u32_at(24) as usize;
        let mut at = HEADER_LEN as u64 + 4 * rows as u64;
        let mut span = |len: u32| {
            let start = at;
            at += u64::from(len);
            if at > bytes.len() as u64 { Err(bad("cut short")) } else { Ok((start as usize, at as usize)) }
        };
        let lo = span(u32_at(28))?;
        let hi = if u32_at(32) == NO_HI { None } else { Some(span(u32_at(32))?) };
        let prefix = span(u32_at(36))?;
        let page = Page { bytes: bytes.clone(), lsn, slots, rows, lo, hi, prefix };
        for index in 0..rows {
            page.try_row(index)?;
        }
        Ok(page)
    }

    /// The stored form.
    pub fn as_bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The LSN whose state the page holds.
    pub fn lsn(&self) -> Lsn {
        self.lsn
    }

    /// The shard the page is of.
    pub fn slots(&self) -> SlotRange {
        self.slots
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether the interval holds no row.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// The interval's lower bound, included.
    pub fn lo(&self) -> &[u8] {
        &self.bytes[self.lo.0..self.lo.1]
    }

    /// The interval's upper bound, excluded; `None` is above every key.
    pub fn hi(&self) -> Option<&[u8]> {
        self.hi.map(|(start, end)| &self.bytes[start..end])
    }

    /// Whether the key lies in the page's interval.
    pub fn covers(&self, key: &[u8]) -> bool {
        self.lo() <= key && self.hi().is_none_or(|hi| key < hi)
    }

    /// What every key of the page starts with.
    pub fn prefix(&self) -> &[u8] {
        &self.bytes[self.prefix.0..self.prefix.1]
    }

    /// The row at an index below [`Page::len`].
    #[inline]
    pub fn row(&self, index: usize) -> PageRow<'_> {
        self.try_row(index).expect("every row was decoded when the page was made")
    }

    /// The whole key of the row at an index below [`Page::len`].
    pub fn key(&self, index: usize) -> Vec<u8> {
        [self.prefix(), self.row(index).key_suffix].concat()
    }

    /// The index of the first row whose key is at or above `key`.
    pub fn lower_bound(&self, key: &[u8]) -> usize {
        let prefix = self.prefix();
        let shared = prefix.len().min(key.len());
        match prefix[..shared].cmp(&key[..shared]) {
            std::cmp::Ordering::Less => return self.rows,
            std::cmp::Ordering::Greater => return 0,
            std::cmp::Ordering::Equal if key.len() <= prefix.len() => return 0,
            std::cmp::Ordering::Equal => {}
        }
        self.search(0, self.rows, &key[prefix.len()..])
    }

    /// [`Page::lower_bound`], at least `from`, for keys that come in order: the nearer the row, the sooner it is
    /// found.
    pub fn lower_bound_from(&self, from: usize, key: &[u8]) -> usize {
        let Some(suffix) = key.strip_prefix(self.prefix()) else {
            return self.lower_bound(key).max(from);
        };
        let (mut low, mut step) = (from, 1);
        while low + step <= self.rows && self.row(low + step - 1).key_suffix < suffix {
            low += step;
            step *= 2;
        }
        self.search(low.min(self.rows), (low + step).min(self.rows), suffix)
    }

    /// Whether the row at an index below [`Page::len`] has this key.
    pub fn is_key(&self, index: usize, key: &[u8]) -> bool {
        key.strip_prefix(self.prefix()) == Some(self.row(index).key_suffix)
    }

    /// The first of the rows `low..high` that is not below a suffix; all below `low` are, none from `high` on.
    fn search(&self, mut low: usize, mut high: usize, suffix: &[u8]) -> usize {
        while low < high {
            let middle = low + (high - low) / 2;
            if self.row(middle).key_suffix < suffix { low = middle + 1 } else { high = middle }
        }
        low
    }

    /// The row under a key, if the page has it.
    pub fn get(&self, key: &[u8]) -> Option<PageRow<'_>> {
        let suffix = key.strip_prefix(self.prefix())?;
        let index = self.lower_bound(key);
        (index < self.rows).then(|| self.row(index)).filter(|row| row.key_suffix == suffix)
    }

    /// The shared bytes of a value that came from this page, without a copy.
    pub fn share(&self, value: &[u8]) -> Bytes {
        self.bytes.slice_ref(value)
    }

    /// Panics unless keys strictly increase within `[lo, hi)`.
    pub fn validate(&self) {
        let mut last: Option<Vec<u8>> = None;
        for index in 0..self.rows {
            let key = self.key(index);
            assert!(self.covers(&key), "row {index} lies outside its page");
            assert!(last.as_ref().is_none_or(|last| *last < key), "row {index} is out of order");
            last = Some(key);
        }
    }

    #[inline]
    fn try_row(&self, index: usize) -> Result<PageRow<'_>> {
        let cell = &self.bytes[HEADER_LEN + 4 * index..];
        let at = u32::from_le_bytes(*cell.first_chunk().expect("the offset array was measured")) as usize;
        let mut rest = self.bytes.get(at..).ok_or_else(|| Error::corrupt("page: a row lies outside it"))?;
        let key_suffix = take_prefixed(&mut rest)?;
        let age = take_varint(&mut rest)?;
        let lsn = self.lsn.0.checked_sub(age).ok_or_else(|| Error::corrupt("page: a row older than zero"))?;
        Ok(PageRow { key_suffix, lsn: Lsn(lsn), value: take_prefixed(&mut rest)? })
    }
}

/// Builds a page from rows in key order.
#[derive(Debug)]
pub struct PageBuilder {
    keys: Vec<(usize, usize)>,
    key_bytes: Vec<u8>,
    values: Vec<(Lsn, Bytes)>,
    value_bytes: usize,
}

impl Default for PageBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl PageBuilder {
    /// No rows yet.
    pub fn new() -> Self {
        Self { keys: Vec::new(), key_bytes: Vec::new(), values: Vec::new(), value_bytes: 0 }
    }

    /// Appends a row; its key must be above the last one's.
    pub fn push(&mut self, key: &[u8], lsn: Lsn, value: Bytes) {
        debug_assert!(self.last_key().is_none_or(|last| last < key), "rows must come in key order");
        let start = self.key_bytes.len();
        self.key_bytes.extend_from_slice(key);
        self.keys.push((start, self.key_bytes.len()));
        self.value_bytes += value.len();
        self.values.push((lsn, value));
    }

    /// Number of rows so far.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there are no rows yet.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// About how large the page will be, in bytes; never too little.
    pub fn size_estimate(&self) -> usize {
        HEADER_LEN + self.key_bytes.len() + self.value_bytes + self.keys.len() * 24
    }

    /// The greatest key so far.
    pub fn last_key(&self) -> Option<&[u8]> {
        self.keys.last().map(|&(start, end)| &self.key_bytes[start..end])
    }

    /// The page of `[lo, hi)` at `lsn`. No row may be newer than `lsn`.
    pub fn finish(self, slots: SlotRange, lo: &[u8], hi: Option<&[u8]>, lsn: Lsn) -> Page {
        let key = |i: usize| &self.key_bytes[self.keys[i].0..self.keys[i].1];
        let prefix: &[u8] = match self.keys.len() {
            0 => &[],
            n => {
                let (first, last) = (key(0), key(n - 1));
                let shared = first.iter().zip(last).take_while(|(a, b)| a == b).count();
                &first[..shared]
            }
        };
        let rows_from =
            HEADER_LEN + 4 * self.keys.len() + lo.len() + hi.map_or(0, <[u8]>::len) + prefix.len();
        let mut out = BytesMut::with_capacity(rows_from + self.size_estimate());
        out.put_slice(MAGIC);
        out.put_u16_le(VERSION);
        out.put_u16_le(0);
        out.put_u32_le(0); // the checksum, filled in last
        out.put_u16_le(slots.first);
        out.put_u16_le(slots.last);
        out.put_u64_le(lsn.0);
        out.put_u32_le(self.keys.len() as u32);
        out.put_u32_le(lo.len() as u32);
        out.put_u32_le(hi.map_or(NO_HI, |hi| hi.len() as u32));
        out.put_u32_le(prefix.len() as u32);
        let mut rows = BytesMut::with_capacity(self.size_estimate());
        for (i, (row_lsn, value)) in self.values.iter().enumerate() {
            debug_assert!(*row_lsn <= lsn, "a row newer than its page");
            out.put_u32_le((rows_from + rows.len()) as u32);
            let suffix = &key(i)[prefix.len()..];
            put_varint(&mut rows, suffix.len() as u64);
            rows.put_slice(suffix);
            put_varint(&mut rows, lsn.0.saturating_sub(row_lsn.0));
            put_varint(&mut rows, value.len() as u64);
            rows.put_slice(value);
        }
        out.put_slice(lo);
        out.put_slice(hi.unwrap_or_default());
        out.put_slice(prefix);
        out.put_slice(&rows);
        let crc = crc32c::crc32c(&out[CHECKED_FROM..]);
        out[CRC_AT..CRC_AT + 4].copy_from_slice(&crc.to_le_bytes());
        let page = Page::from_bytes(out.freeze()).expect("a page that was just built is well formed");
        #[cfg(debug_assertions)]
        page.validate();
        page
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_from_a_row_on_is_the_bound() {
        for rows in [0, 1, 2, 7, 100] {
            let mut builder = PageBuilder::new();
            for n in 0..rows {
                builder.push(&[b'p', 2 * n + 1], Lsn(1), Bytes::new());
            }
            let page = builder.finish(SlotRange::ALL, b"", None, Lsn(1));
            let keys = (0..=2 * rows).map(|n| vec![b'p', n]).chain([vec![b'o'], vec![b'q'], vec![b'p']]);
            for key in keys {
                for from in 0..=page.len() {
                    let bound = page.lower_bound(&key);
                    assert_eq!(page.lower_bound_from(from, &key), bound.max(from), "{key:?} from {from}");
                    if bound < page.len() {
                        assert_eq!(page.is_key(bound, &key), page.key(bound) == key);
                    }
                }
            }
        }
    }
}
