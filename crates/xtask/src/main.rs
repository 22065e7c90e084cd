//! Project chores. `cargo xtask layers` checks that every crate keeps to its floor.

mod layers;

use std::path::Path;
use std::process::ExitCode;

use anyhow::bail;

fn main() -> anyhow::Result<ExitCode> {
    let task = std::env::args().nth(1);
    match task.as_deref() {
        Some("layers") => layers(),
        Some(other) => bail!("unknown task: {other} (there is: layers)"),
        None => bail!("no task given (there is: layers)"),
    }
}

fn layers() -> anyhow::Result<ExitCode> {
    let tree = layers::Tree::read(&workspace())?;
    for exempt in tree.dev_dependencies() {
        println!("{exempt}");
    }
    let violations = layers::check(&tree);
    for violation in &violations {
        eprintln!("{violation}");
    }
    println!("{} crates, {} violations", tree.crates.len(), violations.len());
    Ok(if violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Root of the repository.
fn workspace() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}
