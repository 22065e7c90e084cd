//! The two text forms of `/metrics`: OpenMetrics 1.0 for who asks for it, Prometheus text 0.0.4 for everybody else.
//!
//! The encoder writes OpenMetrics, in which a counter's family has no `_total` and an info's no `_info`. A reader of the
//! older form takes family and sample by the same name, and would call those samples untyped.

use std::fmt::{self, Write};

use prometheus_client::encoding::text;
use prometheus_client::registry::Registry;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    OpenMetrics,
    Prometheus,
}

impl Format {
    /// The form that an `Accept` header asks for.
    pub(crate) fn accepted(accept: Option<&str>) -> Format {
        match accept {
            Some(types) if types.contains("application/openmetrics-text") => Format::OpenMetrics,
            _ => Format::Prometheus,
        }
    }

    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Format::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Format::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

pub(crate) fn encode(registry: &Registry, format: Format) -> Result<String, fmt::Error> {
    let mut open = String::new();
    text::encode(&mut open, registry)?;
    match format {
        Format::OpenMetrics => Ok(open),
        Format::Prometheus => prometheus(&open),
    }
}

/// Rewrites the `#` lines; samples are the same in both forms.
fn prometheus(open: &str) -> Result<String, fmt::Error> {
    let mut out = String::with_capacity(open.len() + open.len() / 16);
    let mut help: Option<(&str, &str)> = None;
    for line in open.lines() {
        let Some(comment) = line.strip_prefix("# ") else {
            writeln!(out, "{line}")?;
            continue;
        };
        let mut words = comment.splitn(3, ' ');
        match (words.next(), words.next(), words.next()) {
            // Held back until its TYPE line, which follows, says what the family is called.
            (Some("HELP"), Some(name), text) => help = Some((name, text.unwrap_or_default())),
            (Some("TYPE"), Some(name), Some(kind)) => {
                let (suffix, kind) = match kind {
                    "counter" => ("_total", "counter"),
                    "info" => ("_info", "gauge"),
                    "unknown" => ("", "untyped"),
                    other => ("", other),
                };
                if let Some((_, text)) = help.take().filter(|(helped, _)| *helped == name) {
                    writeln!(out, "# HELP {name}{suffix} {text}")?;
                }
                writeln!(out, "# TYPE {name}{suffix} {kind}")?;
            }
            // UNIT and EOF do not exist in the older form.
            _ => {}
        }
    }
    Ok(out)
}
