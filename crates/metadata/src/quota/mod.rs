//! Client quotas: to whom a limit applies, and which of several wins.

mod entity;
mod value;

use std::collections::BTreeMap;
use std::net::IpAddr;

pub use entity::{QuotaEntity, QuotaName};
use serde::{Deserialize, Serialize};
pub use value::{QuotaKey, QuotaValue, QuotaValueError};

/// The limits of one entity.
pub type QuotaValues = BTreeMap<QuotaKey, QuotaValue>;

/// All client quotas of the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientQuotas {
    entities: BTreeMap<QuotaEntity, QuotaValues>,
    /// Entities that limit the key, by key: most brokers limit nothing, and must find that out for next to nothing.
    counts: [usize; QuotaKey::ALL.len()],
}

/// A limit on a client, and whose use of it counts together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClientQuota {
    /// The limit, in the key's unit.
    pub limit: f64,
    /// Each user has it for himself.
    pub by_user: bool,
    /// Each client id has it for itself.
    pub by_client_id: bool,
}

/// One entity in a snapshot.
#[derive(Serialize, Deserialize)]
pub(crate) struct StoredQuotas {
    entity: QuotaEntity,
    values: QuotaValues,
}

impl ClientQuotas {
    /// Whether anybody's `key` is limited.
    #[must_use]
    pub fn limits(&self, key: QuotaKey) -> bool {
        self.counts.get(key as usize).is_some_and(|&count| count > 0)
    }

    /// All entities with their limits, in a fixed order.
    pub fn iter(&self) -> impl Iterator<Item = (&QuotaEntity, &QuotaValues)> {
        self.entities.iter()
    }

    /// Limits of one entity.
    #[must_use]
    pub fn get(&self, entity: &QuotaEntity) -> Option<&QuotaValues> {
        self.entities.get(entity)
    }

    /// The limit that a user's client has, and whom it shares it with. The most specific wins.
    #[must_use]
    pub fn of_client(&self, key: QuotaKey, user: &str, client_id: &str) -> Option<ClientQuota> {
        if !self.limits(key) {
            return None;
        }
        let user = || Some(QuotaName::Exact(user.to_owned()));
        let client_id = || Some(QuotaName::Exact(client_id.to_owned()));
        let default = || Some(QuotaName::Default);
        let limit = |user: Option<QuotaName>, client_id: Option<QuotaName>| {
            let (by_user, by_client_id) = (user.is_some(), client_id.is_some());
            let limit = self.limit(&QuotaEntity { user, client_id, ip: None }, key)?;
            Some(ClientQuota { limit, by_user, by_client_id })
        };
        limit(user(), client_id())
            .or_else(|| limit(user(), default()))
            .or_else(|| limit(user(), None))
            .or_else(|| limit(default(), client_id()))
            .or_else(|| limit(default(), default()))
            .or_else(|| limit(default(), None))
            .or_else(|| limit(None, client_id()))
            .or_else(|| limit(None, default()))
    }

    /// New connections that an address may make in a second.
    #[must_use]
    pub fn of_ip(&self, ip: IpAddr) -> Option<f64> {
        let key = QuotaKey::ConnectionCreationRate;
        if !self.limits(key) {
            return None;
        }
        let named = |ip| QuotaEntity { user: None, client_id: None, ip: Some(ip) };
        self.limit(&named(QuotaName::of_ip(ip)), key).or_else(|| self.limit(&named(QuotaName::Default), key))
    }

    fn limit(&self, entity: &QuotaEntity, key: QuotaKey) -> Option<f64> {
        self.entities.get(entity)?.get(&key).map(|value| value.get())
    }

    /// Sets (`Some`) or removes (`None`) limits of an entity.
    pub(crate) fn change(&mut self, entity: &QuotaEntity, changes: &BTreeMap<QuotaKey, Option<QuotaValue>>) {
        let values = self.entities.entry(entity.clone()).or_default();
        for (&key, change) in changes {
            match change {
                Some(value) => values.insert(key, *value),
                None => values.remove(&key),
            };
        }
        if values.is_empty() {
            self.entities.remove(entity);
        }
        self.count();
    }

