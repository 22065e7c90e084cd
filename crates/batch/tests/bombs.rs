//! Decompression bombs cost bounded time and little memory. Alone in its process, because it measures the process.

#![allow(clippy::unwrap_used)]

mod support;

use std::time::{Duration, Instant};

use eddy_batch::{Compression, Rules, validate};
use eddy_types::ErrorCode;
use support::{MIB, batch, bomb, endless_record, rules};

/// Largest memory this process ever held, in bytes.
fn peak_memory() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}

fn measured<T>(work: impl FnOnce() -> T) -> (T, usize, Duration) {
    let (before, start) = (peak_memory(), Instant::now());
    let result = work();
    (result, peak_memory() - before, start.elapsed())
}

/// A zstd frame that asks for a window of 128 MiB and fills it with blocks of 128 KiB out of 4 bytes each.
fn zstd_bomb_with_large_window() -> Vec<u8> {
    let mut payload = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, (27 - 10) << 3];
    let start = endless_record();
    payload.extend_from_slice(&[(start.len() as u8) << 3, 0, 0]);
    payload.extend_from_slice(&start);
    for _ in 0..MIB / 4 {
        payload.extend_from_slice(&[0b010, 0, 0x10, 0]);
    }
    payload
}

#[test]
fn bombs_end_at_the_limit_with_little_memory() {
    let mut payloads = vec![(Compression::Zstd, zstd_bomb_with_large_window())];
    for codec in [Compression::Lz4, Compression::Zstd, Compression::Gzip] {
        // Unoptimised, the gzip decoder takes half a minute for what it does in a fifth of a second.
        if codec == Compression::Gzip && cfg!(debug_assertions) {
            continue;
        }
        payloads.push((codec, bomb(codec, 2 << 30)));
    }
    for (codec, payload) in payloads {
        let bytes = batch(codec.code(), 1, &payload);
        assert!(bytes.len() < rules().max_message_bytes * 2, "{codec}: {}", bytes.len());
        let rules = Rules { max_message_bytes: 16 * MIB, ..rules() };
        let (result, memory, time) = measured(|| validate(bytes, &rules));
        let rejected = result.unwrap_err();
        assert_eq!(rejected.code, ErrorCode::InvalidRecord);
        assert!(rejected.message.contains("exceed the limit"), "{codec}: {}", rejected.message);
        assert!(memory < 64 * MIB, "{codec} took {memory} bytes");
        assert!(time < Duration::from_secs(30), "{codec} took {time:?}");
    }

    // A snappy block of 100 bytes that claims 1 GiB: no memory is taken on its word (CVE-2023-34455).
    let claim = [&[0x80, 0x80, 0x80, 0x80, 0x04][..], &[0; 100]].concat();
    let bytes = batch(Compression::Snappy.code(), 1, &claim);
    let (result, memory, _) = measured(|| validate(bytes, &rules()));
    assert_eq!(result.unwrap_err().code, ErrorCode::InvalidRecord);
    assert!(memory < MIB, "snappy took {memory} bytes");
}
