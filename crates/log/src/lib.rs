//! One partition on disk: tail cache, segments, indexes, reads, retention.
