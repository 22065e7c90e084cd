use super::tree::{Crate, Source, code_of};
use super::*;

/// A crate of a name, a floor, dependencies and one source file.
fn krate(name: &str, floor: &str, dependencies: &[&str], code: &str) -> Crate {
    let lines: String = dependencies.iter().map(|name| format!("{name}.workspace = true\n")).collect();
    let manifest =
        format!("[package]\nname = \"{name}\"\n[package.metadata]\nfloor = {floor}\n[dependencies]\n{lines}");
    let source = Source { path: format!("{name}/src/lib.rs").into(), code: code_of(code) };
    Crate::parse(&manifest, vec![source]).unwrap()
}

fn violations(crates: Vec<Crate>) -> Vec<String> {
    check(&Tree { crates }).iter().map(ToString::to_string).collect()
}

#[test]
fn this_repository_keeps_its_floors() {
    let tree = Tree::read(&crate::workspace()).unwrap();
    assert!(tree.crates.len() >= 14, "{} crates found", tree.crates.len());
    assert!(tree.crates.iter().all(|one| !one.sources.is_empty()));
    let violations = check(&tree);
    assert!(violations.is_empty(), "{}", violations.iter().map(|one| format!("{one}\n")).collect::<String>());
}

#[test]
fn a_crate_may_only_depend_on_lower_floors() {
    let tree = || vec![krate("low", "0", &[], ""), krate("tool", "\"T\"", &["top"], "")];
    let with = |one: Crate| violations(tree().into_iter().chain([one]).collect());
    assert_eq!(with(krate("top", "1", &["low", "serde"], "")), [""; 0]);
    assert_eq!(
        with(krate("top", "0", &["low"], "")),
        ["top: floor 0 may not depend on low, which is on floor 0"]
    );
    assert_eq!(with(krate("top", "7", &["tool"], "")), ["top: tool is for tests and development only"]);
}

#[test]
fn every_kind_of_dependency_but_those_for_tests_counts() {
    for section in ["dependencies", "build-dependencies", "target.'cfg(unix)'.dependencies"] {
        let manifest = format!(
            "[package]\nname = \"a\"\nmetadata.floor = 1\n[{section}]\nb = {{ package = \"up\", path = \"\" }}\n"
        );
        let one = Crate::parse(&manifest, Vec::new()).unwrap();
        assert_eq!(violations(vec![one, krate("up", "2", &[], "")]).len(), 1, "{section}");
    }
    let manifest = "[package]\nname = \"a\"\nmetadata.floor = 1\n[dev-dependencies]\nup.workspace = true\n";
    let tree = Tree { crates: vec![Crate::parse(manifest, Vec::new()).unwrap(), krate("up", "2", &[], "")] };
    assert_eq!(check(&tree), []);
    assert_eq!(tree.dev_dependencies(), ["a: for tests, up"]);
}

#[test]
fn a_crate_without_a_floor_is_refused() {
    for metadata in ["", "metadata.floor = \"top\"\n", "metadata.floor = -1\n"] {
        assert!(
            Crate::parse(&format!("[package]\nname = \"a\"\n{metadata}"), Vec::new()).is_err(),
            "{metadata}"
        );
    }
}

#[test]
fn reserved_words_are_found_where_they_stand() {
    let cases = [
        ("eddy-log", "use std::fs::File;", "files are opened"),
        ("eddy-log", "let f = File::open(path)?;", "files are opened"),
        ("eddy-engine", "use openraft::Raft;", "consensus library"),
        ("eddy-gateway", "let home = std::env::var(\"HOME\");", "read by the binary"),
        ("eddy-engine", "use eddy_wire::Reader;", "stay in the gateway"),
        ("eddy-coordinator", "use eddy_wire::messages::heartbeat;", "only the codec of what it stores"),
        ("eddy-core", "let now = Instant::now();", "this crate is pure"),
    ];
    for (name, line, why) in cases {
        let found = violations(vec![krate(name, "3", &[], &format!("//! Doc.\n\n{line}\n"))]);
        assert_eq!(found.len(), 1, "{line}: {found:?}");
        assert!(
            found[0].starts_with(&format!("{name}/src/lib.rs:3: ")) && found[0].contains(why),
            "{found:?}"
        );
    }
}

#[test]
fn those_a_word_is_reserved_to_may_use_it() {
    for (name, line) in [
        ("eddy-disk", "use std::fs::File;"),
        ("eddy-quorum", "use openraft::Raft;"),
        ("eddy", "std::env::var(\"X\")"),
        ("eddy-gateway", "use eddy_wire::Reader;"),
        ("eddy-coordinator", "use eddy_wire::stored;"),
        ("eddy-engine", "let now = Instant::now();"),
        ("eddy-engine", "use my_openraft_like::x; SegmentFile::open(x); env::variable"),
    ] {
        assert_eq!(violations(vec![krate(name, "3", &[], line)]), [""; 0], "{name}: {line}");
    }
}

#[test]
fn comments_and_tests_may_say_anything() {
    let code = "// std::fs\nfn f() {} // openraft\n#[cfg(test)]\nmod tests {\n    use std::fs;\n}\n";
    assert_eq!(violations(vec![krate("eddy-log", "3", &[], code)]), [""; 0]);
    let helper = "#[cfg(test)]\nmod fixture;\nuse std::fs;\n";
    assert_eq!(violations(vec![krate("eddy-log", "3", &[], helper)]).len(), 1);
}

#[test]
fn reserved_dependencies_and_impure_ones_are_refused() {
    assert_eq!(violations(vec![krate("eddy-engine", "4", &["openraft"], "")]).len(), 1);
    assert_eq!(violations(vec![krate("eddy-admin", "5", &["eddy-wire"], "")]).len(), 1);
    assert_eq!(violations(vec![krate("eddy-core", "1", &["tokio", "bytes", "serde"], "")]).len(), 2);
    assert_eq!(violations(vec![krate("sim", "\"T\"", &["openraft", "eddy-wire"], "use std::fs;")]), [""; 0]);
}
