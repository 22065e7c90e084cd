//! The tokens of a query string.

use crate::query::pattern::Glob;

/// A token and where it begins.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    /// Characters before it.
    pub(crate) at: usize,
}

/// What a token is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    /// A word, its escapes taken out; wildcards that were not escaped are kept apart.
    Word(Vec<Glob>),
    /// A word and a colon: what follows is about this field.
    Field(String),
    /// What stands between quotes.
    Quoted(String),
    And,
    Or,
    Not,
    Plus,
    Minus,
    Open,
    Close,
    /// `[` (true) or `{`.
    RangeOpen(bool),
    /// `]` (true) or `}`.
    RangeClose(bool),
    To,
    /// `^` and a number.
    Boost(f32),
    /// `~`, and a number if there is one.
    Tilde(Option<u32>),
    /// `>`, `>=`, `<`, `<=` after a field.
    Compare {
        less: bool,
        equal: bool,
    },
}

/// Which language is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Language {
    /// `query_string`
    Full,
    /// `simple_query_string`: no fields, no ranges, `|` and `+` between words.
    Simple,
}

/// What is wrong, and how many characters stand before it.
pub(crate) type LexError = (String, usize);

/// Takes a query string apart.
pub(crate) fn lex(text: &str, language: Language) -> Result<Vec<Token>, LexError> {
    let mut lexer =
        Lexer { chars: text.chars().collect(), at: 0, language, in_range: false, tokens: Vec::new() };
    while lexer.token()? {}
    Ok(lexer.tokens)
}

struct Lexer {
    chars: Vec<char>,
    at: usize,
    language: Language,
    in_range: bool,
    tokens: Vec<Token>,
}

impl Lexer {
    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn take_if(&mut self, wanted: char) -> bool {
        let found = self.peek() == Some(wanted);
        self.at += usize::from(found);
        found
    }

    fn push(&mut self, kind: Kind, at: usize) {
        self.tokens.push(Token { kind, at });
    }

    /// The token that a character is on its own.
    fn sign(&self, char: char) -> Option<Kind> {
        let full = self.language == Language::Full;
        match char {
            '(' => Some(Kind::Open),
            ')' => Some(Kind::Close),
            '[' | '{' if full => Some(Kind::RangeOpen(char == '[')),
            ']' | '}' if full => Some(Kind::RangeClose(char == ']')),
            '+' if !self.in_range => Some(Kind::Plus),
            '-' if !self.in_range => Some(Kind::Minus),
            '!' if full => Some(Kind::Not),
            '|' if !full => Some(Kind::Or),
            _ => None,
        }
    }

    /// Reads the next token; false at the end.
    fn token(&mut self) -> Result<bool, LexError> {
        while self.peek().is_some_and(char::is_whitespace) {
            self.at += 1;
        }
        let at = self.at;
        let Some(char) = self.peek() else { return Ok(false) };
        let full = self.language == Language::Full;
        if let Some(kind) = self.sign(char) {
            self.at += 1;
            let blank = self.peek().is_none_or(char::is_whitespace);
            if full && blank && matches!(kind, Kind::Plus | Kind::Minus) {
                let message = format!("a word must follow '{char}'; put a '{char}' that is text in quotes");
                return Err((message, at));
            }
            match kind {
                Kind::RangeOpen(_) => self.in_range = true,
                Kind::RangeClose(_) => self.in_range = false,
                _ => {}
            }
            self.push(kind, at);
            return Ok(true);
        }
        match char {
            '"' => self.quoted()?,
            '^' if full => self.boost()?,
            '~' => self.tilde(),
            '>' | '<' if full && matches!(self.tokens.last(), Some(Token { kind: Kind::Field(_), .. })) => {
                self.at += 1;
                let equal = self.take_if('=');
                self.push(Kind::Compare { less: char == '<', equal }, at);
            }
            '&' | '|' if full && self.chars.get(at + 1) == Some(&char) => {
                self.at += 2;
                self.push(if char == '&' { Kind::And } else { Kind::Or }, at);
            }
            '/' if full && !self.in_range => {
                let message = "regular expressions are not served; use wildcards, or put the text in quotes";
                return Err((message.to_owned(), at));
            }
            ':' => {
                return Err((
                    "a field name must stand before ':'; put a colon that is text in quotes".to_owned(),
                    at,
                ));
            }
            _ => self.word()?,
        }
        Ok(true)
    }

