//! Values in queries, and numbers as JSON has them.

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

    /// Exact between integers; with a float, as floats.
    pub(crate) fn order(self, other: Number) -> std::cmp::Ordering {
        match (self, other) {
            (Number::Int(one), Number::Int(two)) => one.cmp(&two),
            (Number::Uint(one), Number::Uint(two)) => one.cmp(&two),
            (Number::Int(_), Number::Uint(_)) => std::cmp::Ordering::Less,
            (Number::Uint(_), Number::Int(_)) => std::cmp::Ordering::Greater,
            (one, two) => one.float().total_cmp(&(two.float() + 0.0)),
        }
    }
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
