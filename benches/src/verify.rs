//! What was acknowledged, read back.

use std::collections::BTreeMap;

use anyhow::{bail, ensure};
use eddy_client::{FetchLimits, PartitionReader};
use eddy_types::Offset;

use crate::produce::{Acknowledged, noise};
use crate::target::Target;

/// Reads each partition from its start: every offset that a producer was told holds that producer's record, nobody was told
/// an offset twice, and nothing else is there. Producer `n` wrote records with the value `noise(bytes, n)`.
pub(crate) async fn read_back(
    target: &Target,
    acknowledged: Vec<Acknowledged>,
    bytes: usize,
) -> anyhow::Result<()> {
    let topic = target.topic().await?;
    let values: Vec<_> = (0..acknowledged.len()).map(|producer| noise(bytes, producer)).collect();
    let mut partitions: BTreeMap<i32, (_, BTreeMap<Offset, usize>)> = BTreeMap::new();
    for (producer, acknowledged) in acknowledged.into_iter().enumerate() {
        let index = acknowledged.partition.index;
        let (_, writers) = partitions.entry(index).or_insert((acknowledged.partition, BTreeMap::new()));
        for offset in acknowledged.offsets {
            if writers.insert(offset, producer).is_some() {
                bail!("offset {offset} of partition {index} was acknowledged twice");
            }
        }
    }
    let mut count = 0;
    for (index, (partition, mut writers)) in partitions {
        let mut wrong = None;
        let connection = target.connect_leader(&topic, &partition, 1).await?;
        let mut reader = PartitionReader::new(partition, Offset::ZERO, FetchLimits::default());
        reader
            .read_all(&connection, |offset, value| match writers.remove(&offset) {
                Some(producer) if values.get(producer) == Some(&value) => count += 1,
                Some(_) => wrong = Some((offset, "holds another record than was acknowledged")),
                None => wrong = Some((offset, "was read and not acknowledged")),
            })
            .await?;
        if let Some((offset, what)) = wrong {
            bail!("offset {offset} of partition {index} {what}");
        }
        let lost = writers.len();
        ensure!(lost == 0, "{lost} acknowledged records of partition {index} are not there");
    }
    eprintln!("read back: {count} records, each acknowledged once, none lost, none more");
    Ok(())
}
