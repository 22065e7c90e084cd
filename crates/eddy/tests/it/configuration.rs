use std::fs;
use std::path::Path;

use expect_test::expect;

use crate::support::{eddy, finish, run};

#[test]
fn an_unknown_key_stops_the_start_with_line_column_and_suggestion() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("eddy.toml"), "[wal]\nproflie = \"ultra\"\n").unwrap();
    let (code, _, stderr) = run(dir.path(), &["serve", "-c", "eddy.toml"]);
    assert_eq!(code, 78);
    expect![[r#"
        error[ED-1101]: unknown key `wal.proflie`
           ╭─[eddy.toml:2:1]
         2 │ proflie = "ultra"
           · ───┬───
           ·    ╰── did you mean `wal.profile`? (auto, low, medium, high, ultra)
          more: eddy explain ED-1101
    "#]]
    .assert_eq(&stderr);
}

#[test]
fn an_unknown_variable_stops_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let (code, _, stderr) = finish(eddy(dir.path()).arg("serve").env("EDDY_WAL_PROFILE", "low"));
    assert_eq!(code, 78);
    expect![[r#"
        error[ED-1102]: environment: EDDY_WAL_PROFILE sets nothing; did you mean EDDY_WAL__PROFILE?
          more: eddy explain ED-1102
    "#]]
    .assert_eq(&stderr);
}

#[test]
fn a_bad_value_of_a_flag_names_flag_bounds_and_default() {
    let dir = tempfile::tempdir().unwrap();
    let (code, _, stderr) = run(dir.path(), &["serve", "--set", "wal.profile=ultr"]);
    assert_eq!(code, 78);
    expect![[r#"
        error[ED-1103]: `wal.profile` cannot be "ultr": must be one of auto, low, medium, high, ultra
          set by --set wal.profile=ultr
          default auto
          more: eddy explain ED-1103
    "#]]
    .assert_eq(&stderr);
}

#[test]
fn a_bad_log_level_is_a_bad_value() {
    let dir = tempfile::tempdir().unwrap();
    let (code, _, stderr) = run(dir.path(), &["serve", "--log-level", "eddy=loud"]);
    assert_eq!(code, 78);
    assert!(stderr.starts_with("error[ED-1103]: `log.level` cannot be \"eddy=loud\": "), "{stderr}");
}

#[test]
fn a_missing_file_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let (code, _, stderr) = run(dir.path(), &["serve", "-c", "nowhere.toml"]);
    assert_eq!(code, 78);
    expect![[r#"
        error[ED-1104]: cannot read the configuration file nowhere.toml: no such file or directory
          fix: ls -l nowhere.toml   see whether it is there and may be read
          more: eddy explain ED-1104
    "#]]
    .assert_eq(&stderr);
}

#[test]
fn a_file_that_is_not_toml_is_shown_where_it_breaks() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("eddy.toml"), "wal.profile = low\n").unwrap();
    let (code, _, stderr) = run(dir.path(), &["serve", "-c", "eddy.toml"]);
    assert_eq!(code, 78);
    expect![[r#"
        error[ED-1105]: eddy.toml is not TOML
           ╭─[eddy.toml:1:15]
         1 │ wal.profile = low
           ·               ─┬─
           ·                ╰── string values must be quoted, expected literal string
          more: eddy explain ED-1105
    "#]]
    .assert_eq(&stderr);
}

#[test]
fn a_refused_configuration_touches_nothing() {
    let dir = tempfile::tempdir().unwrap();
    run(dir.path(), &["serve", "--set", "x=1"]);
    assert!(!Path::new(&dir.path().join("eddy-data")).exists());
}
