//! Telling the cluster that this broker is there, and where.

use std::time::Duration;

use eddy_engine::Engine;
use eddy_metadata::controller::{RegisterError, Registration, register_broker};
use eddy_quorum::ChangeError;
use tokio::time::Instant;

/// Pause between two attempts.
const PAUSE: Duration = Duration::from_millis(100);

/// Why a broker could not be registered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot register the broker: {0}")]
pub struct RegistrationFailed(pub ChangeError<RegisterError>);

/// Registers the broker. Tries again until `deadline`: a process that had its id may have died a moment ago, and its session is
/// not over; the metadata group may be electing a leader.
pub(crate) async fn register(
    engine: &Engine,
    registration: &Registration,
    deadline: Instant,
) -> Result<(), RegistrationFailed> {
    loop {
        let decide =
            |image: &eddy_metadata::Image| register_broker(image, registration).map(|records| (records, ()));
        match engine.quorum().change(decide).await {
            Ok(()) => return Ok(()),
            Err(error) if Instant::now() + PAUSE >= deadline => return Err(RegistrationFailed(error)),
            Err(error) => tracing::debug!(%error, "not registered yet"),
        }
        tokio::time::sleep(PAUSE).await;
    }
}