    fn count(&mut self) {
        let entities = &self.entities;
        self.counts =
            QuotaKey::ALL.map(|key| entities.values().filter(|values| values.contains_key(&key)).count());
    }

    pub(crate) fn to_stored(&self) -> Vec<StoredQuotas> {
        let stored = |(entity, values): (&QuotaEntity, &QuotaValues)| StoredQuotas {
            entity: entity.clone(),
            values: values.clone(),
        };
        self.entities.iter().map(stored).collect()
    }

    pub(crate) fn from_stored(stored: Vec<StoredQuotas>) -> ClientQuotas {
        let entities = stored.into_iter().map(|one| (one.entity, one.values)).collect();
        let mut quotas = ClientQuotas { entities, counts: Default::default() };
        quotas.count();
        quotas
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> QuotaName {
        if text == "*" { QuotaName::Default } else { QuotaName::Exact(text.to_owned()) }
    }

    fn entity(user: Option<&str>, client_id: Option<&str>) -> QuotaEntity {
        QuotaEntity { user: user.map(name), client_id: client_id.map(name), ip: None }
    }

    fn set(quotas: &mut ClientQuotas, entity: &QuotaEntity, key: QuotaKey, value: f64) {
        let value = QuotaValue::new(key, value).unwrap();
        quotas.change(entity, &BTreeMap::from([(key, Some(value))]));
    }

    /// the eight levels, from the least specific to the most, each hiding those before.
    #[test]
    fn the_most_specific_quota_wins() {
        let key = QuotaKey::ProducerByteRate;
        let mut quotas = ClientQuotas::default();
        assert!(!quotas.limits(key));
        assert_eq!(quotas.of_client(key, "alice", "app"), None);
        let levels = [
            (None, Some("*"), (false, true)),
            (None, Some("app"), (false, true)),
            (Some("*"), None, (true, false)),
            (Some("*"), Some("*"), (true, true)),
            (Some("*"), Some("app"), (true, true)),
            (Some("alice"), None, (true, false)),
            (Some("alice"), Some("*"), (true, true)),
            (Some("alice"), Some("app"), (true, true)),
        ];
        for (limit, (user, client_id, (by_user, by_client_id))) in (1..).zip(levels) {
            let limit = f64::from(limit);
            set(&mut quotas, &entity(user, client_id), key, limit);
            let found = quotas.of_client(key, "alice", "app");
            assert_eq!(found, Some(ClientQuota { limit, by_user, by_client_id }), "{user:?} {client_id:?}");
        }
        assert!(quotas.limits(key));
        assert_eq!(quotas.of_client(key, "bob", "other").map(|quota| quota.limit), Some(4.0));
        assert_eq!(quotas.of_client(QuotaKey::ConsumerByteRate, "alice", "app"), None);
    }

    #[test]
    fn an_address_has_its_own_limit_or_the_default_of_all() {
        let key = QuotaKey::ConnectionCreationRate;
        let mut quotas = ClientQuotas::default();
        let (one, other): (IpAddr, IpAddr) = ("127.0.0.1".parse().unwrap(), "::1".parse().unwrap());
        assert_eq!(quotas.of_ip(one), None);
        let by_ip = |ip: QuotaName| QuotaEntity { user: None, client_id: None, ip: Some(ip) };
        set(&mut quotas, &by_ip(QuotaName::of_ip(one)), key, 5.0);
        set(&mut quotas, &by_ip(QuotaName::Default), key, 7.0);
        assert_eq!((quotas.of_ip(one), quotas.of_ip(other)), (Some(5.0), Some(7.0)));
        let mapped = "::ffff:127.0.0.1".parse().unwrap();
        assert_eq!(quotas.of_ip(mapped), Some(5.0), "one address, however the socket tells it");
    }

    #[test]
    fn an_entity_without_limits_is_gone() {
        let key = QuotaKey::RequestPercentage;
        let mut quotas = ClientQuotas::default();
        let alice = entity(Some("alice"), None);
        set(&mut quotas, &alice, key, 12.5);
        quotas.change(&alice, &BTreeMap::from([(key, None), (QuotaKey::ProducerByteRate, None)]));
        assert_eq!(quotas, ClientQuotas::default());
    }
}
