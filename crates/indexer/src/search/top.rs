//! The best of what was found, in bounded memory.

use std::cmp::Ordering;

/// Keeps the `limit` least items under an order that is given with each item.
pub(crate) struct Top<T> {
    limit: usize,
    items: Vec<T>,
    /// Whether `items[limit - 1]` is the worst of the best, so that anything behind it need not be kept.
    cut: bool,
}

impl<T> Top<T> {
    pub(crate) fn new(limit: usize) -> Top<T> {
        Top { limit, items: Vec::new(), cut: false }
    }

    /// Whether an item would be among the best, as far as it is known: `order` compares it with the one given.
    pub(crate) fn wants(&self, order: impl FnOnce(&T) -> Ordering) -> bool {
        self.limit > 0 && self.worst().is_none_or(|worst| order(worst).is_lt())
    }

    /// The worst of the best, once nothing behind it is kept.
    pub(crate) fn worst(&self) -> Option<&T> {
        self.items.get(self.limit.checked_sub(1)?).filter(|_| self.cut)
    }

    pub(crate) fn push(&mut self, item: T, order: impl Fn(&T, &T) -> Ordering) {
        if self.limit == 0 {
            return;
        }
        self.items.push(item);
        if self.items.len() >= 2 * self.limit.max(8) {
            self.items.select_nth_unstable_by(self.limit - 1, order);
            self.items.truncate(self.limit);
            self.cut = true;
        }
    }

    /// The best, in order.
    pub(crate) fn finish(mut self, order: impl Fn(&T, &T) -> Ordering) -> Vec<T> {
        self.items.sort_unstable_by(order);
        self.items.truncate(self.limit);
        self.items
    }
}

#[cfg(test)]
mod tests {
    use super::Top;

    #[test]
    fn the_best_are_kept_in_order() {
        for limit in [0, 1, 3, 100] {
            let mut top = Top::new(limit);
            for number in (0..1000_u32).map(|number| number * 7919 % 1000) {
                if top.wants(|worst| number.cmp(worst)) {
                    top.push(number, Ord::cmp);
                }
            }
            let wanted: Vec<u32> = (0..1000).take(limit).collect();
            assert_eq!(top.finish(Ord::cmp), wanted);
        }
    }
}
