//! Owns state at run time: partitions, flusher, housekeeping, budgets.
