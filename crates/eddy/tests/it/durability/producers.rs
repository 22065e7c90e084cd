//! Idempotent producers that survive their broker: what was in flight is sent again under the same sequence numbers.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use eddy_client::{
    Acks, CallError, Connection, ConnectionOptions, NumberedBatch, PartitionName, PendingProduce,
    ProducerIdentity, RequestError, SEQUENCED_IN_FLIGHT_MAX, SequencedWriter,
};
use eddy_types::Offset;
use tokio::sync::Notify;

use super::ledger::{Random, RecordId};

const RECORDS_A_BATCH_MAX: u64 = 4;
const PRODUCE_TIMEOUT: Duration = Duration::from_secs(30);

/// A producer over all rounds.
pub(super) struct Producer {
    number: u32,
    identity: Option<ProducerIdentity>,
    next_counter: u64,
    random: Random,
    lanes: Vec<Lane>,
    partitions: Arc<[PartitionName]>,
    pub(super) acknowledged: Vec<(RecordId, usize, Offset)>,
    pub(super) resent: usize,
}

/// A producer's way into one partition.
struct Lane {
    writer: SequencedWriter,
    /// First counter of each batch that is not acknowledged.
    counters: VecDeque<u64>,
}

/// A batch under way, oldest first.
struct InFlight {
    lane: usize,
    pending: PendingProduce,
}

impl Producer {
    pub(super) fn new(number: u32, seed: u64, partitions: Arc<[PartitionName]>) -> Producer {
        Producer {
            number,
            identity: None,
            next_counter: 0,
            random: Random(seed ^ (u64::from(number) << 32)),
            lanes: Vec::new(),
            partitions,
            acknowledged: Vec::new(),
            resent: 0,
        }
    }

    /// Produces until the connection ends; `first_ack` hears of each acknowledgement.
    pub(super) async fn run(&mut self, connection: &Connection, first_ack: &Notify) {
        let failed = match self.produce(connection, first_ack).await {
            Ok(never) => match never {},
            Err(failed) => failed,
        };
        let ended = matches!(failed, CallError::Request(RequestError::Ended(_)));
        assert!(ended, "producer {}: {failed}", self.number);
    }

    /// Sends what is left of earlier rounds, and waits for it.
    pub(super) async fn settle(&mut self, connection: &Connection) -> Result<(), CallError> {
        let mut flight = VecDeque::new();
        self.send_again(connection, &mut flight).await?;
        while let Some(oldest) = flight.pop_front() {
            self.acknowledge(oldest).await?;
        }
        Ok(())
    }

    async fn produce(
        &mut self,
        connection: &Connection,
        first_ack: &Notify,
    ) -> Result<std::convert::Infallible, CallError> {
        self.introduce(connection).await?;
        let mut flight = VecDeque::new();
        self.send_again(connection, &mut flight).await?;
        loop {
            while flight.len() < SEQUENCED_IN_FLIGHT_MAX {
                let lane = self.random.between(0, self.lanes.len() as u64 - 1) as usize;
                let Some(batch) = self.next_batch(lane) else { break };
                self.send(connection, lane, &batch, &mut flight).await?;
            }
            if let Some(oldest) = flight.pop_front() {
                self.acknowledge(oldest).await?;
                first_ack.notify_one();
            }
        }
    }

    async fn introduce(&mut self, connection: &Connection) -> Result<(), CallError> {
        if self.identity.is_none() {
            let identity = connection.producer_identity().await?;
            self.identity = Some(identity);
            let lane = |_: &PartitionName| Lane {
                writer: SequencedWriter::new(identity),
                counters: VecDeque::new(),
            };
            self.lanes = self.partitions.iter().map(lane).collect();
        }
        Ok(())
    }

    /// In order, before anything new: the broker recognises what it has.
    async fn send_again(
        &mut self,
        connection: &Connection,
        flight: &mut VecDeque<InFlight>,
    ) -> Result<(), CallError> {
        for lane in 0..self.lanes.len() {
            let batches: Vec<NumberedBatch> = self.lanes[lane].writer.unacknowledged().cloned().collect();
            for batch in batches {
                self.resent += 1;
                self.send(connection, lane, &batch, flight).await?;
            }
        }
        Ok(())
    }

    fn next_batch(&mut self, lane: usize) -> Option<NumberedBatch> {
        if !self.lanes[lane].writer.has_room() {
            return None;
        }
        let records = self.random.between(1, RECORDS_A_BATCH_MAX);
        let first = self.next_counter;
        self.next_counter += records;
        let producer = self.number;
        let values: Vec<_> =
            (first..self.next_counter).map(|counter| RecordId { producer, counter }.value()).collect();
        self.lanes[lane].counters.push_back(first);
        Some(self.lanes[lane].writer.number(&values, now_millis()).unwrap())
    }

    async fn send(
        &self,
        connection: &Connection,
        lane: usize,
        batch: &NumberedBatch,
        flight: &mut VecDeque<InFlight>,
    ) -> Result<(), CallError> {
        let partition = &self.partitions[lane];
        let pending =
            connection.start_produce(partition, Acks::All, PRODUCE_TIMEOUT, batch.bytes.clone()).await?;
        flight.push_back(InFlight { lane, pending });
        Ok(())
    }

    async fn acknowledge(&mut self, InFlight { lane, pending }: InFlight) -> Result<(), CallError> {
        let acknowledged = pending.acknowledged().await?;
        let batch = self.lanes[lane].writer.settle_oldest().unwrap();
        let first = self.lanes[lane].counters.pop_front().unwrap();
        assert!(acknowledged.base_offset >= Offset::ZERO, "an acknowledgement without an offset");
        for record in 0..i64::from(batch.records) {
            let id = RecordId { producer: self.number, counter: first + record as u64 };
            self.acknowledged.push((id, lane, acknowledged.base_offset + record));
        }
        Ok(())
    }
}

/// Options of a producer's connection: as many in flight as all its lanes may have to send again.
pub(super) fn options() -> ConnectionOptions {
    ConnectionOptions {
        in_flight_max: 64 * SEQUENCED_IN_FLIGHT_MAX,
        request_timeout: PRODUCE_TIMEOUT,
        ..ConnectionOptions::default()
    }
}

fn now_millis() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(now.as_millis()).unwrap()
}
