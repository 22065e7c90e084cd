//! Three processes that are one cluster.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use crate::kafka::Client;
use crate::nodes::Nodes;
use crate::support::wait_until;

/// The id of the cluster that a directory belongs to, when it does.
fn cluster_of(nodes: &Nodes, id: i32) -> Option<String> {
    let text = fs::read_to_string(nodes.data(id).join("meta.json")).ok()?;
    let (_, after) = text.split_once("\"cluster_id\": \"")?;
    Some(after.split('"').next()?.to_owned())
}

#[test]
fn a_cluster_is_founded_whatever_the_order_of_the_starts() {
    let mut nodes = Nodes::new(3);
    nodes.spawn(3);
    let missing = "waiting for the metadata of the cluster; brokers 1 at 127.0.0.1:";
    wait_until("what it waits for", || {
        nodes.readiness(3).is_some_and(|(status, text)| status == 503 && text.contains(missing))
    });
    nodes.spawn(1);
    wait_until("the one that is missing", || {
        nodes
            .readiness(1)
            .is_some_and(|(_, text)| text.contains("; broker 2 at ") && text.contains("is not reached"))
    });
    assert_eq!((cluster_of(&nodes, 1), cluster_of(&nodes, 3)), (None, None), "nobody founds a cluster alone");
    let began = Instant::now();
    nodes.spawn(2);
    for id in 1..=3 {
        nodes.until_ready(id);
    }
    let took = began.elapsed();
    assert!(took < Duration::from_secs(10), "{took:?}");
    let clusters: BTreeSet<_> = (1..=3).map(|id| cluster_of(&nodes, id).unwrap()).collect();
    assert_eq!(clusters.len(), 1);
    for id in 1..=3 {
        let (code, stdout, stderr) = nodes.ask(id, &["cluster", "brokers", "-o", "json"]);
        assert_eq!(code, 0, "{stderr}");
        for broker in 1..=3 {
            assert!(stdout.contains(&format!("\"id\": {broker},")), "{stdout}");
        }
    }
    eprintln!("ready {took:?} after the last of three was started");
}

#[test]
fn what_was_acknowledged_is_there_after_the_leader_is_killed() {
    let mut nodes = Nodes::three();
    nodes.create(2, "orders");
    let mut acknowledged = BTreeSet::new();
    let mut produce = |nodes: &Nodes, round: &str| {
        for number in 0..50 {
            let value = format!("{round}-{number}");
            nodes.produce("orders", &value);
            acknowledged.insert(value);
        }
        acknowledged.clone()
    };
    produce(&nodes, "all");
    let (leader, in_sync) = nodes.leader("orders").unwrap();
    assert_eq!(in_sync, 3);
    nodes.kill(leader);
    let began = Instant::now();
    nodes.produce("orders", "first after the kill");
    let took = began.elapsed();
    let expected = produce(&nodes, "two");
    let read: BTreeSet<_> = nodes.read_all("orders").into_iter().collect();
    assert!(expected.is_subset(&read), "lost: {:?}", expected.difference(&read).collect::<Vec<_>>());

    nodes.start(leader);
    nodes.until_in_sync("orders", 3);
    let expected = produce(&nodes, "again");
    let read: BTreeSet<_> = nodes.read_all("orders").into_iter().collect();
    assert!(expected.is_subset(&read));
    assert!(took < Duration::from_secs(8), "{took:?}");
    eprintln!("first acknowledgement {took:?} after the kill");
}

#[test]
fn a_rolling_restart_loses_nothing_and_hands_leaderships_over() {
    let mut nodes = Nodes::three();
    nodes.create(1, "orders");
    let mut acknowledged = Vec::new();
    for id in 1..=3 {
        for number in 0..10 {
            let value = format!("{id}-{number}");
            nodes.produce("orders", &value);
            acknowledged.push(value);
        }
        let began = Instant::now();
        nodes.stop(id);
        let stopped = began.elapsed();
        // It was handed over before the end: no wait for a session to end.
        let value = format!("{id} is down");
        let began = Instant::now();
        nodes.produce("orders", &value);
        eprintln!("stop {stopped:?}, then acknowledged after {:?}", began.elapsed());
        assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
        acknowledged.push(value);
        nodes.start(id);
        nodes.until_in_sync("orders", 3);
    }
    let read: BTreeSet<_> = nodes.read_all("orders").into_iter().collect();
    for value in acknowledged {
        assert!(read.contains(&value), "{value}");
    }
}

