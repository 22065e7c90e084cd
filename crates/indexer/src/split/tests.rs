//! Splits are built, merged and read; whatever goes wrong on the way leaves nothing.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use eddy_batch::Record;
use eddy_types::{LeaderEpoch, Millis, Offset};
use tantivy::collector::Count;
use tantivy::query::AllQuery;

use super::*;
use crate::fields::Fields;
use crate::mapping::{Mapping, Paths};

/// Lets so many bytes pass, and then fails.
struct Until(AtomicU64, io::ErrorKind);

impl Pacing for Until {
    fn moved(&self, bytes: u64) -> io::Result<()> {
        let left = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(bytes));
        left.map(|_| ()).map_err(|_| self.1.into())
    }
}

fn until(bytes: u64) -> Arc<dyn Pacing> {
    Arc::new(Until(AtomicU64::new(bytes), io::ErrorKind::StorageFull))
}

fn record(offset: i64, value: &str) -> Record {
    Record {
        offset: Offset(offset),
        timestamp: Millis(1_700_000_000_000 + offset),
        key: None,
        value: Some(Bytes::copy_from_slice(value.as_bytes())),
        headers: Vec::new(),
    }
}

fn build(
    dir: &Path,
    id: u64,
    offsets: std::ops::Range<i64>,
    pacing: &dyn Pacing,
) -> Result<SplitMeta, SplitError> {
    let (schema, fields) = Fields::schema();
    let (mapping, mut paths) = (Mapping::default(), Paths::default());
    let mut builder = SplitBuilder::new(schema, 0)?;
    for offset in offsets.clone() {
        let value = format!(r#"{{"number":{offset},"text":"some words and {offset:020}"}}"#);
        builder.add(mapping.map(fields, &mut paths, &record(offset, &value)).0)?;
    }
    builder.finish(dir, id, (Offset(offsets.start), Offset(offsets.end)), LeaderEpoch(3), pacing)
}

fn offsets(split: &SearchableSplit) -> Vec<i64> {
    let reader = split.searcher.segment_reader(0);
    let column = reader.fast_fields().i64("_offset").unwrap();
    (0..reader.max_doc()).filter_map(|doc| column.first(doc)).collect()
}

fn files(dir: &Path) -> usize {
    std::fs::read_dir(dir).unwrap().count()
}

#[test]
fn merged_splits_hold_what_is_alive_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let free = until(u64::MAX);
    let splits: Vec<_> = (0..5)
        .map(|number| {
            build(dir.path(), u64::try_from(number).unwrap() + 1, number * 100..number * 100 + 90, &*free)
                .unwrap()
        })
        .collect();
    let Ok(Merged::Into(all)) = merge(dir.path(), &splits, 9, None, &free) else { panic!("merged") };
    let opened = open(dir.path(), &all, true).unwrap();
    let expected: Vec<i64> = (0..5).flat_map(|number| number * 100..number * 100 + 90).collect();
    assert_eq!(offsets(&opened), expected);
    assert_eq!((all.start, all.end, all.records, all.epoch), (0, 490, 450, 3));
    assert_eq!(opened.timestamps, (Millis(1_700_000_000_000), Millis(1_700_000_000_489)));
    let Ok(Merged::Into(odd)) =
        merge(dir.path(), std::slice::from_ref(&all), 10, Some(&|offset| offset % 2 == 1), &free)
    else {
        panic!("merged")
    };
    let opened = open(dir.path(), &odd, true).unwrap();
    assert_eq!(
        offsets(&opened),
        expected.iter().copied().filter(|offset| offset % 2 == 1).collect::<Vec<_>>()
    );
    assert_eq!(opened.searcher.search(&AllQuery, &Count).unwrap(), 225);
    assert!(matches!(merge(dir.path(), &[odd], 11, Some(&|_| false), &free), Ok(Merged::Nothing)));
    assert_eq!(files(dir.path()), 7, "only splits are left");
}

#[test]
fn a_merge_or_a_build_that_fails_anywhere_leaves_nothing_and_can_be_made_again() {
    let dir = tempfile::tempdir().unwrap();
    let free = until(u64::MAX);
    let splits =
        [build(dir.path(), 1, 0..200, &*free).unwrap(), build(dir.path(), 2, 200..400, &*free).unwrap()];
    let whole = 2 * splits.iter().map(|split| split.bytes).sum::<u64>();
    let mut failures = 0;
    for allowed in (0..whole).step_by(997) {
        match merge(dir.path(), &splits, 3, None, &until(allowed)) {
            Ok(Merged::Into(split)) => std::fs::remove_file(split.path(dir.path())).unwrap(),
            Ok(Merged::Nothing) => panic!("something is there"),
            Err(error) => {
                assert!(!error.is_damage(), "{error}");
                failures += 1;
            }
        }
        assert_eq!(files(dir.path()), 2, "after {allowed} bytes");
    }
    assert!(failures > 10, "{failures}");
    for allowed in (0..splits[0].bytes).step_by(1009) {
        assert!(build(dir.path(), 3, 0..200, &*until(allowed)).is_err());
        assert_eq!(files(dir.path()), 2);
    }
    assert!(matches!(merge(dir.path(), &splits, 3, None, &free), Ok(Merged::Into(_))));
}
