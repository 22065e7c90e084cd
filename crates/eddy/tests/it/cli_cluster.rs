//! `eddy cluster`, `config`, `doctor` and `explain` against a broker.

use std::io::Write;
use std::net::TcpListener;
use std::path::Path;
use std::time::{Duration, Instant};

use expect_test::expect;
use tempfile::TempDir;

use crate::cli_session::Session;
use crate::support::{eddy, finish, free_port, run};

#[test]
fn a_new_broker_is_healthy_and_says_so_in_every_form() {
    let session = Session::start();
    session.out("topic create orders -p 3");
    let text = session.out("cluster health --wait --disk-warn 101 --disk-bad 101");
    assert!(text.starts_with("HEALTHY  1 broker serving      controller 1"), "{text}");
    assert!(text.contains("ok all partitions have a leader"), "{text}");
    let json = session.out("cluster health -o json --disk-warn 101 --disk-bad 101");
    assert!(json.contains("\"status\": \"healthy\""), "{json}");
    let prometheus = session.out("cluster health --as prometheus --disk-warn 101 --disk-bad 101");
    assert!(prometheus.contains("\neddy_cluster_healthy 1\n"), "{prometheus}");
    let nagios = session.out("cluster health --as nagios --disk-warn 101 --disk-bad 101");
    assert!(nagios.starts_with("KAFKA OK - 1 broker serving | brokers=1 unreachable=0 "), "{nagios}");
}

#[test]
fn a_topic_short_of_replicas_is_degraded_with_exit_code_3() {
    let session = Session::start();
    // What a broker on its own cannot keep is set afterwards: the topic then needs more replicas than it has.
    session.out("topic create orders");
    session.out("config set topic orders min.insync.replicas=2");
    let health = session.run("cluster health");
    assert_eq!((health.code, health.stderr.as_str()), (3, ""), "{}", health.stdout);
    assert!(
        health.stdout.starts_with("UNHEALTHY  1 partition below min.insync.replicas"),
        "{}",
        health.stdout
    );
    assert_eq!(session.run("cluster health --as nagios").code, 2);
}

#[test]
fn waiting_for_a_cluster_that_is_not_there_ends_at_its_deadline() {
    let address = format!("127.0.0.1:{}", free_port());
    let began = Instant::now();
    let (code, stdout, stderr) =
        run(Path::new("."), &["cluster", "health", "--wait", "--timeout", "500ms", "-b", &address]);
    assert_eq!((code, stdout.as_str()), (5, ""), "{stderr}");
    assert!((Duration::from_millis(200)..Duration::from_secs(5)).contains(&began.elapsed()));
}

#[test]
fn brokers_and_info_are_those_of_the_cluster() {
    let session = Session::start();
    session.out("topic create orders -p 2");
    let brokers = session.out("cluster brokers");
    assert!(brokers.contains(&format!("1\t{}\t-\tok\t2\t2\t0\t", session.address())), "{brokers}");
    let info = session.out("cluster info -o json");
    assert!(info.contains("\"topics\": 1") && info.contains("\"partitions\": 2"), "{info}");
}

