//! Counts in sentences.

use crate::output::thousands;

/// `1 partition`, `2 partitions`.
pub(crate) fn plural(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{} {noun}s", thousands(count as i64)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_singular_and_thousands_have_separators() {
        assert_eq!(
            [0, 1, 2, 1_234].map(|count| plural(count, "topic")),
            ["0 topics", "1 topic", "2 topics", "1,234 topics"]
        );
    }
}
