//! Values in queries, and numbers as JSON has them.

use std::cmp::Ordering;

/// A value in a query, typed as JSON typed it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Literal {
    Number(Number),
    Bool(bool),
    Text(String),
}

impl Literal {
    /// As text, the way a record's text would have it.
    pub(crate) fn text(&self) -> String {
        match self {
            Literal::Number(number) => number.to_string(),
            Literal::Bool(value) => value.to_string(),
            Literal::Text(text) => text.clone(),
        }
    }

    /// How many words its text has at most, whichever tokenizer cuts it.
    pub(crate) fn words_at_most(&self) -> usize {
        match self {
            Literal::Number(_) | Literal::Bool(_) => 2,
            Literal::Text(text) => {
                let between_signs = text.split(|char: char| !char.is_alphanumeric());
                let between_signs = between_signs.filter(|word| !word.is_empty()).count();
                between_signs.max(text.split_whitespace().count())
            }
        }
    }

    /// The number it is, or says.
    pub(crate) fn number(&self) -> Option<Number> {
        match self {
            Literal::Number(number) => Some(*number),
            Literal::Bool(_) => None,
            Literal::Text(text) => Number::parse(text),
        }
    }

    /// The truth value it is, or says.
    pub(crate) fn bool(&self) -> Option<bool> {
        match self {
            Literal::Bool(value) => Some(*value),
            Literal::Number(_) => None,
            Literal::Text(text) => text.parse().ok(),
        }
    }
}

/// A number as JSON has them: an integer if it is one.
#[derive(Clone, Copy, Debug, serde::Serialize, serde::Deserialize)]
pub(crate) enum Number {
    Int(i64),
    /// Above the greatest `Int`.
    Uint(u64),
    /// Neither infinite nor NaN.
    Float(f64),
}

impl Number {
    pub(crate) fn parse(text: &str) -> Option<Number> {
        let plain = text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
        if !plain {
            return None;
        }
        if let Ok(number) = text.parse() {
            return Some(Number::Int(number));
        }
        if let Ok(number) = text.parse() {
            return Some(Number::Uint(number));
        }
        text.parse().ok().filter(|number: &f64| number.is_finite()).map(Number::Float)
    }

    pub(crate) fn from_json(number: &serde_json::Number) -> Option<Number> {
        let unsigned = || number.as_u64().map(Number::Uint);
        let float = || number.as_f64().filter(|number| number.is_finite()).map(Number::Float);
        number.as_i64().map(Number::Int).or_else(unsigned).or_else(float)
    }

    pub(crate) fn float(self) -> f64 {
        match self {
            Number::Int(number) => number as f64,
            Number::Uint(number) => number as f64,
            Number::Float(number) => number,
        }
    }

    /// The order of the numbers themselves. An integer is not made a float for it: two that differ would be equal to one float, and
    /// sorting needs an order without such holes.
    pub(crate) fn order(self, other: Number) -> Ordering {
        match (self.integer(), other.integer()) {
            (Ok(one), Ok(two)) => one.cmp(&two),
            (Ok(one), Err(two)) => order_to_float(one, two),
            (Err(one), Ok(two)) => order_to_float(two, one).reverse(),
            // There is one zero.
            (Err(one), Err(two)) => (one + 0.0).total_cmp(&(two + 0.0)),
        }
    }

    /// The integer that it is stored as, or else the float.
    fn integer(self) -> Result<i128, f64> {
        match self {
            Number::Int(number) => Ok(number.into()),
            Number::Uint(number) => Ok(number.into()),
            Number::Float(number) => Err(number),
        }
    }
}

/// The order of a 64-bit integer and a float, which the cast leaves beyond all of those if it is.
fn order_to_float(integer: i128, float: f64) -> Ordering {
    let above = float.fract() + 0.0;
    integer.cmp(&(float.trunc() as i128)).then_with(|| 0.0_f64.total_cmp(&above))
}

impl PartialEq for Number {
    fn eq(&self, other: &Number) -> bool {
        self.order(*other).is_eq()
    }
}

impl std::fmt::Display for Number {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Number::Int(number) => number.fmt(f),
            Number::Uint(number) => number.fmt(f),
            Number::Float(number) => number.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_numbers_has_no_holes() {
        let big = 1_i64 << 53;
        let ascending: [&[Number]; 9] = [
            &[Number::Float(-1e300)],
            &[Number::Int(i64::MIN), Number::Float(i64::MIN as f64)],
            &[Number::Float(-0.5)],
            &[Number::Int(0), Number::Float(0.0), Number::Float(-0.0)],
            &[Number::Float(0.5)],
            &[Number::Int(big), Number::Float(big as f64)],
            &[Number::Int(big + 1)],
            &[Number::Uint(u64::MAX)],
            &[Number::Float(u64::MAX as f64)],
        ];
        for (at, ones) in ascending.iter().enumerate() {
            for (beside, twos) in ascending.iter().enumerate() {
                for (one, two) in ones.iter().flat_map(|one| twos.iter().map(move |two| (one, two))) {
                    assert_eq!(one.order(*two), at.cmp(&beside), "{one:?} {two:?}");
                }
            }
        }
    }
}