#[test]
fn what_was_acknowledged_is_there_after_all_nodes_are_killed_at_once() {
    let mut nodes = Nodes::three();
    nodes.create(3, "orders");
    let values: Vec<_> = (0..30).map(|number| number.to_string()).collect();
    for value in &values {
        nodes.produce("orders", value);
    }
    for id in 1..=3 {
        nodes.kill(id);
    }
    for id in [2, 3, 1] {
        nodes.spawn(id);
    }
    for id in 1..=3 {
        nodes.until_ready(id);
    }
    nodes.until_in_sync("orders", 3);
    let read: BTreeSet<_> = nodes.read_all("orders").into_iter().collect();
    assert!(values.iter().all(|value| read.contains(value)), "{read:?}");
    nodes.produce("orders", "goes on");
}

#[test]
fn a_node_that_lost_its_disk_comes_back_under_its_id_and_copies_everything() {
    let mut nodes = Nodes::three();
    nodes.create(1, "orders");
    let values: Vec<_> = (0..30).map(|number| number.to_string()).collect();
    for value in &values {
        nodes.produce("orders", value);
    }
    let (lost, _) = nodes.leader("orders").unwrap();
    nodes.kill(lost);
    fs::remove_dir_all(nodes.data(lost)).unwrap();
    nodes.start(lost);
    nodes.until_in_sync("orders", 3);
    // Until it votes in the place of the one that is lost, metadata stands and falls with the other two.
    nodes.until_votes(lost);
    // It can stand in for the others.
    let other = (1..=3).find(|id| *id != lost).unwrap();
    nodes.stop(other);
    nodes.produce("orders", "two of three");
    let read: BTreeSet<_> = nodes.read_all("orders").into_iter().collect();
    assert!(values.iter().all(|value| read.contains(value)), "{read:?}");
    nodes.start(other);
    nodes.until_in_sync("orders", 3);
}

#[test]
fn a_second_node_with_the_same_id_is_refused() {
    let mut nodes = Nodes::new(4);
    for id in 1..=3 {
        nodes.spawn_with(id, &seeds_of_three(&nodes));
    }
    for id in 1..=3 {
        nodes.until_ready(id);
    }
    let settings = [seeds_of_three(&nodes)[0].clone(), "node.id=2".to_owned()];
    nodes.spawn_with(4, &settings);
    let (code, error) = nodes.failure(4);
    assert_eq!(code, Some(1), "{error}");
    assert!(error.starts_with("error[ED-1017]: a broker with this node.id, 2, runs"), "{error}");
    nodes.create(1, "orders");
    nodes.produce("orders", "still there");
}

#[test]
fn a_seed_that_is_wrong_is_named_with_what_is_there_instead() {
    let mut nodes = Nodes::new(3);
    let stranger = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = stranger.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for connection in stranger.incoming() {
            connection.unwrap().write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").ok();
        }
    });
    let own = nodes.internal(1);
    let other = nodes.internal(2);
    nodes.spawn(2);
    // What seed 3 is said to be is broker 2.
    let seeds = format!("cluster.seeds=1@127.0.0.1:{own},2@127.0.0.1:{port},3@127.0.0.1:{other}");
    nodes.spawn_with(1, &[seeds]);
    let stranger = format!("seed 2@127.0.0.1:{port} does not answer: ");
    let swapped = format!("seed 3@127.0.0.1:{other} is broker 2");
    wait_until("both to be named", || nodes.log(1).contains(&stranger) && nodes.log(1).contains(&swapped));
    assert_eq!(cluster_of(&nodes, 1), None, "nobody founds a cluster with seeds that it cannot ask");

    // The right seeds are all it needs.
    nodes.kill(1);
    nodes.spawn(1);
    nodes.spawn(3);
    for id in 1..=3 {
        nodes.until_ready(id);
    }
}

