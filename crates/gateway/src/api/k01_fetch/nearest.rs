//! Which replica a consumer reads from (KIP-392, R-2.48, R-3.110).
//!
//! The leader names an in-sync replica in the consumer's rack, and reads nothing for it; the replica serves it up to its own high
//! watermark. Without `replica.selector.class`, or without a rack, consumers read from leaders alone, and whoever comes to another
//! replica learns who leads. Kafka's followers serve everybody: clients with old metadata notice a new leader minutes later there.

use eddy_engine::Partition;
use eddy_metadata::Image;
use eddy_types::{BrokerId, Offset};
use eddy_wire::Str;
use eddy_wire::messages::fetch::FetchRequest;

use crate::brokers;
use crate::call::Call;

/// Racks are told from this version on.
const RACK_FROM: i16 = 11;

/// The rack of a consumer that may be served by any replica.
pub(super) fn rack(call: &Call, image: &Image, request: &FetchRequest) -> Option<Box<str>> {
    let tells = call.version >= RACK_FROM && !request.rack_id.is_empty();
    (tells && image.broker_config().reads_by_rack()).then(|| Box::from(Str::as_str(&request.rack_id)))
}

/// The replica that a consumer in `rack` which wants `offset` reads from; `None` for this one.
pub(super) fn preferred(
    call: &Call,
    image: &Image,
    partition: &Partition,
    rack: &str,
    offset: Offset,
) -> Option<BrokerId> {
    let is_near = |id: BrokerId| {
        image.broker(id).is_some_and(|broker| !broker.fenced && broker.rack.as_deref() == Some(rack))
    };
    if !partition.is_leading() || is_near(call.ctx.engine.me()) {
        return None;
    }
    let has_address = |id: BrokerId| brokers::address(call, image, id).is_some();
    let near =
        partition.followers_with(offset).into_iter().filter(|(id, _)| is_near(*id) && has_address(*id));
    // The one that has most; of equals, as in Kafka, the one with the highest id.
    near.max_by_key(|(id, end)| (*end, *id)).map(|(id, _)| id)
}
