//! Several brokers in one process, each with its own simulated disk, and a controller that the test plays.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use eddy_core::IsrDecision;
use eddy_disk::SimDisk;
use eddy_engine::{Engine, IsrProposals, Partition, PartitionKey};
use eddy_metadata::{Assignment, PartitionAssignment, Record};
use eddy_types::{BrokerId, Clock, LeaderEpoch, Millis, Offset, PartitionEpoch, TopicId};
use parking_lot::Mutex;
use tokio::task::JoinHandle;

use crate::harness::{DEADLINE, start_broker};
use crate::pump;

pub(crate) const TOPIC: TopicId = TopicId([9; 16]);
pub(crate) const KEY: PartitionKey = PartitionKey { topic: TOPIC, index: 0 };

/// Time that moves when the test says so.
pub(crate) struct TestClock(AtomicI64);

impl Clock for TestClock {
    fn now(&self) -> Millis {
        Millis(self.0.load(Ordering::Relaxed))
    }
}

struct Broker {
    disk: SimDisk,
    engine: Option<Arc<Engine>>,
    /// Records that its metadata holds.
    told: usize,
    pump: Option<JoinHandle<()>>,
    isr: Option<JoinHandle<()>>,
}

/// What the controller knows of the partition.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) leader: Option<BrokerId>,
    pub(crate) leader_epoch: LeaderEpoch,
    pub(crate) partition_epoch: PartitionEpoch,
    pub(crate) isr: Vec<BrokerId>,
}

struct World {
    brokers: Vec<Broker>,
    records: Vec<Record>,
    known: Known,
    /// Links that are cut.
    cut: BTreeSet<(BrokerId, BrokerId)>,
}

/// One topic of one partition, held by all brokers.
#[derive(Clone)]
pub(crate) struct Brokers {
    world: Arc<Mutex<World>>,
    /// One change of the metadata at a time.
    turn: Arc<tokio::sync::Mutex<()>>,
    pub(crate) clock: Arc<TestClock>,
    checkpoint: Arc<Mutex<Duration>>,
}

pub(crate) fn id(number: usize) -> BrokerId {
    BrokerId(i32::try_from(number).unwrap())
}

impl Brokers {
    /// Starts `count` brokers, the first of which leads.
    pub(crate) async fn start(count: usize, configs: &[(&str, &str)], checkpoint: Duration) -> Brokers {
        let replicas: Vec<BrokerId> = (1..=count).map(id).collect();
        let created = Record::TopicCreated {
            topic_id: TOPIC,
            name: "t".to_owned(),
            partitions: vec![PartitionAssignment {
                replicas: replicas.clone(),
                leader: Some(id(1)),
                isr: replicas.clone(),
            }],
            configs: configs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
        };
        let registered = replicas.iter().map(|broker| Record::BrokerRegistered {
            broker: *broker,
            incarnation: 1,
            endpoints: Vec::new(),
            rack: None,
            directory: [1; 16],
        });
        let broker = |_| Broker { disk: SimDisk::new(), engine: None, told: 0, pump: None, isr: None };
        let world = World {
            brokers: (0..count).map(broker).collect(),
            records: registered.chain([created]).collect(),
            known: Known {
                leader: Some(id(1)),
                leader_epoch: LeaderEpoch(0),
                partition_epoch: PartitionEpoch(0),
                isr: replicas,
            },
            cut: BTreeSet::new(),
        };
        let brokers = Brokers {
            world: Arc::new(Mutex::new(world)),
            turn: Arc::default(),
            clock: Arc::new(TestClock(AtomicI64::new(1_700_000_000_000))),
            checkpoint: Arc::new(Mutex::new(checkpoint)),
        };
        for number in 1..=count {
            brokers.up(number).await;
        }
        brokers
    }

    /// How often the brokers that start from now on take checkpoints.
    pub(crate) fn set_checkpoint(&self, interval: Duration) {
        *self.checkpoint.lock() = interval;
    }

    /// Starts a broker and lets it follow.
    pub(crate) async fn up(&self, number: usize) -> Arc<Engine> {
        let disk = self.world.lock().brokers[number - 1].disk.process();
        let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
        let checkpoint = *self.checkpoint.lock();
        let engine = start_broker(id(number), disk, checkpoint, clock).await;
        let _turn = self.turn.lock().await;
        self.world.lock().brokers[number - 1].engine = Some(Arc::clone(&engine));
        self.catch_up(number).await;
        let world = Arc::clone(&self.world);
        let me = id(number);
        let reach: pump::Reach = Arc::new(move |to| {
            let world = world.lock();
            let is_cut = world.cut.contains(&(me.min(to), me.max(to)));
            world.brokers.get(to.0 as usize - 1).filter(|_| !is_cut).and_then(|broker| broker.engine.clone())
        });
        let pump = tokio::spawn(pump::follow(Arc::clone(&engine), KEY, reach));
        let isr = tokio::spawn(self.clone().decide(Arc::clone(&engine)));
        let broker = &mut self.world.lock().brokers[number - 1];
        (broker.pump, broker.isr) = (Some(pump), Some(isr));
        engine
    }

    /// The power of a broker goes off.
    pub(crate) async fn crash(&self, number: usize, seed: u64) {
        let _turn = self.turn.lock().await;
        let disk = self.halt(number);
        disk.crash(seed);
    }

    /// A broker stops in order.
    pub(crate) async fn stop(&self, number: usize) {
        let engine = self.engine(number);
        self.halt(number);
        engine.stop().await;
    }

    fn halt(&self, number: usize) -> SimDisk {
        let broker = &mut self.world.lock().brokers[number - 1];
        broker.pump.take().unwrap().abort();
        broker.isr.take().unwrap().abort();
        broker.engine = None;
        broker.disk.clone()
    }

