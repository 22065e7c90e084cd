//! What transactions do to the last stable offset (R-3.41).

use expect_test::expect;

use super::story::{check, leader};

#[test]
fn the_last_stable_offset_waits_for_the_marker_to_be_replicated_r_3_41() {
    check(
        leader(&[1, 2]),
        expect![[r#"
            append 2                                     -> log 0..2
            append 3 pid 7/0 seq 0 txn                   -> log 2..5
            append 2                                     -> log 5..7
            durable 7                                    -> durable 7, ack 0..2, ack 2..5, ack 5..7
            fetch 2 at 7                                 -> up to 7, hw 7
            offsets                                      -> start 0 stable 2 hw 7 durable 7 end 7
            commit pid 7/0                               -> log 7..8, commit of 7 2..=7 stable 8
            durable 8                                    -> durable 8, ack 7..8
            offsets                                      -> start 0 stable 2 hw 7 durable 8 end 8
            fetch 2 at 8                                 -> up to 8, hw 8
            offsets                                      -> start 0 stable 8 hw 8 durable 8 end 8
        "#]],
    );
}

#[test]
fn the_oldest_open_transaction_decides_r_3_41_r_3_42() {
    check(
        leader(&[1]),
        expect![[r#"
            append 1 pid 7/0 seq 0 txn                   -> log 0..1
            append 1 pid 8/0 seq 0 txn                   -> log 1..2
            append 1 pid 7/0 seq 1 txn                   -> log 2..3
            durable 3                                    -> durable 3, ack 0..1, ack 1..2, ack 2..3, hw 3
            offsets                                      -> start 0 stable 0 hw 3 durable 3 end 3
            abort pid 7/1                                -> log 3..4, abort of 7 0..=3 stable 1
            durable 4                                    -> durable 4, ack 3..4, hw 4
            offsets                                      -> start 0 stable 1 hw 4 durable 4 end 4
            commit pid 8/1                               -> log 4..5, commit of 8 1..=4 stable 5
            durable 5                                    -> durable 5, ack 4..5, hw 5
            offsets                                      -> start 0 stable 5 hw 5 durable 5 end 5
        "#]],
    );
}

#[test]
fn an_ended_transaction_counts_until_its_marker_is_below_the_high_watermark_r_3_41() {
    check(
        leader(&[1, 2]),
        expect![[r#"
            append 1 pid 7/0 seq 0 txn                   -> log 0..1
            append 1 pid 8/0 seq 0 txn                   -> log 1..2
            commit pid 7/0                               -> log 2..3, commit of 7 0..=2 stable 1
            durable 3                                    -> durable 3, ack 0..1, ack 1..2, ack 2..3
            fetch 2 at 2                                 -> up to 3, hw 2
            offsets                                      -> start 0 stable 0 hw 2 durable 3 end 3
            fetch 2 at 3                                 -> up to 3, hw 3
            offsets                                      -> start 0 stable 1 hw 3 durable 3 end 3
            commit pid 8/0                               -> log 3..4, commit of 8 1..=3 stable 4
            durable 4                                    -> durable 4, ack 3..4
            fetch 2 at 4                                 -> up to 4, hw 4
            offsets                                      -> start 0 stable 4 hw 4 durable 4 end 4
        "#]],
    );
}

#[test]
fn a_write_outside_the_open_transaction_is_refused_r_3_25() {
    check(
        leader(&[1]),
        expect![[r#"
            append 1 pid 7/0 seq 0 txn                   -> log 0..1
            append 1 pid 7/0 seq 1                       -> producer 7 has a transaction open since offset 0
            commit pid 7/0                               -> log 1..2, commit of 7 0..=1 stable 2
            append 1 pid 7/0 seq 1                       -> log 2..3
        "#]],
    );
}

#[test]
fn a_marker_fences_the_epoch_before_it_r_3_37() {
    check(
        leader(&[1]),
        expect![[r#"
            append 1 pid 7/0 seq 0 txn                   -> log 0..1
            abort pid 7/1                                -> log 1..2, abort of 7 0..=1 stable 2
            append 1 pid 7/0 seq 1 txn                   -> epoch 0 of producer 7 is fenced by epoch 1
            abort pid 7/0                                -> epoch 0 of producer 7 is fenced by epoch 1
            append 1 pid 7/1 seq 3 txn                   -> sequence 3 of producer 7 is not the next one, 0
            append 1 pid 7/1 seq 0 txn                   -> log 2..3
        "#]],
    );
}

#[test]
fn deleted_records_hold_no_reader_back() {
    check(
        leader(&[1]),
        expect![[r#"
            append 4 pid 7/0 seq 0 txn                   -> log 0..4
            durable 4                                    -> durable 4, ack 0..4, hw 4
            offsets                                      -> start 0 stable 0 hw 4 durable 4 end 4
            delete 3                                     -> start 3, everywhere 3, start 3
            offsets                                      -> start 3 stable 3 hw 4 durable 4 end 4
        "#]],
    );
}
