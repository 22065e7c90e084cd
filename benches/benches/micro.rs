//! How long the operations take: `cargo bench -p eddy-benches`. Budgets are in `benches/README.md`.

use divan::Bencher;
use eddy_benches::OPERATIONS;

fn main() {
    divan::main();
}

#[divan::bench(args = OPERATIONS.map(|(name, _)| name))]
fn operation(bencher: Bencher, name: &str) {
    if let Some((_, make)) = OPERATIONS.iter().find(|(known, _)| *known == name) {
        bencher.bench_local(make());
    }
}
