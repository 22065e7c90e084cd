use std::fs;
use std::net::TcpListener;
use std::path::Path;

use expect_test::expect;

use crate::support::{Broker, error_of, free_port, get, run, wait_until};

/// Runs `serve` on free ports; it must fail. Returns the exit code and the error.
fn fails(dir: &Path, arguments: &[&str]) -> (i32, String) {
    let kafka = format!("listeners.kafka=127.0.0.1:{}", free_port());
    let admin = format!("listeners.admin=127.0.0.1:{}", free_port());
    let mut all = vec!["serve", "--set", &kafka, "--set", &admin];
    all.extend(arguments);
    let (code, _, stderr) = run(dir, &all);
    (code, error_of(&stderr).to_owned())
}

/// A marker as another broker would have written it.
fn marker(dir: &Path, node: i32, format: u32, min_reader: &str) {
    let data = dir.join("eddy-data");
    fs::create_dir_all(&data).unwrap();
    let text = format!(
        "{{\"cluster_id\": \"Zq5NZfMiQdmaExb55L_Wjg\", \"node_id\": {node}, \"created_by\": \"0.0.9\", \
         \"created_at\": \"2026-11-21T06:47:02Z\", \"format\": {format}, \"min_reader\": \"{min_reader}\"}}"
    );
    fs::write(data.join("meta.json"), text).unwrap();
}

