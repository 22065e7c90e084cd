//! An engine on a simulated disk with a coordinator on it, and what tests ask it.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use eddy_coordinator::{Asked, GroupCoordinator, Unavailable};
use eddy_core::ProducerLimits;
use eddy_core::group::{
    CommitOffsets, CommitPartition, CommitReply, CommitTopic, FetchOffsets, FetchReply, JoinGroup, JoinReply,
    JoinedGroup, Protocol, SyncGroup, SyncReply,
};
use eddy_disk::Disk;
use eddy_engine::{Engine, EngineConfig, FlushConfig, HousekeepingConfig};
use eddy_metadata::config::StaticConfig;
use eddy_metadata::controller::{Registration, register_broker};
use eddy_quorum::QuorumConfig;
use eddy_types::{BrokerId, ClusterId, ErrorCode, LeaderEpoch, Millis, Offset, SystemClock, TopicId};
use eddy_wal::{Profile, WalConfig};

pub(crate) const ME: BrokerId = BrokerId(1);

/// A process whose disk has lost its power dies quietly: only the thread that noticed ends.
fn die(_: &str, _: &dyn Display) -> ! {
    std::panic::resume_unwind(Box::new("the power is off"))
}

/// A broker without its network.
pub(crate) struct Broker {
    pub(crate) engine: Arc<Engine>,
    pub(crate) groups: Arc<GroupCoordinator>,
}

impl Broker {
    pub(crate) async fn start(disk: Arc<dyn Disk>) -> Broker {
        let data_dir = PathBuf::from("/data");
        disk.create_dir_all(&data_dir).unwrap();
        disk.sync_dir(Path::new("/")).unwrap();
        let config = [("group.initial.rebalance.delay.ms", "0"), ("offsets.topic.num.partitions", "4")];
        let wal =
            WalConfig { file_bytes: 256 << 10, total_bytes_max: 1 << 20, ..WalConfig::new(Profile::Low) };
        let config = EngineConfig {
            me: ME,
            quorum: QuorumConfig {
                dir: data_dir.join("metadata"),
                me: ME,
                disk: Arc::clone(&disk),
                static_config: StaticConfig::from_pairs(config).unwrap(),
                new_cluster_id: ClusterId([7; 16]),
                snapshot_after: 5000,
                cluster: None,
            },
            data_dir,
            wal,
            tail_bytes: 1 << 20,
            request_bytes: 1 << 20,
            producer_limits: ProducerLimits::default(),
            open_files: 16,
            backpressure_max_wait: Duration::from_secs(5),
            flush: FlushConfig {
                bytes: 2048,
                age: Duration::from_millis(50),
                checkpoint_interval: Duration::from_millis(20),
                ..FlushConfig::default()
            },
            housekeeping: HousekeepingConfig {
                retention_check_interval: Duration::from_secs(3600),
                disk_reserve_bytes: 0,
            },
            on_fatal: die,
        };
        let engine = Engine::start(config, disk, Arc::new(SystemClock)).await.unwrap();
        let registration = Registration {
            broker: ME,
            incarnation: 1,
            endpoints: Vec::new(),
            rack: None,
            directory: [0; 16],
        };
        let decide =
            |image: &eddy_metadata::Image| register_broker(image, &registration).map(|records| (records, ()));
        engine.quorum().change(decide).await.unwrap();
        let groups = GroupCoordinator::start(Arc::clone(&engine));
        Broker { engine, groups }
    }

    pub(crate) async fn stop(self) {
        self.groups.stop().await;
        self.engine.stop().await;
    }

    /// Begins to commit an offset without membership.
    pub(crate) async fn begin_commit(
        &self,
        group: &str,
        partition: i32,
        offset: i64,
    ) -> Result<Asked<CommitReply>, Unavailable> {
        let partition = CommitPartition {
            index: partition,
            offset: Offset(offset),
            leader_epoch: LeaderEpoch::NONE,
            metadata: "".into(),
        };
        let topic = CommitTopic { name: "t".into(), id: TopicId::ZERO, partitions: vec![partition] };
        let request = CommitOffsets {
            group: group.into(),
            member: "".into(),
            instance: None,
            generation: -1,
            knows_epochs: true,
            retention: None,
            topics: vec![topic],
        };
        self.groups.commit_offsets(request).await
    }

    /// Commits an offset and waits until that is answered.
    pub(crate) async fn commit(&self, group: &str, partition: i32, offset: i64) {
        let reply = self.begin_commit(group, partition, offset).await.unwrap().answer().await.unwrap();
        let done = CommitReply::Partitions(vec![("t".into(), vec![(partition, ErrorCode::None)])]);
        assert_eq!(reply, done);
    }

    /// What a group has committed, by partition.
    pub(crate) async fn fetch(&self, group: &str) -> Vec<(i32, i64)> {
        let request = FetchOffsets { group: group.into(), member: None, member_epoch: -1, topics: None };
        match self.groups.fetch_offsets(request).await.unwrap().answer().await.unwrap() {
            FetchReply::Topics(topics) => topics
                .into_iter()
                .flat_map(|topic| topic.partitions)
                .map(|partition| (partition.index, partition.offset.0))
                .collect(),
            FetchReply::Failed(code) => panic!("{code}"),
        }
    }

    /// A member of a group of its own, with an assignment.
    pub(crate) async fn lone_member(&self, group: &str) -> JoinedGroup {
        let request = JoinGroup {
            group: group.into(),
            member: "".into(),
            new_member: "m".into(),
            instance: None,
            client_id: "test".into(),
            client_host: "/here".into(),
            session_timeout: Millis(30_000),
            rebalance_timeout: Millis(30_000),
            protocol_type: "consumer".into(),
            protocols: vec![Protocol { name: "range".into(), metadata: Arc::from(*b"md") }],
            id_required: false,
            can_skip_assignment: false,
        };
        let reply = self.groups.join_group(request).await.unwrap().answer().await.unwrap();
        let JoinReply::Joined(joined) = reply else { panic!("{reply:?}") };
        let synced = self.sync(group, &joined, &[("m", b"all")]).await;
        assert_eq!(synced.error, ErrorCode::None);
        joined
    }

    pub(crate) async fn sync(
        &self,
        group: &str,
        joined: &JoinedGroup,
        assignments: &[(&str, &[u8])],
    ) -> SyncReply {
        let assignments = assignments.iter().map(|(member, bytes)| ((*member).into(), Arc::from(*bytes)));
        let request = SyncGroup {
            group: group.into(),
            member: joined.member.clone(),
            instance: None,
            generation: joined.generation,
            protocol_type: None,
            protocol: None,
            assignments: assignments.collect(),
        };
        self.groups.sync_group(request).await.unwrap().answer().await.unwrap()
    }
}
