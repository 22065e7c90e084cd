//! Group-commit write-ahead log: queue, commit, recover, trim; profiles and pressure.
