//! Which version of each API both sides know.

use std::collections::HashMap;

use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::protocol::{Request, VersionRange};

use crate::error::RequestError;

/// The versions a broker serves, as it said when the connection was made (KIP-35).
#[derive(Clone, Debug, Default)]
pub struct Versions(HashMap<i16, VersionRange>);

impl Versions {
    pub(crate) fn new(served: &[ApiVersion]) -> Versions {
        let range = |api: &ApiVersion| VersionRange { min: api.min_version, max: api.max_version };
        Versions(served.iter().map(|api| (api.api_key, range(api))).collect())
    }

    /// What the broker serves of an API; `None` when it does not serve it.
    #[must_use]
    pub fn served(&self, api: i16) -> Option<VersionRange> {
        self.0.get(&api).copied()
    }

    /// The highest version that broker and codec know, and that is not above `limit`.
    pub(crate) fn choose<R: Request>(&self, limit: i16) -> Result<i16, RequestError> {
        let ours = VersionRange { min: R::VERSIONS.min, max: R::VERSIONS.max.min(limit) };
        let both = self.served(R::KEY).map(|served| ours.intersect(&served));
        match both {
            Some(both) if !both.is_empty() => Ok(both.max),
            _ => Err(RequestError::Unsupported { api: R::KEY }),
        }
    }
}

#[cfg(test)]
mod tests {
    use kafka_protocol::messages::{FetchRequest, ProduceRequest};
    use kafka_protocol::protocol::Message;

    use super::*;

    fn versions(min: i16, max: i16) -> Versions {
        let api = ApiVersion::default().with_api_key(ProduceRequest::KEY);
        Versions::new(&[api.with_min_version(min).with_max_version(max)])
    }

    #[test]
    fn the_highest_version_of_both_sides_is_chosen() {
        assert_eq!(versions(3, 9).choose::<ProduceRequest>(i16::MAX).unwrap(), 9);
        assert_eq!(versions(3, 99).choose::<ProduceRequest>(i16::MAX).unwrap(), ProduceRequest::VERSIONS.max);
        assert_eq!(versions(3, 99).choose::<ProduceRequest>(12).unwrap(), 12);
    }

    #[test]
    fn versions_apart_and_unknown_apis_are_refused() {
        assert!(versions(98, 99).choose::<ProduceRequest>(i16::MAX).is_err());
        assert!(versions(9, 13).choose::<ProduceRequest>(8).is_err());
        assert!(versions(3, 9).choose::<FetchRequest>(i16::MAX).is_err());
    }
}
