//! Does one operation so many times, for `benches/instructions.py` to count the instructions of it, and names its threads.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context, bail};
use clap::Parser;
use eddy_benches::OPERATIONS;

/// Does one operation so many times.
#[derive(Parser)]
struct Arguments {
    /// Name of the operation; without one they are listed.
    operation: Option<String>,
    /// How often.
    #[arg(default_value_t = 1)]
    times: u32,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let Some(name) = arguments.operation else {
        for (name, _) in OPERATIONS {
            println!("{name}");
        }
        return Ok(());
    };
    let (_, make) = OPERATIONS
        .iter()
        .find(|(known, _)| *known == name)
        .with_context(|| format!("no operation {name:?}"))?;
    if arguments.times == 0 {
        bail!("an operation that is not done cannot be counted");
    }
    let mut operation = make();
    for _ in 0..arguments.times {
        operation();
    }
    for name in threads()? {
        println!("{name}");
    }
    Ok(())
}

/// Names of the threads, in the order in which they were made.
fn threads() -> anyhow::Result<Vec<String>> {
    let mut threads = BTreeMap::new();
    for entry in fs::read_dir("/proc/self/task")? {
        let entry = entry?;
        let number: u32 = entry.file_name().to_string_lossy().parse()?;
        threads.insert(number, fs::read_to_string(entry.path().join("comm"))?.trim().to_owned());
    }
    Ok(threads.into_values().collect())
}
