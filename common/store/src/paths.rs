//! Where each object lies, said once (section 7 of the design):
//!
//! ```text
//! control-plane/state/<number>
//! tenants/<tenant>/branches/<branch>/shards/<lo>-<hi>/manifests/<number>
//! tenants/<tenant>/branches/<branch>/shards/<lo>-<hi>/layers/<ulid>-<generation>
//! tenants/<tenant>/branches/<branch>/wal/<first>-<last>
//! ```
//!
//! Numbers, LSNs and generations are decimal with leading zeros, 20 digits, so that the order of
//! names is the order of numbers. A tenant's id stands in every path but the control plane's (I10).

use crate::ObjectPath;
use shardforge_common::{BranchRef, Lsn, SlotRange, TenantId};

/// A number as it stands in names: 20 digits, the most that 64 bits need.
pub fn number_name(number: u64) -> String {
    format!("{number:020}")
}

/// The number that a name is, if it is one.
pub fn parse_number_name(name: &str) -> Option<u64> {
    (name.len() == 20 && name.bytes().all(|b| b.is_ascii_digit())).then(|| name.parse().ok())?
}

fn made(path: String) -> ObjectPath {
    ObjectPath::new(path).expect("ids and numbers are made of letters and digits")
}

/// The folder of the control plane's journal.
pub fn control_plane_state() -> ObjectPath {
    made("control-plane/state".into())
}

/// The folder of everything that a tenant owns.
pub fn tenant(tenant: TenantId) -> ObjectPath {
    made(format!("tenants/{tenant}"))
}

/// The folder of a branch.
pub fn branch(branch: BranchRef) -> ObjectPath {
    made(format!("tenants/{}/branches/{}", branch.tenant, branch.branch))
}

/// The folder of a branch's archived WAL.
pub fn wal(branch: BranchRef) -> ObjectPath {
    made(format!("{}/wal", self::branch(branch)))
}

/// An archived WAL segment with the records from `first` to `last`, both included.
pub fn wal_segment(branch: BranchRef, first: Lsn, last: Lsn) -> ObjectPath {
    made(format!("{}/{}-{}", wal(branch), number_name(first.0), number_name(last.0)))
}

/// The LSNs in an archived WAL segment's name.
pub fn parse_wal_segment_name(name: &str) -> Option<(Lsn, Lsn)> {
    let (first, last) = name.split_once('-')?;
    Some((Lsn(parse_number_name(first)?), Lsn(parse_number_name(last)?)))
}

/// The folder of all shards of a branch; below it `<lo>-<hi>/…`.
pub fn shards(branch: BranchRef) -> ObjectPath {
    made(format!("{}/shards", self::branch(branch)))
}

/// The folder of one shard of a branch.
pub fn shard(branch: BranchRef, slots: SlotRange) -> ObjectPath {
    made(format!("{}/{slots}", shards(branch)))
}

/// The folder of a shard's manifests.
pub fn manifests(branch: BranchRef, slots: SlotRange) -> ObjectPath {
    made(format!("{}/manifests", shard(branch, slots)))
}

/// The folder of a shard's layers.
pub fn layers(branch: BranchRef, slots: SlotRange) -> ObjectPath {
    made(format!("{}/layers", shard(branch, slots)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use shardforge_common::BranchId;

    #[test]
    fn the_layout_is_the_designs() {
        let b =
            BranchRef { tenant: TenantId::from_bytes([0xaa; 16]), branch: BranchId::from_bytes([0xbb; 16]) };
        let (t, h) = ("a".repeat(32), "b".repeat(32));
        let slots = SlotRange { first: 0, last: 0x3fff };
        assert_eq!(
            manifests(b, slots).as_str(),
            format!("tenants/{t}/branches/{h}/shards/0000-3fff/manifests")
        );
        assert_eq!(layers(b, slots).as_str(), format!("tenants/{t}/branches/{h}/shards/0000-3fff/layers"));
        let segment = wal_segment(b, Lsn(7), Lsn(u64::MAX));
        assert_eq!(segment.name(), "00000000000000000007-18446744073709551615");
        assert_eq!(parse_wal_segment_name(segment.name()), Some((Lsn(7), Lsn(u64::MAX))));
        assert_eq!(parse_number_name("7"), None);
        assert_eq!(parse_number_name("99999999999999999999"), None, "above 64 bits");
    }
}
