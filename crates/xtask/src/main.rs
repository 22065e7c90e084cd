//! Project chores: `cargo xtask layers` checks that every crate keeps to its floor, `cargo xtask sim` runs simulated
//! clusters.

mod layers;
mod sim;

use std::path::Path;
use std::process::ExitCode;

use clap::Parser;

#[derive(clap::Parser)]
#[command(name = "xtask", about = "Project chores")]
enum Chore {
    /// Check that every crate keeps to its floor.
    Layers,
    /// Run simulated clusters, one a seed, under faults.
    Sim(sim::Args),
}

fn main() -> anyhow::Result<ExitCode> {
    match Chore::parse() {
        Chore::Layers => layers(),
        Chore::Sim(args) => sim::simulate(&args),
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
