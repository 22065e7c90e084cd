//! States and types of groups, under the names that Kafka prints.

use std::fmt;

macro_rules! named {
    ($(#[$doc:meta])* $enum:ident { $($(#[$variant_doc:meta])* $variant:ident $text:literal)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $enum {
            $($(#[$variant_doc])* $variant,)*
        }

        impl $enum {
            /// Kafka's name.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $($enum::$variant => $text,)*
                }
            }

            /// The one of a name, in whatever case.
            #[must_use]
            pub fn from_name(name: &str) -> Option<$enum> {
                [$($enum::$variant,)*].into_iter().find(|known| known.name().eq_ignore_ascii_case(name))
            }
        }

        impl fmt::Display for $enum {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}

named! {
    /// State of a group of either type.
    GroupState {
        /// No members.
        Empty "Empty"
        /// Classic: members are joining.
        PreparingRebalance "PreparingRebalance"
        /// Classic: the leader's assignment is awaited.
        CompletingRebalance "CompletingRebalance"
        /// Every member has its assignment.
        Stable "Stable"
        /// Consumer: a new target assignment is to be made.
        Assigning "Assigning"
        /// Consumer: members move towards the target assignment.
        Reconciling "Reconciling"
        /// There is no such group (any more).
        Dead "Dead"
    }
}

named! {
    /// Type of a group: the protocol that its members speak.
    GroupType {
        /// JoinGroup, SyncGroup, Heartbeat.
        Classic "classic"
        /// ConsumerGroupHeartbeat (KIP-848).
        Consumer "consumer"
    }
}