#[test]
fn garbage_at_the_internal_listener_disturbs_nobody() {
    let mut nodes = Nodes::three();
    nodes.create(1, "orders");
    let shapes: [&[u8]; 5] =
        [b"GET / HTTP/1.1\r\n\r\n", &[0; 4096], &[0xff; 4096], &[0x7f, 0xff, 0xff, 0xff, 1, 2, 3], b"x"];
    // Left open, so that the broker has to give each of them up by itself.
    let mut open = Vec::new();
    for round in 0..20 {
        for id in 1..=3 {
            for shape in shapes {
                let mut socket = TcpStream::connect(("127.0.0.1", nodes.internal(id))).unwrap();
                socket.write_all(shape).ok();
                open.push(socket);
            }
        }
        nodes.produce("orders", &round.to_string());
    }
    let read = nodes.read_all("orders");
    assert!((0..20).all(|round| read.contains(&round.to_string())), "{read:?}");
    assert_eq!(nodes.leader("orders").map(|(_, in_sync)| in_sync), Some(3));
    for id in 1..=3 {
        nodes.stop(id);
    }
}

/// The seeds without those that come later.
fn seeds_of_three(nodes: &Nodes) -> [String; 1] {
    let seeds = nodes.seeds();
    [format!("cluster.seeds={}", seeds.split(',').take(3).collect::<Vec<_>>().join(","))]
}

#[test]
fn a_node_with_the_directory_of_another_cluster_is_refused() {
    let mut nodes = Nodes::three();
    let own = cluster_of(&nodes, 3).unwrap();
    nodes.stop(3);
    fs::rename(nodes.data(3), nodes.dir.path().join("aside")).unwrap();
    // A cluster of one, founded by this node alone.
    let seeds = nodes.seeds();
    let alone = format!("cluster.seeds={}", seeds.split(',').nth(2).unwrap());
    nodes.spawn_with(3, &[alone]);
    nodes.until_ready(3);
    assert_ne!(cluster_of(&nodes, 3).unwrap(), own);
    nodes.stop(3);

    nodes.spawn(3);
    let (code, error) = nodes.failure(3);
    assert_eq!(code, Some(1), "{error}");
    assert!(error.contains("error[ED-1018]: the broker at 127.0.0.1:"), "{error}");
    assert!(error.contains("belongs to another cluster"), "{error}");

    fs::remove_dir_all(nodes.data(3)).unwrap();
    fs::rename(nodes.dir.path().join("aside"), nodes.data(3)).unwrap();
    nodes.start(3);
    assert_eq!(cluster_of(&nodes, 3).unwrap(), own);
}

#[test]
fn without_a_majority_reads_go_on_and_changes_are_refused_for_now() {
    let mut nodes = Nodes::three();
    nodes.create(1, "orders");
    for number in 0..10 {
        nodes.produce("orders", &number.to_string());
    }
    let before = nodes.read_all("orders");
    let (leader, _) = nodes.leader("orders").unwrap();
    for id in (1..=3).filter(|id| *id != leader) {
        nodes.kill(id);
    }
    assert_eq!(Client::connect(nodes.kafka(leader)).read_all("orders"), before);
    let (code, _, stderr) = nodes.ask(leader, &["topic", "create", "more", "--timeout", "8s"]);
    assert_ne!(code, 0);
    assert!(
        stderr.contains("REQUEST_TIMED_OUT") || stderr.contains("timed out") || stderr.contains("majority"),
        "{stderr}"
    );
    // Nothing is acknowledged that could be lost.
    let (code, _) = Client::connect(nodes.kafka(leader)).produce("orders", "one of three");
    assert!([6, 7, 19, 20].contains(&code), "{code}");
    let (code, stdout, stderr) = nodes.ask(leader, &["cluster", "health"]);
    assert_ne!(code, 0, "{stdout}");
    assert!(
        stdout.starts_with("UNHEALTHY") && stdout.contains("without a majority of 1,2,3"),
        "{stdout}{stderr}"
    );

    for id in (1..=3).filter(|id| *id != leader) {
        nodes.start(id);
    }
    nodes.until_in_sync("orders", 3);
    nodes.produce("orders", "back");
    let after: BTreeSet<_> = nodes.read_all("orders").into_iter().collect();
    assert!(before.iter().all(|value| after.contains(value)) && after.contains("back"));
}

#[test]
fn the_file_for_three_brokers_starts_three_brokers() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../config/cluster-3.toml");
    let mut nodes = Nodes::new(3);
    nodes.configured_by(file);
    for id in 1..=3 {
        nodes.spawn(id);
    }
    for id in 1..=3 {
        nodes.until_ready(id);
    }
    // What the file says of topics holds: three replicas, two of them for an acknowledgement.
    let (code, _, stderr) = nodes.ask(3, &["topic", "create", "orders", "-p", "1"]);
    assert_eq!(code, 0, "{stderr}");
    nodes.until_in_sync("orders", 3);
    let (leader, _) = nodes.leader("orders").unwrap();
    let follower = (1..=3).find(|id| *id != leader).unwrap();
    nodes.kill(follower);
    nodes.produce("orders", "two of three");
    nodes.kill((1..=3).find(|id| *id != leader && *id != follower).unwrap());
    assert_eq!(nodes.try_produce("orders", "one of three"), None);
}

