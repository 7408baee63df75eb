//! The manifest: the list of a shard's layers on one branch, the root from which all else is found.
//!
//! It is the payload of a journal entry (`shardforge_store::journal`), whose checksum covers it.
//!
//! ```text
//! offset  size  field                                      all integers little endian
//!      0     2  format version, 1
//!      2     2  flags, 0 (bit 0 is reserved for a sealed path, P3)
//!      4     4  number of layers
//!      8     8  generation
//!     16     8  uploaded LSN: everything up to here is in the layers below
//!     24     8  horizon: nothing below it can be read
//!     32     2  first slot of the shard
//!     34     2  last slot, included
//!     36     4  number of pins
//!     40    16  tenant
//!     56    16  branch
//!     72   8*n  pins: LSNs below the horizon that stay readable
//!    ...     -  layers
//!
//! layer = kind (1)  level (1)  name len (varint)  name  lo len (varint)  lo
//!         has hi (1: 0 or 1)  [ hi len (varint)  hi ]
//!         after (varint)  through (varint)  size in bytes (varint)
//!         offset of the index (varint)  number of versions (varint)
//! ```

pub(crate) mod keeper;
#[cfg(test)]
mod tests;

use crate::layer::{LayerKind, LayerMeta, LayerName};
use bytes::{BufMut, Bytes, BytesMut};
use shardforge_common::mutation::{put_varint, take, take_prefixed, take_varint};
use shardforge_common::{BranchId, BranchRef, Error, Generation, Lsn, Result, SlotRange, TenantId};

const VERSION: u16 = 1;
const HEAD_LEN: usize = 72;

/// A manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Manifest {
    pub(crate) branch: BranchRef,
    pub(crate) slots: SlotRange,
    /// Who published it.
    pub(crate) generation: Generation,
    /// Everything up to here is in the layers.
    pub(crate) uploaded: Lsn,
    /// Nothing below can be read, the pins excepted.
    pub(crate) horizon: Lsn,
    /// LSNs that stay readable below the horizon.
    pub(crate) pins: Vec<Lsn>,
    pub(crate) layers: Vec<LayerMeta>,
}

impl Manifest {
    /// The manifest before the first: of a shard that holds nothing.
    pub(crate) fn empty(branch: BranchRef, slots: SlotRange) -> Manifest {
        Manifest {
            branch,
            slots,
            generation: Generation(0),
            uploaded: Lsn::ZERO,
            horizon: Lsn::ZERO,
            pins: Vec::new(),
            layers: Vec::new(),
        }
    }

    pub(crate) fn encode(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(HEAD_LEN + 160 * self.layers.len());
        out.put_u16_le(VERSION);
        out.put_u16_le(0);
        out.put_u32_le(self.layers.len() as u32);
        out.put_u64_le(self.generation.0);
        out.put_u64_le(self.uploaded.0);
        out.put_u64_le(self.horizon.0);
        out.put_u16_le(self.slots.first);
        out.put_u16_le(self.slots.last);
        out.put_u32_le(self.pins.len() as u32);
        out.put_slice(self.branch.tenant.as_bytes());
        out.put_slice(self.branch.branch.as_bytes());
        for pin in &self.pins {
            out.put_u64_le(pin.0);
        }
        for layer in &self.layers {
            out.put_u8(layer.kind.to_byte());
            out.put_u8(layer.level);
            let mut put_bytes = |bytes: &[u8]| {
                put_varint(&mut out, bytes.len() as u64);
                out.put_slice(bytes);
            };
            put_bytes(layer.name.as_str().as_bytes());
            put_bytes(&layer.lo);
            out.put_u8(layer.hi.is_some().into());
            if let Some(hi) = &layer.hi {
                put_varint(&mut out, hi.len() as u64);
                out.put_slice(hi);
            }
            for number in
                [layer.after.0, layer.through.0, layer.size_bytes, layer.index_offset, layer.versions]
            {
                put_varint(&mut out, number);
            }
        }
        out.freeze()
    }

    pub(crate) fn decode(bytes: &Bytes) -> Result<Manifest> {
        if bytes.len() < HEAD_LEN {
            return Err(Error::corrupt("a manifest is cut short"));
        }
        let u16_at = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
        let u32_at =
            |at: usize| u32::from_le_bytes(*bytes[at..].first_chunk().expect("the head is 72 bytes"));
        let u64_at =
            |at: usize| u64::from_le_bytes(*bytes[at..].first_chunk().expect("the head is 72 bytes"));
        let id_at = |at: usize| *bytes[at..].first_chunk::<16>().expect("the head is 72 bytes");
        if u16_at(0) != VERSION || u16_at(2) != 0 {
            return Err(Error::invalid(format!(
                "a manifest of format version {}, flags {:#x}; this program reads version {VERSION}: use a newer one",
                u16_at(0),
                u16_at(2)
            )));
        }
        let mut rest = &bytes[HEAD_LEN..];
        let mut pins = Vec::new();
        for _ in 0..u32_at(36) {
            pins.push(Lsn(u64::from_le_bytes(*take(&mut rest, 8)?.first_chunk().expect("eight were taken"))));
        }
        let mut layers = Vec::new();
        for _ in 0..u32_at(4) {
            let head = take(&mut rest, 2)?;
            let kind = LayerKind::from_byte(head[0])?;
            let name = std::str::from_utf8(take_prefixed(&mut rest)?)
                .map_err(|e| Error::corrupt("a layer's name is not text").with_source(e))?;
            let name = LayerName::parse(name)?;
            let lo = bytes.slice_ref(take_prefixed(&mut rest)?);
            let hi = match take(&mut rest, 1)?[0] {
                0 => None,
                1 => Some(bytes.slice_ref(take_prefixed(&mut rest)?)),
                other => return Err(Error::corrupt(format!("a layer's bound is marked {other}"))),
            };
            let mut number = || take_varint(&mut rest);
            let layer = LayerMeta {
                name,
                kind,
                level: head[1],
                lo,
                hi,
                after: Lsn(number()?),
                through: Lsn(number()?),
                size_bytes: number()?,
                index_offset: number()?,
                versions: number()?,
            };
            if layer.after >= layer.through || layer.index_offset >= layer.size_bytes {
                return Err(Error::corrupt(format!("layer {} has impossible bounds", layer.name)));
            }
            layers.push(layer);
        }
        if !rest.is_empty() {
            return Err(Error::corrupt("a manifest is too long"));
        }
        Ok(Manifest {
            branch: BranchRef {
                tenant: TenantId::from_bytes(id_at(40)),
                branch: BranchId::from_bytes(id_at(56)),
            },
            slots: SlotRange { first: u16_at(32), last: u16_at(34) },
            generation: Generation(u64_at(8)),
            uploaded: Lsn(u64_at(16)),
            horizon: Lsn(u64_at(24)),
            pins,
            layers,
        })
    }
}
