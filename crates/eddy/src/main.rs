//! One binary: broker, command line, local clusters.
fn main() {}