#[test]
fn a_setting_is_set_shown_compared_and_unset() {
    let session = Session::start();
    session.out("topic create orders");
    session.out("topic create returns");
    let set = session.out("config set topic orders retention.ms=86400000 cleanup.policy=compact");
    expect![[r#"
        KEY	BEFORE	AFTER
        retention.ms	604800000 (7d00h)	86400000 (1d00h)
        cleanup.policy	delete	compact
    "#]]
    .assert_eq(&set);
    let get = session.out("config get topic orders retention.ms -o jsonl");
    assert!(get.starts_with(r#"{"key":"retention.ms","value":"86400000","source":"topic""#), "{get}");
    expect![[r#"
        KEY	THIS	OTHER
        cleanup.policy	compact	delete
        retention.ms	86400000 (1d00h)	604800000 (7d00h)
    "#]]
    .assert_eq(&session.out("config diff topic orders returns"));
    session.out("config unset topic orders retention.ms cleanup.policy");
    assert_eq!(session.out("config get topic orders -o jsonl"), "");
}

#[test]
fn mistakes_in_settings_change_nothing() {
    let session = Session::start();
    session.out("topic create orders");
    let unknown = session.run("config get topic orders retention.m");
    assert_eq!(unknown.code, 4);
    assert!(unknown.stderr.contains("did you mean retention.ms?"), "{}", unknown.stderr);
    let bad = session.run("config set topic orders retention.ms=soon");
    assert_eq!(bad.code, 1);
    assert!(bad.stderr.contains("INVALID_CONFIG (40)"), "{}", bad.stderr);
    let began = Instant::now();
    assert_eq!(session.run("config get topic nothere").code, 4);
    assert!(began.elapsed() < Duration::from_secs(10), "waited for a topic that does not exist");
    assert_eq!(session.run("config get broker one").code, 2);
    session.out("config set topic orders retention.ms=1 --dry-run");
    assert_eq!(session.out("config get topic orders -o jsonl"), "");
}

#[test]
fn a_doctor_finds_nothing_wrong_with_a_good_broker() {
    let session = Session::start();
    let checks = session.out("doctor --canary");
    for line in ["ok    tcp", "ok    kafka", "ok    metadata", "ok    advertised", "ok    canary"] {
        assert!(checks.contains(line), "{line}: {checks}");
    }
    assert_eq!(session.out("topic ls -o jsonl"), "", "the canary's topic is deleted");
    let json = session.out("doctor -o json");
    assert!(json.starts_with("{\n  \"ok\": true,\n"), "{json}");
}

#[test]
fn a_doctor_says_what_is_wrong_and_what_to_do() {
    let closed = free_port();
    let (code, stdout, _) = run(Path::new("."), &["doctor", "-b", &format!("127.0.0.1:{closed}")]);
    assert_eq!(code, 3);
    assert!(stdout.contains("FAIL  tcp         127.0.0.1"), "{stdout}");
    assert!(stdout.ends_with("more: eddy explain ED-3003\n"), "{stdout}");

    let web = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = web.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in web.incoming() {
            stream.unwrap().write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").ok();
        }
    });
    let (code, stdout, _) = run(Path::new("."), &["doctor", "-b", &address]);
    assert_eq!(code, 3);
    assert!(stdout.contains("speaks HTTP: it is not a Kafka listener"), "{stdout}");
}

#[test]
fn codes_are_explained_in_every_form_and_typing_errors_guessed() {
    let here = Path::new(".");
    let (code, page, _) = run(here, &["explain", "27", "-o", "json"]);
    assert_eq!(code, 0);
    assert!(page.contains("\"code\": \"REBALANCE_IN_PROGRESS\""), "{page}");
    assert_eq!(run(here, &["explain", "RebalanceInProgressException", "-o", "json"]).1, page);
    let (code, _, stderr) = run(here, &["explain", "REBALANCE_IN_PROGRES"]);
    assert_eq!(code, 4);
    assert!(stderr.contains("did you mean REBALANCE_IN_PROGRESS?"), "{stderr}");
    let (_, all, _) = run(here, &["explain", "--all"]);
    assert!(all.contains("ED-3002\t") && all.contains("CONTROLLER_ID_NOT_REGISTERED\t136\t"), "{all}");
}

/// Runs a command with its own home; returns exit code, stdout and stderr.
fn at_home(home: &Path, arguments: &str) -> (i32, String, String) {
    let mut command = eddy(home);
    command.env("XDG_CONFIG_HOME", home).args(arguments.split(' '));
    finish(&mut command)
}

#[test]
fn profiles_are_added_chosen_and_obeyed() {
    let session = Session::start();
    let home = TempDir::new().unwrap();
    let at_home = |arguments: &str| at_home(home.path(), arguments);
    let address = session.address();
    assert_eq!(at_home(&format!("profile add prod -b {address} --read-only")).0, 0);
    assert_eq!(at_home(&format!("profile add dev -b {address}")).0, 0);
    assert_eq!(at_home("profile prompt").1, "prod(ro)\n");

    let (code, _, stderr) = at_home("topic create orders");
    assert_eq!(code, 2);
    assert!(stderr.starts_with("error: the profile is for reading only"), "{stderr}");
    assert_eq!(at_home("config set topic orders retention.ms=1").0, 2);
    assert_eq!(at_home("group seek g --to latest --execute").0, 2);
    assert_eq!(at_home("doctor --canary").0, 2);
    assert_eq!(at_home("topic ls").0, 0);

    assert_eq!(at_home("topic create orders --profile dev").0, 0);
    assert_eq!(at_home("profile use dev").0, 0);
    assert_eq!(at_home("config set topic orders retention.ms=1").0, 0);
    assert_eq!(at_home("profile -").0, 0);
    assert_eq!(at_home("profile prompt").1, "prod(ro)\n");
    assert_eq!(at_home("topic ls --profile nothere").0, 4);
    assert_eq!(at_home("profile delete prod").0, 0);
    assert!(!at_home("profile ls").1.contains("prod"));
}

#[test]
fn a_profile_file_with_a_mistake_is_refused_with_its_place() {
    let home = TempDir::new().unwrap();
    std::fs::create_dir(home.path().join("eddy")).unwrap();
    std::fs::write(home.path().join("eddy/profiles.toml"), "curent = \"a\"\n").unwrap();
    let (code, _, stderr) = at_home(home.path(), "topic ls");
    assert_eq!(code, 78);
    assert!(stderr.contains("profiles.toml") && stderr.contains("unknown field `curent`"), "{stderr}");
    assert_eq!(at_home(home.path(), "explain 6").0, 0, "what asks nobody needs no profile");
}

#[test]
fn completions_and_manual_pages_know_every_command() {
    let here = Path::new(".");
    for shell in ["bash", "zsh", "fish", "powershell"] {
        let (code, script, _) = run(here, &["generate", "completions", shell]);
        assert_eq!(code, 0, "{shell}");
        assert!(
            script.contains("explain") && script.contains("serve") && script.contains("health"),
            "{shell}"
        );
        assert_eq!(run(here, &["completions", shell]).1, script, "{shell}");
    }
    let dir = TempDir::new().unwrap();
    let (code, _, stderr) = run(dir.path(), &["generate", "man", "--dir", "man"]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    for page in ["eddy.1", "eddy-serve.1", "eddy-group-seek.1", "eddy-config-get.1"] {
        let text = std::fs::read_to_string(dir.path().join("man").join(page)).unwrap();
        assert!(text.contains(".SH SYNOPSIS"), "{page}: {text}");
    }
}
