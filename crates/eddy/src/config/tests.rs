use super::*;
use std::path::Path;

/// Loads with a file of this text, these variables and these `--set` flags.
fn load(file: &str, variables: &[(&str, &str)], sets: &[&str]) -> Result<Config, String> {
    load_named("eddy.toml", file, variables, sets)
}

fn load_named(name: &str, file: &str, variables: &[(&str, &str)], sets: &[&str]) -> Result<Config, String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    std::fs::write(&path, file).unwrap();
    let mut problems = Vec::new();
    let file = layers::of_file(&path, &mut problems);
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let set = |text: &&str| Setting {
        name: text.split_once('=').unwrap().0.to_owned(),
        value: text.split_once('=').unwrap().1.to_owned(),
        place: Place::Flag(format!("--set {text}")),
    };
    let layers = [file, layers::of_environment(variables), sets.iter().map(set).collect()];
    examine(layers, problems).into_config().map_err(|failure| shown(&failure, dir.path()))
}

fn shown(failure: &Failure, dir: &Path) -> String {
    failure.to_string().replace(&format!("{}/", dir.display()), "")
}

#[test]
fn a_flag_goes_before_the_environment_before_the_file_before_the_default() {
    let file = "wal.profile = \"low\"\nnum.partitions = 2\nlog.level = \"warn\"\n";
    let variables = [("EDDY_WAL__PROFILE", "medium"), ("EDDY_NUM__PARTITIONS", "3")];
    let config = load(file, &variables, &["wal.profile=high", "wal.profile=ultra"]).unwrap().broker;
    assert_eq!(config.wal_profile, "ultra");
    assert_eq!(config.num_partitions, 3);
    assert_eq!(config.log_level, "warn");
    assert_eq!(config.node_id, 1);
}

#[test]
fn names_of_kafka_set_our_keys_and_harmless_ones_are_told() {
    let config =
        load("broker.id = 7\nnum.io.threads = 8\n", &[], &["listeners=PLAINTEXT://127.0.0.1:1"]).unwrap();
    assert_eq!(config.broker.node_id, 7);
    assert_eq!(config.broker.listeners_kafka.to_string(), "127.0.0.1:1");
    assert_eq!(config.ignored.len(), 1);
    assert_eq!(config.ignored[0].0, "num.io.threads");
}