/// Metrics that stand still while brokers of a cluster come and go, with what would move them.
const STILL: &[(&str, &str)] = &[
    ("eddy_broker_fenced", "seen by a broker that is paused, not by one that is dead"),
    ("eddy_partitions_offline", "three replicas of three would have to be gone"),
    ("eddy_partitions_under_min_isr", "two of three would have to be gone"),
    ("eddy_partitions_reassigning", "a reassignment"),
    ("eddy_isr_proposals", "for milliseconds"),
    ("eddy_replica_fetcher_lag_records", "for milliseconds"),
    ("eddy_replica_fetcher_lag_records_max", "for milliseconds"),
    ("eddy_replica_fetcher_failures_total", "damage on the way"),
    ("eddy_replica_fetcher_truncations_total", "an unclean end with records that nobody else has"),
    ("eddy_replica_fetcher_throttled_bytes_total", "a throttle"),
    ("eddy_replica_session_throttled_bytes_total", "a throttle"),
    ("eddy_replica_session_held", "a throttle"),
];

#[test]
fn the_metrics_of_a_cluster_move_when_brokers_come_and_go() {
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/METRICS.md")).unwrap();
    let rows = page.lines().filter(|line| line.ends_with("| with more than one node |"));
    let documented: Vec<&str> = rows.filter_map(|line| line.split('`').nth(1)).collect();
    assert!(documented.len() > 20, "{documented:?}");

    let mut nodes = Nodes::three();
    nodes.create(1, "orders");
    let mut looks: Vec<BTreeMap<String, f64>> = Vec::new();
    let mut look =
        |nodes: &Nodes| looks.extend(nodes.running().map(|id| nodes.metrics(id)).collect::<Vec<_>>());
    nodes.produce("orders", "one");
    look(&nodes);
    let (leader, _) = nodes.leader("orders").unwrap();
    nodes.kill(leader);
    for value in ["two", "three", "four"] {
        nodes.produce("orders", value);
    }
    nodes.until_in_sync("orders", 2);
    let counted = |nodes: &Nodes, name: &str, label: &str| -> f64 {
        let samples = nodes.running().flat_map(|id| nodes.metrics(id));
        samples
            .filter(|(series, _)| series.starts_with(name) && series.contains(label))
            .map(|(_, value)| value)
            .sum()
    };
    wait_until("the election to be counted", || counted(&nodes, "eddy_elections_total", "failover") >= 1.0);
    look(&nodes);
    nodes.start(leader);
    nodes.until_in_sync("orders", 3);
    nodes.produce("orders", "five");
    let (code, _, stderr) = nodes.ask(1, &["topic", "create", "more", "-p", "6"]);
    assert_eq!(code, 0, "{stderr}");
    wait_until("the return to be counted", || counted(&nodes, "eddy_isr_changes_total", "expand") >= 1.0);
    look(&nodes);
    assert_eq!(counted(&nodes, "eddy_elections_total", "unclean"), 0.0);
    assert_eq!(counted(&nodes, "eddy_controller_active", ""), 1.0);
    let is_controller = |metrics: BTreeMap<String, f64>| {
        metrics.iter().any(|(series, value)| series.starts_with("eddy_controller_active") && *value == 1.0)
    };
    let controller = nodes.running().find(|id| is_controller(nodes.metrics(*id))).unwrap();
    nodes.kill(controller);
    wait_until("another controller", || counted(&nodes, "eddy_controller_active", "") == 1.0);
    nodes.produce("orders", "six");
    look(&nodes);

    for name in documented {
        let values: BTreeSet<_> = looks
            .iter()
            .flatten()
            .filter(|(series, _)| series.split('{').next() == Some(name))
            .map(|(_, value)| value.to_bits())
            .collect();
        let still = STILL.iter().any(|(known, _)| *known == name);
        assert!(!values.is_empty(), "{name} is documented and not exported");
        assert!(still || values.len() > 1, "{name} stands still");
    }
}
