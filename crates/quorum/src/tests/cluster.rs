//! Groups of several members in one process: changes, leaders that come and go, disks that are slow.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use eddy_metadata::Image;
use eddy_metadata::controller::{CreateTopicError, allocate_producer_ids};
use eddy_peer::{Handler, Service};
use eddy_types::BrokerId;

use super::harness::*;
use crate::member::Member;
use crate::message::{self, RaftCall};
use crate::{ChangeError, ProposeError, handlers};

/// A group of three brokers, the first of which is registered.
async fn three() -> (Brokers, Vec<Running>) {
    let all = Brokers::new(3, 3).await;
    let running = all.start_all(1..=3).await;
    register(&running[0], 1).await;
    (all, running)
}

async fn stop_all(running: Vec<Running>) {
    for one in running {
        one.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_of_all_brokers_at_once_are_made_once_each() {
    log();
    let (_all, running) = three().await;
    let mut changes = Vec::new();
    let began = Instant::now();
    for number in 0..90u32 {
        let one = &running[number as usize % 3];
        // Every topic is created from two brokers: one of them is told that it exists.
        let other = &running[(number as usize + 1) % 3];
        changes.push(async move {
            let made = join_all(vec![one.create(number), other.create(number)]).await;
            let made: Vec<bool> = made
                .into_iter()
                .map(|made| match made {
                    Ok(()) => true,
                    Err(ChangeError::Refused(CreateTopicError::Exists(_))) => false,
                    Err(error) => panic!("{error}"),
                })
                .collect();
            assert_eq!(made.iter().filter(|made| **made).count(), 1, "topic {number}");
        });
    }
    join_all(changes).await;
    println!("180 concurrent changes in {:?}", began.elapsed());
    let refs: Vec<&Running> = running.iter().collect();
    until_equal(&refs).await;
    assert_eq!(running[0].quorum.image().topic_count(), 90);
    stop_all(running).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_group_has_a_new_leader_soon_after_the_old_one_is_gone() {
    log();
    let all = Brokers::new(3, 3).await;
    let mut running = all.start_all(1..=3).await;
    register(&running[0], 1).await;
    for round in 0..3u32 {
        let leader = leader_of(&running.iter().collect::<Vec<_>>()).await;
        let gone = running.remove(leader);
        let broker = gone.peers.me();
        let began = Instant::now();
        gone.stop().await;
        let stopped = began.elapsed();
        until("a new leader", || running.iter().any(|one| one.quorum.is_leader())).await;
        let elected = began.elapsed();
        running[0].create_patiently(round).await;
        println!(
            "round {round}: stopped in {stopped:?}, a new leader after {elected:?}, a change after {:?}",
            began.elapsed()
        );
        let back = all.start(usize::try_from(broker.0).unwrap()).await;
        assert_eq!(back.quorum.image().topic_count(), round as usize + 1);
        running.push(back);
        until_equal(&running.iter().collect::<Vec<_>>()).await;
        for one in &running {
            until("all vote", || voters(one) == brokers([1, 2, 3])).await;
        }
    }
    stop_all(running).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_minority_commits_nothing_and_a_majority_goes_on() {
    log();
    let all = Brokers::new(3, 3).await;
    let mut running = all.start_all(1..=3).await;
    register(&running[0], 1).await;
    running.pop().unwrap().stop().await;
    running[0].create_patiently(1).await;
    running.pop().unwrap().stop().await;
    let alone = &running[0];
    let before = alone.quorum.image().version();
    let refused = alone.create(2).await;
    assert!(
        matches!(refused, Err(ChangeError::Propose(ProposeError::Timeout | ProposeError::NotLeader { .. }))),
        "{refused:?}"
    );
    // Not even a refusal is given by one that may know only old news.
    let refused = alone.create(1).await;
    assert!(matches!(refused, Err(ChangeError::Propose(_))), "{refused:?}");
    assert_eq!(alone.quorum.image().version(), before);
    assert!(!alone.quorum.is_leader());
    assert_eq!(alone.quorum.leader(), None);
    running.extend(all.start_all(2..=3).await);
    running[1].create_patiently(3).await;
    until_equal(&running.iter().collect::<Vec<_>>()).await;
    stop_all(running).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_was_away_for_long_takes_a_snapshot() {
    log();
    let mut all = Brokers::new(3, 3).await;
    all.snapshot_after = 20;
    let mut running = all.start_all(1..=3).await;
    register(&running[0], 1).await;
    running.remove(2).stop().await;
    for number in 0..120 {
        running[number as usize % 2].create_patiently(number).await;
    }
    until("the log is trimmed", || all.purged(1) > 30).await;
    let back = all.start(3).await;
    assert_eq!(back.quorum.image().topic_count(), 120);
    back.create_patiently(200).await;
    running.push(back);
    until_equal(&running.iter().collect::<Vec<_>>()).await;
    stop_all(running).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn five_thousand_topics_are_the_same_everywhere() {
    log();
    let mut all = Brokers::new(4, 3).await;
    all.snapshot_after = 30;
    all.compared = false;
    let mut running = all.start_all(1..=3).await;
    register(&running[0], 1).await;
    let began = Instant::now();
    for batch in 0..50u32 {
        let one = &running[batch as usize % 3];
        one.create_many(batch * 100..batch * 100 + 100).await;
    }
    println!("5,000 topics in 50 changes in {:?}", began.elapsed());
    let joining = Instant::now();
    running.push(all.start(4).await);
    println!("a new broker has them after {:?}", joining.elapsed());
    until_equal(&running.iter().collect::<Vec<_>>()).await;
    assert_eq!(running[3].quorum.image().topic_count(), 5000);
    stop_all(running).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_hears_nothing_does_not_raise_the_term() {
    log();
    let (_all, running) = three().await;
    let leader = leader_of(&running.iter().collect::<Vec<_>>()).await;
    let term = running[leader].quorum.status().term;
    let deaf = &running[(leader + 1) % 3];
    deaf.peers.serve(Service::Raft, Arc::new(Silence));
    // It asks the others all the time whether they would vote for it.
    until("it knows of no leader", || deaf.quorum.leader().is_none()).await;
    for number in 0..40 {
        running[leader].create(number).await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(running[leader].quorum.is_leader());
    for one in &running {
        assert_eq!(one.quorum.status().term, term);
    }
    handlers::serve(&deaf.peers, &deaf.quorum.member);
    until_equal(&running.iter().collect::<Vec<_>>()).await;
    until("it follows again", || deaf.quorum.leader() == Some(running[leader].peers.me())).await;
    assert_eq!(deaf.quorum.status().term, term);
    stop_all(running).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_hears_nobody_is_replaced_and_follows() {
    log();
    let (_all, running) = three().await;
    let old = leader_of(&running.iter().collect::<Vec<_>>()).await;
    // Cut off in both directions: the others neither hear it nor answer it.
    let others: Vec<&Running> =
        running.iter().filter(|one| one.peers.me() != running[old].peers.me()).collect();
    let began = Instant::now();
    for one in &others {
        one.peers.serve(
            Service::Raft,
            Arc::new(DeafTo { member: one.quorum.member.clone(), to: running[old].peers.me() }),
        );
    }
    until("another leader", || others.iter().any(|one| one.quorum.is_leader())).await;
    println!("a leader that is cut off is replaced after {:?}", began.elapsed());
    let commits = others[0].create_patiently(1);
    let refused = running[old].create(2);
    let (_, refused) = tokio::join!(commits, refused);
    assert!(!running[old].quorum.is_leader());
    println!("the change of the old one: {refused:?}");
    for one in &others {
        handlers::serve(&one.peers, &one.quorum.member);
    }
    until_equal(&running.iter().collect::<Vec<_>>()).await;
    let term = running[old].quorum.status().term;
    assert!(others.iter().all(|one| one.quorum.status().term == term));
    stop_all(running).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn followers_whose_disks_are_slow_neither_stop_the_group_nor_change_its_leader() {
    log();
    let (_all, running) = three().await;
    let leader = leader_of(&running.iter().collect::<Vec<_>>()).await;
    let term = running[leader].quorum.status().term;
    for one in running.iter().filter(|one| !one.quorum.is_leader()) {
        one.peers.serve(Service::Raft, Arc::new(SlowDisk(one.quorum.member.clone())));
    }
    for number in 0..3 {
        running[(leader + number as usize) % 3].create_patiently(number).await;
    }
    for one in &running {
        assert_eq!(one.quorum.status().term, term);
    }
    stop_all(running).await;
}

/// Leaders come and go, answers are lost; what was confirmed is there once, what was refused is there before.
#[tokio::test(flavor = "multi_thread")]
async fn changes_are_made_once_each_while_leaders_come_and_go() {
    log();
    let all = Brokers::new(3, 3).await;
    let mut running = all.start_all(1..=3).await;
    register(&running[0], 1).await;
    let blocks = Arc::new(Mutex::new(Vec::new()));
    for _ in 0..3 {
        let done = Arc::new(AtomicBool::new(false));
        let mut allocating = Vec::new();
        let leader = leader_of(&running.iter().collect::<Vec<_>>()).await;
        for (place, one) in running.iter().enumerate().filter(|(place, _)| *place != leader) {
            for _ in 0..4 {
                let (quorum, blocks, done) = (one.quorum.clone(), blocks.clone(), done.clone());
                let me = id(place + 1);
                allocating.push(tokio::spawn(async move {
                    while !done.load(Ordering::Relaxed) {
                        let allocate = |image: &Image| allocate_producer_ids(image, me);
                        if let Ok(block) = quorum.change(allocate).await {
                            blocks.lock().unwrap().push(block.first);
                        }
                    }
                }));
            }
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
        let gone = running.remove(leader);
        let broker = usize::try_from(gone.peers.me().0).unwrap();
        gone.stop().await;
        let before = blocks.lock().unwrap().len();
        until("changes go on", || blocks.lock().unwrap().len() > before + 20).await;
        done.store(true, Ordering::Relaxed);
        for one in allocating {
            one.await.unwrap();
        }
        running.push(all.start(broker).await);
    }
    until_equal(&running.iter().collect::<Vec<_>>()).await;
    let given = blocks.lock().unwrap().clone();
    let distinct: std::collections::BTreeSet<_> = given.iter().collect();
    assert_eq!(distinct.len(), given.len(), "a block of ids was given twice");
    println!("{} blocks of producer ids", given.len());
    stop_all(running).await;
}

/// Answers no call, as a process that stands still.
struct Silence;

impl Handler for Silence {
    fn call<'a>(
        &'a self,
        _: BrokerId,
        _: Bytes,
    ) -> Pin<Box<dyn Future<Output = Result<Bytes, String>> + Send + 'a>> {
        Box::pin(std::future::pending())
    }
}

/// Takes longer for entries than openraft's calls may last.
struct SlowDisk(Arc<Member>);

impl Handler for SlowDisk {
    fn call<'a>(
        &'a self,
        from: BrokerId,
        request: Bytes,
    ) -> Pin<Box<dyn Future<Output = Result<Bytes, String>> + Send + 'a>> {
        Box::pin(async move {
            let (message, _) = message::decode_with(&request).unwrap();
            if matches!(message.call, RaftCall::Append(append) if !append.entries.is_empty()) {
                tokio::time::sleep(Duration::from_millis(700)).await;
            }
            self.0.answer_raft(from, &request).await
        })
    }
}

/// Answers no call of one broker.
struct DeafTo {
    member: Arc<Member>,
    to: BrokerId,
}

impl Handler for DeafTo {
    fn call<'a>(
        &'a self,
        from: BrokerId,
        request: Bytes,
    ) -> Pin<Box<dyn Future<Output = Result<Bytes, String>> + Send + 'a>> {
        Box::pin(async move {
            if from == self.to {
                std::future::pending().await
            } else {
                self.member.answer_raft(from, &request).await
            }
        })
    }
}