#[test]
fn everything_wrong_is_said_at_once_and_where_it_stands() {
    let file = "node.id = -4\n\n[wal]\nproflie = \"ultra\"\n";
    let error =
        load(file, &[("EDDY_WAL_PROFILE", "low"), ("EDDY_X", "1")], &["num.partition=3", "log.format=yaml"]);
    expect_test::expect![[r#"
        error[ED-1103]: `node.id` cannot be "-4"
           ╭─[eddy.toml:1:11]
         1 │ node.id = -4
           ·           ┬─
           ·           ╰── must be at least 0
        error[ED-1101]: unknown key `wal.proflie`
           ╭─[eddy.toml:4:1]
         4 │ proflie = "ultra"
           · ───┬───
           ·    ╰── did you mean `wal.profile`? (auto, low, medium, high, ultra)
        error[ED-1102]: environment: EDDY_WAL_PROFILE sets nothing; did you mean EDDY_WAL__PROFILE?
        error[ED-1102]: environment: EDDY_X sets nothing
        error[ED-1101]: unknown key `num.partition` in --set num.partition=3
          fix: eddy serve --set num.partitions=3   did you mean `num.partitions`?
        error[ED-1103]: `log.format` cannot be "yaml": must be one of text, json
          set by --set log.format=yaml
          default text
        6 errors
          more: eddy explain ED-1101
                eddy explain ED-1102
                eddy explain ED-1103
    "#]]
    .assert_eq(&error.unwrap_err());
}

#[test]
fn the_key_of_a_topic_leads_to_the_one_that_sets_its_default() {
    let error = load("", &[], &["retention.ms=1000"]).unwrap_err();
    assert!(
        error.contains(
            "eddy serve --set log.retention.ms=1000   is set per topic; its default is `log.retention.ms`"
        ),
        "{error}"
    );
}

#[test]
fn two_names_of_one_key_in_a_file_must_agree() {
    assert_eq!(load("broker.id = 3\nnode.id = 3\n", &[], &[]).unwrap().broker.node_id, 3);
    let error = load("broker.id = 3\nnode.id = 4\n", &[], &[]).unwrap_err();
    assert!(error.starts_with("error[ED-1106]: `broker.id` and `node.id` are the same key\n"), "{error}");
    assert!(error.contains("[eddy.toml:2:1]") && error.contains("set at eddy.toml:1 already"), "{error}");
}

/// What the archive of Kafka 4.3 has as `config/server.properties`, without its comments.
const KRAFT: &str = "\
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=localhost:9093
listeners=PLAINTEXT://:9092,CONTROLLER://:9093
inter.broker.listener.name=PLAINTEXT
advertised.listeners=PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL
num.network.threads=3
num.io.threads=8
socket.send.buffer.bytes=102400
socket.receive.buffer.bytes=102400
socket.request.max.bytes=104857600
log.dirs=/tmp/kraft-combined-logs
num.partitions=1
num.recovery.threads.per.data.dir=1
offsets.topic.replication.factor=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
log.retention.hours=168
log.segment.bytes=1073741824
log.retention.check.interval.ms=300000
";

/// What a properties file of this text says, problems and all.
fn properties(text: &str) -> Examined {
    examine([properties::of_text("server.properties", text), Vec::new(), Vec::new()], Vec::new())
}

#[test]
fn the_file_that_kafka_ships_with_is_converted() {
    let examined = properties(KRAFT);
    assert!(examined.problems.is_empty(), "{:?}", examined.problems);
    expect_test::expect![[r##"
        # From server.properties.

        node.id = 1
        listeners.kafka = "0.0.0.0:9092"  # listeners
        listeners.advertised = "localhost:9092"  # advertised.listeners
        socket.request.max.bytes = 104857600
        data.dir = "/tmp/kraft-combined-logs"  # log.dirs
        num.partitions = 1
        offsets.topic.replication.factor = 1
        log.retention.hours = 168
        log.segment.bytes = 1073741824
        log.retention.check.interval.ms = 300000

        # Left out, because it changes nothing here:
        #   process.roles = broker,controller
        #     the metadata group is part of every broker and keeps its own members and timing
        #   controller.quorum.bootstrap.servers = localhost:9093
        #     the metadata group is part of every broker and keeps its own members and timing
        #   inter.broker.listener.name = PLAINTEXT
        #     brokers use cluster.listen among themselves
        #   controller.listener.names = CONTROLLER
        #     the metadata group is part of every broker and keeps its own members and timing
        #   listener.security.protocol.map = CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL
        #     brokers use cluster.listen among themselves
        #   num.network.threads = 3
        #     the runtime sizes its own threads
        #   num.io.threads = 8
        #     the runtime sizes its own threads
        #   socket.send.buffer.bytes = 102400
        #     the kernel sizes socket buffers, and peers are dialled with fixed timeouts
        #   socket.receive.buffer.bytes = 102400
        #     the kernel sizes socket buffers, and peers are dialled with fixed timeouts
        #   num.recovery.threads.per.data.dir = 1
        #     the runtime sizes its own threads
        #   share.coordinator.state.topic.replication.factor = 1
        #     share groups are not served
        #   share.coordinator.state.topic.min.isr = 1
        #     share groups are not served
        #   transaction.state.log.replication.factor = 1
        #     transactions are not served
        #   transaction.state.log.min.isr = 1
        #     transactions are not served
    "##]].assert_eq(&convert::convert("server.properties", &examined));
    expect_test::expect![[r#"
          harmless  process.roles: the metadata group is part of every broker and keeps its own members and timing
          mapped    node.id = 1
          harmless  controller.quorum.bootstrap.servers: the metadata group is part of every broker and keeps its own members and timing
          mapped    listeners -> listeners.kafka = 0.0.0.0:9092
          harmless  inter.broker.listener.name: brokers use cluster.listen among themselves
          mapped    advertised.listeners -> listeners.advertised = localhost:9092
          harmless  controller.listener.names: the metadata group is part of every broker and keeps its own members and timing
          harmless  listener.security.protocol.map: brokers use cluster.listen among themselves
          harmless  num.network.threads: the runtime sizes its own threads
          harmless  num.io.threads: the runtime sizes its own threads
          harmless  socket.send.buffer.bytes: the kernel sizes socket buffers, and peers are dialled with fixed timeouts
          harmless  socket.receive.buffer.bytes: the kernel sizes socket buffers, and peers are dialled with fixed timeouts
          mapped    socket.request.max.bytes = 104857600
          mapped    log.dirs -> data.dir = /tmp/kraft-combined-logs
          mapped    num.partitions = 1
          harmless  num.recovery.threads.per.data.dir: the runtime sizes its own threads
          mapped    offsets.topic.replication.factor = 1
          harmless  share.coordinator.state.topic.replication.factor: share groups are not served
          harmless  share.coordinator.state.topic.min.isr: share groups are not served
          harmless  transaction.state.log.replication.factor: transactions are not served
          harmless  transaction.state.log.min.isr: transactions are not served
          mapped    log.retention.hours = 168
          mapped    log.segment.bytes = 1073741824
          mapped    log.retention.check.interval.ms = 300000
        server.properties: 10 mapped, 14 harmless, 0 in the way
    "#]].assert_eq(&convert::report("server.properties", &examined));
    let config = load_named("server.properties", KRAFT, &[], &[]).unwrap();
    assert_eq!(config.broker.listeners_kafka.to_string(), "0.0.0.0:9092");
    assert_eq!(config.broker.advertised().to_string(), "localhost:9092");
    // The converted file says the same.
    let again = load(&convert::convert("server.properties", &examined), &[], &[]).unwrap();
    assert_eq!(again.broker, config.broker);
}

#[test]
fn a_file_that_asks_for_security_does_not_start_a_broker() {
    let secure = "\
node.id=1
listeners=SASL_SSL://:9093
ssl.keystore.location=/etc/kafka/k.jks
sasl.enabled.mechanisms=SCRAM-SHA-512
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:admin
num.partitons=3
controller.quorum.bootstrap.servers=a:9093,b:9093,c:9093
";
    let error = load_named("server.properties", secure, &[], &[]).unwrap_err();
    expect_test::expect![[r#"
        error[ED-1103]: `listeners` cannot be "SASL_SSL://:9093"
           ╭─[server.properties:2:11]
         2 │ listeners=SASL_SSL://:9093
           ·           ───────┬────────
           ·                  ╰── listener SASL_SSL asks for SASL_SSL; clients do not authenticate
        error[ED-1107]: `ssl.keystore.location` is not supported
           ╭─[server.properties:3:1]
         3 │ ssl.keystore.location=/etc/kafka/k.jks
           · ──────────┬──────────
           ·           ╰── connections are not encrypted
        error[ED-1107]: `sasl.enabled.mechanisms` is not supported
           ╭─[server.properties:4:1]
         4 │ sasl.enabled.mechanisms=SCRAM-SHA-512
           · ───────────┬───────────
           ·            ╰── clients do not authenticate
        error[ED-1107]: `authorizer.class.name` is not supported
           ╭─[server.properties:5:1]
         5 │ authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
           · ──────────┬──────────
           ·           ╰── there is no authorizer: every client may do everything
        error[ED-1107]: `super.users` is not supported
           ╭─[server.properties:6:1]
         6 │ super.users=User:admin
           · ─────┬─────
           ·      ╰── there is no authorizer: every client may do everything
        error[ED-1101]: unknown key `num.partitons`
           ╭─[server.properties:7:1]
         7 │ num.partitons=3
           · ──────┬──────
           ·       ╰── did you mean `num.partitions`?
        error[ED-1107]: `controller.quorum.bootstrap.servers` is not supported
           ╭─[server.properties:8:1]
         8 │ controller.quorum.bootstrap.servers=a:9093,b:9093,c:9093
           · ─────────────────┬─────────────────
           ·                  ╰── it does not say which broker is where: set cluster.seeds
        7 errors
          more: eddy explain ED-1101
                eddy explain ED-1103
                eddy explain ED-1107
    "#]]
    .assert_eq(&error);
    for set in ["ssl.keystore.location=/k", "listener.security.protocol.map=PLAINTEXT:SSL"] {
        assert!(load("", &[], &[set]).unwrap_err().contains("connections are not encrypted"), "{set}");
    }
    let variable = load("", &[("EDDY_AUTHORIZER__CLASS__NAME", "x")], &[]).unwrap_err();
    assert!(variable.contains("ED-1107") && variable.contains("EDDY_AUTHORIZER__CLASS__NAME"), "{variable}");
}

#[test]
fn a_file_for_a_node_of_several_of_kafka_is_one_for_a_node_of_several() {
    let text = "process.roles=broker,controller\nnode.id=2\ncontroller.quorum.voters=1@a:9093,2@b:9093,3@c:9093\n\
        listeners=PLAINTEXT://:9092,CONTROLLER://:9093\nadvertised.listeners=PLAINTEXT://b:9092\n\
        controller.listener.names=CONTROLLER\n\
        listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT\n";
    let broker = load_named("server.properties", text, &[], &[]).unwrap().broker;
    let seeds: Vec<_> = broker.cluster_seeds.iter().map(ToString::to_string).collect();
    assert_eq!(seeds, ["1@a:9093", "2@b:9093", "3@c:9093"]);
    assert_eq!(broker.cluster_listen.as_ref().unwrap().to_string(), "0.0.0.0:9093");
    assert_eq!(broker.advertised_to_brokers().unwrap().to_string(), "b:9093");
    // Another address may be said with our own key.
    let other = load_named("server.properties", text, &[], &["cluster.listen=10.0.0.1:7"]).unwrap().broker;
    assert_eq!(other.cluster_listen.unwrap().to_string(), "10.0.0.1:7");
    // Without encryption nobody is to believe that there is.
    let secure = text.replace("CONTROLLER:PLAINTEXT", "CONTROLLER:SSL");
    let error = load_named("server.properties", &secure, &[], &[]).unwrap_err();
    assert!(error.contains("listener CONTROLLER asks for SSL; connections are not encrypted"), "{error}");
}

#[test]
fn what_is_wrong_with_seeds_is_shown_where_it_stands() {
    let error =
        load("[cluster]\nlisten = \":9094\"\nseeds = [\"1@a:9094\", \"1@b:9094\"]\n", &[], &[]).unwrap_err();
    expect_test::expect![[r#"
        error[ED-1103]: `cluster.seeds` cannot be "1@a:9094,1@b:9094"
           ╭─[eddy.toml:3:9]
         3 │ seeds = ["1@a:9094", "1@b:9094"]
           ·         ───────────┬────────────
           ·                    ╰── names broker 1 twice
          more: eddy explain ED-1103
    "#]]
    .assert_eq(&error);
    let error = load("", &[], &["cluster.seeds=1@a:9094,2@b:9094"]).unwrap_err();
    expect_test::expect![[r#"
        error[ED-1108]: cluster.seeds needs cluster.listen: without it no other broker reaches this one
          more: eddy explain ED-1108
    "#]]
    .assert_eq(&error);
}

#[test]
fn values_that_do_not_go_together_stop_the_start() {
    let error = load("", &[], &["group.min.session.timeout.ms=1h"]).unwrap_err();
    assert!(
        error.starts_with(
            "error[ED-1108]: group.min.session.timeout.ms (3600000) must not be above \
             group.max.session.timeout.ms (1800000)\n"
        ),
        "{error}"
    );
}

#[test]
fn what_is_in_force_is_shown_with_where_it_comes_from() {
    let file =
        layers::of_text("eddy.toml", "num.partitions = 2\n[wal]\nprofile = \"high\"\n", &mut Vec::new());
    let variables = [("EDDY_WAL__PROFILE".to_owned(), "ultra".to_owned())];
    let flag = |text: &str| Setting::of_flag(&crate::args::assignment(text).unwrap());
    let flags = vec![flag("log.dirs=/data"), flag("num.io.threads=9"), flag("num.partitions=1")];
    let examined = examine([file, layers::of_environment(variables), flags], Vec::new());
    let shown = show::show(&examined, show::Shown { sources: true, non_default: true });
    expect_test::expect![[r#"
        data.dir = "/data"     # --set log.dirs=/data
        wal.profile = "ultra"  # env EDDY_WAL__PROFILE (eddy.toml:3 says "high")
        num.io.threads = 9     # --set num.io.threads=9; changes nothing: the runtime sizes its own threads
    "#]]
    .assert_eq(&shown);
    let all = show::show(&examined, show::Shown { sources: true, non_default: false });
    assert!(all.contains("\nlog.retention.hours = 168 ") && all.contains("# default\n"), "{all}");
    assert!(!all.contains("num.network.threads"), "{all}");
    // What is shown without sources is a file that says the same.
    let plain = show::show(&examined, show::Shown { sources: false, non_default: false });
    let again = load(&plain, &[], &[]).unwrap();
    assert_eq!(again.broker, BrokerConfig::from_static(&examined.fixed));
}
