//! Append, high watermark, ISR, log start.

use expect_test::expect;

use super::story::{brokers, check, leader};
use crate::LeaderStart;
use eddy_types::Offset;

#[test]
fn a_single_replica_acknowledges_when_its_disk_has_it() {
    check(
        leader(&[1]),
        expect![[r#"
            append 5 acks all                            -> log 0..5
            append 2 acks 1                              -> log 5..7
            append 1 acks 0                              -> log 7..8
            offsets                                      -> start 0 stable 0 hw 0 durable 0 end 8
            durable 5                                    -> durable 5, hw 5, ack 0..5
            durable 8                                    -> durable 8, ack 5..7, ack 7..8, hw 8
            offsets                                      -> start 0 stable 8 hw 8 durable 8 end 8
        "#]],
    );
}

#[test]
fn high_watermark_waits_for_slowest_isr_member() {
    check(
        leader(&[1, 2, 3]),
        expect![[r#"
            append 5 acks all                            -> log 0..5
            append 1 acks 1                              -> log 5..6
            durable 6                                    -> durable 6, ack 5..6
            fetch 2 at 5                                 -> up to 6
            fetch 3 at 3                                 -> up to 6, hw 3
            fetch 3 at 5                                 -> up to 6, hw 5, ack 0..5
        "#]],
    );
}

#[test]
fn what_a_follower_has_but_not_on_disk_does_not_count() {
    check(
        leader(&[1, 2]),
        expect![[r#"
            append 5 acks all                            -> log 0..5
            durable 5                                    -> durable 5
            fetch 2 at 5 durable 0                       -> up to 5
            fetch 2 at 5 durable 4                       -> up to 5, hw 4
            fetch 2 at 5 durable 5                       -> up to 5, hw 5, ack 0..5
        "#]],
    );
}

#[test]
fn followers_may_copy_before_the_leaders_disk_has_it() {
    check(
        leader(&[1, 2]),
        expect![[r#"
            append 5 acks all                            -> log 0..5
            fetch 2 at 0                                 -> up to 5
            fetch 2 at 5                                 -> up to 5
            durable 5                                    -> durable 5, hw 5, ack 0..5
        "#]],
    );
}

#[test]
fn a_small_isr_refuses_acks_all_and_freezes_the_high_watermark_r_3_4_r_3_100() {
    let start = LeaderStart { min_insync: 2, isr: brokers(&[1]), ..leader(&[1, 2, 3]) };
    check(
        start,
        expect![[r#"
            append 5 acks all                            -> in-sync replicas are fewer than required: 1 of 2
            append 5 acks 1                              -> log 0..5
            durable 5                                    -> durable 5, ack 0..5
            offsets                                      -> start 0 stable 0 hw 0 durable 5 end 5
            fetch 2 at 5                                 -> up to 5, propose 1,2 on 5
            isr accepted 1,2 as 6                        -> hw 5
            append 1 acks all                            -> log 5..6
        "#]],
    );
}

#[test]
fn min_insync_is_capped_by_the_number_of_replicas_r_3_4() {
    let start = LeaderStart { min_insync: 2, ..leader(&[1]) };
    check(
        start,
        expect![[r#"
            append 5 acks all                            -> log 0..5
            durable 5                                    -> durable 5, hw 5, ack 0..5
        "#]],
    );
}

#[test]
fn a_waiting_acks_all_outlives_a_shrink_below_the_minimum() {
    let start = LeaderStart { min_insync: 2, ..leader(&[1, 2]) };
    check(
        start,
        expect![[r#"
            append 5 acks all                            -> log 0..5
            durable 5                                    -> durable 5
            metadata 6 replicas 1,2 isr 1 min 2          ->
            offsets                                      -> start 0 stable 0 hw 0 durable 5 end 5
            metadata 7 replicas 1,2 isr 1 min 1          -> hw 5, ack 0..5
        "#]],
    );
}

#[test]
fn a_follower_leaves_after_the_lag_limit_and_guards_until_the_controller_agrees_r_3_101() {
    check(
        leader(&[1, 2]),
        expect![[r#"
            tick 0                                       ->
            append 5 acks all                            -> log 0..5
            durable 5                                    -> durable 5
            time 10000                                   ->
            fetch 2 at 2                                 -> up to 5, hw 2
            tick 30000                                   ->
            tick 30001                                   -> propose 1 on 5
            tick 31000                                   ->
            offsets                                      -> start 0 stable 2 hw 2 durable 5 end 5
            isr accepted 1 as 6                          -> hw 5, ack 0..5
        "#]],
    );
}

#[test]
fn a_follower_lacks_what_is_not_on_its_disk_and_everything_while_it_is_not_heard() {
    check(
        leader(&[1, 2]),
        expect![[r#"
            append 5                                     -> log 0..5
            durable 5                                    -> durable 5, ack 0..5
            fetch 2 at 2                                 -> up to 5, hw 2
            lags                                         -> broker 2 lacks 3
            retention 2                                  -> start 2
            append 3                                     -> log 5..8
            lags                                         -> broker 2 lacks 6
            fetch 2 at 8                                 -> up to 8, hw 5
            lags                                         -> broker 2 lacks 0
        "#]],
    );
}

#[test]
fn a_follower_that_keeps_up_with_a_busy_leader_stays_r_3_101() {
    check(
        leader(&[1, 2]),
        expect![[r#"
            append 5                                     -> log 0..5
            durable 5                                    -> durable 5, ack 0..5
            time 20000                                   ->
            fetch 2 at 0                                 -> up to 5
            append 5                                     -> log 5..10
            time 40000                                   ->
            fetch 2 at 5                                 -> up to 10, hw 5
            append 5                                     -> log 10..15
            tick 50000                                   ->
            tick 50001                                   -> propose 1 on 5
        "#]],
    );
}

#[test]
fn an_idle_follower_that_has_everything_stays() {
    check(
        leader(&[1, 2]),
        expect![[r#"
            append 5                                     -> log 0..5
            durable 5                                    -> durable 5, ack 0..5
            fetch 2 at 5                                 -> up to 5, hw 5
            tick 1000000                                 ->
            append 5                                     -> log 5..10
            tick 1000001                                 ->
            tick 1030000                                 ->
            tick 1030001                                 -> propose 1 on 5
        "#]],
    );
}

#[test]
fn a_follower_joins_when_it_has_everything_below_the_high_watermark_r_3_101() {
    let start = LeaderStart { isr: brokers(&[1]), ..leader(&[1, 2]) };
    check(
        start,
        expect![[r#"
            append 5                                     -> log 0..5
            durable 5                                    -> durable 5, ack 0..5, hw 5
            fetch 2 at 3                                 -> up to 5
            fetch 2 at 5                                 -> up to 5, propose 1,2 on 5
            append 5                                     -> log 5..10
            durable 10                                   -> durable 10, ack 5..10
            isr accepted 1,2 as 6                        ->
            fetch 2 at 10                                -> up to 10, hw 10
        "#]],
    );
}

#[test]
fn a_follower_must_reach_the_start_of_the_epoch_to_join_r_3_101() {
    let start = LeaderStart {
        isr: brokers(&[1]),
        min_insync: 2,
        log_end: Offset(10),
        durable_end: Offset(10),
        high_watermark: Offset(4),
        ..leader(&[1, 2])
    };
    check(
        start,
        expect![[r#"
            offsets                                      -> start 0 stable 4 hw 4 durable 10 end 10
            fetch 2 at 6                                 -> up to 10
            fetch 2 at 10                                -> up to 10, propose 1,2 on 5
        "#]],
    );
}

#[test]
fn the_high_watermark_waits_for_one_about_to_join_but_not_for_one_that_left_r_3_100() {
    check(
        leader(&[1, 2]),
        expect![[r#"
            append 5                                     -> log 0..5
            durable 5                                    -> durable 5, ack 0..5
            fetch 2 at 5                                 -> up to 5, hw 5
            append 5                                     -> log 5..10
            metadata 6 replicas 1,2 isr 1 min 1          ->
            durable 10                                   -> durable 10, ack 5..10, hw 10
            fetch 2 at 10                                -> up to 10, propose 1,2 on 6
            append 1                                     -> log 10..11
            isr refused                                  ->
            durable 11                                   -> durable 11, ack 10..11, hw 11
        "#]],
    );
}

#[test]
fn the_high_watermark_waits_for_one_whose_turn_to_join_has_not_come_r_3_100() {
    let start = LeaderStart { isr: brokers(&[1]), ..leader(&[1, 2, 3]) };
    check(
        start,
        expect![[r#"
            append 5                                     -> log 0..5
            durable 5                                    -> durable 5, ack 0..5, hw 5
            fetch 2 at 5                                 -> up to 5, propose 1,2 on 5
            fetch 3 at 5                                 -> up to 5
            append 5                                     -> log 5..10
            durable 10                                   -> durable 10, ack 5..10
            fetch 2 at 10                                -> up to 10
            isr accepted 1,2 as 6                        -> propose 1,2,3 on 6
            fetch 3 at 10                                -> up to 10, hw 10
            isr accepted 1,2,3 as 7                      ->
        "#]],
    );
}

#[test]
fn a_proposal_that_may_have_been_accepted_guards_until_the_metadata_tells_isr_2() {
    let start = LeaderStart { isr: brokers(&[1]), ..leader(&[1, 2]) };
    check(
        start,
        expect![[r#"
            fetch 2 at 0                                 -> up to 0, propose 1,2 on 5
            isr unanswered                               ->
            tick 500                                     -> propose 1,2 on 5
            isr superseded                               ->
            append 5                                     -> log 0..5
            tick 60000                                   ->
            durable 5                                    -> durable 5, ack 0..5
            metadata 6 replicas 1,2 isr 1,2 min 1        ->
            fetch 2 at 5                                 -> up to 5, hw 5
        "#]],
    );
}

#[test]
fn a_refused_proposal_pauses_and_an_unanswered_one_is_repeated() {
    let start = LeaderStart { isr: brokers(&[1]), ..leader(&[1, 2]) };
    check(
        start,
        expect![[r#"
            fetch 2 at 0                                 -> up to 0, propose 1,2 on 5
            isr refused                                  ->
            fetch 2 at 0                                 -> up to 0
            time 1000                                    ->
            fetch 2 at 0                                 -> up to 0, propose 1,2 on 5
            isr unanswered                               ->
            tick 1500                                    -> propose 1,2 on 5
            isr accepted 1,2 as 6                        ->
            tick 2000                                    ->
        "#]],
    );
}

/// The same proposal again and again would keep the partition from any other for ever.
#[test]
fn a_refusal_is_final_even_if_an_earlier_attempt_got_no_answer() {
    let start = LeaderStart { isr: brokers(&[1]), ..leader(&[1, 2, 3]) };
    check(
        start,
        expect![[r#"
            fetch 2 at 0                                 -> up to 0, propose 1,2 on 5
            isr unanswered                               ->
            tick 500                                     -> propose 1,2 on 5
            isr refused                                  ->
            time 1500                                    ->
            fetch 3 at 0                                 -> up to 0, propose 1,3 on 5
        "#]],
    );
}

#[test]
fn who_was_refused_asks_again_without_saying_anything() {
    let start = LeaderStart { isr: brokers(&[1]), ..leader(&[1, 2]) };
    check(
        start,
        expect![[r#"
            fetch 2 at 0                                 -> up to 0, propose 1,2 on 5
            isr refused                                  ->
            tick 999                                     ->
            tick 1000                                    -> propose 1,2 on 5
            isr accepted 1,2 as 6                        ->
            tick 2500                                    ->
        "#]],
    );
}

#[test]
fn a_superseded_proposal_waits_for_the_metadata() {
    let start = LeaderStart { isr: brokers(&[1]), ..leader(&[1, 2, 3]) };
    check(
        start,
        expect![[r#"
            fetch 2 at 0                                 -> up to 0, propose 1,2 on 5
            isr superseded                               ->
            append 5                                     -> log 0..5
            durable 5                                    -> durable 5, ack 0..5
            tick 1000                                    ->
            metadata 4 replicas 1,2,3 isr 1,2,3 min 1    ->
            metadata 7 replicas 1,3 isr 1 min 1          -> hw 5
            fetch 2 at 5                                 -> broker 2 has no replica here
        "#]],
    );
}

#[test]
fn an_answer_to_an_older_proposal_changes_nothing() {
    let start = LeaderStart { isr: brokers(&[1]), ..leader(&[1, 2]) };
    check(
        start,
        expect![[r#"
            fetch 2 at 0                                 -> up to 0, propose 1,2 on 5
            metadata 6 replicas 1,2 isr 1,2 min 1        ->
            isr accepted 1,2 as 6                        ->
            append 5                                     -> log 0..5
            durable 5                                    -> durable 5, ack 0..5
            fetch 2 at 5                                 -> up to 5, hw 5
        "#]],
    );
}

#[test]
fn a_member_that_comes_back_with_less_is_put_out_at_once() {
    check(
        leader(&[1, 2]),
        expect![[r#"
            append 5 acks all                            -> log 0..5
            durable 5                                    -> durable 5
            fetch 2 at 5 life 8                          -> up to 5, hw 5, ack 0..5
            fetch 2 at 2 life 9                          -> up to 5
            offsets                                      -> start 0 stable 5 hw 5 durable 5 end 5
            tick 1                                       -> propose 1 on 5
            fetch 2 at 5 life 8                          -> broker 2 fetched with epoch 8, current one 9
        "#]],
    );
}

#[test]
fn strangers_and_offsets_outside_the_log_are_refused_r_2_43() {
    let start = LeaderStart {
        log_start: Offset(3),
        log_end: Offset(5),
        durable_end: Offset(5),
        high_watermark: Offset(3),
        ..leader(&[1, 2])
    };
    check(
        start,
        expect![[r#"
            fetch 9 at 0                                 -> broker 9 has no replica here
            fetch 1 at 0                                 -> broker 1 has no replica here
            fetch 2 at 2                                 -> offset 2 is outside 3..=5
            fetch 2 at 6                                 -> offset 6 is outside 3..=5
            fetch 2 at 5                                 -> up to 5, hw 5
        "#]],
    );
}

#[test]
fn delete_records_stops_at_the_high_watermark_r_3_130() {
    check(
        leader(&[1, 2]),
        expect![[r#"
            append 9                                     -> log 0..9
            durable 9                                    -> durable 9, ack 0..9
            fetch 2 at 6                                 -> up to 9, hw 6
            delete 7                                     -> cannot delete before offset 7, high watermark 6
            delete -2                                    -> cannot delete before offset -2, high watermark 6
            delete 4                                     -> start 4, everywhere 0, start 4
            delete 2                                     -> start 4, everywhere 0
            fetch 2 at 6 start 4                         -> up to 9
            delete -1                                    -> start 6, everywhere 4, start 6
            offsets                                      -> start 6 stable 6 hw 6 durable 9 end 9
        "#]],
    );
}

#[test]
fn retention_stops_at_the_high_watermark_r_3_123() {
    check(
        leader(&[1, 2]),
        expect![[r#"
            append 9                                     -> log 0..9
            durable 9                                    -> durable 9, ack 0..9
            fetch 2 at 6                                 -> up to 9, hw 6
            retention 4                                  -> start 4
            retention 3                                  ->
            retention 9                                  -> start 6
        "#]],
    );
}

#[test]
fn a_resent_batch_waits_for_its_first_range_again_r_3_26() {
    check(
        leader(&[1, 2]),
        expect![[r#"
            append 5 acks all pid 7/0 seq 0              -> log 0..5
            append 5 acks all pid 7/0 seq 5              -> log 5..10
            append 5 acks all pid 7/0 seq 0              -> duplicate of 0..5
            append 5 acks 1 pid 7/0 seq 0                -> duplicate of 0..5
            append 5 acks all pid 7/0 seq 11             -> sequence 11 of producer 7 is not the next one, 10
            durable 10                                   -> durable 10, ack 0..5
            fetch 2 at 10                                -> up to 10, hw 10, ack 0..5, ack 0..5, ack 5..10
        "#]],
    );
}

#[test]
fn a_duplicate_is_refused_like_any_other_while_the_isr_is_small_r_3_4() {
    let start = LeaderStart { min_insync: 2, isr: brokers(&[1]), ..leader(&[1, 2]) };
    check(
        start,
        expect![[r#"
            append 5 acks 1 pid 7/0 seq 0                -> log 0..5
            append 5 acks all pid 7/0 seq 0              -> in-sync replicas are fewer than required: 1 of 2
        "#]],
    );
}
