//! `eddy cluster reassign` with a throttle (KIP-73), against three brokers.

use std::fs::{self, File};
use std::process::Stdio;
use std::time::{Duration, Instant};

use expect_test::{Expect, expect};

use crate::nodes::Nodes;
use crate::support::{eddy, kill, wait_until};

const BATCHES: usize = 30;
const BATCH: usize = 50_000;

/// Three brokers, and a topic of one partition with 1.5 MB on brokers 1 and 2.
fn filled() -> Nodes {
    let nodes = Nodes::three();
    done(&nodes, "topic create orders -p 1 -r 2");
    done(&nodes, "cluster reassign orders --to 1,2 --execute --wait");
    for _ in 0..BATCHES {
        nodes.produce("orders", &"x".repeat(BATCH));
    }
    nodes
}

fn ask(nodes: &Nodes, words: &str) -> (i32, String, String) {
    nodes.ask(1, &words.split(' ').collect::<Vec<_>>())
}

/// What a command that succeeds says on stdout and on stderr.
fn done(nodes: &Nodes, words: &str) -> (String, String) {
    let (code, stdout, stderr) = ask(nodes, words);
    assert_eq!(code, 0, "{words}: {stdout}{stderr}");
    (stdout, stderr)
}

fn says(nodes: &Nodes, words: &str, stdout: Expect, stderr: Expect) {
    let (out, error) = done(nodes, words);
    stdout.assert_eq(&out);
    stderr.assert_eq(&error);
}

/// The settings of throttles, as the configuration has them.
fn throttles(nodes: &Nodes) -> Vec<String> {
    let mut found = Vec::new();
    for resource in ["broker 1", "broker 2", "broker 3", "topic orders"] {
        let (stdout, _) = done(nodes, &format!("config get {resource}"));
        let lines = stdout.lines().filter(|line| line.contains(".throttled."));
        found.extend(lines.map(|line| format!("{resource}: {}", line.replace('\t', " "))));
    }
    found
}

fn moving(nodes: &Nodes) -> String {
    done(nodes, "cluster reassign -o jsonl").0
}

/// Runs a command until it says that something moves, and presses Ctrl-C; gives its exit code and stderr.
fn interrupted(nodes: &Nodes, words: &str) -> (Option<i32>, String) {
    let path = nodes.dir.path().join("stderr");
    let broker = format!("127.0.0.1:{}", nodes.kafka(1));
    let mut command = eddy(nodes.dir.path());
    command.args(words.split(' ')).args(["-b", &broker]);
    command.stdout(Stdio::null()).stderr(File::create(&path).unwrap());
    let mut child = command.spawn().unwrap();
    let said = || fs::read_to_string(&path).unwrap();
    wait_until("it waits", || said().contains("still moving"));
    kill(child.id(), "INT");
    let code = child.wait().unwrap().code();
    (code, said())
}

