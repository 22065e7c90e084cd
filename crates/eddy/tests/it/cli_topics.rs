//! `eddy topic` against a broker.

use expect_test::expect;

use crate::cli_session::Session;

#[test]
fn a_topic_lives_from_create_to_delete() {
    let session = Session::start();
    let created = session.out("topic create orders -p 3 -r 1 --set retention.ms=86400000");
    assert_eq!(created, "NAME\tPARTITIONS\tREPLICAS\tOUTCOME\norders\t3\t1\tcreated\n");
    session.out_with(&["produce", "orders", "-p", "1"], b"one\ntwo\n");
    expect![[r#"
        orders   3 partitions · rf 1 · min.isr 1 · 2 records · 81 bytes
        P	LEADER	REPLICAS	ISR	START	END	SIZE
        0	1	1	1	0	0	0
        1	1	1	1	0	2	81
        2	1	1	1	0	0	0
        overridden: retention.ms=86400000 (1d00h)
    "#]]
    .assert_eq(&session.out("topic describe orders"));
    let altered = session.out("topic alter orders --set retention.ms=1000 --set cleanup.policy=compact");
    assert!(altered.contains("orders\tretention.ms\t86400000\t1000\n"), "{altered}");
    let altered = session.out("topic alter orders --unset retention.ms -p 4");
    assert!(altered.contains("orders\tpartitions\t3\t4\n"), "{altered}");
    assert!(session.out("topic ls").contains("orders\t4\t1\tok\n"));
    let gone = session.out("topic delete ord* --yes");
    assert_eq!(gone, "NAME\tPARTITIONS\tOUTCOME\norders\t4\tdeleted\n");
    assert_eq!(session.out("topic ls -o jsonl"), "");
}

#[test]
fn mistakes_say_what_to_do_and_have_their_exit_codes() {
    let session = Session::start();
    session.out("topic create orders");
    let again = session.run("topic create orders");
    assert_eq!((again.code, again.stdout.as_str()), (1, ""));
    assert!(again.stderr.starts_with("error: cannot create topic orders: TOPIC_ALREADY_EXISTS (36)\n"));
    assert!(again.stderr.ends_with("more: eddy explain TOPIC_ALREADY_EXISTS\n"), "{}", again.stderr);
    assert!(session.out("topic create orders --if-not-exists").ends_with("\texists\n"));

    let unknown = session.run("topic describe ordres");
    assert_eq!(unknown.code, 4);
    assert!(unknown.stderr.contains("did you mean orders?"), "{}", unknown.stderr);

    let key = session.run("topic alter orders --set retention.sm=1");
    assert_eq!(key.code, 1);
    assert!(key.stderr.contains("did you mean retention.ms"), "{}", key.stderr);

    let unconfirmed = session.run("topic delete orders");
    assert_eq!(unconfirmed.code, 2);
    assert!(unconfirmed.stderr.contains("fix: --yes"), "{}", unconfirmed.stderr);
    assert!(session.out("topic ls").contains("orders"), "deleted without being confirmed");
}

#[test]
fn a_broker_that_refuses_connections_fails_at_once() {
    let dir = tempfile::TempDir::new().unwrap();
    let address = format!("127.0.0.1:{}", crate::support::free_port());
    let started = std::time::Instant::now();
    let (code, stdout, stderr) = crate::support::run(dir.path(), &["topic", "ls", "-b", &address]);
    assert!(started.elapsed().as_secs() < 5, "took {:?}", started.elapsed());
    assert_eq!((code, stdout.as_str()), (5, ""));
    let expected = format!("error: cannot reach the cluster at {address}\n  {address}: connection refused\n");
    assert!(stderr.starts_with(&expected), "{stderr}");
    assert!(stderr.contains(&format!("eddy doctor -b {address}")), "{stderr}");
}

#[test]
fn a_trim_deletes_what_is_below() {
    let session = Session::start();
    session.out("topic create orders -p 1");
    session.out_with(&["produce", "orders"], b"a\nb\nc\nd\n");
    let planned = session.run("topic trim orders --keep 1 --dry-run");
    assert!(planned.stdout.ends_with("orders\t0\t0\t3\t4\t3\n"), "{}", planned.stdout);
    assert_eq!(session.out("consume orders -e"), "a\nb\nc\nd\n", "a dry run deletes nothing");
    session.out("topic trim orders --before 2 --yes");
    assert_eq!(session.out("consume orders -e"), "c\nd\n");
    session.out("topic trim orders --before @now --yes");
    assert_eq!(session.out("consume orders -e"), "");
}

#[test]
fn results_come_in_every_form() {
    let session = Session::start();
    session.out("topic create orders -p 2");
    let one = |form: &str| session.out(&format!("topic ls -o {form}"));
    assert!(one("json").starts_with("[\n  {\n    \"name\": \"orders\",\n"));
    assert!(one("jsonl").starts_with("{\"name\":\"orders\","));
    assert!(one("yaml").starts_with("- name: orders\n"));
    assert!(one("wide").starts_with("NAME\tPARTITIONS\tREPLICAS\tSTATE\tID\tINTERNAL\n"));
    let page = session.out("topic describe orders -o json");
    assert!(page.contains("\"key\": \"retention.ms\"") && page.contains("\"leader_epoch\""), "{page}");
}
