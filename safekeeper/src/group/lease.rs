//! The body of a lease record: the sole-writer lease is granted, or given back (S2).

use bytes::{BufMut, Bytes, BytesMut};
use shardforge_common::{ComputeId, Error, NodeId, Result};
use std::time::Duration;

/// A run of a safekeeper's process: a restart makes another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Process {
    /// Whose.
    pub node: NodeId,
    /// Drawn at random when it started.
    pub incarnation: [u8; 16],
}

/// A lease that was granted and not given back, as the log has it. When it ends the log does not know:
/// renewals are not in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseState {
    /// Who has it.
    pub holder: ComputeId,
    /// For how long it is granted, and renewed each time.
    pub duration: Duration,
    /// The safekeeper's process that the holder lives in; `None` when it has its own.
    pub within: Option<Process>,
}

/// The body of a lease record.
///
/// ```text
/// offset  size  field                     all integers little endian
///      0     1  format version, 1
///      1     1  0 given back, 1 granted
///      2     6  0
///      8    16  holder
///     24     8  duration in microseconds; 0 when given back
///     32     8  node in whose process the holder lives; 0 for none
///     40    16  that process; 0 for none
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaseBody {
    /// This one has it now.
    Granted(LeaseState),
    /// This one has it no more.
    GivenBack(ComputeId),
}

impl LeaseBody {
    /// Its length in bytes.
    pub(crate) const LEN: usize = 56;

    /// The stored form.
    pub fn encode(&self) -> Bytes {
        let (granted, holder, duration, within) = match self {
            LeaseBody::Granted(lease) => (1, lease.holder, lease.duration, lease.within),
            LeaseBody::GivenBack(holder) => (0, *holder, Duration::ZERO, None),
        };
        let mut out = BytesMut::with_capacity(Self::LEN);
        out.put_slice(&[1, granted, 0, 0, 0, 0, 0, 0]);
        out.put_slice(holder.as_bytes());
        out.put_u64_le(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX));
        out.put_u64_le(within.map_or(0, |process| process.node.0));
        out.put_slice(&within.map_or([0; 16], |process| process.incarnation));
        out.freeze()
    }

    /// Reads it back.
    pub fn decode(body: &[u8]) -> Result<Self> {
        let body: &[u8; Self::LEN] = body
            .try_into()
            .map_err(|_| Error::corrupt(format!("a lease record with a body of {} bytes", body.len())))?;
        let u64_at = |at: usize| u64::from_le_bytes(*body[at..].first_chunk().expect("the body is 56 bytes"));
        let id_at = |at: usize| *body[at..].first_chunk::<16>().expect("the body is 56 bytes");
        if body[0] != 1 || body[1] > 1 || body[2..8] != [0; 6] {
            return Err(Error::corrupt("a lease record of an unknown version"));
        }
        let holder = ComputeId::from_bytes(id_at(8));
        if body[1] == 0 {
            return Ok(LeaseBody::GivenBack(holder));
        }
        let within = (u64_at(32) != 0).then(|| Process { node: NodeId(u64_at(32)), incarnation: id_at(40) });
        Ok(LeaseBody::Granted(LeaseState { holder, duration: Duration::from_micros(u64_at(24)), within }))
    }
}
