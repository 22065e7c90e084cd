//! `eddy bench` against a broker.

use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::cli_session::{Done, Session};
use crate::support::{free_port, kill, run, wait_until};

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn report(session: &Session, arguments: &str) -> Value {
    json(&session.out(&format!("bench {arguments} -o json")))
}

/// Whether everything that was acknowledged is there once and in order.
fn is_whole(verified: &Value) -> bool {
    verified["acknowledged"].as_u64().unwrap() > 0
        && ["lost", "duplicates", "out_of_order"].iter().all(|fault| verified[fault] == 0)
}

/// Records of a topic, as another command counts them.
fn count(session: &Session, topic: &str) -> u64 {
    session.out_with(&["consume", topic, "-e", "-f", "%p\n"], b"").lines().count() as u64
}

#[test]
fn every_loop_writes_what_it_reports_and_loses_nothing() {
    let session = Session::start();
    for (name, options) in [
        ("closed", "--in-flight 1 -c 20"),
        ("pipelined", "--in-flight 5 -s 100 --batch-size 1000"),
        ("open", "--rate 2000 -c 3"),
        ("lingering", "--rate 4000 --linger 5ms -s 100"),
    ] {
        let done = report(&session, &format!("produce {name} {options} -p 3 -w 100ms -d 400ms --verify"));
        assert_eq!((&done["ended"], &done["partitions"]), (&Value::from("done"), &Value::from(3)), "{done}");
        assert!(done["records"].as_u64().unwrap() > 0 && done["p99_ms"].as_f64().unwrap() > 0.0, "{done}");
        assert!(is_whole(&done["verified"]), "{done}");
        assert_eq!(done["verified"]["read"].as_u64(), Some(count(&session, name)), "{done}");
    }
}

#[test]
fn an_open_loop_keeps_its_rate() {
    let session = Session::start();
    let done = report(&session, "produce t --rate 500 -c 2 -w 0s -d 2s");
    let records = done["records"].as_u64().unwrap() + done["unsent_records"].as_u64().unwrap();
    assert!((900..=1001).contains(&records), "{done}");
}

#[test]
fn every_codec_and_acknowledgement_writes_a_number_of_records() {
    let session = Session::start();
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let done = report(
            &session,
            &format!(
                "produce {codec} -z {codec} --compressibility 0.5 -n 500 -c 1 -s 100 --batch-size 1000 --verify"
            ),
        );
        assert_eq!((&done["records"], &done["verified"]["read"]), (&500.into(), &500.into()), "{done}");
        assert_eq!(count(&session, codec), 500);
    }
    for acks in ["0", "1", "all"] {
        let done = report(
            &session,
            &format!(
                "produce acks-{acks} --acks {acks} -n 500 -c 5 --in-flight 2 -s 100 --batch-size 100 --verify"
            ),
        );
        assert_eq!((&done["records"], &done["acks"]), (&500.into(), &acks.into()), "{done}");
        assert_eq!(
            (&done["verified"]["sent"], &done["verified"]["read"]),
            (&500.into(), &500.into()),
            "{done}"
        );
    }
}

#[test]
fn records_of_others_in_the_topic_are_no_fault() {
    let session = Session::start();
    report(&session, "produce t -n 100 --verify");
    session.out("produce t hello");
    let done = report(&session, "produce t -n 100 -c 1 --verify");
    assert!(is_whole(&done["verified"]), "{done}");
}

#[test]
fn values_are_the_lines_of_a_file() {
    let session = Session::start();
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("lines");
    fs::write(&file, "one\n\ntwo\n").unwrap();
    session.out(&format!("bench produce t -p 1 -c 1 -n 4 --batch-size 6 -i {}", file.display()));
    assert_eq!(session.out("consume t -e"), "one\ntwo\none\ntwo\n");
}

#[test]
fn consumers_read_what_is_there_or_their_share_of_it() {
    let session = Session::start();
    session.out("bench produce t -p 4 -n 3000 -s 100 --batch-size 1000");
    let there = count(&session, "t");
    for options in ["consume t", "consume t --decode", "consume t -g readers"] {
        let done = report(&session, options);
        assert_eq!(done["records"].as_u64(), Some(there), "{options}: {done}");
        assert!(done["p50_ms"].as_f64().unwrap() > 0.0, "{done}");
    }
    assert_eq!(report(&session, "consume t -c 3")["records"].as_u64(), Some(3 * there));
    assert_eq!(report(&session, "consume t -g readers")["records"], 0, "the group has read everything");
    let again = report(&session, "consume t --repeat -w 0s -d 500ms");
    assert!(again["records"].as_u64().unwrap() > there, "{again}");
    let limited = report(&session, "consume t --rate 1000 -d 1s -w 0s");
    assert!(limited["records"].as_u64().unwrap() < there, "{limited}");
    let some = report(&session, "consume t --repeat -n 7000");
    assert!(some["records"].as_u64().unwrap() >= 7000 && some["ended"] == "done", "{some}");
}

