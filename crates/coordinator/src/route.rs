//! Which partition of `__consumer_offsets` keeps a group.

/// The partition of a group when the topic has `partitions` of them: as Kafka, whose tools compute it too.
///
/// Kafka takes Java's hash of the id, a polynomial over its UTF-16 units, and its `abs` maps the least number to 0.
#[must_use]
pub fn partition_of(group: &str, partitions: usize) -> i32 {
    let hash =
        group.encode_utf16().fold(0_i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)));
    let positive = hash.checked_abs().unwrap_or(0);
    let partitions = i32::try_from(partitions).unwrap_or(i32::MAX).max(1);
    positive % partitions
}

#[cfg(test)]
mod tests {
    use super::partition_of;

    /// What `Utils.abs(group.hashCode()) % 50` is in Java.
    #[test]
    fn groups_lie_where_kafka_puts_them() {
        for (group, partition) in [("", 0), ("g", 3), ("test-group", 12), ("grüße", 23), ("\u{1f600}", 49)]
        {
            assert_eq!(partition_of(group, 50), partition, "{group:?}");
        }
    }

    #[test]
    fn the_least_hash_is_partition_0() {
        assert_eq!(partition_of("polygenelubricants", 50), 0);
        assert_eq!(partition_of("anything", 0), 0);
    }
}
