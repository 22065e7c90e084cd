use clap::Subcommand;
use expect_test::{Expect, expect};

use super::super::explain::{Explained, render};
use super::super::model::samples::{billing, partition};
use super::*;
use crate::{Command, ConfigCommand};

/// The sample group at both looks, three seconds apart, with partition 1 of `orders` as `change` makes it before and after.
fn check(change: impl Fn(&mut Group, &mut Group), expected: &Expect) {
    let mut before = billing();
    before.partitions.retain(|partition| partition.place.topic == "orders" && partition.committed.is_some());
    let mut after = before.clone();
    change(&mut before, &mut after);
    let diagnosis = diagnose(&Looks { before: &before, after: &after, apart_ms: 3_000 });
    for attempt in &diagnosis.attempts {
        parses(&attempt.command);
    }
    expected.assert_eq(&render(&Explained { diagnosis: &diagnosis, group: &after }));
}

/// Whether a command that is suggested is one, with `N` standing for a number.
fn parses(command: &str) {
    let config = ConfigCommand::augment_subcommands(clap::Command::new("config"));
    let line = Command::augment_subcommands(clap::Command::new("eddy")).subcommand(config);
    let words = command.split(' ').map(|word| if word == "N" { "12" } else { word });
    line.try_get_matches_from(words).unwrap_or_else(|error| panic!("{command}: {error}"));
}

fn stuck(group: &mut Group) -> &mut Progress {
    group.partitions.iter_mut().find(|partition| partition.place.partition == 1).unwrap()
}

fn commit(group: &mut Group, partition: i32, records: i64) {
    let progress = group.partitions.iter_mut().find(|one| one.place.partition == partition).unwrap();
    progress.committed = progress.committed.map(|committed| committed + records);
    progress.end = progress.end.map(|end| end.max(progress.committed.unwrap()));
}