#[test]
fn members_of_a_group_share_a_topic() {
    let session = Session::start();
    session.out("bench produce t -p 4 -n 2000 -s 100");
    let there = count(&session, "t");
    assert_eq!(report(&session, "consume t -c 2 -g both")["records"].as_u64(), Some(there));
}

#[test]
fn records_are_timed_from_producer_to_consumer() {
    let session = Session::start();
    let done = report(&session, "e2e t -p 2 --rate 1000 -w 200ms -d 1s -z lz4");
    assert!(is_whole(&done["verified"]), "{done}");
    let (produce, end_to_end) =
        (done["p50_ms"].as_f64().unwrap(), done["end_to_end"]["p50_ms"].as_f64().unwrap());
    assert!(produce > 0.0 && end_to_end > 0.0 && end_to_end < 5000.0, "{done}");
    let number = report(&session, "e2e t --in-flight 5 -c 2 -n 2000");
    assert_eq!(number["verified"]["acknowledged"].as_u64(), number["verified"]["read"].as_u64(), "{number}");
    assert!(is_whole(&number["verified"]), "{number}");
}

#[test]
fn nobody_listening_is_said_at_once() {
    let address = format!("127.0.0.1:{}", free_port());
    for bench in ["produce", "consume", "e2e"] {
        let began = Instant::now();
        let (code, stdout, stderr) = run(Path::new("."), &["bench", bench, "-b", &address]);
        assert!(began.elapsed() < Duration::from_secs(1), "{bench} took {:?}", began.elapsed());
        assert_eq!((code, stdout.as_str()), (5, ""), "{stderr}");
        assert!(
            stderr.starts_with("error: cannot reach the cluster") && stderr.contains("eddy doctor"),
            "{stderr}"
        );
    }
}

#[test]
fn what_makes_no_sense_is_refused_before_a_broker_is_asked() {
    let address = format!("127.0.0.1:{}", free_port());
    for wrong in [
        "produce -d 0s",
        "produce --rate 0",
        "produce --rate 1e12",
        "produce -s 0",
        "produce -s 99999999999",
        "produce -s 10 --verify",
        "produce --in-flight 4096 -s 1000000",
        "produce --in-flight 1 --linger 5ms",
        "e2e -s 20",
        "e2e -d 0s",
        "consume --rate 0",
        "consume -d 0s",
        "consume --repeat -g g",
    ] {
        let mut arguments: Vec<&str> = vec!["bench"];
        arguments.extend(wrong.split(' '));
        arguments.extend(["-b", &address]);
        let (code, stdout, stderr) = run(Path::new("."), &arguments);
        assert_eq!((code, stdout.as_str()), (2, ""), "{wrong}: {stderr}");
    }
}

#[test]
fn clusters_are_compared_round_by_round() {
    let (ours, theirs) = (Session::start(), Session::start());
    let at = format!("--at ours={} --at theirs={}", ours.address(), theirs.address());
    let load = "--in-flight 1 -s 100 -w 0s -d 100ms --rounds 2";
    let done = run_without_brokers(&format!("compare {at} {load} -o json"));
    assert_eq!(done.code, 0, "{}", done.stderr);
    let compared = json(&done.stdout);
    let rows = compared["rows"].as_array().unwrap();
    let names: Vec<&str> = rows.iter().map(|row| row["figure"].as_str().unwrap()).collect();
    assert_eq!(names, ["records/s", "MB/s", "p50 ms", "p99 ms", "max ms"]);
    for row in rows {
        assert_eq!((&row["name"], &row["other"]), (&Value::from("ours"), &Value::from("theirs")), "{row}");
        let rounds = |key: &str| {
            row[key].as_array().unwrap().iter().filter(|round| round.as_f64() > Some(0.0)).count()
        };
        assert_eq!((rounds("rounds"), rounds("other_rounds")), (2, 2), "{row}");
        let ratio = |key: &str| row[key].as_f64().unwrap();
        assert!(ratio("ratio_low") <= ratio("ratio") && ratio("ratio") <= ratio("ratio_high"), "{row}");
    }
    // The warm-up and two rounds each.
    assert_eq!(
        done.stderr.matches("warm-up").count() + done.stderr.matches("of 2").count(),
        6,
        "{}",
        done.stderr
    );
    for session in [ours, theirs] {
        assert!(count(&session, "bench") > 0);
    }
}

#[test]
fn a_comparison_of_a_cluster_that_is_not_there_says_which() {
    let session = Session::start();
    let dead = format!("127.0.0.1:{}", free_port());
    let at = format!("--at ours={} --at theirs={dead}", session.address());
    let done = run_without_brokers(&format!("compare {at} -w 0s -d 100ms"));
    assert_eq!((done.code, done.stdout.as_str()), (5, "no round was whole\n"), "{}", done.stderr);
    assert!(done.stderr.contains("cannot measure theirs"), "{}", done.stderr);
}

