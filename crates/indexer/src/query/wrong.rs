//! What is wrong with a query, and where.

use std::rc::Rc;

use serde_json::{Map, Value};

use crate::search::SearchError;

/// What is wrong with a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wrong {
    pub(crate) message: String,
    /// JSON pointer to the part of the body.
    pub(crate) pointer: String,
    /// Within a query string, from 1.
    pub(crate) line: usize,
    /// Within a query string, from 1.
    pub(crate) column: usize,
    /// It is right, but too much.
    pub(crate) too_much: bool,
}

impl From<Wrong> for SearchError {
    fn from(wrong: Wrong) -> SearchError {
        /// A longer way to a part says less than none.
        const POINTER_SHOWN_MAX: usize = 200;
        let Wrong { mut message, pointer, line, column, too_much } = wrong;
        if !too_much {
            return SearchError::BadQuery { message, line, column, pointer };
        }
        if (1..=POINTER_SHOWN_MAX).contains(&pointer.len()) {
            message = format!("{message} (at {pointer})");
        }
        SearchError::TooExpensive { message }
    }
}

/// A part of a body, and its place there. The way to it is spelled out only where something is wrong: many parts may stand
/// under one long name.
#[derive(Clone, Debug)]
pub(crate) struct Part<'a> {
    pub(crate) value: &'a Value,
    way: Option<Rc<Step<'a>>>,
}

#[derive(Debug)]
struct Step<'a> {
    above: Option<Rc<Step<'a>>>,
    to: To<'a>,
}

#[derive(Debug)]
enum To<'a> {
    Key(&'a str),
    Item(usize),
}

impl<'a> Part<'a> {
    pub(crate) fn root(value: &'a Value) -> Part<'a> {
        Part { value, way: None }
    }

    pub(crate) fn wrong(&self, message: impl Into<String>) -> Wrong {
        Wrong { message: message.into(), pointer: self.pointer(), line: 1, column: 1, too_much: false }
    }

    /// It is beyond a limit.
    pub(crate) fn too_much(&self, message: impl Into<String>) -> Wrong {
        Wrong { too_much: true, ..self.wrong(message) }
    }

    /// Its JSON pointer (RFC 6901).
    pub(crate) fn pointer(&self) -> String {
        let steps = std::iter::successors(self.way.as_deref(), |step| step.above.as_deref());
        let mut names: Vec<String> = steps
            .map(|step| match step.to {
                To::Key(key) => key.replace('~', "~0").replace('/', "~1"),
                To::Item(index) => index.to_string(),
            })
            .collect();
        names.push(String::new());
        names.reverse();
        names.join("/")
    }

    fn under(&self, to: To<'a>, value: &'a Value) -> Part<'a> {
        Part { value, way: Some(Rc::new(Step { above: self.way.clone(), to })) }
    }

    pub(crate) fn object(&self, what: &str) -> Result<&'a Map<String, Value>, Wrong> {
        self.value.as_object().ok_or_else(|| self.wrong(format!("{what} must be an object")))
    }

    /// The entries of an object.
    pub(crate) fn entries(
        &self,
        what: &str,
    ) -> Result<impl Iterator<Item = (&'a str, Part<'a>)> + use<'a, '_>, Wrong> {
        let object = self.object(what)?;
        Ok(object.iter().map(|(key, value)| (key.as_str(), self.under(To::Key(key), value))))
    }

    /// The only entry of an object.
    pub(crate) fn only(&self, what: &str) -> Result<(&'a str, Part<'a>), Wrong> {
        let object = self.object(what)?;
        let mut entries = object.iter();
        match (entries.next(), entries.next()) {
            (Some((key, value)), None) => Ok((key, self.under(To::Key(key), value))),
            (None, _) => Err(self.wrong(format!("{what} is empty"))),
            (Some(_), Some((second, value))) => Err(self
                .under(To::Key(second), value)
                .wrong(format!("{what} must have one key; [{second}] is a second one"))),
        }
    }

    /// The items of an array; anything else is one item.
    pub(crate) fn items(&self) -> Vec<Part<'a>> {
        match self.value {
            Value::Array(items) => {
                let part = |(index, value): (usize, &'a Value)| self.under(To::Item(index), value);
                items.iter().enumerate().map(part).collect()
            }
            _ => vec![self.clone()],
        }
    }

    /// [`Part::items`], so many at most.
    pub(crate) fn items_within(&self, max: usize, what: &str) -> Result<Vec<Part<'a>>, Wrong> {
        match self.value {
            Value::Array(items) if items.len() > max => {
                Err(self.too_much(format!("{what} takes at most {max} items, not {}", items.len())))
            }
            _ => Ok(self.items()),
        }
    }

    pub(crate) fn text(&self, what: &str) -> Result<&'a str, Wrong> {
        self.value.as_str().ok_or_else(|| self.wrong(format!("{what} must be a string")))
    }

    /// Texts as they are and numbers as they read.
    pub(crate) fn as_text(&self, what: &str) -> Result<String, Wrong> {
        match self.value {
            Value::String(text) => Ok(text.clone()),
            Value::Number(number) => Ok(number.to_string()),
            Value::Bool(value) => Ok(value.to_string()),
            _ => Err(self.wrong(format!("{what} must be a string"))),
        }
    }

    /// A truth value; "true" and "false" too, as many clients write them.
    pub(crate) fn bool(&self, what: &str) -> Result<bool, Wrong> {
        let text = || self.value.as_str().and_then(|text| text.parse().ok());
        self.value.as_bool().or_else(text).ok_or_else(|| self.wrong(format!("{what} must be true or false")))
    }

    /// A count; digits in a string too, as many clients write them.
    pub(crate) fn count(&self, what: &str) -> Result<u64, Wrong> {
        let text = || self.value.as_str().and_then(|text| text.parse().ok());
        self.value
            .as_u64()
            .or_else(text)
            .ok_or_else(|| self.wrong(format!("{what} must be a whole number from 0")))
    }

    pub(crate) fn float(&self, what: &str) -> Result<f64, Wrong> {
        let text = || self.value.as_str().and_then(|text| text.parse().ok());
        let number = self.value.as_f64().or_else(text).filter(|number: &f64| number.is_finite());
        number.ok_or_else(|| self.wrong(format!("{what} must be a number")))
    }

    /// The key is not one of those that are served.
    pub(crate) fn unknown(&self, what: &str, key: &str, served: &str) -> Wrong {
        self.wrong(format!("unknown {what} [{key}]; served are {served}"))
    }
}
