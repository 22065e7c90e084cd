use expect_test::{Expect, expect};

use super::super::facts::{Broker, Disk, Facts, Quorum, Replica, Troubled};
use super::*;
use crate::Format;
use crate::positions::Place;

const LIMITS: DiskLimits = DiskLimits { warn: 80, bad: 95 };

fn broker(id: i32) -> Broker {
    Broker {
        id,
        address: format!("10.0.4.{id}:9092"),
        rack: None,
        is_fenced: false,
        unreachable: None,
        leads: 8,
        replicas: 24,
        out_of_sync: 0,
        log_bytes: Some(412 << 20),
        disk: Some(Disk { total_bytes: 100 << 30, usable_bytes: 60 << 30 }),
        failed_dirs: Vec::new(),
    }
}

/// Three brokers and nothing wrong.
fn facts() -> Facts {
    let voter = |id| Replica { id, behind: Some(0), caught_up_ms_ago: Some(120) };
    Facts {
        cluster: Some("kQ8m".to_owned()),
        controller: Some(2),
        brokers: vec![broker(1), broker(2), broker(3)],
        quorum: Some(Quorum {
            leader: 2,
            epoch: 7,
            high_watermark: 900,
            voters: vec![voter(1), voter(2), voter(3)],
            observers: Vec::new(),
        }),
        quorum_silent: None,
        topics: 4,
        partitions: 24,
        troubled: Vec::new(),
    }
}

fn troubled(partition: i32, leader: Option<i32>, isr: &[i32]) -> Troubled {
    Troubled {
        place: Place { topic: "orders".to_owned(), partition },
        leader,
        replicas: vec![1, 2, 3],
        isr: isr.to_vec(),
        min_isr: Some(2),
    }
}

fn check(change: impl FnOnce(&mut Facts), expected: &Expect) {
    let mut facts = facts();
    change(&mut facts);
    let health = assess(&facts, LIMITS);
    let printer = Printer::plain(Format::Table, true);
    expected.assert_eq(&render(&printer, &facts, &health));
}

