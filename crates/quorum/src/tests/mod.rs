//! The store under openraft's own suite, and the group on disks that lose their power.

mod cluster;
mod harness;
mod members;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use eddy_disk::{Disk, RealDisk, SimDisk};
use eddy_metadata::config::StaticConfig;
use eddy_metadata::controller::{CreateTopicError, NewTopic, Registration, create_topic, register_broker};
use eddy_metadata::{ApplyError, Image, Local, Record};
use eddy_types::{BrokerId, ClusterId, TopicId};
use openraft::testing::{StoreBuilder, Suite};

use crate::error::{ChangeError, ProposeError, QuorumError};
use crate::log_store::{Identity, LogStore};
use crate::machine::Machine;
use crate::types::{StorageResult, TypeConfig};
use crate::{Applied, Quorum, QuorumConfig, SNAPSHOT_AFTER};

const ME: BrokerId = BrokerId(1);
const CLUSTER: ClusterId = ClusterId([9; 16]);

struct Deaf;

impl Applied for Deaf {
    fn applied(&self, _: &[Record], _: &Arc<Image>) {}
}

/// Builds an image from what it is told alone.
#[derive(Default)]
struct Follower(Mutex<Option<Image>>);

impl Applied for Follower {
    fn applied(&self, records: &[Record], image: &Arc<Image>) {
        let mut own = self.0.lock().unwrap();
        match own.as_mut() {
            Some(own) if !records.is_empty() => records.iter().for_each(|record| own.apply(record).unwrap()),
            _ => *own = Some((**image).clone()),
        }
        assert_eq!(own.as_ref().unwrap().to_snapshot(), image.to_snapshot());
    }
}

struct Stores;

impl StoreBuilder<TypeConfig, LogStore, Machine> for Stores {
    async fn build(&self) -> StorageResult<((), LogStore, Machine)> {
        let disk: Arc<dyn Disk> = Arc::new(SimDisk::new());
        disk.create_dir_all(Path::new("/meta")).unwrap();
        let local = Arc::new(Local { broker: ME, config: StaticConfig::default() });
        let machine = Machine::open(disk.clone(), "/meta/snapshot".into(), local, Arc::new(Deaf), 1).unwrap();
        let (log, _) =
            LogStore::open(&*disk, Path::new("/meta/log.redb"), Some(Identity { member: 0, broker: 1 }))
                .unwrap();
        Ok(((), log, machine))
    }
}

#[test]
fn store_passes_the_suite_of_openraft() {
    Suite::test_all(Stores).unwrap();
}

fn config(disk: Arc<dyn Disk>, dir: &Path) -> QuorumConfig {
    QuorumConfig {
        dir: dir.to_owned(),
        me: ME,
        disk,
        static_config: StaticConfig::default(),
        new_cluster_id: CLUSTER,
        snapshot_after: SNAPSHOT_AFTER,
        cluster: None,
    }
}

async fn start(disk: &Arc<dyn Disk>, dir: &Path) -> Quorum {
    let quorum = Quorum::start(config(disk.clone(), dir), Arc::new(Follower::default())).await.unwrap();
    let registration = registration(ME, 1);
    let register = |image: &Image| register_broker(image, &registration).map(|records| (records, ()));
    quorum.change(register).await.unwrap();
    quorum
}

fn registration(broker: BrokerId, incarnation: u64) -> Registration {
    Registration { broker, incarnation, endpoints: Vec::new(), rack: None, directory: [0; 16] }
}

fn new_topic(number: u32) -> NewTopic {
    let mut id = [1; 16];
    id[..4].copy_from_slice(&number.to_be_bytes());
    NewTopic::with_defaults(TopicId(id), format!("topic-{number}"))
}

async fn create(quorum: &Quorum, number: u32) -> Result<(), ChangeError<CreateTopicError>> {
    let topic = new_topic(number);
    quorum.change(|image| create_topic(image, &topic).map(|(records, _)| (records, ()))).await
}

