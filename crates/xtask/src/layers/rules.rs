//! The rules.

use std::fmt;
use std::path::PathBuf;

use super::tree::{Crate, Floor, Tree};

/// One breach of a rule.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    krate: String,
    /// Where in the sources; `None` is the manifest.
    at: Option<(PathBuf, usize)>,
    rule: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.at {
            Some((path, line)) => write!(f, "{}:{line}: {}", path.display(), self.rule),
            None => write!(f, "{}: {}", self.krate, self.rule),
        }
    }
}

/// Words that only some crates may have in their code, and why.
struct Reserved {
    words: &'static [&'static str],
    to: &'static [&'static str],
    why: &'static str,
}

const RESERVED: &[Reserved] = &[
    Reserved {
        words: &["std::fs", "File::open", "File::create", "File::options", "OpenOptions"],
        to: &["eddy-disk", "eddy", "eddy-indexer"],
        why: "files are opened through eddy-disk, where tests can make them fail; only an index, which can be made anew, has its own",
    },
    Reserved {
        words: &["openraft"],
        to: &["eddy-quorum", "eddy"],
        why: "only the metadata group knows its consensus library",
    },
    Reserved {
        words: &["env::var", "env::vars", "env::var_os", "env::vars_os"],
        to: &["eddy"],
        why: "configuration has one source: the environment is read by the binary",
    },
    Reserved {
        words: &["eddy_wire"],
        to: &["eddy-wire", "eddy-gateway", "eddy-coordinator"],
        why: "wire types stay in the gateway",
    },
    Reserved {
        words: &["eddy_wire::messages"],
        to: &["eddy-wire", "eddy-gateway"],
        why: "requests and responses stay in the gateway; a coordinator shares only the codec of what it stores",
    },
];

/// Crates without side effects, and what would bring one in.
const PURE: &[&str] = &["eddy-core", "eddy-metadata"];
const PURE_WITHOUT: &[&str] = &["tokio", "bytes", "eddy-disk"];
/// Sockets and the resolver, not all of `std::net`: an address is a value like any other.
const PURE_UNSAID: &[&str] = &[
    "Instant::now",
    "SystemTime::now",
    "SystemClock",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "ToSocketAddrs",
    "std::thread",
];

/// Crates that only some may be built from.
const RESERVED_DEPENDENCIES: &[(&str, &[&str])] =
    &[("openraft", &["eddy-quorum", "eddy"]), ("eddy-wire", &["eddy-gateway", "eddy-coordinator"])];

/// Every violation, by crate.
pub(crate) fn check(tree: &Tree) -> Vec<Violation> {
    let mut found = Vec::new();
    for one in &tree.crates {
        floors(tree, one, &mut found);
        if one.floor != Floor::Tool {
            dependencies(one, &mut found);
            words(one, &mut found);
        }
    }
    found
}

fn floors(tree: &Tree, one: &Crate, found: &mut Vec<Violation>) {
    let Floor::Number(own) = one.floor else { return };
    for other in one.dependencies.iter().filter_map(|name| tree.find(name)) {
        let rule = match other.floor {
            Floor::Number(floor) if floor < own => continue,
            Floor::Number(floor) => {
                format!("floor {own} may not depend on {}, which is on floor {floor}", other.name)
            }
            Floor::Tool => format!("{} is for tests and development only", other.name),
        };
        found.push(Violation { krate: one.name.clone(), at: None, rule });
    }
}

fn dependencies(one: &Crate, found: &mut Vec<Violation>) {
    let mut report = |rule: String| found.push(Violation { krate: one.name.clone(), at: None, rule });
    for (reserved, to) in RESERVED_DEPENDENCIES {
        if one.dependencies.iter().any(|name| name == reserved) && !to.contains(&one.name.as_str()) {
            report(format!("only {} may depend on {reserved}", to.join(" and ")));
        }
    }
    if PURE.contains(&one.name.as_str()) {
        for name in one.dependencies.iter().filter(|name| PURE_WITHOUT.contains(&name.as_str())) {
            report(format!("is pure and may not depend on {name}"));
        }
    }
}

fn words(one: &Crate, found: &mut Vec<Violation>) {
    let is_pure = PURE.contains(&one.name.as_str());
    for source in &one.sources {
        for (index, line) in source.code.lines().enumerate() {
            let mut report = |rule: String| {
                found.push(Violation {
                    krate: one.name.clone(),
                    at: Some((source.path.clone(), index + 1)),
                    rule,
                });
            };
            for reserved in RESERVED.iter().filter(|reserved| !reserved.to.contains(&one.name.as_str())) {
                if let Some(word) = reserved.words.iter().find(|word| has_word(line, word)) {
                    report(format!("`{word}`: {}", reserved.why));
                }
            }
            if let Some(word) = PURE_UNSAID.iter().find(|word| is_pure && has_word(line, word)) {
                report(format!("`{word}`: this crate is pure; time and randomness come from the caller"));
            }
        }
    }
}

/// Whether `word` stands in `line` on its own, not as a part of a longer name.
fn has_word(line: &str, word: &str) -> bool {
    let in_name = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let before = line.get(..at).and_then(|before| before.chars().next_back());
        let after = line.get(at + word.len()..).and_then(|after| after.chars().next());
        !before.is_some_and(in_name) && !after.is_some_and(in_name)
    })
}
