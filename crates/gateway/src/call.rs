//! One request as its handler sees it.

use std::sync::Arc;
use std::time::Duration;

use eddy_metadata::Image;
use eddy_types::ErrorCode;
use eddy_wire::ApiKey;
use tokio::time::Instant;

use crate::connection_state::{ConnectionState, Software};
use crate::context::Context;
use crate::telemetry::ClientFacts;

/// How long an answer waits for brokers that do not say that they know. One that died is not waited for once its session is over.
const KNOWN_WAIT: Duration = Duration::from_secs(5);

/// A request's surroundings: who asks, in which version, and what the broker knows at the moment.
#[derive(Clone)]
pub(crate) struct Call {
    pub(crate) ctx: Arc<Context>,
    pub(crate) connection: Arc<ConnectionState>,
    pub(crate) api: ApiKey,
    pub(crate) version: i16,
    pub(crate) correlation_id: i32,
    /// Whether the client calls itself what Kafka's own tools do, which may write to internal topics.
    pub(crate) from_admin_client: bool,
    /// Client id of the request, empty when it has none.
    pub(crate) client_id: Arc<str>,
    /// Size of the request, header included.
    pub(crate) frame_bytes: usize,
    /// Size of the allocation that a slice of the request keeps.
    pub(crate) frame_memory: usize,
    /// Whether the client seems to wait for the answer before it sends more.
    pub(crate) alone: bool,
}

impl Call {
    /// The cluster's metadata as of now.
    pub(crate) fn image(&self) -> Arc<Image> {
        self.ctx.engine.image()
    }

    /// Host and port by which this client reaches this broker.
    pub(crate) fn advertised(&self) -> (String, u16) {
        self.ctx.advertised.for_client(self.connection.local)
    }

    /// Waits until every broker that is alive knows what was committed so far: then the client's next request finds it, wherever it
    /// goes. After `within`, or a while, the client is answered all the same: it is done, and who does not know yet says so.
    pub(crate) async fn until_known(&self, within: Duration) {
        let deadline = Instant::now() + within.min(KNOWN_WAIT);
        self.ctx.cluster.until_applied(self.image().version(), deadline).await;
    }

    /// What telemetry subscriptions may choose this client by.
    pub(crate) fn client_facts<'a>(&'a self, software: &'a Software) -> ClientFacts<'a> {
        ClientFacts {
            client_id: &self.client_id,
            software_name: &software.name,
            software_version: &software.version,
            peer: self.connection.peer,
        }
    }

    /// The wire number of a code, counted when it is an error.
    pub(crate) fn code(&self, code: ErrorCode) -> i16 {
        if code != ErrorCode::None {
            self.ctx.metrics.error(self.api, code);
        }
        code.code()
    }
}
