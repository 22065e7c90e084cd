//! AlterClientQuotas and DescribeClientQuotas.

use std::collections::BTreeMap;
use std::net::IpAddr;

use eddy_types::ErrorCode;

use crate::quota::{QuotaEntity, QuotaKey, QuotaName, QuotaValue, QuotaValueError, QuotaValues};
use crate::{Image, Record};

/// Part of an entity as a request names it: type and name, `None` for the default.
pub type NamedPart<'a> = (&'a str, Option<&'a str>);

/// One change of an entity's quotas.
#[derive(Clone, Debug, PartialEq)]
pub struct QuotaChange {
    /// Name of the key.
    pub key: String,
    /// The limit, `None` to remove it.
    pub value: Option<f64>,
}

/// Why quotas are not changed or not described. None of the entity's are changed, then.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum QuotaError {
    /// Nobody is named.
    #[error("the quota's entity is empty")]
    EmptyEntity,
    /// A part that quotas do not know.
    #[error("quotas are by user, client-id or ip, not by {0:?}")]
    UnknownPart(String),
    /// A part is named twice.
    #[error("{0} is named twice")]
    PartTwice(&'static str),
    /// A name is empty; the default is null.
    #[error("the name of the {0} is empty")]
    EmptyName(&'static str),
    /// Addresses stand alone.
    #[error("a quota by ip cannot be one by user or client-id as well")]
    IpWithOthers,
    /// Not an address. Host names are not resolved.
    #[error("not an ip address: {0:?}")]
    NotAnIp(String),
    /// The entity has no such key.
    #[error("{entity} has no quota of the name {key:?}")]
    UnknownKey {
        /// Whom it was to limit.
        entity: QuotaEntity,
        /// The key.
        key: String,
    },
    /// A key is changed twice.
    #[error("the request changes {0:?} twice")]
    KeyTwice(String),
    /// Not a limit.
    #[error(transparent)]
    Value(#[from] QuotaValueError),
    /// A filter's match is not one of Kafka's three.
    #[error("{0}")]
    Filter(&'static str),
    /// A filter by a part that quotas do not know.
    #[error("quotas cannot be filtered by {0:?}")]
    UnknownFilter(String),
}

impl QuotaError {
    /// Kafka's code for it.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            // As Kafka has it.
            QuotaError::UnknownFilter(_) => ErrorCode::UnsupportedVersion,
            _ => ErrorCode::InvalidRequest,
        }
    }
}

/// Reads an entity from a request.
pub fn quota_entity<'a>(parts: impl IntoIterator<Item = NamedPart<'a>>) -> Result<QuotaEntity, QuotaError> {
    let mut entity = QuotaEntity::default();
    for (part, name) in parts {
        let (part, place) = match part {
            QuotaEntity::USER => (QuotaEntity::USER, &mut entity.user),
            QuotaEntity::CLIENT_ID => (QuotaEntity::CLIENT_ID, &mut entity.client_id),
            QuotaEntity::IP => (QuotaEntity::IP, &mut entity.ip),
            other => return Err(QuotaError::UnknownPart(other.to_owned())),
        };
        if place.replace(quota_name(part, name)?).is_some() {
            return Err(QuotaError::PartTwice(part));
        }
    }
    if entity.ip.is_some() && (entity.user.is_some() || entity.client_id.is_some()) {
        return Err(QuotaError::IpWithOthers);
    }
    if entity == QuotaEntity::default() { Err(QuotaError::EmptyEntity) } else { Ok(entity) }
}

fn quota_name(part: &'static str, name: Option<&str>) -> Result<QuotaName, QuotaError> {
    let Some(name) = name else { return Ok(QuotaName::Default) };
    if name.is_empty() {
        return Err(QuotaError::EmptyName(part));
    }
    if part != QuotaEntity::IP {
        return Ok(QuotaName::Exact(name.to_owned()));
    }
    let ip: IpAddr = name.parse().map_err(|_| QuotaError::NotAnIp(name.to_owned()))?;
    Ok(QuotaName::of_ip(ip))
}

