//! `eddy doctor`: whether this machine can work with a cluster, step by step, and what to do where it cannot.
//!
//! Goes the way of a client: resolve, connect, ask for versions, for metadata, then the same for every address that a broker
//! advertises. Reads only, unless a canary is asked for.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::error::{CliError, Exit};
use crate::output::Printer;
use crate::{Address, Context};

mod advertised;
mod canary;
mod clock;
mod dial;
mod metadata;
mod sniff;

use metadata::Seen;

#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Also write and read a record on every broker, in a topic that is deleted afterwards
    #[arg(long)]
    canary: bool,
}

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Outcome {
    Ok,
    /// Works, with something to look at.
    Warn,
    Fail,
    /// Not looked at.
    Skip,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Check {
    outcome: Outcome,
    /// What was looked at, such as `tcp`.
    step: &'static str,
    text: String,
    /// What to do about it.
    advice: Vec<String>,
    /// The page of `eddy explain` about it.
    code: Option<&'static str>,
}

impl Check {
    fn new(outcome: Outcome, step: &'static str, text: impl Into<String>) -> Check {
        Check { outcome, step, text: text.into(), advice: Vec::new(), code: None }
    }

    fn ok(step: &'static str, text: impl Into<String>) -> Check {
        Check::new(Outcome::Ok, step, text)
    }

    fn warn(step: &'static str, text: impl Into<String>) -> Check {
        Check::new(Outcome::Warn, step, text)
    }

    fn fail(step: &'static str, text: impl Into<String>) -> Check {
        Check::new(Outcome::Fail, step, text)
    }

    fn skip(step: &'static str, text: impl Into<String>) -> Check {
        Check::new(Outcome::Skip, step, text)
    }

    fn advise(mut self, advice: impl Into<String>) -> Check {
        self.advice.push(advice.into());
        self
    }

    fn code(mut self, code: &'static str) -> Check {
        self.code = Some(code);
        self
    }
}

/// The checks so far; people see each as it is done.
struct Findings<'a> {
    printer: &'a Printer,
    checks: Vec<Check>,
}

impl Findings<'_> {
    fn add(&mut self, check: Check) -> Result<(), CliError> {
        if self.printer.is_table() {
            self.printer.write(&render(self.printer, &check))?;
        }
        self.checks.push(check);
        Ok(())
    }

    fn has_failed(&self) -> bool {
        self.checks.iter().any(|check| check.outcome == Outcome::Fail)
    }
}

#[derive(Debug, Serialize)]
struct Report<'a> {
    ok: bool,
    checks: &'a [Check],
}

pub(crate) async fn run(context: &Context, arguments: Arguments) -> Result<(), CliError> {
    let mut findings = Findings { printer: &context.printer, checks: Vec::new() };
    look(context, &arguments, &mut findings).await?;
    let has_failed = findings.has_failed();
    if !context.printer.is_table() {
        let report = Report { ok: !has_failed, checks: &findings.checks };
        context.printer.thing(&report, |_| String::new())?;
    }
    if has_failed { Err(CliError::shown(Exit::Unhealthy)) } else { Ok(()) }
}

async fn look(context: &Context, arguments: &Arguments, findings: &mut Findings<'_>) -> Result<(), CliError> {
    let bootstrap = context.bootstrap()?;
    let mut seen: Option<Seen> = None;
    for address in &bootstrap {
        let dialed = dial::dial(address, context.global.timeout).await;
        for check in dialed.checks {
            findings.add(check)?;
        }
        let Some(connection) = dialed.connection else { continue };
        if seen.is_none() {
            let (checks, found) = metadata::ask(connection, dialed.is_loopback).await;
            for check in checks {
                findings.add(check)?;
            }
            seen = found;
        }
    }
    let Some(seen) = seen else { return Ok(()) };
    for check in advertised::check(&seen, &bootstrap, context.global.timeout).await {
        findings.add(check)?;
    }
    findings.add(clock::check(&seen).await)?;
    if !arguments.canary {
        return findings.add(Check::skip(
            "canary",
            "not asked for (--canary writes and reads a record on every broker)",
        ));
    }
    context.changes()?;
    for check in canary::check(context, &seen).await {
        findings.add(check)?;
    }
    Ok(())
}

fn render(printer: &Printer, check: &Check) -> String {
    let (word, color) = match check.outcome {
        Outcome::Ok => ("ok", Some(anstyle::AnsiColor::Green)),
        Outcome::Warn => ("warn", Some(anstyle::AnsiColor::Yellow)),
        Outcome::Fail => ("FAIL", Some(anstyle::AnsiColor::Red)),
        Outcome::Skip => ("skip", None),
    };
    let word = format!("{word:4}");
    let word = color.map_or(word.clone(), |color| printer.styled(color.on_default().bold(), &word));
    let mut out = String::new();
    // Writing to a string does not fail.
    writeln!(out, "{word}  {:10}  {}", check.step, check.text).ok();
    for advice in &check.advice {
        writeln!(out, "                  {advice}").ok();
    }
    if let Some(code) = check.code.filter(|_| check.outcome != Outcome::Ok) {
        writeln!(out, "                  more: eddy explain {code}").ok();
    }
    out
}

/// A measured time for people: `0.6 ms`.
fn millis(since: Instant) -> String {
    shown(since.elapsed())
}

fn shown(time: Duration) -> String {
    let micros = time.as_micros();
    if micros < 10_000 {
        format!("{}.{} ms", micros / 1000, micros % 1000 / 100)
    } else {
        format!("{} ms", micros / 1000)
    }
}

/// Whether an address names the machine it is used on, by its look.
fn is_loopback_name(address: &Address) -> bool {
    let host = address.host.trim_end_matches('.').to_ascii_lowercase();
    host == "localhost"
        || host.ends_with(".localhost")
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::Format;

    #[test]
    fn a_failure_says_what_to_do() {
        let printer = Printer::plain(Format::Table, true);
        let check = Check::fail("advertised", "broker 2 advertises localhost:9092")
            .advise("set on broker 2: listeners.advertised = \"HOST:9092\"")
            .code("ED-3002");
        expect![[r#"
            FAIL  advertised  broker 2 advertises localhost:9092
                              set on broker 2: listeners.advertised = "HOST:9092"
                              more: eddy explain ED-3002
        "#]]
        .assert_eq(&render(&printer, &check));
        expect![[r#"
            ok    tcp         0.6 ms
        "#]]
        .assert_eq(&render(&printer, &Check::ok("tcp", "0.6 ms")));
    }

    #[test]
    fn short_times_keep_a_tenth() {
        assert_eq!(shown(Duration::from_micros(640)), "0.6 ms");
        assert_eq!(shown(Duration::from_micros(12_400)), "12 ms");
    }

    #[test]
    fn loopback_is_known_by_name_and_by_number() {
        for (text, is_loopback) in [
            ("localhost:9092", true),
            ("LOCALHOST.:9092", true),
            ("127.0.1.1:9092", true),
            ("[::1]:9092", true),
            ("localhost.example:9092", false),
            ("10.0.4.5:9092", false),
        ] {
            assert_eq!(is_loopback_name(&text.parse().unwrap()), is_loopback, "{text}");
        }
    }
}
