//! Random histories with crashes, against a list of what was submitted.

use eddy_disk::SimDisk;
use proptest::prelude::*;

use super::*;
use crate::Pressure;
use crate::entry::tests::any_entry;

/// One step in the life of a process.
#[derive(Clone, Debug)]
enum Step {
    Submit(Entry),
    /// Waits until all is durable.
    Wait,
    /// Moves the checkpoint this many tenths of the way to the durable end.
    Checkpoint(u64),
}

/// How a process ends.
#[derive(Clone, Copy, Debug)]
enum End {
    Close,
    Kill,
    PowerCut,
    Crash(u64),
}

#[derive(Clone, Debug)]
struct Life {
    /// The power goes in the middle of the life, after this many changes of the disk.
    halt_after: Option<u64>,
    steps: Vec<Step>,
    end: End,
    /// Recoveries that end early, each after so many changes of the disk, and the seed of the crash that ends it.
    broken_recoveries: Vec<(u64, u64)>,
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => any_entry(300).prop_map(Step::Submit),
        3 => any_entry(10_000).prop_map(Step::Submit),
        1 => any_entry(100_000).prop_map(Step::Submit),
        3 => Just(Step::Wait),
        2 => (0u64..=10).prop_map(Step::Checkpoint),
    ]
}

fn any_life() -> impl Strategy<Value = Life> {
    let end = prop_oneof![
        1 => Just(End::Close),
        1 => Just(End::Kill),
        1 => Just(End::PowerCut),
        4 => any::<u64>().prop_map(End::Crash),
    ];
    let broken = prop::collection::vec((0u64..6, any::<u64>()), 0..4);
    (prop::option::weighted(0.3, 0u64..60), prop::collection::vec(any_step(), 1..60), end, broken).prop_map(
        |(halt_after, steps, end, broken_recoveries)| Life { halt_after, steps, end, broken_recoveries },
    )
}

/// What must be found after a crash.
#[derive(Default)]
struct Model {
    /// All entries that the log may hold, from the first of all times.
    submitted: Vec<Entry>,
    checkpoint: u64,
    /// Marks each entry, so that one of an earlier life is not taken for its successor.
    stamp: i64,
}

impl Model {
    fn live(&mut self, disk: &SimDisk, life: &Life) -> Result<(), TestCaseError> {
        let opened = open(disk.process(), self.checkpoint).expect("a log opens after a crash");
        self.compare(&opened)?;
        let end_at_open = self.submitted.len() as u64;
        if let Some(changes) = life.halt_after {
            disk.halt_after(changes);
        }
        for step in &life.steps {
            match step {
                Step::Submit(entry) => self.submit(&opened, entry.clone()),
                Step::Wait => self.wait(&opened),
                Step::Checkpoint(tenths) => {
                    let durable = opened.wal.durable_lsn().0;
                    self.check_point(&opened, self.checkpoint + (durable - self.checkpoint) * tenths / 10);
                }
            }
        }
        match life.end {
            End::Close => self.wait(&opened),
            End::Kill => disk.kill(),
            End::PowerCut => disk.power_cut(),
            End::Crash(seed) => disk.crash(seed),
        }
        let Opened { wal, sink, .. } = opened;
        wal.close();
        if life.halt_after.is_none() && matches!(life.end, End::Close) {
            prop_assert_eq!(sink.upto().0.max(end_at_open), self.submitted.len() as u64);
            prop_assert!(sink.failures().is_empty(), "{:?}", sink.failures());
        }
        prop_assert!(sink.failures().len() <= 1);
        if matches!(life.end, End::Close) {
            disk.kill();
        }
        self.recover_brokenly(disk, &life.broken_recoveries)?;
        self.find_end(disk, sink.upto().0)
    }

    fn submit(&mut self, opened: &Opened, entry: Entry) {
        self.stamp += 1;
        let entry = match entry {
            Entry::Append { partition, leader_epoch, after_gap, batch, .. } => {
                let (base_offset, end_offset) = (Offset(self.stamp), Offset(self.stamp + 1));
                Entry::Append { partition, base_offset, end_offset, leader_epoch, after_gap, batch }
            }
            other => other,
        };
        let lsn = opened.wal.submit(entry.clone(), None);
        assert_eq!(lsn.0, self.submitted.len() as u64, "positions have no gaps");
        self.submitted.push(entry);
    }

    /// Waits until all is durable, trimming when the log is at its limit.
    fn wait(&mut self, opened: &Opened) {
        let pressure = opened.wal.pressure();
        while opened.wal.durable_lsn().0 < self.submitted.len() as u64 && !opened.wal.is_stopped() {
            if *pressure.borrow() == Pressure::Full {
                self.check_point(opened, opened.wal.durable_lsn().0);
            }
            std::thread::yield_now();
        }
    }

    fn check_point(&mut self, opened: &Opened, lsn: u64) {
        self.checkpoint = self.checkpoint.max(lsn);
        opened.wal.trim(Lsn(self.checkpoint));
    }

    /// The power goes again and again while the log is opened.
    fn recover_brokenly(&self, disk: &SimDisk, recoveries: &[(u64, u64)]) -> Result<(), TestCaseError> {
        for &(changes, seed) in recoveries {
            disk.halt_after(changes);
            match open(disk.process(), self.checkpoint) {
                Ok(opened) => opened.wal.close(),
                Err(WalError::Io { .. }) => {}
                Err(other) => prop_assert!(false, "{other}"),
            }
            disk.crash(seed);
        }
        Ok(())
    }

    /// Opens the log to learn how much of what was not acknowledged is there, and drops the rest from the model.
    fn find_end(&mut self, disk: &SimDisk, acknowledged: u64) -> Result<(), TestCaseError> {
        let opened = open(disk.process(), self.checkpoint).expect("a log opens after a crash");
        let end = opened.wal.next_lsn().0;
        prop_assert!(
            end >= acknowledged,
            "entries to {acknowledged} were acknowledged, those to {end} are there"
        );
        prop_assert!(end <= self.submitted.len() as u64, "entries were invented");
        self.submitted.truncate(end as usize);
        self.compare(&opened)?;
        opened.wal.close();
        // What was replayed is acted upon, so that it must be durable though nobody had acknowledged it.
        disk.power_cut();
        Ok(())
    }

    fn compare(&self, opened: &Opened) -> Result<(), TestCaseError> {
        let expected = &self.submitted[self.checkpoint as usize..];
        prop_assert_eq!(opened.replayed.len(), expected.len());
        for (index, (lsn, entry)) in opened.replayed.iter().enumerate() {
            prop_assert_eq!(lsn.0, self.checkpoint + index as u64);
            prop_assert_eq!(entry, &expected[index]);
        }
        Ok(())
    }
}

proptest! {
    #[test]
    fn what_was_acknowledged_is_replayed_exactly_after_any_crash(lives in prop::collection::vec(any_life(), 1..5)) {
        let disk = SimDisk::new();
        let mut model = Model::default();
        for life in &lives {
            model.live(&disk, life)?;
        }
    }
}