#[test]
fn a_comparison_needs_two_clusters_with_names() {
    let at = "--at ours=127.0.0.1:1";
    for wrong in [
        at.to_owned(),
        format!("{at} {at}"),
        format!("{at} --at 127.0.0.1:2"),
        format!("{at} --at theirs=127.0.0.1:2 --pid others=1"),
        format!("{at} --at theirs=127.0.0.1:2 -b 127.0.0.1:3"),
        format!("{at} --at theirs=127.0.0.1:2 --rounds 0"),
        format!("{at} --at theirs=127.0.0.1:2 -d 0s"),
    ] {
        let done = run_without_brokers(&format!("compare {wrong}"));
        assert_eq!((done.code, done.stdout.as_str()), (2, ""), "{wrong}: {}", done.stderr);
    }
}

/// A bench that names its brokers itself.
fn run_without_brokers(arguments: &str) -> Done {
    let arguments: Vec<&str> = std::iter::once("bench").chain(arguments.split(' ')).collect();
    let (code, stdout, stderr) = run(Path::new("."), &arguments);
    Done { code, stdout, stderr }
}

/// A bench that runs by itself, and was seen to have begun.
fn begin(session: &Session, arguments: &str) -> Child {
    let mut command = session.command(&format!("bench {arguments} -w 0s -d 60s -o json"));
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_until("records of the bench", || {
        let done = session.run("topic describe t -o json");
        done.code == 0 && json(&done.stdout)[0]["records"].as_i64().is_some_and(|records| records > 100)
    });
    child
}

fn end(child: Child) -> Done {
    let began = Instant::now();
    let output = child.wait_with_output().unwrap();
    assert!(began.elapsed() < Duration::from_secs(20), "the end took {:?}", began.elapsed());
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Done { code: output.status.code().unwrap(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

#[test]
fn a_broker_that_dies_leaves_a_report_of_what_was_until_then() {
    for bench in [
        "produce t --in-flight 1",
        "produce t",
        "produce t --rate 3000",
        "produce t --acks 0",
        "e2e t --rate 3000",
    ] {
        let mut session = Session::start();
        let child = begin(&session, bench);
        session.kill();
        let done = end(child);
        assert_eq!(done.code, 5, "{bench}: {}", done.stderr);
        assert!(done.stderr.contains("the report covers"), "{bench}: {}", done.stderr);
        let report = json(&done.stdout);
        assert_eq!(report["ended"], "failed", "{bench}: {report}");
        assert!(report["records"].as_u64().unwrap() > 0, "{bench}: {report}");
        assert!(report["seconds"].as_f64().unwrap() < 30.0, "{bench}: {report}");
    }
}

#[test]
fn a_consumer_whose_broker_dies_reports_too() {
    let mut session = Session::start();
    session.out("bench produce t -n 1000");
    let child = begin(&session, "consume t --repeat");
    wait_until("the consumer", || session.metric("eddy_fetched_bytes_total") > 1e7);
    session.kill();
    let done = end(child);
    assert_eq!(done.code, 5, "{}", done.stderr);
    let report = json(&done.stdout);
    assert!(report["ended"] == "failed" && report["records"].as_u64().unwrap() > 0, "{report}");
}

#[test]
fn a_topic_that_goes_away_ends_the_bench() {
    let session = Session::start();
    let child = begin(&session, "produce t");
    session.out("topic delete t --yes");
    let done = end(child);
    assert_ne!(done.code, 0, "{}", done.stderr);
    assert_eq!(json(&done.stdout)["ended"], "failed");
}

/// Whether a process would notice SIGINT, the second signal, rather than end by it.
fn handles_interrupt(pid: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
    u64::from_str_radix(mask.trim(), 16).unwrap() & 0b10 != 0
}

#[test]
fn an_interrupted_bench_reports_and_ends_well() {
    let session = Session::start();
    for bench in ["produce t --rate 3000 --verify", "e2e t", "consume t --tail"] {
        let child = begin(&session, bench);
        wait_until("a handler of the signal", || handles_interrupt(child.id()));
        kill(child.id(), "INT");
        let done = end(child);
        assert_eq!(done.code, 0, "{bench}: {}", done.stderr);
        let report = json(&done.stdout);
        assert_eq!(report["ended"], "interrupted", "{bench}");
        if let Some(verified) = report.get("verified") {
            assert!(is_whole(verified), "{bench}: {report}");
        }
    }
}

#[test]
fn what_the_broker_refuses_is_told() {
    let session = Session::start();
    session.out("topic create small --set max.message.bytes=200");
    let done = session.run("bench produce small -n 10 -o json");
    assert_eq!(done.code, 1, "{}", done.stderr);
    assert!(done.stderr.contains("MESSAGE_TOO_LARGE"), "{}", done.stderr);
    assert_eq!(json(&done.stdout)["records"], 0);
    let missing = session.run("bench consume nothing-here");
    assert_eq!(missing.code, 4, "{}", missing.stderr);
}