#[tokio::test]
async fn committed_records_survive_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let disk = RealDisk::shared();
    let quorum = start(&disk, dir.path()).await;
    for number in 0..10 {
        create(&quorum, number).await.unwrap();
    }
    let before = quorum.image();
    assert_eq!(before.cluster_id(), Some(CLUSTER));
    assert!(quorum.is_leader());
    assert_eq!(quorum.leader(), Some(ME));
    quorum.shutdown().await;

    let mut again = config(disk.clone(), dir.path());
    again.new_cluster_id = ClusterId([1; 16]);
    let quorum = Quorum::start(again, Arc::new(Deaf)).await.unwrap();
    assert_eq!(quorum.image().to_snapshot(), before.to_snapshot());
    assert_eq!(quorum.image().cluster_id(), Some(CLUSTER));
    create(&quorum, 10).await.unwrap();
    assert_eq!(quorum.image().topic_count(), 11);
    quorum.shutdown().await;
}

#[tokio::test]
async fn log_is_trimmed_behind_a_snapshot_and_both_make_the_image() {
    let dir = tempfile::tempdir().unwrap();
    let disk = RealDisk::shared();
    let mut small = config(disk.clone(), dir.path());
    small.snapshot_after = 50;
    let quorum = Quorum::start(small.clone(), Arc::new(Follower::default())).await.unwrap();
    let registration = registration(ME, 1);
    quorum.propose(register_broker(&quorum.image(), &registration).unwrap()).await.unwrap();
    for number in 0..180 {
        create(&quorum, number).await.unwrap();
    }
    let before = quorum.image();
    quorum.shutdown().await;

    assert!(dir.path().join("snapshot").exists());
    let (mut log, thread) = LogStore::open(&*disk, &dir.path().join("log.redb"), None).unwrap();
    let state = openraft::storage::RaftLogStorage::get_log_state(&mut log).await.unwrap();
    assert!(state.last_purged_log_id.is_some_and(|id| id.index >= 50), "{state:?}");
    drop(log);
    thread.join().unwrap();

    let quorum = Quorum::start(small, Arc::new(Follower::default())).await.unwrap();
    assert_eq!(quorum.image().to_snapshot(), before.to_snapshot());
    quorum.shutdown().await;
}

