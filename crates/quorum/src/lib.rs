//! The metadata group: openraft bound to our disk, committing metadata records.
