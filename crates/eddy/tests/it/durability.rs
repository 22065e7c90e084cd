//! What was acknowledged stays, whatever ends the process; what was deleted stays deleted.
//!
//! `EDDY_KILL_ROUNDS` sets the rounds of the kill loops (8), `EDDY_KILL_SEED` their seed (1), `EDDY_BIN` the broker (the one just built).

mod kill_loop;
mod ledger;
mod limits;
mod producers;
mod server;
mod storage;
