//! The bytes of the "consumer" protocol type: what classic members say in JoinGroup and are told in SyncGroup.
//!
//! To a classic group they are opaque (R-3.62). A consumer group with classic members has to read and write them.

use crate::group::record::{Blob, Str};

/// Newest version of both messages; bytes of a newer one begin as this one does.
const VERSION_MAX: i16 = 3;

/// The bytes are not what they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the bytes are no message of the consumer protocol")]
pub(super) struct Malformed;

/// Partitions by the name of their topic.
type NamedPartitions = Vec<(Str, Vec<i32>)>;

/// `ConsumerProtocolSubscription`, without what only clients read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Subscription {
    pub(super) version: i16,
    pub(super) topics: Vec<Str>,
    /// What the member has and may keep; nothing in version 0, whose members give back everything before they join.
    pub(super) owned: NamedPartitions,
    pub(super) rack: Option<Str>,
}

impl Subscription {
    pub(super) fn parse(bytes: &[u8]) -> Result<Subscription, Malformed> {
        let mut reader = Reader(bytes);
        let version = reader.version()?;
        let topics = reader.array(Reader::string)?;
        reader.nullable_bytes()?;
        let mut subscription = Subscription { version, topics, ..Subscription::default() };
        if version >= 1 {
            subscription.owned = reader.array(Reader::topic_partitions)?;
        }
        if version >= 2 {
            reader.int32()?;
        }
        if version >= 3 {
            subscription.rack = reader.nullable_string()?.filter(|rack| !rack.is_empty());
        }
        Ok(subscription)
    }

    /// The version of a subscription, in which its member expects its assignment.
    pub(super) fn version_of(bytes: &[u8]) -> i16 {
        Reader(bytes).version().unwrap_or(0)
    }
}

/// `ConsumerProtocolAssignment`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Assignment {
    pub(super) partitions: NamedPartitions,
    /// The assignor's own bytes. Only the clients' assignor can make them.
    pub(super) has_user_data: bool,
}

impl Assignment {
    /// Nothing at all stands for no partitions: so a member is told that the leader gave it none.
    pub(super) fn parse(bytes: &[u8]) -> Result<Assignment, Malformed> {
        if bytes.is_empty() {
            return Ok(Assignment::default());
        }
        let mut reader = Reader(bytes);
        reader.version()?;
        let partitions = reader.array(Reader::topic_partitions)?;
        let has_user_data = reader.nullable_bytes()?.is_some_and(|bytes| !bytes.is_empty());
        Ok(Assignment { partitions, has_user_data })
    }

    /// Every version has the same bytes after its number.
    pub(super) fn to_bytes(&self, version: i16) -> Blob {
        let mut out = version.to_be_bytes().to_vec();
        put_count(&mut out, self.partitions.len());
        for (topic, partitions) in &self.partitions {
            // Names of topics have 249 bytes at most.
            out.extend(i16::try_from(topic.len()).unwrap_or(i16::MAX).to_be_bytes());
            out.extend(topic.bytes());
            put_count(&mut out, partitions.len());
            partitions.iter().for_each(|partition| out.extend(partition.to_be_bytes()));
        }
        out.extend((-1i32).to_be_bytes());
        out.into()
    }
}

fn put_count(out: &mut Vec<u8>, count: usize) {
    out.extend(i32::try_from(count).unwrap_or(i32::MAX).to_be_bytes());
}