    fn quoted(&mut self) -> Result<(), LexError> {
        let begin = self.at;
        self.at += 1;
        let mut text = String::new();
        loop {
            match self.peek() {
                None => return Err(("this quotation mark has no second one".to_owned(), begin)),
                Some('"') => break,
                Some('\\') => {
                    self.at += 1;
                    text.extend(self.peek());
                }
                Some(char) => text.push(char),
            }
            self.at += 1;
        }
        self.at += 1;
        self.push(Kind::Quoted(text), begin);
        Ok(())
    }

    fn digits(&mut self) -> String {
        let mut digits = String::new();
        while let Some(char) = self.peek().filter(|char| char.is_ascii_digit() || *char == '.') {
            digits.push(char);
            self.at += 1;
        }
        digits
    }

    fn boost(&mut self) -> Result<(), LexError> {
        let begin = self.at;
        self.at += 1;
        let boost = self.digits().parse().ok().filter(|boost: &f32| boost.is_finite());
        let boost = boost.ok_or_else(|| ("a number must follow '^'".to_owned(), begin))?;
        self.push(Kind::Boost(boost), begin);
        Ok(())
    }

    fn tilde(&mut self) {
        let begin = self.at;
        self.at += 1;
        let number = self.digits().parse().ok();
        self.push(Kind::Tilde(number), begin);
    }

    /// Whether a word ends before this character.
    fn ends_word(&self, char: char) -> bool {
        if char.is_whitespace() {
            return true;
        }
        if self.in_range {
            return matches!(char, ']' | '}' | '"');
        }
        match self.language {
            Language::Full => matches!(char, '(' | ')' | '[' | ']' | '{' | '}' | '"' | '^' | '~' | ':'),
            Language::Simple => matches!(char, '(' | ')' | '"' | '|' | '~'),
        }
    }

    fn word(&mut self) -> Result<(), LexError> {
        let begin = self.at;
        let mut parts = Vec::new();
        let mut escaped = false;
        while let Some(char) = self.peek() {
            if char == '\\' {
                self.at += 1;
                escaped = true;
                let Some(char) = self.peek() else {
                    return Err(("a character must follow '\\'".to_owned(), self.at - 1));
                };
                parts.push(Glob::Char(char));
            } else if self.ends_word(char) {
                break;
            } else {
                parts.push(match char {
                    '*' => Glob::Any,
                    '?' if self.language == Language::Full => Glob::One,
                    _ => Glob::Char(char),
                });
            }
            self.at += 1;
        }
        if self.at == begin {
            return Err((format!("'{}' is not expected here", self.peek().unwrap_or(' ')), begin));
        }
        let text: String = parts.iter().map(glob_char).collect();
        let full = self.language == Language::Full;
        if full && !self.in_range && self.take_if(':') {
            self.push(Kind::Field(text), begin);
            return Ok(());
        }
        let kind = match text.as_str() {
            "AND" if full && !escaped => Kind::And,
            "OR" if full && !escaped => Kind::Or,
            "NOT" if full && !escaped => Kind::Not,
            "TO" if self.in_range && !escaped => Kind::To,
            _ => Kind::Word(parts),
        };
        self.push(kind, begin);
        Ok(())
    }
}

/// The character that a part was written as.
pub(crate) fn glob_char(part: &Glob) -> char {
    match part {
        Glob::Char(char) => *char,
        Glob::One => '?',
        Glob::Any => '*',
    }
}
