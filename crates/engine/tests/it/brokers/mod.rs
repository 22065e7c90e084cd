//! Several brokers in one process, each with its own simulated disk, and a controller that the test plays.

mod controller;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use eddy_disk::SimDisk;
use eddy_engine::{Engine, Partition, PartitionKey};
use eddy_metadata::{PartitionAssignment, Record};
use eddy_types::{BrokerId, Clock, LeaderEpoch, Millis, Offset, PartitionEpoch, TopicId};
use parking_lot::Mutex;
use tokio::task::JoinHandle;

use crate::harness::{DEADLINE, start_broker};
use crate::pump;

pub(crate) const TOPIC: TopicId = TopicId([9; 16]);
pub(crate) const KEY: PartitionKey = PartitionKey { topic: TOPIC, index: 0 };

/// Time that moves when the test says so.
pub(crate) struct TestClock {
    steady: AtomicI64,
    /// How far the time of day has been set ahead, or back.
    set_by: AtomicI64,
    /// How often somebody asked for the steady time.
    asked: AtomicU64,
}

impl Clock for TestClock {
    fn now(&self) -> Millis {
        Millis(self.steady.load(Ordering::Relaxed)) + Millis(self.set_by.load(Ordering::Relaxed))
    }

    fn steady(&self) -> Millis {
        self.asked.fetch_add(1, Ordering::Relaxed);
        Millis(self.steady.load(Ordering::Relaxed))
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
            clock: Arc::new(TestClock {
                steady: AtomicI64::new(1_700_000_000_000),
                set_by: AtomicI64::new(0),
                asked: AtomicU64::new(0),
            }),
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

    pub(crate) fn advance(&self, by: Duration) {
        self.clock.steady.fetch_add(i64::try_from(by.as_millis()).unwrap(), Ordering::Relaxed);
    }

    /// Somebody sets the brokers' time of day, ahead or back.
    pub(crate) fn set_clock(&self, by: Millis) {
        self.clock.set_by.fetch_add(by.0, Ordering::Relaxed);
    }

    /// Waits until the only leader that does anything has looked at the time some more.
    pub(crate) async fn until_time_was_asked(&self) {
        let asked = || self.clock.asked.load(Ordering::Relaxed);
        // The first may have begun before.
        let enough = asked() + 3;
        until("the time was asked for", || asked() >= enough).await;
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
