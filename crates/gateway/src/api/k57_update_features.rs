//! UpdateFeatures, key 57, versions 0–2 (KIP-584).
//!
//! v1 upgrade type, validate only (KIP-778) · v2 no results by feature (KIP-1022)
//!
//! Features are finalized at the highest level that is served; there is nothing to upgrade, and no way back.

use eddy_types::ErrorCode;
use eddy_wire::messages::update_features::{
    FeatureUpdateKey, UpdatableFeatureResult, UpdateFeaturesRequest, UpdateFeaturesResponse,
};
use eddy_wire::{ApiKey, Str};

use super::Api;
use crate::call::Call;
use crate::features;

pub(crate) const API: Api = Api::new(ApiKey::UpdateFeatures, 0, 2);

/// Upgrade types: upgrade, safe downgrade, unsafe downgrade.
const UPGRADE: i8 = 1;
const UPGRADE_TYPES: std::ops::RangeInclusive<i8> = 1..=3;

pub(crate) async fn handle(call: Call, request: UpdateFeaturesRequest) -> UpdateFeaturesResponse {
    let refused = request.feature_updates.iter().find_map(|update| check(update, call.version).err());
    if let Some(message) = refused {
        // All or nothing, as in Kafka.
        return UpdateFeaturesResponse {
            error_code: call.code(ErrorCode::InvalidUpdateVersion),
            error_message: Some(message.into()),
            ..UpdateFeaturesResponse::default()
        };
    }
    let done = |update: &FeatureUpdateKey| UpdatableFeatureResult {
        feature: Str::from(update.feature.as_str()),
        error_message: None,
        ..UpdatableFeatureResult::default()
    };
    let results =
        if call.version < 2 { request.feature_updates.iter().map(done).collect() } else { Vec::new() };
    UpdateFeaturesResponse { error_message: None, results, ..UpdateFeaturesResponse::default() }
}

fn check(update: &FeatureUpdateKey, version: i16) -> Result<(), String> {
    let (name, wanted) = (&update.feature, update.max_version_level);
    let none_updated =
        |reason: String| format!("no feature is updated: {name} cannot have level {wanted}: {reason}");
    let feature = features::find(name).ok_or_else(|| none_updated("there is no such feature".to_owned()))?;
    if !(feature.min..=feature.max).contains(&wanted) {
        return Err(none_updated(format!("this broker has levels {} to {}", feature.min, feature.max)));
    }
    let may_fall = if version == 0 { update.allow_downgrade } else { update.upgrade_type != UPGRADE };
    if version >= 1 && !UPGRADE_TYPES.contains(&update.upgrade_type) {
        return Err(none_updated(format!("unknown upgrade type {}", update.upgrade_type)));
    }
    match wanted == feature.max {
        true => Ok(()),
        false if may_fall => {
            Err(none_updated(format!("levels follow from what is served, and it stays at {}", feature.max)))
        }
        false => Err(none_updated(format!("it is at {}, and the request is no downgrade", feature.max))),
    }
}
