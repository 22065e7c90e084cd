//! AlterClientQuotas, key 49, versions 0–1 (KIP-546).
//!
//! v1 flexible. Each entity is changed whole or not at all.

use ahash::AHashMap;
use eddy_metadata::Image;
use eddy_metadata::controller::{QuotaChange, QuotaError, alter_client_quotas, quota_entity};
use eddy_metadata::quota::QuotaEntity;
use eddy_types::ErrorCode;
use eddy_wire::messages::alter_client_quotas::{
    AlterClientQuotasRequest, AlterClientQuotasResponse, RequestEntityData, RequestEntryData,
    ResponseEntityData, ResponseEntryData,
};
use eddy_wire::{ApiKey, Str};

use super::Api;
use crate::call::Call;
use crate::error::change_code;

pub(crate) const API: Api = Api::new(ApiKey::AlterClientQuotas, 0, 1);

type Refusal = (ErrorCode, String);

pub(crate) async fn handle(call: Call, request: AlterClientQuotasRequest) -> AlterClientQuotasResponse {
    let read = |entry: &RequestEntryData| quota_entity(entry.entity.iter().map(part));
    let mut times: AHashMap<QuotaEntity, usize> = AHashMap::new();
    for entity in request.entries.iter().filter_map(|entry| read(entry).ok()) {
        *times.entry(entity).or_default() += 1;
    }
    let mut entries = Vec::with_capacity(request.entries.len());
    for entry in &request.entries {
        let outcome = match read(entry) {
            Ok(entity) => match times.remove(&entity) {
                Some(1) => one(&call, &entity, entry, request.validate_only).await,
                Some(_) => Err((ErrorCode::InvalidRequest, format!("the request names {entity} twice"))),
                // An entity named twice has one answer.
                None => continue,
            },
            Err(refused) => Err(refusal(&refused)),
        };
        let (code, error_message) = match outcome {
            Ok(()) => (ErrorCode::None, None),
            Err((code, message)) => (code, Some(Str::from(message))),
        };
        let entity = entry.entity.iter().map(|part| ResponseEntityData {
            entity_type: part.entity_type.clone(),
            entity_name: part.entity_name.clone(),
        });
        entries.push(ResponseEntryData {
            error_code: call.code(code),
            error_message,
            entity: entity.collect(),
        });
    }
    AlterClientQuotasResponse { entries, ..AlterClientQuotasResponse::default() }
}

fn part(part: &RequestEntityData) -> (&str, Option<&str>) {
    (part.entity_type.as_str(), part.entity_name.as_ref().map(Str::as_str))
}

fn refusal(error: &QuotaError) -> Refusal {
    (error.code(), error.to_string())
}

async fn one(
    call: &Call,
    entity: &QuotaEntity,
    entry: &RequestEntryData,
    validate_only: bool,
) -> Result<(), Refusal> {
    let changes = entry.ops.iter().map(|op| QuotaChange {
        key: op.key.to_string(),
        value: if op.remove { None } else { Some(op.value) },
    });
    let changes: Vec<QuotaChange> = changes.collect();
    let decide = |image: &Image| {
        let records = alter_client_quotas(image, entity, &changes)?;
        Ok((if validate_only { Vec::new() } else { records }, ()))
    };
    let changed = call.ctx.engine.quorum().change(decide).await;
    changed.map_err(|error| change_code(error, |refused: QuotaError| refusal(&refused)))
}
