//! Classic groups: JoinGroup, SyncGroup, Heartbeat, LeaveGroup.

/// A classic group, or a simple one that only stores offsets.
#[derive(Debug)]
pub(in crate::group) struct ClassicGroup {}
