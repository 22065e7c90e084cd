//! `cargo xtask sim`: runs simulated clusters, any number of them, or one with every event printed.

use std::process::ExitCode;
use std::time::Instant;

use eddy_sim::{Mutant, Options, run, search};

/// What to simulate.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Seeds to run.
    #[arg(long, default_value_t = 1_000)]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Print every event.
    #[arg(long)]
    trace: bool,
    /// Put a defect in: the search must end at a seed that finds it. `all` tries each one.
    #[arg(long)]
    mutant: Option<String>,
}

pub(crate) fn simulate(args: &Args) -> anyhow::Result<ExitCode> {
    match args.mutant.as_deref() {
        Some("all") => Ok(every_mutant(args)),
        Some(name) => {
            let mutant = Mutant::ALL.iter().copied().find(|mutant| format!("{mutant:?}") == name);
            let mutant = mutant
                .ok_or_else(|| anyhow::anyhow!("no such mutant: {name} (there are: {:?})", Mutant::ALL))?;
            Ok(runs(args, Some(mutant)))
        }
        None => Ok(runs(args, None)),
    }
}

fn runs(args: &Args, mutant: Option<Mutant>) -> ExitCode {
    let started = Instant::now();
    if args.trace {
        for seed in args.from..args.from + args.seeds {
            let outcome = run(seed, Options { mutant, trace: true });
            println!("seed {seed}: {outcome:#?}");
            if outcome.violation.is_some() {
                return ExitCode::FAILURE;
            }
        }
        return ExitCode::SUCCESS;
    }
    let (found, totals) = search(args.from, args.seeds, mutant);
    println!("{totals:#?} in {:.1} s", started.elapsed().as_secs_f64());
    match found {
        Some((seed, outcome)) => {
            println!("seed {seed}: {outcome:#?}");
            println!("every event of it: cargo xtask sim --from {seed} --seeds 1 --trace");
            ExitCode::FAILURE
        }
        None => ExitCode::SUCCESS,
    }
}

/// Seeds that each mutant lives for.
fn every_mutant(args: &Args) -> ExitCode {
    let mut missed = 0;
    for mutant in Mutant::ALL {
        match search(args.from, args.seeds, Some(*mutant)).0 {
            Some((seed, outcome)) => {
                let property = outcome.violation.map(|violation| violation.property).unwrap_or_default();
                println!("{mutant:?}: caught by seed {seed}: {property}");
            }
            None => {
                missed += 1;
                println!("{mutant:?}: NOT CAUGHT");
            }
        }
    }
    if missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
