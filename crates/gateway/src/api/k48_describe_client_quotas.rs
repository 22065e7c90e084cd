//! DescribeClientQuotas, key 48, versions 0–1 (KIP-546).
//!
//! v1 flexible

use eddy_metadata::controller::{QuotaFilter, describe_client_quotas};
use eddy_metadata::quota::{QuotaEntity, QuotaValues};
use eddy_wire::messages::describe_client_quotas::{
    DescribeClientQuotasRequest, DescribeClientQuotasResponse, EntityData, EntryData, ValueData,
};
use eddy_wire::{ApiKey, Str};

use super::Api;
use crate::call::Call;

pub(crate) const API: Api = Api::new(ApiKey::DescribeClientQuotas, 0, 1);

pub(crate) async fn handle(call: Call, request: DescribeClientQuotasRequest) -> DescribeClientQuotasResponse {
    let parts = request
        .components
        .iter()
        .map(|part| (part.entity_type.as_str(), part.match_type, part.r#match.as_ref().map(Str::as_str)));
    let filter = match QuotaFilter::read(parts, request.strict) {
        Ok(filter) => filter,
        Err(error) => {
            return DescribeClientQuotasResponse {
                error_code: call.code(error.code()),
                error_message: Some(error.to_string().into()),
                entries: None,
                ..DescribeClientQuotasResponse::default()
            };
        }
    };
    let image = call.image();
    let entries = describe_client_quotas(&image, &filter).map(|(entity, values)| entry(entity, values));
    DescribeClientQuotasResponse {
        error_message: None,
        entries: Some(entries.collect()),
        ..DescribeClientQuotasResponse::default()
    }
}

fn entry(entity: &QuotaEntity, values: &QuotaValues) -> EntryData {
    let entity = entity.parts().map(|(part, name)| EntityData {
        entity_type: Str::from_static(part),
        entity_name: name.as_deref().map(Str::from),
    });
    let values =
        values.iter().map(|(key, value)| ValueData { key: Str::from_static(key.name()), value: value.get() });
    EntryData { entity: entity.collect(), values: values.collect() }
}
