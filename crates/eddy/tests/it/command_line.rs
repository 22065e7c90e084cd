use std::path::Path;
use std::time::{Duration, Instant};

use expect_test::expect;

use crate::support::run;

#[test]
fn help_names_every_command() {
    let (code, stdout, stderr) = run(Path::new("."), &["--help"]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    expect![[r#"
        A Kafka-protocol broker in one binary.

        Usage: eddy <COMMAND>

        Commands:
          serve     Run one broker in the foreground
          up        Start a local cluster, one process per node
          down      Stop a local cluster; its data is kept
          config    Show and change configuration
          produce   Write records to a topic
          consume   Print records of topics
          tail      Print the last records of topics, and what comes after them
          search    Find records by what is in them, in topics with search.enable=true
          topic     List, create, describe, alter and delete topics
          group     List, describe, explain, move and delete groups of consumers
          cluster   Show health, brokers and quorum of the cluster; move leaders and replicas
          bench     Measure a cluster under load: rates, latencies, loss
          doctor    Find out whether this machine can work with a cluster, and what is in the way
          explain   Say what an error code means and what to do
          profile   List, choose, add and change profiles of clusters
          generate  Print shell completions or manual pages
          help      Print this message or the help of the given subcommand(s)

        Options:
          -h, --help     Print help
          -V, --version  Print version

        First steps: eddy up, then point any Kafka client at 127.0.0.1:9092.
    "#]]
    .assert_eq(&stdout);
}

#[test]
fn help_of_each_command() {
    let (_, serve, _) = run(Path::new("."), &["serve", "--help"]);
    expect![[r#"
        Run one broker in the foreground

        Usage: eddy serve [OPTIONS]

        Options:
          -c, --config <FILE>        Configuration file: TOML, or Kafka's *.properties
              --data-dir <DIR>       Directory of the broker's data [default: ./eddy-data]
              --set <KEY=VALUE>      Set a configuration key; goes before environment and file
              --log-format <FORMAT>  Form of the log on stderr: text, json
              --log-level <LEVEL>    What is logged: error, warn, info, debug, trace, or by target such as
                                     info,eddy_wal=debug
          -h, --help                 Print help
    "#]]
    .assert_eq(&serve);
    let (_, up, _) = run(Path::new("."), &["up", "--help"]);
    expect![[r#"
        Start a local cluster, one process per node

        Usage: eddy up [OPTIONS]

        Options:
              --nodes <N>         Number of nodes: 1, 3 or 5 [default: as before, else 1]
              --dir <DIR>         Directory of the cluster; node I keeps its data in DIR/node-I [default:
                                  ./eddy-data]
              --port <P>          Kafka port of node 1; node I listens on the (I-1)th after it [default: as
                                  before, else 9092]
              --admin-port <P>    HTTP port of node 1; node I listens on the (I-1)th after it [default: as
                                  before, else 9644]
              --cluster-port <P>  Port of node 1 for the other nodes; node I as above [default: as before,
                                  else 9344]
              --profile <NAME>    Profile of the write-ahead log: low, medium, high, ultra [default: by
                                  memory]
              --set <KEY=VALUE>   Set a configuration key on every node
              --detach            Return when the cluster is healthy, and leave it running
              --fresh             Delete the cluster's data first
          -h, --help              Print help
    "#]]
    .assert_eq(&up);
    let (_, down, _) = run(Path::new("."), &["down", "--help"]);
    expect![[r#"
        Stop a local cluster; its data is kept

        Usage: eddy down [OPTIONS]

        Options:
              --dir <DIR>  Directory of the cluster [default: ./eddy-data]
          -h, --help       Print help
    "#]]
    .assert_eq(&down);
}

#[test]
fn help_is_there_in_no_time() {
    let fastest = (0..5).map(|_| {
        let began = Instant::now();
        run(Path::new("."), &["--help"]);
        began.elapsed()
    });
    // Unoptimised, and on a machine that compiles something else meanwhile, it takes longer.
    let limit = if cfg!(debug_assertions) { 100 } else { 20 };
    assert!(fastest.min().unwrap() < Duration::from_millis(limit));
}

#[test]
fn the_version_is_that_of_the_package() {
    let (code, stdout, _) = run(Path::new("."), &["--version"]);
    assert_eq!((code, stdout), (0, format!("eddy {}\n", env!("CARGO_PKG_VERSION"))));
}

#[test]
fn wrong_usage_exits_with_2() {
    for arguments in [&[][..], &["sevre"], &["serve", "--set", "novalue"], &["up", "--nodes", "x"]] {
        assert_eq!(run(Path::new("."), arguments).0, 2, "{arguments:?}");
    }
}

#[test]
fn a_code_of_ours_is_explained() {
    let (code, stdout, _) = run(Path::new("."), &["explain", "ED-1001"]);
    assert_eq!(code, 0);
    expect![[r#"
        ED-1001: the listener's port is in use

        A listener must be bound before the broker touches its data. Another process listens on
        the same address and port.

        Causes
          - Another Kafka or Eddyline broker runs on this machine.
          - An earlier broker has not ended yet.
          - Two listeners of this broker have the same port.

        What to do
          - eddy serve --set listeners.kafka=127.0.0.1:9192 (or listeners.admin) uses another
            port.
          - eddy up --port 9192 --admin-port 9744 runs the local cluster on other ports.
          - eddy down stops a local cluster; kill <pid> stops the process that the message names.

        Exit code of the process: 1
    "#]]
    .assert_eq(&stdout);
}

#[test]
fn a_code_of_kafka_is_explained_by_name_and_by_number() {
    let (code, by_name, _) = run(Path::new("."), &["explain", "NOT_LEADER_OR_FOLLOWER"]);
    assert_eq!(code, 0);
    assert_eq!(run(Path::new("."), &["explain", "6"]).1, by_name);
    expect![[r#"
        NOT_LEADER_OR_FOLLOWER(6): an error code of the Kafka protocol

        The broker is not the leader, or not a replica, of the partition.

        Retriable: a client tries again by itself, after refreshing its metadata where that helps.

        What to do
          - Nothing: the client refreshes its metadata and goes to the new leader.
          - If it repeats: eddy doctor checks that the addresses which brokers advertise lead to
            those brokers.
    "#]]
    .assert_eq(&by_name);
    assert!(run(Path::new("."), &["explain", "-1"]).1.starts_with("UNKNOWN_SERVER_ERROR(-1)"));
}

#[test]
fn every_code_of_a_search_is_explained() {
    for number in 4501..=4510 {
        let (code, stdout, _) = run(Path::new("."), &["explain", &format!("ED-{number}")]);
        assert_eq!(code, 0);
        assert!(stdout.starts_with(&format!("ED-{number}: ")), "{stdout}");
    }
}

#[test]
fn an_unknown_code_is_not_found() {
    let (code, stdout, stderr) = run(Path::new("."), &["explain", "ED-9999"]);
    assert_eq!((code, stdout.as_str()), (4, ""));
    expect![[r#"
        error: no such code: ED-9999
          fix: eddy explain --all   list every code
    "#]]
    .assert_eq(&stderr);
}