#[test]
fn a_cluster_without_trouble_is_healthy() {
    check(
        |_| {},
        &expect![[r#"
        HEALTHY  3 brokers serving      controller 2 · term 7 · 24 partitions
          ok all partitions have a leader · ok min.isr met · ok all brokers answer · ok all replicas in sync · ok metadata log 0 behind · ok disks below 80%
    "#]],
    );
}

#[test]
fn replicas_out_of_sync_and_a_full_disk_degrade() {
    check(
        |facts| {
            if let Some(first) = facts.brokers.first_mut() {
                first.out_of_sync = 4;
                first.disk = Some(Disk { total_bytes: 100, usable_bytes: 20 });
            }
            facts.troubled = (0..4).map(|index| troubled(index, Some(2), &[2, 3])).collect();
        },
        &expect![[r#"
            DEGRADED  1 of 3 brokers behind      controller 2 · term 7 · 24 partitions
              ! broker 1  alive, 4 partitions out of ISR
              ! broker 1  disk 80% (warn at 80%)
              ok all partitions have a leader · ok min.isr met · ok all brokers answer · ok metadata log 0 behind
        "#]],
    );
}

#[test]
fn partitions_that_are_not_served_are_unhealthy_and_come_first() {
    check(
        |facts| {
            if let Some(last) = facts.brokers.last_mut() {
                last.is_fenced = true;
                last.out_of_sync = 24;
            }
            facts.troubled = vec![troubled(0, None, &[3]), troubled(1, Some(1), &[1])];
        },
        &expect![[r#"
            UNHEALTHY  1 partition without a leader      controller 2 · term 7 · 24 partitions
              ! 1 partition  no leader, cannot be written or read (e.g. orders-0: replicas 1,2,3 are not there)
              ! 1 partition  below min.insync.replicas, acks=all is refused (e.g. orders-1: in sync 1, needs 2)
              ! broker 3     fenced: registered, but not serving
              ! broker 3     down, 24 partitions out of ISR
              ok metadata log 0 behind · ok disks below 80%
        "#]],
    );
}

#[test]
fn a_broker_that_is_gone_and_a_late_controller_are_told() {
    check(
        |facts| {
            facts.brokers.pop();
            facts.troubled = vec![troubled(0, Some(1), &[1, 2])];
            let voters = facts.quorum.as_mut().map(|quorum| &mut quorum.voters);
            if let Some(voter) = voters.and_then(|voters| voters.last_mut()) {
                (voter.behind, voter.caught_up_ms_ago) = (Some(1_204), Some(61_000));
            }
        },
        &expect![[r#"
            DEGRADED  broker 3: not there, 1 partition out of ISR (e.g. orders-0)      controller 2 · term 7 · 24 partitions
              ! broker 3      not there, 1 partition out of ISR (e.g. orders-0)
              ! controller 3  metadata log 1,204 behind for 1m01s
              ok all partitions have a leader · ok min.isr met · ok all brokers answer · ok disks below 80%
        "#]],
    );
}

#[test]
fn a_broker_that_does_not_answer_says_why() {
    check(
        |facts| {
            if let Some(last) = facts.brokers.last_mut() {
                last.unreachable = Some("connection refused".to_owned());
            }
        },
        &expect![[r#"
            DEGRADED  1 of 3 brokers behind      controller 2 · term 7 · 24 partitions
              ! broker 3  cannot be reached from here at 10.0.4.3:9092: connection refused
              ok all partitions have a leader · ok min.isr met · ok all replicas in sync · ok metadata log 0 behind · ok disks below 80%
        "#]],
    );
}

#[test]
fn monitoring_systems_get_their_own_forms() {
    let mut facts = facts();
    facts.troubled = vec![troubled(0, None, &[3])];
    let health = assess(&facts, LIMITS);
    expect![[r#"
        KAFKA CRITICAL - 1 partition without a leader | brokers=3 unreachable=0 partitions=24 leaderless=1 under_min_isr=0 under_replicated=1
        1 partition: no leader, cannot be written or read (e.g. orders-0: replicas 1,2,3 are not there)
    "#]].assert_eq(&nagios(&facts, &health));
    expect![[r#"
        # HELP eddy_cluster_healthy 1 when nothing is wrong.
        # TYPE eddy_cluster_healthy gauge
        eddy_cluster_healthy 0
        # HELP eddy_cluster_serving 1 when everything is served.
        # TYPE eddy_cluster_serving gauge
        eddy_cluster_serving 0
        # HELP eddy_cluster_brokers Registered brokers.
        # TYPE eddy_cluster_brokers gauge
        eddy_cluster_brokers 3
        # HELP eddy_cluster_brokers_unreachable Brokers that are fenced or do not answer from here.
        # TYPE eddy_cluster_brokers_unreachable gauge
        eddy_cluster_brokers_unreachable 0
        # HELP eddy_cluster_partitions Partitions.
        # TYPE eddy_cluster_partitions gauge
        eddy_cluster_partitions 24
        # HELP eddy_cluster_partitions_leaderless Partitions without a leader.
        # TYPE eddy_cluster_partitions_leaderless gauge
        eddy_cluster_partitions_leaderless 1
        # HELP eddy_cluster_partitions_under_min_isr Partitions below min.insync.replicas.
        # TYPE eddy_cluster_partitions_under_min_isr gauge
        eddy_cluster_partitions_under_min_isr 0
        # HELP eddy_cluster_partitions_under_replicated Partitions with a replica out of sync.
        # TYPE eddy_cluster_partitions_under_replicated gauge
        eddy_cluster_partitions_under_replicated 1
    "#]]
    .assert_eq(&prometheus(&facts, &health));
}

#[test]
fn without_a_majority_of_the_controllers_it_is_said_why_nothing_can_be_changed() {
    check(
        |facts| {
            for broker in [0, 2] {
                facts.brokers[broker].unreachable = Some("connection refused".to_owned());
            }
            // Metadata still names the last controller.
            facts.controller = Some(1);
            facts.quorum.as_mut().unwrap().leader = -1;
            for voter in &mut facts.quorum.as_mut().unwrap().voters {
                (voter.behind, voter.caught_up_ms_ago) = (None, None);
            }
        },
        &expect![[r#"
            UNHEALTHY  the controllers have no majority      term 7 · 24 partitions
              ! controller  there is none: without a majority of 1,2,3 metadata cannot be changed
              ! broker 1    cannot be reached from here at 10.0.4.1:9092: connection refused
              ! broker 3    cannot be reached from here at 10.0.4.3:9092: connection refused
              ok all partitions have a leader · ok min.isr met · ok all replicas in sync · ok disks below 80%
        "#]],
    );
}

#[test]
fn controllers_without_a_majority_are_unhealthy() {
    check(
        |facts| {
            facts.quorum = None;
            facts.quorum_silent = Some("no answer within 3s".to_owned());
        },
        &expect![[r#"
            UNHEALTHY  the controllers do not answer      controller 2 · 24 partitions
              ! controllers  no answer within 3s: metadata cannot be changed
              ok all partitions have a leader · ok min.isr met · ok all brokers answer · ok all replicas in sync · ok disks below 80%
        "#]],
    );
}
