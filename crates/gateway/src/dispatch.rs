//! From a frame to its handler: header, version check, decoding, and the answer's encoding.

use std::future::Future;
use std::sync::Arc;
use std::time::Instant;

use eddy_types::ErrorCode;
use eddy_wire::{
    ApiKey, Decode, DecodeError, Encode, EncodeError, Frame, Reader, RequestHeader, encode_response,
};

use crate::api;
use crate::call::Call;
use crate::connection_state::ConnectionState;
use crate::context::Context;
use crate::frames::RequestFrame;
use crate::pipeline::{Answer, Queued};
use crate::quota::{Meter, Throttled};

/// Client id of Kafka's own tools.
const ADMIN_CLIENT: &str = "__admin_client";

/// Why a request cannot be answered. Kafka closes the connection in these cases, and so do we, after what is under way is
/// answered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DispatchError {
    #[error("malformed request: {0}")]
    Malformed(#[from] DecodeError),
    #[error("{api} version {version} (api key {key}) is not served")]
    NotServed { api: &'static str, key: i16, version: i16 },
    #[error("an answer to {api} version {version} cannot be encoded: {source}")]
    Encode { api: ApiKey, version: i16, source: EncodeError },
    #[error("a produce with acks=0 failed: {0}")]
    UnacknowledgedProduce(ErrorCode),
}

/// Starts a request. What must happen in request order has happened when this returns.
pub(crate) async fn start(
    ctx: &Arc<Context>,
    connection: &Arc<ConnectionState>,
    frame: RequestFrame,
) -> Result<Queued, DispatchError> {
    let started = Instant::now();
    let (frame_bytes, frame_memory) = (frame.bytes.len(), frame.memory);
    let mut reader = Reader::new(frame.bytes);
    let header = RequestHeader::decode(&mut reader)?;
    let known = ApiKey::from_i16(header.api_key).and_then(|key| Some((key, ctx.metrics.api(key)?)));
    let Some((key, metrics)) = known else { return Err(not_served(&header)) };
    metrics.bytes_in.inc_by(frame_bytes as u64 + 4);
    let call = Call {
        ctx: Arc::clone(ctx),
        connection: Arc::clone(connection),
        api: key,
        version: header.api_version,
        correlation_id: header.correlation_id,
        client_id: connection.client_id(header.client_id.as_deref().unwrap_or_default()),
        frame_bytes,
        from_admin_client: header.client_id.as_deref() == Some(ADMIN_CLIENT),
        frame_memory,
        alone: frame.alone,
    };
    // The client id would keep the whole frame in memory.
    drop(header);
    let answer = if api::serves(key, call.version) {
        tracing::trace!(api = %key, version = call.version, peer = %connection.peer, "request");
        api::handle(call, reader).await?
    } else if key == ApiKey::ApiVersions {
        // a version from the future is answered in version 0, with an error and what is served.
        let response = api::k18_api_versions::unsupported(&call);
        Answer::Now(encode(ApiKey::ApiVersions, 0, call.correlation_id, &response)?)
    } else {
        return Err(DispatchError::NotServed { api: key.name(), key: key.code(), version: call.version });
    };
    Ok(Queued { answer, started, metrics, permit: frame.permit })
}

fn not_served(header: &RequestHeader) -> DispatchError {
    let api = ApiKey::from_i16(header.api_key).map_or("an unknown api", ApiKey::name);
    DispatchError::NotServed { api, key: header.api_key, version: header.api_version }
}

/// Decodes a request, waits for its handler and encodes the answer: for every API whose requests are worked on one after the
/// other.
pub(crate) async fn answer<Q, A, F>(
    call: Call,
    mut reader: Reader,
    handle: impl FnOnce(Call, Q) -> F,
) -> Result<Answer, DispatchError>
where
    Q: Decode,
    A: Encode + Throttled,
    F: Future<Output = A>,
{
    let (api, version, correlation_id) = (call.api, call.version, call.correlation_id);
    let request = Q::decode(&mut reader, version)?;
    drop(reader);
    let mut meter = Meter::start(&call, &call.image());
    let mut response = meter.time(handle(call, request)).await;
    meter.charge(&mut response);
    Ok(Answer::Now(encode(api, version, correlation_id, &response)?))
}

/// As [`answer`], for handlers in two phases: what must happen in request order has happened when the handler returns, and
/// its answer may come while later requests are worked on.
pub(crate) async fn answer_later<Q, A, F, P>(
    call: Call,
    mut reader: Reader,
    begin: impl FnOnce(Call, Q) -> F,
) -> Result<Answer, DispatchError>
where
    Q: Decode,
    A: Encode + Throttled,
    F: Future<Output = P>,
    P: Future<Output = A> + Send + 'static,
{
    let (api, version, correlation_id) = (call.api, call.version, call.correlation_id);
    let request = Q::decode(&mut reader, version)?;
    drop(reader);
    let mut meter = Meter::start(&call, &call.image());
    let pending = meter.time(begin(call, request)).await;
    Ok(Answer::Later(Box::pin(async move {
        let mut response = meter.time(pending).await;
        meter.charge(&mut response);
        encode(api, version, correlation_id, &response).ok()
    })))
}

pub(crate) fn encode(
    api: ApiKey,
    version: i16,
    correlation_id: i32,
    response: &impl Encode,
) -> Result<Frame, DispatchError> {
    encode_response(api, version, correlation_id, response).map_err(|source| {
        tracing::error!(%api, version, error = %source, "an answer cannot be encoded; the connection is closed");
        DispatchError::Encode { api, version, source }
    })
}
