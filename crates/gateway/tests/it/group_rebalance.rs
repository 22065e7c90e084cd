//! Members that come one after the other, leave and vanish, each in a task of its own as clients are (trap X15).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use kafka_protocol::messages::{JoinGroupResponse, LeaveGroupRequest};
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::group_members::{beat, group, join, sync};
use crate::harness::{Broker, Client, settings};

const GROUP: &str = "g";
const PARTITIONS: u8 = 6;
/// Longer than a busy machine keeps a heartbeat, short enough to wait for in a test.
const SESSION_MS: i32 = 1500;

/// What each member holds, and in which generation.
type Held = Arc<Mutex<BTreeMap<usize, (i32, Vec<u8>)>>>;

#[derive(Clone, Copy, PartialEq)]
enum Fate {
    Live,
    Leave,
    /// The connection goes without a word.
    Vanish,
}

struct Member {
    fate: watch::Sender<Fate>,
    task: JoinHandle<()>,
}

impl Member {
    async fn start(broker: &Broker, number: usize, held: &Held) -> Member {
        let (fate, fated) = watch::channel(Fate::Live);
        let client = broker.connect().await;
        Member { fate, task: tokio::spawn(live(client, number, Arc::clone(held), fated)) }
    }

    async fn end(self, fate: Fate) {
        self.fate.send_replace(fate);
        self.task.await.unwrap();
    }
}

async fn live(mut client: Client, number: usize, held: Held, fate: watch::Receiver<Fate>) {
    let mut id = String::new();
    'rejoin: loop {
        let request = join(GROUP, &id).with_session_timeout_ms(SESSION_MS);
        let joined = client.call(3, &request).await;
        assert_eq!(joined.error_code, 0, "member {number}");
        id = joined.member_id.to_string();
        let synced = client.call(3, &sync(GROUP, &joined, &[]).with_assignments(assign(&joined))).await;
        match synced.error_code {
            0 => {}
            27 => continue 'rejoin,
            code => panic!("member {number}: sync failed with {code}"),
        }
        held.lock().insert(number, (joined.generation_id, synced.assignment.to_vec()));
        loop {
            tokio::time::sleep(Duration::from_millis(20)).await;
            let now = *fate.borrow();
            if now != Fate::Live {
                held.lock().remove(&number);
                if now == Fate::Leave {
                    let leave = LeaveGroupRequest::default()
                        .with_group_id(group(GROUP))
                        .with_member_id(joined.member_id.clone());
                    assert_eq!(client.call(2, &leave).await.error_code, 0);
                }
                return;
            }
            match beat(&mut client, GROUP, &id, joined.generation_id).await {
                0 => {}
                27 => continue 'rejoin,
                code => panic!("member {number}: heartbeat failed with {code}"),
            }
        }
    }
}

/// The leader deals the partitions out; the others bring nothing.
fn assign(joined: &JoinGroupResponse) -> Vec<SyncGroupRequestAssignment> {
    let members = joined.members.iter().enumerate().map(|(at, member)| {
        let own = (0..PARTITIONS).filter(|partition| usize::from(*partition) % joined.members.len() == at);
        SyncGroupRequestAssignment::default()
            .with_member_id(member.member_id.clone())
            .with_assignment(own.collect::<Bytes>())
    });
    members.collect()
}

/// Waits until `members` are in one generation and own every partition once.
async fn settled(held: &Held, members: &[usize]) {
    for _ in 0..1000 {
        let now = held.lock().clone();
        let mut owned: Vec<u8> = now.values().flat_map(|(_, partitions)| partitions.clone()).collect();
        owned.sort_unstable();
        let generations: Vec<i32> = now.values().map(|(generation, _)| *generation).collect();
        if now.keys().eq(members)
            && generations.windows(2).all(|pair| pair[0] == pair[1])
            && owned == (0..PARTITIONS).collect::<Vec<_>>()
        {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{members:?} did not settle: {:?}", held.lock());
}

#[tokio::test]
async fn members_that_come_one_by_one_leave_and_vanish_always_settle_x15() {
    let config = [("group.initial.rebalance.delay.ms", "100"), ("group.min.session.timeout.ms", "100")];
    let broker = Broker::with(settings(), &config).await;
    let held = Held::default();
    let first = Member::start(&broker, 0, &held).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let second = Member::start(&broker, 1, &held).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    let third = Member::start(&broker, 2, &held).await;
    settled(&held, &[0, 1, 2]).await;
    // The leader leaves, another one vanishes: the last one owns everything.
    first.end(Fate::Leave).await;
    settled(&held, &[1, 2]).await;
    second.end(Fate::Vanish).await;
    settled(&held, &[2]).await;
    let fourth = Member::start(&broker, 3, &held).await;
    settled(&held, &[2, 3]).await;
    third.end(Fate::Leave).await;
    settled(&held, &[3]).await;
    fourth.end(Fate::Leave).await;
}
