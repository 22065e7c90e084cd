//! One question to `GET /v1/search`.

use std::time::Duration;

use super::answer::Answer;
use crate::error::{CliError, Exit};
use crate::http::{Http, HttpError, Problem};

/// Longest part of a line of a query that is shown on either side of a mistake.
const SHOWN_MAX: usize = 60;

#[derive(Clone, Debug)]
pub(super) struct Question {
    pub(super) query: String,
    pub(super) topics: String,
    pub(super) since: Option<i64>,
    pub(super) until: Option<i64>,
    pub(super) newest_first: bool,
    pub(super) wait: bool,
    pub(super) timeout: Duration,
}

impl Question {
    /// Asks for a page: the first one, or what comes `after` one.
    pub(super) async fn ask(
        &self,
        http: &mut Http,
        after: Option<&str>,
        limit: u64,
    ) -> Result<Answer, CliError> {
        let mut parameters = vec![
            ("topics", self.topics.clone()),
            ("q", self.query.clone()),
            ("limit", limit.to_string()),
            ("order", if self.newest_first { "newest" } else { "oldest" }.to_owned()),
            ("timeout", format!("{}ms", self.timeout.as_millis())),
        ];
        // Milliseconds before 1973 look like seconds; nothing is that old.
        let times = [("since", self.since), ("until", self.until)];
        for (name, time) in times {
            parameters.extend(time.map(|ms| (name, crate::moment::rfc3339(ms))));
        }
        if self.wait && after.is_none() {
            parameters.push(("refresh", "wait_for".to_owned()));
        }
        parameters.extend(after.map(|after| ("after", after.to_owned())));
        let answer = http.get("/v1/search", &parameters).await.map_err(|error| match error {
            HttpError::Refused(problem) => explain(problem, &self.query),
            HttpError::Failed(error) => error,
        })?;
        serde_json::from_value(answer).map_err(|error| {
            CliError::new(Exit::Failed, format!("the broker's answer is not understood: {error}"))
        })
    }
}

/// A refusal; one about a place in the query with that place underlined.
fn explain(problem: Problem, query: &str) -> CliError {
    let place = problem.line.zip(problem.col).filter(|_| problem.status == 400);
    let error = CliError::from(problem);
    match place.and_then(|(line, column)| marked(query, line, column)) {
        Some(marked) => error.fact(marked),
        None => error,
    }
}

/// A line of the query with a mark under a column; both count from 1.
fn marked(query: &str, line: usize, column: usize) -> Option<String> {
    let text: Vec<char> = query.lines().nth(line.checked_sub(1)?)?.chars().collect();
    let at = column.checked_sub(1)?.min(text.len());
    let (from, to) = (at.saturating_sub(SHOWN_MAX), text.len().min(at + SHOWN_MAX));
    let shown: String = text
        .get(from..to)?
        .iter()
        .map(|character| if character.is_control() { ' ' } else { *character })
        .collect();
    Some(format!("  {shown}\n  {}^", " ".repeat(at - from)))
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn a_mistake_is_underlined() {
        let problem = Problem {
            status: 400,
            code: Some("ED-4503".to_owned()),
            detail: "a ) that closes nothing (line 1, column 17)".to_owned(),
            line: Some(1),
            col: Some(17),
        };
        expect![[r#"
            error: a ) that closes nothing (line 1, column 17)
                level:error AND )
                                ^
              more: eddy explain ED-4503
        "#]]
        .assert_eq(&explain(problem, "level:error AND )").to_string());
    }

    #[test]
    fn a_place_that_is_none_is_not_shown() {
        assert_eq!(marked("a", 0, 1), None);
        assert_eq!(marked("a", 2, 1), None);
        assert_eq!(marked("é(", 1, 9).unwrap(), "  é(\n    ^");
        let long = "x".repeat(1000);
        assert_eq!(marked(&long, 1, 500).unwrap().lines().next().unwrap().len(), 2 + 2 * SHOWN_MAX);
    }
}
