//! Searches over splits that were really built, compared with what a plain scan of the same records finds.

mod answers;
mod brokers;
mod harness;
mod left_out;
mod limits;
mod naive;
mod phrases;
mod property;
