//! The floors: a crate depends only on lower ones, and some things are known to some crates only.

mod rules;
#[cfg(test)]
mod tests;
mod tree;

pub(crate) use rules::check;
pub(crate) use tree::Tree;
