//! What the checks look at: every crate's manifest and sources.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use toml::{Table, Value};

/// All crates of the workspace, by name.
#[derive(Debug)]
pub(crate) struct Tree {
    pub(crate) crates: Vec<Crate>,
}

#[derive(Debug)]
pub(crate) struct Crate {
    pub(crate) name: String,
    pub(crate) floor: Floor,
    /// Names of all crates it is built from, ours and others'.
    pub(crate) dependencies: Vec<String>,
    /// Names of what only its tests use.
    pub(crate) dev_dependencies: Vec<String>,
    pub(crate) sources: Vec<Source>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Floor {
    Number(u32),
    /// Written "T": tools for tests and development, that may know everything and that nothing is built from.
    Tool,
}

/// A source file without its comments and its tests.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) path: PathBuf,
    /// Line numbers are those of the file.
    pub(crate) code: String,
}

impl Tree {
    /// Reads `crates/*` below the root of the repository.
    pub(crate) fn read(root: &Path) -> anyhow::Result<Tree> {
        let mut crates = Vec::new();
        for entry in fs::read_dir(root.join("crates")).context("reading crates/")? {
            let dir = entry?.path();
            let manifest = dir.join("Cargo.toml");
            if manifest.exists() {
                crates.push(read_crate(root, &dir).with_context(|| manifest.display().to_string())?);
            }
        }
        crates.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Tree { crates })
    }

    pub(crate) fn find(&self, name: &str) -> Option<&Crate> {
        self.crates.iter().find(|one| one.name == name)
    }

    /// The exempt edges between our crates, one line each.
    pub(crate) fn dev_dependencies(&self) -> Vec<String> {
        let edges = |one: &Crate| -> Vec<String> {
            let ours = one.dev_dependencies.iter().filter(|name| self.find(name).is_some());
            ours.map(|name| format!("{}: for tests, {name}", one.name)).collect()
        };
        self.crates.iter().flat_map(edges).collect()
    }
}

impl Crate {
    pub(crate) fn parse(manifest: &str, sources: Vec<Source>) -> anyhow::Result<Crate> {
        let manifest: Table = manifest.parse()?;
        let package = manifest.get("package").and_then(Value::as_table).context("no [package]")?;
        let name = package.get("name").and_then(Value::as_str).context("no package.name")?;
        let floor = match package.get("metadata").and_then(|metadata| metadata.get("floor")) {
            Some(Value::Integer(floor)) => Floor::Number(u32::try_from(*floor)?),
            Some(Value::String(text)) if text == "T" => Floor::Tool,
            Some(other) => bail!("floor must be a number or \"T\": {other}"),
            None => bail!("no package.metadata.floor"),
        };
        let targets = manifest.get("target").and_then(Value::as_table);
        let per_target = targets.into_iter().flat_map(Table::values).filter_map(Value::as_table);
        let tables: Vec<&Table> = std::iter::once(&manifest).chain(per_target).collect();
        let named = |kind: &str| -> Vec<String> {
            let sections = tables.iter().filter_map(|table| table.get(kind)?.as_table());
            sections.flatten().map(|(key, value)| package_name(key, value)).collect()
        };
        let mut dependencies = named("dependencies");
        dependencies.extend(named("build-dependencies"));
        Ok(Crate {
            name: name.to_owned(),
            floor,
            dependencies,
            dev_dependencies: named("dev-dependencies"),
            sources,
        })
    }
}

/// The crate behind a dependency, which may have been given another name.
fn package_name(key: &str, value: &Value) -> String {
    value.get("package").and_then(Value::as_str).unwrap_or(key).to_owned()
}

fn read_crate(root: &Path, dir: &Path) -> anyhow::Result<Crate> {
    let mut files = Vec::new();
    collect(&dir.join("src"), &mut files)?;
    let mut texts = Vec::new();
    for path in files {
        texts.push((fs::read_to_string(&path)?, path));
    }
    let of_tests: BTreeSet<PathBuf> =
        texts.iter().flat_map(|(text, path)| test_modules(text, path)).collect();
    let is_test =
        |path: &Path| of_tests.iter().any(|test| path.starts_with(test) || path == test.with_extension("rs"));
    let sources = texts.into_iter().filter(|(_, path)| !is_test(path)).map(|(text, path)| Source {
        path: path.strip_prefix(root).unwrap_or(&path).to_owned(),
        code: code_of(&text),
    });
    Crate::parse(&fs::read_to_string(dir.join("Cargo.toml"))?, sources.collect())
}

fn collect(dir: &Path, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    for entry in fs::read_dir(dir).with_context(|| dir.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    Ok(())
}

/// Paths, without extension, of the modules that a file declares for tests only: `#[cfg(test)] mod tests;`.
fn test_modules(text: &str, path: &Path) -> Vec<PathBuf> {
    let is_root = ["lib.rs", "main.rs", "mod.rs"].iter().any(|root| path.ends_with(root));
    let home = if is_root { path.parent().unwrap_or(path).to_owned() } else { path.with_extension("") };
    let lines: Vec<_> = text.lines().map(str::trim).collect();
    let pairs = lines.windows(2).filter(|pair| pair[0] == "#[cfg(test)]");
    let names = pairs.filter_map(|pair| pair[1].split("mod ").nth(1)?.strip_suffix(';'));
    names.map(|name| home.join(name)).collect()
}

/// A file's text without `//` comments and without what follows `#[cfg(test)] mod … {`: tests stand at the end of a file.
pub(crate) fn code_of(text: &str) -> String {
    let mut code = String::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let opens_tests = |next: &&str| next.contains("mod ") && next.trim_end().ends_with('{');
        if line.trim() == "#[cfg(test)]" && lines.peek().is_some_and(opens_tests) {
            break;
        }
        // A `//` in a text, such as a URL, cuts what follows on its line: no rule looks for what could hide there.
        code.push_str(line.split("//").next().unwrap_or_default());
        code.push('\n');
    }
    code
}
