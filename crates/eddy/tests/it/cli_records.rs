//! `eddy produce`, `consume` and `tail` against a broker.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::Stdio;

use crate::cli_session::Session;

/// Records with everything that text does not have.
const RECORDS: &str = concat!(
    r#"{"partition":0,"timestamp":1795243622123,"key":"k","value":"v","headers":[{"key":"a","value":"1"},{"key":"a","value":null}]}"#,
    "\n",
    r#"{"partition":1,"timestamp":5,"key":null,"value":null,"headers":[]}"#,
    "\n",
    r#"{"partition":1,"timestamp":6,"key_base64":"/wA=","value_base64":"gP8=","headers":[{"key":"","value_base64":"/w=="}]}"#,
    "\n",
    r#"{"partition":2,"timestamp":7,"key":"","value":"","headers":[]}"#,
    "\n",
    r#"{"partition":2,"timestamp":3,"key":"\n\t\"\\","value":"\u0000 ü 🦀","headers":[]}"#,
    "\n",
);

/// The lines without the offsets, which are the broker's, in the order of partitions.
fn without_offsets(lines: &str) -> Vec<String> {
    let mut lines: Vec<String> = lines
        .lines()
        .map(|line| {
            let (before, rest) = line.split_once("\"offset\":").unwrap();
            let (_, after) = rest.split_once(',').unwrap();
            format!("{before}{after}").replace("\"topic\":\"copy\"", "\"topic\":\"orders\"")
        })
        .collect();
    lines.sort_by_key(|line| line.split_once("\"partition\":").map(|(_, rest)| rest.chars().next()));
    lines
}

#[test]
fn what_consume_prints_produce_writes_again_without_loss() {
    let session = Session::start();
    session.out("topic create orders copy -p 3");
    session.out_with(&["produce", "orders", "--jsonl"], RECORDS.as_bytes());
    let printed = session.out("consume orders -e --jsonl");
    assert_eq!(without_offsets(&printed).concat().matches("\"topic\":\"orders\",").count(), 5, "{printed}");
    let expected: Vec<String> =
        RECORDS.lines().map(|line| line.replacen('{', "{\"topic\":\"orders\",", 1)).collect();
    assert_eq!(without_offsets(&printed), expected);

    session.out_with(&["produce", "copy", "--jsonl", "-z", "zstd"], printed.as_bytes());
    let copied = session.out("consume copy -e -o jsonl");
    assert_eq!(without_offsets(&copied), expected);
}

#[test]
fn lines_keys_headers_and_values_are_written() {
    let session = Session::start();
    session.out("topic create orders -p 1");
    session.out_with(&["produce", "orders"], b"one\ntwo");
    session.out_with(&["produce", "orders", "-K", ":", "-Z", "-H", "a=1"], b"k1:v1\nk2:\n");
    session.out("produce orders -k key hello world");
    session.out_with(&["produce", "orders", "-f", r"%V{big16}%v"], b"\0\x03a\nb\0\x01c");
    let printed = session.out_with(&["consume", "orders", "-e", "-f", r"%o %k=%v{json} [%h]\n"], b"");
    assert_eq!(
        printed,
        concat!(
            "0 =\"one\" []\n1 =\"two\" []\n2 k1=\"v1\" [a=1]\n3 k2=null [a=1]\n4 key=\"hello\" []\n5 key=\"world\" []\n",
            "6 =\"a\\nb\" []\n7 =\"c\" []\n",
        )
    );
}

#[test]
fn ranges_limits_and_filters_choose_records() {
    let session = Session::start();
    session.out("topic create orders -p 1");
    let lines: String = (0..50).map(|number| format!("{}:value {number}\n", number % 5)).collect();
    session.out_with(&["produce", "orders", "-K", ":"], lines.as_bytes());
    let numbers = |arguments: &str| session.out(arguments).replace("value ", "").replace('\n', " ");
    assert_eq!(numbers("consume orders -O -3 -e"), "47 48 49 ");
    assert_eq!(numbers("consume orders -O +2:5"), "2 3 4 ");
    assert_eq!(numbers("consume orders -O 10 -n 2"), "10 11 ");
    assert_eq!(numbers("consume orders -O @-1h:end -n 1"), "0 ");
    assert_eq!(numbers("consume orders -O @2026-01-01:1h"), "");
    assert_eq!(numbers("consume orders -e --key 3 --value *4?"), "43 48 ");
    assert_eq!(numbers("tail orders -n 2 -e"), "48 49 ");
    assert_eq!(numbers("tail orders -n 3 -e --key 0"), "35 40 45 ");
}

