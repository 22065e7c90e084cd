//! Why an attempt failed, and whether another one may help.

use std::time::Duration;

use eddy_client::CallError;
use eddy_types::BrokerId;
use tokio::time::Instant;

use crate::Address;
use crate::error::{CliError, Exit};

/// First pause between two attempts.
const PAUSE_FIRST: Duration = Duration::from_millis(20);

/// How long to go on, and how long to wait next.
#[derive(Debug)]
pub(super) struct Attempts {
    pub(super) deadline: Instant,
    pub(super) pause: Duration,
}

impl Attempts {
    pub(super) fn new(deadline: Instant) -> Attempts {
        Attempts { deadline, pause: PAUSE_FIRST }
    }
}

/// Why an attempt failed.
#[derive(Debug)]
pub(super) enum Trouble {
    Call(CallError),
    /// A broker that metadata names does not take connections; it may be on its way down, and another one lead soon.
    Connect(BrokerId, Address, String),
    Final(CliError),
}

impl Trouble {
    pub(super) fn passes(&self) -> bool {
        match self {
            // An administrative answer of this kind is about what the user named, not about metadata on its way.
            Trouble::Call(error) => error.is_retriable(),
            Trouble::Connect(..) => true,
            Trouble::Final(_) => false,
        }
    }

    pub(super) fn text(&self) -> String {
        match self {
            Trouble::Call(error) => error.to_string(),
            Trouble::Connect(id, address, reason) => format!("broker {id} at {address}: {reason}"),
            Trouble::Final(error) => error.message().to_owned(),
        }
    }

    pub(super) fn into_error(self) -> CliError {
        match self {
            Trouble::Call(error) => error.into(),
            Trouble::Connect(id, address, reason) => CliError::new(
                Exit::Unreachable,
                format!("cannot connect to broker {id} at {address}: {reason}"),
            )
            .fact("the address is the one that the broker advertises")
            .fix("eddy doctor", "check every address from here"),
            Trouble::Final(error) => error,
        }
    }
}

pub(super) fn unreachable(bootstrap: &[Address], said: &[String]) -> CliError {
    let names: Vec<String> = bootstrap.iter().map(Address::to_string).collect();
    let mut error =
        CliError::new(Exit::Unreachable, format!("cannot reach the cluster at {}", names.join(", ")));
    for line in said {
        error = error.fact(line.clone());
    }
    error
        .fix(format!("eddy doctor -b {}", names.join(",")), "find out what is in the way")
        .fix("eddy up", "start a local cluster on port 9092")
}

/// What the operating system said, without its number and in the case of our own messages.
pub(super) fn reason(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_lowercase()
}
