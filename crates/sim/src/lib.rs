//! Simulated clusters: the pure machines of `core` and `metadata` under faults, every step decided by one seed.
