//! Runs the group coordinator's machines on the internal topics.
