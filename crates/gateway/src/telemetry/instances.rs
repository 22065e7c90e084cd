//! The instances of clients: what each was told, and when it may ask and push again.

use eddy_core::Tracked;
use eddy_types::{ErrorCode, Millis};

use super::{InstanceId, Subscription};

/// Instances remembered, as in Kafka; one that was forgotten is taken for new.
const INSTANCES_MAX: usize = 16_384;

/// A push without its metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Push {
    pub(crate) subscription_id: i32,
    /// The client's last, sent while it closes.
    pub(crate) terminating: bool,
    pub(crate) codec: i8,
}

/// What is remembered of one instance.
#[derive(Clone, Copy, Debug, Default)]
struct Instance {
    last_get: Option<Millis>,
    last_push: Option<Millis>,
    /// The last push was refused in a way that only asking again mends.
    must_ask: bool,
    terminated: bool,
}

pub(crate) struct Instances(Tracked<InstanceId, Instance>);

impl Default for Instances {
    fn default() -> Self {
        Instances(Tracked::new(INSTANCES_MAX))
    }
}

impl Instances {
    /// A client asks what is wanted of it: once in a push interval, and again when a push was refused.
    pub(crate) fn get(
        &mut self,
        now: Millis,
        id: InstanceId,
        subscription: &Subscription,
    ) -> Result<(), ErrorCode> {
        let instance = self.0.entry(&id);
        let last = instance.last_get.max(instance.last_push);
        if !instance.must_ask && !is_over(now, last, subscription) {
            return Err(ErrorCode::ThrottlingQuotaExceeded);
        }
        *instance = Instance { last_get: Some(now), last_push: instance.last_push, ..Instance::default() };
        Ok(())
    }

    /// A client pushes: once in a push interval, at once after it asked, and a last time at any time. `fits` is what can be said of
    /// the metrics without reading them.
    pub(crate) fn push(
        &mut self,
        now: Millis,
        id: InstanceId,
        subscription: &Subscription,
        push: &Push,
        fits: Result<(), ErrorCode>,
    ) -> Result<(), ErrorCode> {
        let instance = self.0.entry(&id);
        if instance.terminated {
            return Err(ErrorCode::InvalidRequest);
        }
        let has_asked = instance.last_get > instance.last_push;
        if !push.terminating && !has_asked && !is_over(now, instance.last_push, subscription) {
            return Err(ErrorCode::ThrottlingQuotaExceeded);
        }
        instance.last_push = Some(now);
        if push.subscription_id != subscription.id {
            instance.must_ask = true;
            return Err(ErrorCode::UnknownSubscriptionId);
        }
        // Kafka's clients ask again to learn the codecs.
        instance.must_ask = fits == Err(ErrorCode::UnsupportedCompressionType);
        fits?;
        instance.terminated = push.terminating;
        Ok(())
    }
}

/// Whether a push interval has passed since `last`.
fn is_over(now: Millis, last: Option<Millis>, subscription: &Subscription) -> bool {
    last.is_none_or(|last| now - last >= Millis(subscription.push_interval_ms.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: InstanceId = [9; 16];

    fn wanted() -> Subscription {
        Subscription { id: 5, push_interval_ms: 1000, metrics: vec!["*".to_owned()] }
    }

    fn pushed(subscription_id: i32, terminating: bool) -> Push {
        Push { subscription_id, terminating, codec: 0 }
    }

    struct Client(Instances);

    impl Client {
        fn get(&mut self, now: i64) -> Result<(), ErrorCode> {
            self.0.get(Millis(now), ID, &wanted())
        }

        fn push(&mut self, now: i64, push: Push) -> Result<(), ErrorCode> {
            self.0.push(Millis(now), ID, &wanted(), &push, Ok(()))
        }
    }

    ///
    #[test]
    fn a_client_asks_and_pushes_once_in_an_interval() {
        let mut client = Client(Instances::default());
        assert_eq!(client.get(0), Ok(()));
        assert_eq!(client.get(999), Err(ErrorCode::ThrottlingQuotaExceeded));
        assert_eq!(client.push(10, pushed(5, false)), Ok(()), "the first push comes at any time");
        assert_eq!(client.push(1009, pushed(5, false)), Err(ErrorCode::ThrottlingQuotaExceeded));
        assert_eq!(client.push(1010, pushed(5, false)), Ok(()));
        assert_eq!(client.get(2009), Err(ErrorCode::ThrottlingQuotaExceeded));
        assert_eq!(client.get(2010), Ok(()));
        assert_eq!(client.push(2011, pushed(5, false)), Ok(()));
    }

    #[test]
    fn a_client_with_an_old_subscription_asks_again_at_once() {
        let mut client = Client(Instances::default());
        assert_eq!(client.push(0, pushed(4, false)), Err(ErrorCode::UnknownSubscriptionId));
        assert_eq!(client.get(1), Ok(()));
        assert_eq!(client.push(2, pushed(5, false)), Ok(()));
        let unknown = Err(ErrorCode::UnsupportedCompressionType);
        assert_eq!(client.0.push(Millis(1002), ID, &wanted(), &pushed(5, false), unknown), unknown);
        assert_eq!(client.get(1003), Ok(()));
        assert_eq!(client.get(1004), Err(ErrorCode::ThrottlingQuotaExceeded));
    }

    #[test]
    fn a_last_push_comes_early_and_is_the_last() {
        let mut client = Client(Instances::default());
        assert_eq!(client.get(0), Ok(()));
        assert_eq!(client.push(1, pushed(5, false)), Ok(()));
        assert_eq!(client.push(2, pushed(5, true)), Ok(()));
        assert_eq!(client.push(5000, pushed(5, true)), Err(ErrorCode::InvalidRequest));
    }

    #[test]
    fn too_large_a_push_counts_as_one() {
        let mut instances = Instances::default();
        let push = pushed(5, false);
        let large = Err(ErrorCode::TelemetryTooLarge);
        assert_eq!(instances.push(Millis(0), ID, &wanted(), &push, large), large);
        let early = instances.push(Millis(1), ID, &wanted(), &push, Ok(()));
        assert_eq!(early, Err(ErrorCode::ThrottlingQuotaExceeded));
    }
}