#[test]
fn a_move_with_a_throttle_keeps_to_its_rate_and_takes_the_throttle_with_it() {
    let nodes = filled();
    let began = Instant::now();
    says(
        &nodes,
        "cluster reassign orders --to 1,3 --throttle 500KB/s --execute",
        expect![[r#"
            TOPIC	P	FROM	TO	OUTCOME
            orders	0	1,2	1,3	moves
        "#]],
        expect![[r#"
            copying is held to 488 KiB/s on brokers 1,2,3
            the throttle stays until it is removed: eddy cluster reassign --execute --wait
        "#]],
    );
    expect![[r#"
        broker 1: follower.replication.throttled.rate 500000 this broker
        broker 1: leader.replication.throttled.rate 500000 this broker
        broker 2: follower.replication.throttled.rate 500000 this broker
        broker 2: leader.replication.throttled.rate 500000 this broker
        broker 3: follower.replication.throttled.rate 500000 this broker
        broker 3: leader.replication.throttled.rate 500000 this broker
        topic orders: follower.replication.throttled.replicas 0:3 topic
        topic orders: leader.replication.throttled.replicas 0:1,0:2 topic"#]]
    .assert_eq(&throttles(&nodes).join("\n"));
    says(
        &nodes,
        "cluster reassign --execute --wait",
        expect![[r#"
            TOPIC	P	REPLICAS	ADDING	REMOVING
            orders	0	1,3,2	3	2
        "#]],
        expect![[r#"
            1 partition still moving
            the throttle is removed from brokers 1,2,3
        "#]],
    );
    let took = began.elapsed();
    println!("1.5 MB at 500 KB a second took {took:?}");
    // Two pieces of a tenth of a second go at once.
    assert!(took > Duration::from_millis(2_600), "1.5 MB at 500 KB a second took {took:?}");
    assert_eq!((throttles(&nodes), moving(&nodes).as_str()), (vec![], ""));
    let read = nodes.read_all("orders");
    assert_eq!(read.len(), BATCHES);
}

#[test]
fn who_gives_up_waiting_is_told_what_stays_and_a_cancelled_move_leaves_nothing() {
    let nodes = filled();
    let words = "cluster reassign orders --to 1,3 --throttle 100 --execute --wait --timeout 1s";
    let (code, stdout, stderr) = ask(&nodes, words);
    assert_eq!((code, stdout.as_str()), (3, ""), "{stderr}");
    expect![[r#"
        copying is held to 100 B/s on brokers 1,2,3
        1 partition still moving
        error: 1 partition still moving
          the move goes on without this command
          the throttle of 100 B/s stays on brokers 1,2,3
          fix: eddy cluster reassign                          see what moves
               eddy cluster reassign --execute --wait         wait for the rest, and remove the throttle
               eddy cluster reassign --unthrottle --execute   remove the throttle at once
    "#]]
    .assert_eq(&stderr);
    assert_eq!(throttles(&nodes).len(), 8);
    let (code, stderr) = interrupted(&nodes, "cluster reassign --execute --wait");
    assert_eq!(code, Some(3), "{stderr}");
    assert!(stderr.contains("error: interrupted while partitions move\n"), "{stderr}");
    assert!(stderr.contains("\n  a throttle that it has stays\n"), "{stderr}");
    assert_eq!(throttles(&nodes).len(), 8);
    says(
        &nodes,
        "cluster reassign --cancel --execute",
        expect![[r#"
            TOPIC	P	FROM	TO	OUTCOME
            orders	0	1,3,2	1,2	cancelled
        "#]],
        expect![[r#"
            the throttle is removed from brokers 1,2,3
        "#]],
    );
    assert_eq!((throttles(&nodes), moving(&nodes).as_str()), (vec![], ""));
}

#[test]
fn a_throttle_is_changed_and_removed_while_its_move_goes_on_and_what_others_have_set_stays() {
    let nodes = filled();
    done(&nodes, "config set topic orders leader.replication.throttled.replicas=7:1");
    done(&nodes, "cluster reassign orders --to 1,3 --throttle 100 --execute");
    let (_, stderr) = done(&nodes, "cluster reassign orders --throttle 200 --execute");
    for broker in 1..=3 {
        for side in ["follower", "leader"] {
            let before = format!(
                "broker {broker} had {side}.replication.throttled.rate=100, which is gone with this\n"
            );
            assert!(stderr.contains(&before), "{stderr}");
        }
    }
    let found = throttles(&nodes);
    assert!(found.iter().filter(|line| line.contains("throttled.rate 200 ")).count() == 6, "{found:?}");
    // Fast from here on.
    done(&nodes, "cluster reassign --throttle 1GB/s --execute");
    wait_until("the end of the move", || moving(&nodes).is_empty());
    let (_, stderr) = done(&nodes, "cluster reassign");
    assert_eq!(
        stderr,
        "a throttle is left of moves that are over, of orders: eddy cluster reassign --execute --wait\n"
    );
    done(&nodes, "cluster reassign orders:0 --execute --wait");
    assert_eq!(throttles(&nodes), ["topic orders: leader.replication.throttled.replicas 7:1 topic"]);
    says(
        &nodes,
        "cluster reassign --unthrottle",
        expect![[r#"
            OF	KEY	VALUE	OUTCOME
            topic orders	leader.replication.throttled.replicas	7:1	would be removed
        "#]],
        expect![[r#"
            nothing was changed; --execute does it
        "#]],
    );
    done(&nodes, "cluster reassign --unthrottle --execute");
    assert_eq!(throttles(&nodes), [""; 0]);
}
