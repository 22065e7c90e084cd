//! What was acknowledged is there after any end of the process.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use expect_test::expect;

use crate::kafka::Client;
use crate::support::{Broker, error_of, free_port, get, run};

#[test]
fn acknowledged_records_survive_a_kill_and_a_clean_stop() {
    let dir = tempfile::tempdir().unwrap();
    let mut expected = Vec::new();
    for (round, signal) in ["KILL", "TERM", "KILL", "TERM"].into_iter().enumerate() {
        let mut broker = Broker::start(dir.path(), &["--set", "wal.profile=low"]);
        let mut client = Client::connect(broker.kafka);
        client.create("orders");
        assert_eq!(client.read_all("orders"), expected, "round {round}");
        for record in 0..3 {
            let value = format!("{round}-{record}");
            assert_eq!(client.produce("orders", &value), (0, expected.len() as i64));
            expected.push(value);
        }
        broker.signal(signal);
        broker.exit_code();
    }
}

#[test]
fn clients_are_told_the_address_they_reached_unless_one_is_configured() {
    let dir = tempfile::tempdir().unwrap();
    let broker = Broker::start(dir.path(), &["--set", "wal.profile=low"]);
    let told = |broker: &Broker| {
        let metadata = Client::connect(broker.kafka).metadata("t");
        (metadata.brokers[0].host.to_string(), metadata.brokers[0].port)
    };
    assert_eq!(told(&broker), ("127.0.0.1".to_owned(), i32::from(broker.kafka)));
    drop(broker);
    let broker = Broker::start(dir.path(), &["--set", "listeners.advertised=broker.example:19092"]);
    assert_eq!(told(&broker), ("broker.example".to_owned(), 19092));
}

#[test]
fn produced_records_are_counted_and_every_metric_says_whose_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let broker = Broker::start(dir.path(), &["--set", "wal.profile=low"]);
    let mut client = Client::connect(broker.kafka);
    client.create("orders");
    assert_eq!(client.produce("orders", "one"), (0, 0));
    let (_, body) = get(broker.admin, "/metrics").unwrap();
    let sample = |name: &str| {
        let line = body
            .lines()
            .find(|line| line.starts_with(&format!("{name}{{")))
            .unwrap_or_else(|| panic!("no {name}"));
        line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()
    };
    assert_eq!(sample("eddy_wal_queue_limit_records"), 2500.0);
    assert!(sample("eddy_wal_fsync_seconds_count") >= 1.0);
    assert!(sample("eddy_disk_free_bytes") > 0.0);
    assert_eq!(sample("eddy_backpressure_state"), 0.0);
    assert_eq!(sample("eddy_produced_records_total"), 1.0);
    for (name, value) in
        [("eddy_topic_records", 1.0), ("eddy_log_end_offset", 1.0), ("eddy_log_start_offset", 0.0)]
    {
        assert_eq!(sample(name), value, "{name}");
    }
    assert!(sample("eddy_topic_last_append_timestamp_seconds") > 1.7e9);
    for line in body.lines().filter(|line| line.starts_with("eddy_")) {
        assert!(line.contains("{cluster=\"") && line.contains("\",broker=\"1\""), "{line}");
    }
    let mut families: Vec<_> = body.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
    let count = families.len();
    families.sort_unstable();
    families.dedup();
    assert_eq!(families.len(), count, "a metric is registered twice");
}

#[test]
fn the_metadata_of_another_cluster_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut broker = Broker::start(dir.path(), &["--set", "wal.profile=low"]);
    broker.signal("TERM");
    broker.exit_code();
    let marker = dir.path().join("eddy-data/meta.json");
    let text = fs::read_to_string(&marker).unwrap();
    let own = text.split('"').nth(3).unwrap().to_owned();
    fs::write(&marker, text.replace(&own, "Zq5NZfMiQdmaExb55L_Wjg")).unwrap();

    let ports = [
        format!("listeners.kafka=127.0.0.1:{}", free_port()),
        format!("listeners.admin=127.0.0.1:{}", free_port()),
    ];
    let (code, _, stderr) =
        run(dir.path(), &["serve", "--set", &ports[0], "--set", &ports[1], "--set", "wal.profile=low"]);
    assert_eq!(code, 1);
    let error: String = error_of(&stderr)
        .lines()
        .map(|line| line.split(" at 20").next().unwrap().replace(&own, "OWN") + "\n")
        .collect();
    expect![[r#"
        error[ED-1010]: the data directory ./eddy-data holds the metadata of another cluster
          marker Zq5NZfMiQdmaExb55L_Wjg, metadata OWN
          made by eddy 0.1.0
          fix: eddy serve --data-dir DIR   use another directory
          more: eddy explain ED-1010
    "#]]
    .assert_eq(&error);
}

#[test]
fn a_damaged_write_ahead_log_is_refused_and_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    // Without a checkpoint, which would make the log before it irrelevant.
    let settings = ["--set", "wal.profile=low", "--set", "log.checkpoint.interval=1h"];
    let mut broker = Broker::start(dir.path(), &settings);
    let mut client = Client::connect(broker.kafka);
    client.create("orders");
    for value in ["first-record", "second-record", "third-record"] {
        assert_eq!(client.produce("orders", value).0, 0);
    }
    broker.signal("KILL");
    broker.exit_code();

    let (file, before) = flip(&dir.path().join("eddy-data/wal"), b"second-record");
    let ports = [
        format!("listeners.kafka=127.0.0.1:{}", free_port()),
        format!("listeners.admin=127.0.0.1:{}", free_port()),
    ];
    let (code, _, stderr) =
        run(dir.path(), &["serve", "--set", &ports[0], "--set", &ports[1], "--set", "wal.profile=low"]);
    assert_eq!(code, 1);
    let error = error_of(&stderr).replace(file.file_name().unwrap().to_str().unwrap(), "FILE");
    let error = without_numbers_after(&error, "at byte ");
    expect![[r#"
        error[ED-1205]: write-ahead log is damaged in ./eddy-data/wal/FILE at byte N, and whole groups follow in ./eddy-data/wal/FILE at byte N; nothing was changed: restore the file from a copy, or, when other brokers hold this broker's partitions, move its data directory aside and let it copy them again
          fix: cp -a ./eddy-data COPY   keep what is there before anything is tried
          more: eddy explain ED-1205
    "#]].assert_eq(&error);
    assert_eq!(fs::read(&file).unwrap(), before, "nothing is changed");
}

/// Where a group lies depends on what was committed with it.
fn without_numbers_after(text: &str, words: &str) -> String {
    let mut parts = text.split(words);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out.push_str(words);
        out.push('N');
        out.push_str(part.trim_start_matches(|c: char| c.is_ascii_digit()));
    }
    out
}

/// Inverts the first byte of `text` in the file of a directory that holds it; returns the file and its new contents.
fn flip(dir: &Path, text: &[u8]) -> (PathBuf, Vec<u8>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let mut bytes = fs::read(&path).unwrap();
        if let Some(at) = bytes.windows(text.len()).position(|window| window == text) {
            bytes[at] ^= 0xff;
            let file = fs::File::options().write(true).open(&path).unwrap();
            file.write_all_at(&bytes[at..=at], at as u64).unwrap();
            return (path, bytes);
        }
    }
    panic!("no file in {} holds the text", dir.display());
}
