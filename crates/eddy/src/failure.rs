//! What a user reads when a command cannot do what was asked: one code, the facts, and commands to run.

use std::fmt;
use std::io;

use crate::codes::{Code, Exit};

/// One or more problems that end a command. Never empty.
#[derive(Debug)]
pub(crate) struct Failure(Vec<Problem>);

/// One problem.
#[derive(Debug)]
pub(crate) struct Problem(Box<Parts>);

#[derive(Debug)]
struct Parts {
    code: &'static Code,
    message: String,
    excerpt: Option<Excerpt>,
    facts: Vec<String>,
    fixes: Vec<Fix>,
}

/// A command that would help, and what it does.
#[derive(Debug)]
struct Fix {
    command: String,
    effect: String,
}

/// The line of a file that a problem is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Excerpt {
    /// Name of the file as the user gave it.
    pub(crate) file: String,
    /// Line in the file, from 1.
    pub(crate) line: usize,
    /// First marked character of the line, from 1.
    pub(crate) column: usize,
    /// Number of marked characters, at least 1.
    pub(crate) width: usize,
    /// The whole line.
    pub(crate) text: String,
    /// What is said about the marked characters.
    pub(crate) note: String,
}

impl Problem {
    pub(crate) fn new(code: &'static Code, message: impl Into<String>) -> Self {
        let message = message.into();
        Problem(Box::new(Parts { code, message, excerpt: None, facts: Vec::new(), fixes: Vec::new() }))
    }

    /// Adds a line that says what was found.
    pub(crate) fn fact(mut self, fact: impl Into<String>) -> Self {
        self.0.facts.push(fact.into());
        self
    }

    /// Adds a command to run.
    pub(crate) fn fix(mut self, command: impl Into<String>, effect: impl Into<String>) -> Self {
        self.0.fixes.push(Fix { command: command.into(), effect: effect.into() });
        self
    }

    /// Shows a line of a file.
    pub(crate) fn excerpt(mut self, excerpt: Excerpt) -> Self {
        self.0.excerpt = Some(excerpt);
        self
    }

    pub(crate) fn code(&self) -> &'static Code {
        self.0.code
    }

    pub(crate) fn message(&self) -> &str {
        &self.0.message
    }
}

impl Failure {
    /// All of `problems` at once; `None` when there are none.
    pub(crate) fn all(problems: Vec<Problem>) -> Option<Self> {
        if problems.is_empty() { None } else { Some(Failure(problems)) }
    }

    /// How the process ends: as the first problem says.
    pub(crate) fn exit(&self) -> Exit {
        self.0.first().map_or(Exit::Failed, |first| first.code().exit)
    }

    pub(crate) fn problems(&self) -> &[Problem] {
        &self.0
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Failure(vec![problem])
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.0 {
            write!(f, "{problem}")?;
        }
        if self.0.len() > 1 {
            writeln!(f, "{} errors", self.0.len())?;
        }
        let mut codes: Vec<_> = self.0.iter().map(|problem| problem.code().to_string()).collect();
        codes.sort();
        codes.dedup();
        for (index, code) in codes.iter().enumerate() {
            let label = if index == 0 { "more:" } else { "     " };
            writeln!(f, "  {label} eddy explain {code}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = &self.0;
        writeln!(f, "error[{}]: {}", parts.code, parts.message)?;
        if let Some(excerpt) = &parts.excerpt {
            write!(f, "{excerpt}")?;
        }
        for fact in &parts.facts {
            writeln!(f, "  {fact}")?;
        }
        let width = parts.fixes.iter().map(|fix| fix.command.chars().count()).max().unwrap_or(0);
        for (index, fix) in parts.fixes.iter().enumerate() {
            let label = if index == 0 { "fix:" } else { "    " };
            writeln!(f, "  {label} {:width$}   {}", fix.command, fix.effect)?;
        }
        Ok(())
    }
}

impl fmt::Display for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.line.to_string();
        let gutter = " ".repeat(number.len() + 2);
        let before = " ".repeat(self.column - 1);
        // The note hangs from the middle of the marked characters.
        let left = (self.width - 1) / 2;
        let right = self.width - 1 - left;
        let text = self.text.replace('\t', " ");
        writeln!(f, "{gutter}╭─[{}:{}:{}]", self.file, self.line, self.column)?;
        writeln!(f, " {number} │ {text}")?;
        writeln!(f, "{gutter}· {before}{}┬{}", "─".repeat(left), "─".repeat(right))?;
        writeln!(f, "{gutter}· {before}{}╰── {}", " ".repeat(left), self.note)
    }
}

/// What the operating system said, without its number and in the case of our own messages.
pub(crate) fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codes;

    #[test]
    fn a_problem_reads_message_facts_fixes_more() {
        let failure = Failure::from(
            Problem::new(&codes::PORT_IN_USE, "cannot listen on 127.0.0.1:9092")
                .fact("held by pid 4121 (java … kafka.Kafka)")
                .fix("eddy serve --set listeners.kafka=127.0.0.1:9192", "use another port")
                .fix("kill 4121", "stop the other process"),
        );
        assert_eq!(
            failure.to_string(),
            "error[ED-1001]: cannot listen on 127.0.0.1:9092\n\
             \x20 held by pid 4121 (java … kafka.Kafka)\n\
             \x20 fix: eddy serve --set listeners.kafka=127.0.0.1:9192   use another port\n\
             \x20      kill 4121                                         stop the other process\n\
             \x20 more: eddy explain ED-1001\n"
        );
    }

    #[test]
    fn an_excerpt_marks_the_characters_and_says_why() {
        let excerpt = Excerpt {
            file: "eddy.toml".to_owned(),
            line: 7,
            column: 1,
            width: 7,
            text: "proflie = \"ultra\"".to_owned(),
            note: "did you mean `profile`?".to_owned(),
        };
        assert_eq!(
            excerpt.to_string(),
            "   ╭─[eddy.toml:7:1]\n 7 │ proflie = \"ultra\"\n   · ───┬───\n   ·    ╰── did you mean `profile`?\n"
        );
    }

    #[test]
    fn several_problems_are_counted_and_each_code_explained_once() {
        let unknown = || Problem::new(&codes::UNKNOWN_KEY, "unknown key `a`");
        let bad = Problem::new(&codes::BAD_VALUE, "bad `b`");
        let failure = Failure::all(vec![unknown(), bad, unknown()]).unwrap();
        assert!(
            failure
                .to_string()
                .ends_with("3 errors\n  more: eddy explain ED-1101\n        eddy explain ED-1103\n")
        );
        assert_eq!(failure.exit(), Exit::Configuration);
        assert!(Failure::all(Vec::new()).is_none());
    }
}