#[test]
fn a_member_that_commits_nothing_is_stalled() {
    check(
        |_, after| {
            commit(after, 0, 1_068);
            commit(after, 2, 1_050);
        },
        &expect![[r#"
            billing   Stable · classic · 3 members · range · coordinator 2 · STALLED on orders-1
              orders-1  committed 264,650, end 305,870 (41,220 behind, 6m12s); member billing-2 @10.0.4.7
              cause     billing-2 keeps its place in the group but commits nothing: its handler is blocked, or one record is failing
              evidence  in 3.0 s it committed 2,118 and 2,118 were written (706/s against 706/s)
                        commits go on at orders-0, orders-2
                        the members stayed the same
              try       eddy consume orders -p 1 -O 264650 -n 1                look at the record it is stuck on
                        eddy group seek billing --to 264651 --topic orders:1   skip it (dry run; the group must be stopped)
        "#]],
    );
}

#[test]
fn a_member_that_commits_elsewhere_has_one_bad_record() {
    check(
        |before, after| {
            for group in [before, after] {
                stuck(group).member = Some("billing-1-5f9c".to_owned());
            }
            commit(after, 0, 1_068);
        },
        &expect![[r#"
            billing   Stable · classic · 3 members · range · coordinator 2 · STALLED on orders-1
              orders-1  committed 264,650, end 305,870 (41,220 behind, 6m12s); member billing-1 @10.0.4.6
              cause     billing-1 commits elsewhere: one record of this partition is failing again and again
              evidence  in 3.0 s it committed 1,068 and 1,068 were written (356/s against 356/s)
                        commits go on at orders-0
                        the members stayed the same
              try       eddy consume orders -p 1 -O 264650 -n 1                look at the record it is stuck on
                        eddy group seek billing --to 264651 --topic orders:1   skip it (dry run; the group must be stopped)
        "#]],
    );
}

#[test]
fn an_open_transaction_is_named() {
    check(
        |_, after| stuck(after).last_stable = Some(264_650),
        &expect![[r#"
            billing   Stable · classic · 3 members · range · coordinator 2 · STALLED on orders-1
              orders-1  committed 264,650, end 305,870 (41,220 behind, 6m12s); an open transaction holds back all from 264,650; member billing-2 @10.0.4.7
              cause     a transaction that began at 264,650 is still open: with isolation.level=read_committed consumers wait until its producer ends it, or transaction.timeout.ms does
              evidence  in 3.0 s it committed 0 and 0 were written (0/s against 0/s)
                        the members stayed the same
        "#]],
    );
}

#[test]
fn a_group_without_members_is_stopped() {
    check(
        |before, after| {
            for group in [before, after] {
                group.members.clear();
                group.state = "Empty".to_owned();
                group.partitions.iter_mut().for_each(|partition| partition.member = None);
            }
        },
        &expect![[r#"
            billing   Empty · classic · 0 members · range · coordinator 2 · STOPPED on orders-1
              orders-1  committed 264,650, end 305,870 (41,220 behind, 6m12s)
              cause     no consumer is running under this group id
              evidence  in 3.0 s it committed 0 and 0 were written (0/s against 0/s)
              try       eddy group seek billing --to latest   start from new records only (dry run)
        "#]],
    );
}

#[test]
fn a_slow_group_falls_behind_and_a_fast_one_catches_up() {
    let slow = |after: &mut Group| {
        stuck(after).committed = Some(264_650 + 300);
        stuck(after).end = Some(305_870 + 1_068);
        stuck(after).lag = Some(41_988);
    };
    check(
        |_, after| slow(after),
        &expect![[r#"
        billing   Stable · classic · 3 members · range · coordinator 2 · FALLING BEHIND on orders-1
          orders-1  committed 264,950, end 306,938 (41,988 behind, 6m12s); reads 100/s, written 356/s; member billing-2 @10.0.4.7
          cause     orders-1 alone takes more than its member can handle: its keys are more frequent than others
          evidence  in 3.0 s it committed 300 and 1,068 were written (100/s against 356/s)
                    the members stayed the same
          try       eddy topic describe orders               see its partitions and rates
                    eddy topic alter orders --partitions N   more partitions, for more members
    "#]],
    );
    let fast = |after: &mut Group| {
        stuck(after).committed = Some(264_650 + 3_000);
        stuck(after).lag = Some(38_220);
    };
    check(
        |_, after| fast(after),
        &expect![[r#"
        billing   Stable · classic · 3 members · range · coordinator 2 · catching up
          orders-1  committed 267,650, end 305,870 (38,220 behind, 6m12s); reads 1,000/s, written 0/s; member billing-2 @10.0.4.7
          cause     it reads faster than is written: about 38.2 s to go
          evidence  in 3.0 s it committed 3,000 and 0 were written (1,000/s against 0/s)
                    the members stayed the same
    "#]],
    );
}

#[test]
fn a_partition_that_nobody_has_is_not_assigned() {
    check(
        |before, after| {
            for group in [before, after] {
                group.partitions.push(partition("returns", 0, Some(7), 19));
                stuck(group).lag = Some(0);
                stuck(group).lag_ms = Some(0);
            }
        },
        &expect![[r#"
            billing   Stable · classic · 3 members · range · coordinator 2 · NOT ASSIGNED on returns-0
              returns-0  committed 7, end 19 (12 behind, 6m12s); no member has it
              cause     the members no longer subscribe to the topic, or just joined; what they committed earlier is kept
              evidence  in 3.0 s it committed 0 and 0 were written (0/s against 0/s)
                        the members stayed the same
              try       eddy group delete billing --topic returns   forget what it committed there
        "#]],
    );
}

#[test]
fn lost_records_come_before_everything_else() {
    check(
        |_, after| stuck(after).start = Some(270_000),
        &expect![[r#"
        billing   Stable · classic · 3 members · range · coordinator 2 · LOST RECORDS on orders-1
          orders-1  committed 264,650, end 305,870 (41,220 behind, 6m12s); 5,350 deleted before they were read; member billing-2 @10.0.4.7
          cause     retention deleted records before they were read; the next fetch goes where auto.offset.reset says
          evidence  in 3.0 s it committed 0 and 0 were written (0/s against 0/s)
                    the members stayed the same
          try       eddy config get topic orders retention.ms retention.bytes   see how long records are kept
                    eddy group seek billing --to earliest                       go on with the oldest record (dry run)
    "#]],
    );
}

#[test]
fn a_commit_beyond_the_end_is_told() {
    check(
        |_, after| stuck(after).end = Some(10),
        &expect![[r#"
            billing   Stable · classic · 3 members · range · coordinator 2 · AHEAD OF THE LOG on orders-1
              orders-1  committed 264,650, end 10 (41,220 behind, 6m12s); member billing-2 @10.0.4.7
              cause     the topic was deleted and created again, or lost its end; the next fetch goes where auto.offset.reset says
              evidence  in 3.0 s it committed 0 and 0 were written (0/s against 0/s)
                        the members stayed the same
              try       eddy group seek billing --to earliest   read the new topic whole (dry run)
        "#]],
    );
}

#[test]
fn a_rebalance_at_both_looks_is_told() {
    check(
        |before, after| {
            before.state = "PreparingRebalance".to_owned();
            after.state = "CompletingRebalance".to_owned();
            after.members.pop();
        },
        &expect![[r#"
            billing   CompletingRebalance · classic · 2 members · range · coordinator 2 · REBALANCING on orders-1
              orders-1  committed 264,650, end 305,870 (41,220 behind, 6m12s); member billing-2 @10.0.4.7
              cause     the group was CompletingRebalance at both looks: a member joins and leaves, or takes long to join
              evidence  in 3.0 s it committed 0 and 0 were written (0/s against 0/s)
                        members changed meanwhile: 0 came, 1 left
              try       eddy group describe billing   see who is a member now
        "#]],
    );
}

#[test]
fn what_was_written_just_now_is_not_late() {
    check(
        |before, after| {
            for group in [before, after] {
                group.partitions.retain(|partition| partition.place.partition != 1);
            }
            let first = after.partitions.first_mut().unwrap();
            first.end = first.end.map(|end| end + 10);
            (first.lag, first.lag_ms) = (Some(10), Some(200));
        },
        &expect![[r#"
            billing   Stable · classic · 3 members · range · coordinator 2 · ok
              orders-0  committed 306,112, end 306,122 (10 behind, 200 ms); member billing-1 @10.0.4.6
              cause     nothing is wrong: what is written is read
              evidence  in 3.0 s it committed 0 and 10 were written (0/s against 3/s)
                        the members stayed the same
        "#]],
    );
}
