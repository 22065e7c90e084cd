//! Waiting acknowledgements.

use eddy_types::Offset;
use proptest::prelude::*;

use crate::{Acks, InvalidAcks, PendingAcks};

#[test]
fn acks_are_minus_one_zero_or_one_r_3_1() {
    assert_eq!(Acks::try_from(-1), Ok(Acks::All));
    assert_eq!(Acks::try_from(0), Ok(Acks::None));
    assert_eq!(Acks::try_from(1), Ok(Acks::Leader));
    assert_eq!(Acks::try_from(2), Err(InvalidAcks(2)));
}

#[test]
fn no_more_tokens_wait_than_may() {
    let mut waiting = PendingAcks::new(2);
    waiting.push(Offset(1), Acks::All, 'a').unwrap();
    waiting.push(Offset(2), Acks::Leader, 'b').unwrap();
    assert!(waiting.is_full());
    assert_eq!(waiting.push(Offset(3), Acks::All, 'c'), Err('c'));
    waiting.retain(|token| *token != 'a');
    waiting.push(Offset(3), Acks::All, 'c').unwrap();
    assert_eq!(waiting.fail_all(), ['b', 'c']);
    assert!(waiting.is_empty());
}

proptest! {
    #[test]
    fn waiters_leave_in_order_and_never_early(
        steps in prop::collection::vec((0i64..50, 0..3u8, 0i64..50, 0i64..50), 1..80),
    ) {
        let mut waiting = PendingAcks::new(1000);
        let mut model: Vec<(Offset, Acks, usize)> = Vec::new();
        for (token, (end, acks, durable, behind)) in steps.into_iter().enumerate() {
            let acks = [Acks::None, Acks::Leader, Acks::All][usize::from(acks)];
            waiting.push(Offset(end), acks, token).unwrap();
            model.push((Offset(end), acks, token));
            waiting.check();
            let (durable, high_watermark) = (Offset(durable), Offset((durable - behind).max(0)));
            let is_due = |(end, acks, _): &(Offset, Acks, usize)| match acks {
                Acks::None | Acks::Leader => *end <= durable,
                Acks::All => *end <= high_watermark,
            };
            let mut due: Vec<_> = model.iter().copied().filter(is_due).collect();
            model.retain(|waiter| !is_due(waiter));
            // Stable in the order of arrival within one queue; acks=1 goes before acks=all at the same offset.
            due.sort_by_key(|(end, acks, token)| (*end, *acks == Acks::All, *token));
            let due: Vec<usize> = due.into_iter().map(|(_, _, token)| token).collect();
            prop_assert_eq!(waiting.release(durable, high_watermark), due);
            prop_assert_eq!(waiting.len(), model.len());
        }
    }
}