/// Decides a change of one entity's quotas, whole or not at all.
pub fn alter_client_quotas(
    image: &Image,
    entity: &QuotaEntity,
    changes: &[QuotaChange],
) -> Result<Vec<Record>, QuotaError> {
    let mut asked: BTreeMap<QuotaKey, Option<QuotaValue>> = BTreeMap::new();
    for change in changes {
        let key = QuotaKey::find(&change.key).filter(|key| key.is_of_ip() == entity.ip.is_some());
        let (key, value) = match (key, change.value) {
            (Some(key), Some(value)) => (key, Some(QuotaValue::new(key, value)?)),
            (Some(key), None) => (key, None),
            // What nobody knows is not set; Kafka takes it so too, and tools clean up with it.
            (None, None) => continue,
            (None, Some(_)) => {
                return Err(QuotaError::UnknownKey { entity: entity.clone(), key: change.key.clone() });
            }
        };
        if asked.insert(key, value).is_some() {
            return Err(QuotaError::KeyTwice(change.key.clone()));
        }
    }
    let current = image.client_quotas().get(entity);
    asked.retain(|key, value| current.and_then(|values| values.get(key)) != value.as_ref());
    let changed = Record::ClientQuotasSet { entity: entity.clone(), changes: asked };
    Ok(if matches!(&changed, Record::ClientQuotasSet { changes, .. } if changes.is_empty()) {
        Vec::new()
    } else {
        vec![changed]
    })
}

/// What a filter wants of one part of an entity.
#[derive(Clone, Debug, PartialEq, Eq)]
enum PartFilter {
    /// This name.
    Named(QuotaName),
    /// Any name, the default included.
    Any,
}

/// Which entities to describe.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QuotaFilter {
    parts: BTreeMap<&'static str, PartFilter>,
    strict: bool,
}

impl QuotaFilter {
    /// Reads a filter: for each part its type, the kind of match (0 exact, 1 default, 2 any) and the name. A `strict` one
    /// leaves out entities that have other parts as well.
    pub fn read<'a>(
        parts: impl IntoIterator<Item = (&'a str, i8, Option<&'a str>)>,
        strict: bool,
    ) -> Result<QuotaFilter, QuotaError> {
        let mut filter = QuotaFilter { parts: BTreeMap::new(), strict };
        for (part, kind, name) in parts {
            let part = match part {
                QuotaEntity::USER => QuotaEntity::USER,
                QuotaEntity::CLIENT_ID => QuotaEntity::CLIENT_ID,
                QuotaEntity::IP => QuotaEntity::IP,
                "" => return Err(QuotaError::Filter("a filter's entity type is empty")),
                other => return Err(QuotaError::UnknownFilter(other.to_owned())),
            };
            let wanted = match (kind, name) {
                (0, Some(name)) => PartFilter::Named(filter_name(part, name)),
                (0, None) => return Err(QuotaError::Filter("a filter for an exact name has no name")),
                (1, None) => PartFilter::Named(QuotaName::Default),
                (1, Some(_)) => return Err(QuotaError::Filter("a filter for the default has a name")),
                (2, None) => PartFilter::Any,
                (2, Some(_)) => return Err(QuotaError::Filter("a filter for any name has a name")),
                _ => {
                    return Err(QuotaError::Filter(
                        "unknown match type, known are 0 exact, 1 default, 2 any",
                    ));
                }
            };
            if filter.parts.insert(part, wanted).is_some() {
                return Err(QuotaError::PartTwice(part));
            }
        }
        if filter.parts.len() > 1 && filter.parts.contains_key(QuotaEntity::IP) {
            return Err(QuotaError::IpWithOthers);
        }
        Ok(filter)
    }

    fn takes(&self, entity: &QuotaEntity) -> bool {
        let parts: BTreeMap<&str, &QuotaName> = entity.parts().collect();
        let all = self.parts.iter().all(|(part, wanted)| match (parts.get(part), wanted) {
            (Some(_), PartFilter::Any) => true,
            (Some(name), PartFilter::Named(wanted)) => *name == wanted,
            (None, _) => false,
        });
        all && (!self.strict || parts.len() == self.parts.len())
    }
}

/// A name that no entity has is no error: it is just not found.
fn filter_name(part: &'static str, name: &str) -> QuotaName {
    quota_name(part, Some(name)).unwrap_or_else(|_| QuotaName::Exact(name.to_owned()))
}