/// What is left to read.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    fn int16(&mut self) -> Result<i16, Malformed> {
        let (bytes, rest) = self.0.split_first_chunk().ok_or(Malformed)?;
        self.0 = rest;
        Ok(i16::from_be_bytes(*bytes))
    }

    fn int32(&mut self) -> Result<i32, Malformed> {
        let (bytes, rest) = self.0.split_first_chunk().ok_or(Malformed)?;
        self.0 = rest;
        Ok(i32::from_be_bytes(*bytes))
    }

    fn version(&mut self) -> Result<i16, Malformed> {
        let version = self.int16()?;
        if version < 0 { Err(Malformed) } else { Ok(version.min(VERSION_MAX)) }
    }

    fn nullable_string(&mut self) -> Result<Option<Str>, Malformed> {
        let length = self.int16()?;
        if length == -1 {
            return Ok(None);
        }
        let bytes = self.take(usize::try_from(length).map_err(|_| Malformed)?)?;
        Ok(Some(std::str::from_utf8(bytes).map_err(|_| Malformed)?.into()))
    }

    fn string(&mut self) -> Result<Str, Malformed> {
        self.nullable_string()?.ok_or(Malformed)
    }

    fn nullable_bytes(&mut self) -> Result<Option<&'a [u8]>, Malformed> {
        let length = self.int32()?;
        if length == -1 {
            return Ok(None);
        }
        self.take(usize::try_from(length).map_err(|_| Malformed)?).map(Some)
    }

    /// The count is the client's word: memory grows with the items that are there.
    fn array<T>(
        &mut self,
        item: impl Fn(&mut Reader<'a>) -> Result<T, Malformed>,
    ) -> Result<Vec<T>, Malformed> {
        let count = usize::try_from(self.int32()?).map_err(|_| Malformed)?;
        let mut items = Vec::new();
        for _ in 0..count {
            items.push(item(self)?);
        }
        Ok(items)
    }

    fn topic_partitions(&mut self) -> Result<(Str, Vec<i32>), Malformed> {
        Ok((self.string()?, self.array(Reader::int32)?))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A subscription as clients write it.
    pub(in crate::group) fn subscription(version: i16, topics: &[&str], owned: &[(&str, &[i32])]) -> Blob {
        let mut out = version.to_be_bytes().to_vec();
        put_count(&mut out, topics.len());
        for topic in topics {
            out.extend((topic.len() as i16).to_be_bytes());
            out.extend(topic.bytes());
        }
        out.extend((-1i32).to_be_bytes());
        if version >= 1 {
            let partitions =
                owned.iter().map(|(topic, partitions)| ((*topic).into(), partitions.to_vec())).collect();
            let owned = Assignment { partitions, has_user_data: false }.to_bytes(0);
            out.extend(&owned[2..owned.len() - 4]);
        }
        if version >= 2 {
            out.extend(7i32.to_be_bytes());
        }
        if version >= 3 {
            out.extend([0, 1, b'r']);
        }
        out.into()
    }

    #[test]
    fn subscriptions_of_every_version_are_read() {
        for version in 0..=5 {
            let read = Subscription::parse(&subscription(version, &["a", "bc"], &[("a", &[0, 2])])).unwrap();
            assert_eq!(read.version, version.min(3));
            assert_eq!(read.topics, ["a".into(), "bc".into()]);
            assert_eq!(read.owned, if version >= 1 { vec![("a".into(), vec![0, 2])] } else { Vec::new() });
            assert_eq!(read.rack.as_deref(), (version >= 3).then_some("r"));
        }
    }

    #[test]
    fn assignments_are_read_as_they_are_written() {
        let partitions: NamedPartitions = vec![("a".into(), vec![1, 3]), ("b".into(), vec![])];
        let assignment = Assignment { partitions, has_user_data: false };
        for version in 0..=3i16 {
            let bytes = assignment.to_bytes(version);
            assert_eq!(bytes[..2], version.to_be_bytes());
            assert_eq!(Assignment::parse(&bytes), Ok(assignment.clone()));
        }
        assert_eq!(Assignment::parse(&[]), Ok(Assignment::default()));
        let user_data = [0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 9];
        assert!(Assignment::parse(&user_data).unwrap().has_user_data);
    }

    #[test]
    fn cut_or_lying_bytes_are_refused() {
        let whole = subscription(3, &["a"], &[("a", &[1])]);
        for length in 0..whole.len() {
            assert_eq!(Subscription::parse(&whole[..length]), Err(Malformed), "{length}");
        }
        for bytes in
            [&[0xff, 0xff, 0, 0, 0, 0][..], &[0, 0, 0x7f, 0xff, 0xff, 0xff], &[0, 0, 0xff, 0xff, 0xff, 0xfe]]
        {
            assert_eq!(Subscription::parse(bytes), Err(Malformed));
            assert_eq!(Assignment::parse(bytes), Err(Malformed));
        }
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let _ = (Subscription::parse(&bytes), Assignment::parse(&bytes));
        }
    }
}