#[test]
fn a_port_in_use_names_its_holder_and_three_ways_out() {
    let dir = tempfile::tempdir().unwrap();
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = holder.local_addr().unwrap().port();
    let (code, error) = fails(dir.path(), &["--set", &format!("listeners.kafka=127.0.0.1:{port}")]);
    assert_eq!(code, 1);
    let pid = std::process::id().to_string();
    let held = error.lines().find(|line| line.contains("held by")).unwrap();
    assert!(held.starts_with(&format!("  held by pid {pid} (it-")), "{held}");
    let other = port.checked_add(100).unwrap_or(port.wrapping_sub(100)).to_string();
    let error =
        error.replace(held, "  held by HOLDER").replace(&port.to_string(), "PORT").replace(&other, "OTHER");
    let error = error.replace(&pid, "PID");
    let squeezed =
        error.lines().map(|line| line.trim_end().replace("PID   ", "PID ")).collect::<Vec<_>>().join("\n");
    let words = squeezed.split_inclusive('\n').map(squeeze).collect::<String>();
    expect![[r#"
        error[ED-1001]: cannot listen on 127.0.0.1:PORT for the kafka listener: address already in use
          held by HOLDER
          fix: eddy serve --set listeners.kafka=127.0.0.1:OTHER use another port
               eddy up --port OTHER the same, for a local cluster
               kill PID stop the other process
          more: eddy explain ED-1001"#]]
    .assert_eq(&words);
    assert!(!dir.path().join("eddy-data/meta.json").exists(), "a start that fails claims nothing");
}

/// Runs of spaces inside a line depend on the length of numbers: they become one.
fn squeeze(line: &str) -> String {
    let indent = line.len() - line.trim_start().len();
    let (head, tail) = line.split_at(indent);
    let mut out = head.to_owned();
    let words = tail.trim_end().split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>();
    out.push_str(&words.join(" "));
    if line.ends_with('\n') {
        out.push('\n');
    }
    out
}

#[test]
fn two_listeners_on_one_port_are_told_so() {
    let dir = tempfile::tempdir().unwrap();
    let port = free_port();
    let flags = [format!("listeners.kafka=127.0.0.1:{port}"), format!("listeners.admin=127.0.0.1:{port}")];
    let (code, error) = fails(dir.path(), &["--set", &flags[0], "--set", &flags[1]]);
    assert_eq!(code, 1);
    assert!(
        error.contains(
            "for the admin listener: address already in use\n  held by another listener of this broker\n"
        ),
        "{error}"
    );
    assert!(!error.contains("kill"), "{error}");
}

#[test]
fn an_address_that_is_not_of_this_machine_cannot_be_bound() {
    let dir = tempfile::tempdir().unwrap();
    let (code, error) = fails(dir.path(), &["--set", "listeners.kafka=203.0.113.7:9092"]);
    assert_eq!(code, 1);
    expect![[r#"
        error[ED-1002]: cannot listen on 203.0.113.7:9092 for the kafka listener: cannot assign requested address
          fix: eddy serve --set listeners.kafka=127.0.0.1:9092   listen for this machine only
          more: eddy explain ED-1002
    "#]].assert_eq(&error);
}

#[test]
fn a_second_process_on_a_directory_names_the_first() {
    let dir = tempfile::tempdir().unwrap();
    let broker = Broker::start(dir.path(), &[]);
    let (code, error) = fails(dir.path(), &[]);
    assert_eq!(code, 1);
    let pid = broker.child.id().to_string();
    let held = error.lines().find(|line| line.contains("held by")).unwrap();
    assert!(held.starts_with(&format!("  held by pid {pid} (eddy serve --set listeners.kafka=")), "{held}");
    let error = error.replace(held, "  held by HOLDER").replace(&pid, "PID");
    let words = error.split_inclusive('\n').map(squeeze).collect::<String>();
    expect![[r#"
        error[ED-1012]: the data directory ./eddy-data is used by another process
          held by HOLDER
          fix: kill PID stop the other process
               eddy serve --data-dir DIR use another directory
          more: eddy explain ED-1012
    "#]]
    .assert_eq(&words);
    assert!(get(broker.admin, "/ready").is_some_and(|(status, _)| status == 200), "the first goes on");
}

#[test]
fn the_directory_of_another_node_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    marker(dir.path(), 3, 1, "0.1.0");
    let (code, error) = fails(dir.path(), &[]);
    assert_eq!(code, 1);
    expect![[r#"
        error[ED-1013]: the data directory ./eddy-data belongs to node 3, not to node 1
          made by eddy 0.0.9 at 2026-11-21T06:47:02Z; nothing was changed
          fix: eddy serve --set node.id=3   run as the node of the directory
               eddy serve --data-dir DIR    use the directory of node 1
          more: eddy explain ED-1013
    "#]]
    .assert_eq(&error);
}

#[test]
fn the_directory_of_a_newer_version_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    marker(dir.path(), 1, 7, "2.5.0");
    let before = fs::read(dir.path().join("eddy-data/meta.json")).unwrap();
    let (code, error) = fails(dir.path(), &[]);
    assert_eq!(code, 1);
    expect![[r#"
        error[ED-1011]: the data directory ./eddy-data was written by a newer version of eddy
          format 7 needs eddy 2.5.0 or newer; this is eddy VERSION, which reads format 1
          nothing was changed
          fix: eddy serve --data-dir DIR   use another directory
          more: eddy explain ED-1011
    "#]]
    .assert_eq(&error.replace(env!("CARGO_PKG_VERSION"), "VERSION"));
    assert_eq!(fs::read(dir.path().join("eddy-data/meta.json")).unwrap(), before);
}

#[test]
fn a_marker_that_makes_no_sense_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("eddy-data")).unwrap();
    fs::write(dir.path().join("eddy-data/meta.json"), "{}").unwrap();
    let (code, error) = fails(dir.path(), &[]);
    assert_eq!(code, 1);
    expect![[r#"
        error[ED-1015]: cannot read the marker ./eddy-data/meta.json: missing field `format` at line 1 column 2
          nothing was changed
          fix: eddy serve --data-dir DIR   use another directory
          more: eddy explain ED-1015
    "#]].assert_eq(&error);
}

#[test]
fn a_data_directory_that_is_a_file_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("taken"), "").unwrap();
    let (code, error) = fails(dir.path(), &["--data-dir", "taken"]);
    assert_eq!(code, 1);
    expect![[r#"
        error[ED-1014]: cannot use the data directory taken: file exists
          fix: eddy serve --data-dir DIR   use another directory
          more: eddy explain ED-1014
    "#]]
    .assert_eq(&error);
}

#[test]
fn sigterm_and_ctrl_c_stop_cleanly() {
    for signal in ["TERM", "INT"] {
        let dir = tempfile::tempdir().unwrap();
        let mut broker = Broker::start(dir.path(), &[]);
        let pid_file = dir.path().join("eddy-data/eddy.pid");
        assert_eq!(fs::read_to_string(&pid_file).unwrap().trim(), broker.child.id().to_string());
        broker.signal(signal);
        assert_eq!(broker.exit_code(), Some(0), "{signal}");
        assert!(!pid_file.exists());
        assert!(get(broker.admin, "/live").is_none());
    }
}

#[test]
fn a_broker_outlives_a_hangup() {
    let dir = tempfile::tempdir().unwrap();
    let mut broker = Broker::start(dir.path(), &[]);
    broker.signal("HUP");
    wait_until("an answer", || get(broker.admin, "/ready").is_some_and(|(status, _)| status == 200));
    broker.signal("TERM");
    assert_eq!(broker.exit_code(), Some(0));
}

#[test]
fn the_cluster_id_is_made_once_and_kept() {
    let dir = tempfile::tempdir().unwrap();
    let id = || {
        let mut broker = Broker::start(dir.path(), &[]);
        let text = fs::read_to_string(dir.path().join("eddy-data/meta.json")).unwrap();
        broker.signal("TERM");
        assert_eq!(broker.exit_code(), Some(0));
        text
    };
    let first = id();
    assert!(first.contains("\"cluster_id\": \"") && first.contains("\"min_reader\": \"0.1.0\""), "{first}");
    assert_eq!(id(), first);
}

#[test]
fn a_directory_is_free_again_after_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let mut broker = Broker::start(dir.path(), &[]);
    broker.signal("KILL");
    assert_eq!(broker.exit_code(), None);
    let again = Broker::start(dir.path(), &[]);
    assert_ne!(again.kafka, 0);
}

#[test]
fn in_json_the_log_has_the_error_too() {
    let dir = tempfile::tempdir().unwrap();
    marker(dir.path(), 3, 1, "0.1.0");
    let (_, _, stderr) = run(dir.path(), &["serve", "--log-format", "json"]);
    let logged = stderr.lines().find(|line| line.contains("\"ERROR\"")).unwrap();
    assert!(logged.starts_with('{') && logged.contains("\"code\":\"ED-1013\""), "{logged}");
    assert!(stderr.ends_with("more: eddy explain ED-1013\n"), "{stderr}");
}

#[test]
fn metrics_have_the_process_and_the_build() {
    let dir = tempfile::tempdir().unwrap();
    let broker = Broker::start(dir.path(), &[]);
    let (status, body) = get(broker.admin, "/metrics").unwrap();
    assert_eq!(status, 200);
    for name in
        ["process_resident_memory_bytes", "process_cpu_seconds_total", "process_open_fds", "eddy_build_info{"]
    {
        assert!(body.lines().any(|line| line.starts_with(name)), "{name} in {body}");
    }
}