/// Entities that a filter takes, with their quotas.
pub fn describe_client_quotas<'a>(
    image: &'a Image,
    filter: &'a QuotaFilter,
) -> impl Iterator<Item = (&'a QuotaEntity, &'a QuotaValues)> {
    image.client_quotas().iter().filter(|(entity, _)| filter.takes(entity))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::tests::image;

    fn user(name: Option<&str>) -> QuotaEntity {
        quota_entity([("user", name)]).unwrap()
    }

    fn set(key: &str, value: f64) -> QuotaChange {
        QuotaChange { key: key.to_owned(), value: Some(value) }
    }

    fn remove(key: &str) -> QuotaChange {
        QuotaChange { key: key.to_owned(), value: None }
    }

    #[test]
    fn entities_are_those_that_kafka_takes() {
        for (parts, refused) in [
            (vec![], QuotaError::EmptyEntity),
            (vec![("user", Some(""))], QuotaError::EmptyName("user")),
            (vec![("foo", Some("x"))], QuotaError::UnknownPart("foo".to_owned())),
            (vec![("user", Some("x")), ("ip", Some("1.2.3.4"))], QuotaError::IpWithOthers),
            (vec![("ip", Some("no such host"))], QuotaError::NotAnIp("no such host".to_owned())),
            (vec![("user", Some("x")), ("user", None)], QuotaError::PartTwice("user")),
        ] {
            assert_eq!(quota_entity(parts), Err(refused));
        }
        let ip = quota_entity([("ip", Some("::ffff:1.2.3.4"))]).unwrap();
        assert_eq!(ip.ip, Some(QuotaName::Exact("1.2.3.4".to_owned())));
    }

    #[test]
    fn keys_belong_to_users_and_clients_or_to_addresses() {
        let image = image();
        let ip = quota_entity([("ip", None)]).unwrap();
        for (entity, key) in
            [(&user(None), "connection_creation_rate"), (&ip, "producer_byte_rate"), (&user(None), "foo")]
        {
            let refused = alter_client_quotas(&image, entity, &[set(key, 5.0)]).unwrap_err();
            assert_eq!(refused.code(), ErrorCode::InvalidRequest, "{refused}");
            assert_eq!(alter_client_quotas(&image, entity, &[remove(key)]), Ok(Vec::new()), "{key}");
        }
        let twice = [set("producer_byte_rate", 1.0), remove("producer_byte_rate")];
        let refused = QuotaError::KeyTwice("producer_byte_rate".to_owned());
        assert_eq!(alter_client_quotas(&image, &user(None), &twice), Err(refused));
    }

    #[test]
    fn a_change_that_changes_nothing_is_no_record() {
        let mut image = image();
        let change = [set("producer_byte_rate", 10.0), set("request_percentage", 5.5)];
        for record in alter_client_quotas(&image, &user(Some("a")), &change).unwrap() {
            image.apply(&record).unwrap();
        }
        assert_eq!(alter_client_quotas(&image, &user(Some("a")), &change), Ok(Vec::new()));
        let back = [remove("producer_byte_rate"), remove("request_percentage"), remove("consumer_byte_rate")];
        for record in alter_client_quotas(&image, &user(Some("a")), &back).unwrap() {
            image.apply(&record).unwrap();
        }
        assert_eq!(image.client_quotas().iter().count(), 0);
    }

    ///
    #[test]
    fn filters_match_exactly_by_default_or_any_and_strictly_if_asked() {
        let mut image = image();
        let both = quota_entity([("user", None), ("client-id", Some("c"))]).unwrap();
        let ip = quota_entity([("ip", Some("127.0.0.9"))]).unwrap();
        for (entity, key) in [
            (&user(Some("alice")), "producer_byte_rate"),
            (&both, "request_percentage"),
            (&ip, "connection_creation_rate"),
        ] {
            for record in alter_client_quotas(&image, entity, &[set(key, 5.0)]).unwrap() {
                image.apply(&record).unwrap();
            }
        }
        let found = |parts: &[(&str, i8, Option<&str>)], strict| {
            let filter = QuotaFilter::read(parts.iter().copied(), strict).unwrap();
            describe_client_quotas(&image, &filter).map(|(entity, _)| entity.to_string()).collect::<Vec<_>>()
        };
        let (alice, both, ip) = (user(Some("alice")).to_string(), both.to_string(), ip.to_string());
        assert_eq!(found(&[], false).len(), 3);
        assert!(found(&[], true).is_empty());
        assert_eq!(found(&[("user", 2, None)], true), std::slice::from_ref(&alice));
        assert_eq!(found(&[("user", 1, None)], false), std::slice::from_ref(&both));
        assert_eq!(found(&[("user", 0, Some("alice"))], false), [alice]);
        assert_eq!(found(&[("client-id", 2, None)], false), std::slice::from_ref(&both));
        assert!(found(&[("client-id", 2, None)], true).is_empty());
        assert_eq!(found(&[("client-id", 2, None), ("user", 1, None)], true), [both]);
        assert_eq!(found(&[("ip", 0, Some("::ffff:127.0.0.9"))], true), [ip]);
        assert!(found(&[("ip", 0, Some("nowhere"))], false).is_empty());
        for (part, code) in [
            (("user", 0, None), ErrorCode::InvalidRequest),
            (("user", 1, Some("x")), ErrorCode::InvalidRequest),
            (("user", 2, Some("x")), ErrorCode::InvalidRequest),
            (("user", 7, None), ErrorCode::InvalidRequest),
            (("", 0, Some("x")), ErrorCode::InvalidRequest),
            (("foo", 0, Some("x")), ErrorCode::UnsupportedVersion),
        ] {
            assert_eq!(QuotaFilter::read([part], false).unwrap_err().code(), code, "{part:?}");
        }
    }
}
