//! The simulation finds nothing in the machines, finds every mutant, and is the same each time.

use crate::{Mutant, Options, run, search};

/// Runs of one test. More: `cargo xtask sim --seeds N`.
const SEEDS: u64 = 2_000;

#[test]
fn no_seed_breaks_a_promise() {
    let (found, totals) = search(0, SEEDS, None);
    if let Some((seed, outcome)) = found {
        panic!("seed {seed}: {:?}; see `cargo xtask sim --from {seed} --seeds 1 --trace`", outcome.violation);
    }
    // A world in which nothing happens proves nothing.
    assert!(totals.acks > 100 * SEEDS, "{totals:?}");
    assert!(totals.truncations > SEEDS / 4, "{totals:?}");
    assert!(totals.restarts_of_logs > SEEDS / 50, "{totals:?}");
    assert!(totals.leaderships > 5 * SEEDS, "{totals:?}");
    assert!(totals.moves > SEEDS / 4, "{totals:?}");
    assert!(totals.drops > SEEDS / 4, "{totals:?}");
    assert!(totals.recreations > SEEDS / 10, "{totals:?}");
    assert!(totals.removals > SEEDS / 20, "{totals:?}");
    assert!(totals.losses > SEEDS / 100, "{totals:?}");
}

#[test]
fn a_seed_gives_the_same_run_each_time() {
    for seed in [1, 2, 3] {
        assert_eq!(run(seed, Options::default()), run(seed, Options::default()));
    }
    assert_ne!(run(1, Options::default()).trace, run(2, Options::default()).trace);
}

#[test]
fn every_mutant_is_caught() {
    let missed: Vec<Mutant> =
        Mutant::ALL.iter().copied().filter(|mutant| search(0, 2_000, Some(*mutant)).0.is_none()).collect();
    assert!(missed.is_empty(), "not caught within 2,000 seeds: {missed:?}");
}