#[test]
fn every_codec_can_be_written_and_read() {
    let session = Session::start();
    session.out("topic create orders -p 1");
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        session.out_with(&["produce", "orders", "-z", codec], b"some value\n");
    }
    let printed = session.out_with(&["consume", "orders", "-e", "-f", r"%a\n"], b"");
    assert_eq!(printed, "uncompressed\ngzip\nsnappy\nlz4\nzstd\n");
}

#[test]
fn many_records_arrive_once_and_in_the_order_of_their_partition() {
    let session = Session::start();
    session.out("topic create orders -p 4");
    let lines: String = (0..20_000).map(|number| format!("{}:{number:05}\n", number % 100)).collect();
    session.out_with(&["produce", "orders", "-K", ":", "--batch-bytes", "5000"], lines.as_bytes());
    let printed = session.out_with(&["consume", "orders", "-e", "-f", r"%p %v\n"], b"");
    let mut last = [""; 4];
    let mut count = 0;
    for line in printed.lines() {
        let (partition, value) = line.split_once(' ').unwrap();
        let last = &mut last[partition.parse::<usize>().unwrap()];
        assert!(*last < value, "{value} came after {last}");
        *last = value;
        count += 1;
    }
    assert_eq!(count, 20_000);
}

#[test]
fn a_record_that_cannot_be_read_is_named() {
    let session = Session::start();
    session.out("topic create orders -p 1");
    let refused = session.run_with(&["produce", "orders", "--jsonl"], b"{\"value\":\"a\"}\n{\"vlaue\":1}\n");
    assert_eq!(refused.code, 1);
    assert!(
        refused.stderr.starts_with("error: cannot read record 2 of the input: unknown field"),
        "{}",
        refused.stderr
    );
    let unknown = session.run("produce ordres x");
    assert_eq!(unknown.code, 4);
    assert!(unknown.stderr.contains("eddy topic create ordres"), "{}", unknown.stderr);
    let large = vec![b'x'; 2 << 20];
    let too_large = session.run_with(&["produce", "orders", "-f", "%v"], &large);
    assert_eq!(too_large.code, 1);
    assert!(too_large.stderr.contains("MESSAGE_TOO_LARGE (10)"), "{}", too_large.stderr);
    assert!(too_large.stderr.contains("--batch-bytes"), "{}", too_large.stderr);
}

#[test]
fn a_group_goes_on_where_it_stopped() {
    let session = Session::start();
    session.out("topic create orders -p 2");
    let lines: String = (0..10).map(|number| format!("value {number}\n")).collect();
    session.out_with(&["produce", "orders", "-p", "1"], lines.as_bytes());
    assert_eq!(session.out("consume orders -g billing -n 3"), "value 0\nvalue 1\nvalue 2\n");
    let rest = session.run("consume orders -g billing -e");
    assert_eq!(rest.stdout.lines().count(), 7, "{}", rest.stderr);
    assert!(rest.stdout.starts_with("value 3\n"), "{}", rest.stdout);
    assert_eq!(session.out("consume orders -g billing -e"), "");
    assert_eq!(session.out("consume orders -g other -e").lines().count(), 10);
}

#[test]
fn a_broker_that_dies_and_comes_back_costs_nothing() {
    let mut session = Session::start();
    session.out("topic create orders -p 1");
    let mut produce =
        session.command("produce orders").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let mut consume = session.command("consume orders -n 200").stdout(Stdio::piped()).spawn().unwrap();
    let mut input = produce.stdin.take().unwrap();
    for number in 0..100 {
        writeln!(input, "value {number}").unwrap();
    }
    // Both are connected when the first record has come through.
    let mut output = BufReader::new(consume.stdout.take().unwrap());
    let mut printed = String::new();
    output.read_line(&mut printed).unwrap();
    session.kill_and_restart();
    for number in 100..200 {
        writeln!(input, "value {number}").unwrap();
    }
    drop(input);
    assert!(produce.wait().unwrap().success());
    let expected: String = (0..200).map(|number| format!("value {number}\n")).collect();
    output.read_to_string(&mut printed).unwrap();
    assert_eq!(printed, expected);
    assert!(consume.wait().unwrap().success());
    assert_eq!(session.out("consume orders -e"), expected);
}