    pub(crate) fn disk(&self, number: usize) -> SimDisk {
        self.world.lock().brokers[number - 1].disk.clone()
    }

    pub(crate) fn engine(&self, number: usize) -> Arc<Engine> {
        self.world.lock().brokers[number - 1].engine.clone().unwrap()
    }

    pub(crate) fn known(&self) -> Known {
        self.world.lock().known.clone()
    }

    pub(crate) async fn replica(&self, number: usize) -> Arc<Partition> {
        let engine = self.engine(number);
        engine.replica(&engine.image(), KEY).await.unwrap()
    }

    /// Cuts or mends the link between two brokers.
    pub(crate) fn cut(&self, a: usize, b: usize, cut: bool) {
        let link = (id(a.min(b)), id(a.max(b)));
        let links = &mut self.world.lock().cut;
        if cut {
            links.insert(link)
        } else {
            links.remove(&link)
        };
    }

    async fn catch_up(&self, number: usize) {
        let (engine, missing) = {
            let mut world = self.world.lock();
            let all = world.records.len();
            let broker = &mut world.brokers[number - 1];
            let Some(engine) = broker.engine.clone() else { return };
            let told = std::mem::replace(&mut broker.told, all);
            (engine, world.records[told..].to_vec())
        };
        if !missing.is_empty() {
            engine.quorum().propose(missing).await.unwrap();
        }
    }

    async fn commit_in_turn(&self, record: Record, but: &[usize]) {
        self.world.lock().records.push(record);
        let count = self.world.lock().brokers.len();
        for number in (1..=count).filter(|number| !but.contains(number)) {
            self.catch_up(number).await;
        }
    }

    /// All brokers hear of what they have missed.
    pub(crate) async fn tell_all(&self) {
        let _turn = self.turn.lock().await;
        let count = self.world.lock().brokers.len();
        for number in 1..=count {
            self.catch_up(number).await;
        }
    }

    fn change(&self, change: impl FnOnce(&mut Known)) -> Record {
        let known = &mut self.world.lock().known;
        known.partition_epoch.0 += 1;
        change(known);
        Record::PartitionChanged {
            topic_id: TOPIC,
            partition: 0,
            leader: known.leader,
            leader_epoch: known.leader_epoch,
            isr: known.isr.clone(),
            elr: Vec::new(),
            assignment: None,
            partition_epoch: known.partition_epoch,
        }
    }

    /// Elects a leader; `but` hear of it later.
    pub(crate) async fn elect(&self, leader: usize, isr: &[usize], but: &[usize]) {
        let _turn = self.turn.lock().await;
        let record = self.change(|known| {
            known.leader = Some(id(leader));
            known.leader_epoch.0 += 1;
            known.isr = isr.iter().map(|number| id(*number)).collect();
        });
        self.commit_in_turn(record, but).await;
    }

    /// Moves the partition to other replicas.
    pub(crate) async fn move_to(&self, replicas: &[usize]) {
        let _turn = self.turn.lock().await;
        let replicas: Vec<BrokerId> = replicas.iter().map(|number| id(*number)).collect();
        let mut record = self.change(|known| known.isr.retain(|broker| replicas.contains(broker)));
        if let Record::PartitionChanged { assignment, .. } = &mut record {
            *assignment = Some(Assignment { replicas, adding: Vec::new(), removing: Vec::new() });
        }
        self.commit_in_turn(record, &[]).await;
    }

    /// Decides what the leaders of one broker propose, as a controller does.
    async fn decide(self, engine: Arc<Engine>) {
        let proposals: Arc<IsrProposals> = Arc::clone(engine.isr_proposals());
        loop {
            for (key, proposal) in proposals.next().await {
                let _turn = self.turn.lock().await;
                let known = self.known();
                let based_on = proposal.partition_epoch;
                let decision =
                    if (known.leader_epoch, known.partition_epoch) == (proposal.leader_epoch, based_on) {
                        let isr: Vec<BrokerId> = proposal.isr.iter().map(|member| member.broker).collect();
                        let record = self.change(|known| known.isr.clone_from(&isr));
                        self.commit_in_turn(record, &[]).await;
                        IsrDecision::Accepted { isr, partition_epoch: PartitionEpoch(based_on.0 + 1) }
                    } else {
                        IsrDecision::Superseded
                    };
                let partition = engine.replica(&engine.image(), key).await.unwrap();
                partition.isr_decided(engine.now(), based_on, decision);
            }
        }
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.clock.0.fetch_add(i64::try_from(by.as_millis()).unwrap(), Ordering::Relaxed);
    }

    /// Waits until every broker of `numbers` has the log of the first durably, and knows the high watermark.
    pub(crate) async fn until_equal(&self, numbers: &[usize]) {
        let begin = tokio::time::Instant::now();
        loop {
            let mut ends = Vec::new();
            for number in numbers {
                let offsets = self.replica(*number).await.offsets();
                ends.push((offsets.log_start, offsets.log_end, offsets.durable_end, offsets.high_watermark));
            }
            let is_whole = |end: &(Offset, Offset, Offset, Offset)| end.1 == end.2 && end.2 == end.3;
            if ends.iter().all(|end| *end == ends[0] && is_whole(end)) {
                return;
            }
            assert!(begin.elapsed() < DEADLINE, "not equal: {ends:?}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

/// Waits until `wanted` holds.
pub(crate) async fn until(what: &str, mut wanted: impl FnMut() -> bool) {
    let begin = tokio::time::Instant::now();
    while !wanted() {
        assert!(begin.elapsed() < DEADLINE, "{what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
