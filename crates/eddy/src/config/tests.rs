use super::*;
use std::path::Path;

/// Loads with a file of this text, these variables and these `--set` flags.
fn load(file: &str, variables: &[(&str, &str)], sets: &[&str]) -> Result<Config, String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("eddy.toml");
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
    resolve(layers, problems).map_err(|failure| shown(&failure, dir.path()))
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