#[tokio::test]
async fn concurrent_changes_are_decided_one_after_the_other() {
    let disk: Arc<dyn Disk> = Arc::new(SimDisk::new());
    let quorum = Arc::new(start(&disk, Path::new("/meta")).await);
    let created = Arc::new(AtomicUsize::new(0));
    let tasks: Vec<_> = (0..128)
        .map(|_| {
            let (quorum, created) = (quorum.clone(), created.clone());
            tokio::spawn(async move {
                match create(&quorum, 7).await {
                    Ok(()) => drop(created.fetch_add(1, Ordering::Relaxed)),
                    Err(error) => assert!(matches!(error, ChangeError::Refused(CreateTopicError::Exists(_)))),
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(created.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_change_whose_caller_goes_away_is_still_made_before_the_next_one() {
    let disk: Arc<dyn Disk> = Arc::new(SimDisk::new());
    let quorum = start(&disk, Path::new("/meta")).await;
    for number in 0..50 {
        let abandoned = tokio::time::timeout(std::time::Duration::from_micros(50), create(&quorum, number));
        let made = abandoned.await.is_ok();
        match create(&quorum, number).await {
            Ok(()) => assert!(!made),
            Err(error) => assert!(matches!(error, ChangeError::Refused(CreateTopicError::Exists(_)))),
        }
    }
    assert_eq!(quorum.image().topic_count(), 50);
}

#[tokio::test]
async fn records_that_do_not_fit_are_refused_together() {
    let disk: Arc<dyn Disk> = Arc::new(SimDisk::new());
    let quorum = start(&disk, Path::new("/meta")).await;
    let before = quorum.image().to_snapshot();
    let (mut records, _) = create_topic(&quorum.image(), &new_topic(1)).unwrap();
    records.push(Record::TopicRemoved { topic_id: TopicId([3; 16]) });
    let refused = quorum.propose(records).await;
    assert_eq!(refused, Err(ProposeError::Rejected(ApplyError::UnknownTopic(TopicId([3; 16])))));
    assert_eq!(quorum.image().to_snapshot(), before);
    // Nothing of it shows with the next change either.
    create(&quorum, 1).await.unwrap();
    assert_eq!(quorum.image().topic_count(), 1);
}

#[tokio::test]
async fn a_directory_of_another_broker_is_refused() {
    let disk: Arc<dyn Disk> = Arc::new(SimDisk::new());
    start(&disk, Path::new("/meta")).await.shutdown().await;
    let mut other = config(disk, Path::new("/meta"));
    other.me = BrokerId(2);
    let refused = Quorum::start(other, Arc::new(Deaf)).await.err().unwrap();
    assert!(matches!(refused, QuorumError::OtherBroker { owner: ME, me: BrokerId(2), .. }), "{refused}");
}

#[tokio::test]
async fn after_shutdown_every_change_says_that_the_group_stopped() {
    let disk: Arc<dyn Disk> = Arc::new(SimDisk::new());
    let quorum = start(&disk, Path::new("/meta")).await;
    quorum.shutdown().await;
    quorum.shutdown().await;
    quorum.stopped().await;
    let refused = create(&quorum, 1).await;
    assert!(matches!(refused, Err(ChangeError::Propose(ProposeError::Stopped(_)))), "{refused:?}");
}

/// Whatever was acknowledged is there after the power has gone at any moment; what was not may be there, but whole.
#[tokio::test]
async fn acknowledged_changes_survive_power_cuts() {
    for seed in 0..12 {
        let machine = SimDisk::new();
        let mut acknowledged: BTreeMap<String, TopicId> = BTreeMap::new();
        for round in 0..4u64 {
            let disk = machine.process();
            let quorum = start(&disk, Path::new("/meta")).await;
            for (name, id) in &acknowledged {
                assert_eq!(quorum.image().topic(name).map(|topic| topic.id), Some(*id), "seed {seed}");
            }
            machine.halt_after(5 + seed * 7 + round * 3);
            for number in 0..30 {
                let number = u32::try_from(round).unwrap() * 100 + number;
                if create(&quorum, number).await.is_err() {
                    break;
                }
                let topic = new_topic(number);
                acknowledged.insert(topic.name, topic.id);
            }
            machine.crash(seed * 1000 + round);
            quorum.shutdown().await;
        }
    }
}

/// The first start writes every file for the first time: no moment of it may leave a directory that never starts again.
#[tokio::test]
async fn a_first_start_cut_short_leaves_a_directory_that_starts() {
    for changes in 0..60 {
        let machine = SimDisk::new();
        machine.halt_after(changes);
        let first = Quorum::start(config(machine.process(), Path::new("/meta")), Arc::new(Deaf)).await;
        machine.crash(changes);
        drop(first);
        let quorum = Quorum::start(config(machine.process(), Path::new("/meta")), Arc::new(Deaf)).await;
        let quorum = quorum.unwrap_or_else(|error| panic!("after {changes} changes: {error}"));
        assert_eq!(quorum.image().cluster_id(), Some(CLUSTER));
        quorum.shutdown().await;
    }
}

#[tokio::test]
async fn a_snapshot_without_its_log_is_not_taken_for_a_new_directory() {
    let disk: Arc<dyn Disk> = Arc::new(SimDisk::new());
    let mut small = config(disk.clone(), Path::new("/meta"));
    small.snapshot_after = 5;
    let quorum = Quorum::start(small.clone(), Arc::new(Deaf)).await.unwrap();
    for incarnation in 0..20 {
        let registration = registration(ME, incarnation);
        quorum.propose(register_broker(&quorum.image(), &registration).unwrap()).await.unwrap();
    }
    quorum.shutdown().await;
    disk.remove_file(Path::new("/meta/log.redb")).unwrap();
    let refused = Quorum::start(small, Arc::new(Deaf)).await.err().unwrap();
    assert!(matches!(refused, QuorumError::Log { .. }), "{refused}");
}
