//! The invariants of the machines, by id. `docs/INVARIANTS.md` says where each comes from and who checks it.

/// A sentence that holds after every event, and its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Invariant {
    /// Short name, such as `HW-1`.
    pub id: &'static str,
    /// What holds.
    pub sentence: &'static str,
}

macro_rules! invariants {
    ($($name:ident $id:literal $sentence:literal)*) => {
        $(
            #[doc = $sentence]
            pub(crate) const $name: Invariant = Invariant { id: $id, sentence: $sentence };
        )*

        impl Invariant {
            /// Every invariant that the machines of this crate keep.
            pub const ALL: &'static [Invariant] = &[$($name,)*];
        }
    };
}

invariants! {
    HW_1 "HW-1" "the high watermark never falls within a leader epoch"
    HW_2 "HW-2" "the high watermark is at most the durable end of every ISR member"
    HW_3 "HW-3" "an acks=all answer is sent only below the high watermark"
    HW_4 "HW-4" "the high watermark stands still while the ISR is smaller than the effective minimum"
    ISR_1 "ISR-1" "the leader is a member of its ISR, and the ISR is part of the replicas"
    ISR_2 "ISR-2" "an ISR change counts only once the controller accepted it, and until then the larger set guards the high watermark"
    EP_1 "EP-1" "leader epochs and partition epochs only rise"
    LOG_1 "LOG-1" "log start <= high watermark <= durable end <= log end, and batches are contiguous"
    LOG_2 "LOG-2" "a clean truncation never goes below the high watermark"
    PID_1 "PID-1" "the batches in a producer's window follow each other without gap, in sequence and in offset order"
    PID_2 "PID-2" "a window holds at most five batches, all of the current producer epoch"
    TXN_1 "TXN-1" "the last stable offset is at most the high watermark and at most the first offset of every open transaction above the log start"
    ACK_1 "ACK-1" "waiting acknowledgements are ordered by the offset that they wait for"
    GRP_1 "GRP-1" "a classic group has a leader exactly when it has members, and the leader is one of them"
    GRP_2 "GRP-2" "every member of a classic generation supports its protocol"
    GRP_3 "GRP-3" "a member of a classic group, or an id given out, has a session deadline unless its request waits"
    GRP_4 "GRP-4" "a classic group parks JoinGroup only while it prepares and SyncGroup only while it completes, and has no members when empty"
    GRP_5 "GRP-5" "what a classic group counts is what its members say, and a static name has one member"
    CGR_1 "CGR-1" "a partition has one owner in a consumer group: who may read it, or has not given it back"
    CGR_2 "CGR-2" "member epoch <= assignment epoch <= group epoch, and only a member that keeps its epoch has partitions to give back"
    CGR_3 "CGR-3" "the target assignment of a consumer group gives a partition to one member, and only to members"
    CGR_4 "CGR-4" "what a consumer group counts is what its members say, and a static name has one member"
    FS_1 "FS-1" "a fetch session orders each of its partitions exactly once"
    FS_2 "FS-2" "the session cache stays within its slots and its partitions"
}

/// Asserts an invariant by its id. The machine that breaks one cannot be trusted further, so its owner must not go on.
macro_rules! check {
    ($invariant:ident, $holds:expr, $($seen:tt)+) => {
        assert!(
            $holds,
            "invariant {} broken: {}: {}",
            $crate::invariant::$invariant.id,
            $crate::invariant::$invariant.sentence,
            format_args!($($seen)+)
        )
    };
}
pub(crate) use check;

#[cfg(test)]
mod tests {
    use super::Invariant;

    #[test]
    fn every_invariant_is_written_down_once() {
        let page = include_str!("../../../docs/INVARIANTS.md");
        for invariant in Invariant::ALL {
            let row = format!("| {} | {} |", invariant.id, invariant.sentence);
            assert_eq!(page.matches(&row).count(), 1, "docs/INVARIANTS.md lacks the row: {row}");
        }
    }
}
