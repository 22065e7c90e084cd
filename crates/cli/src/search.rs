//! `eddy search`: records by what is in them, from the index of a broker.

use std::time::Duration;

use crate::error::CliError;
use crate::http::{Http, HttpAddress};
use crate::moment::{self, Moment};
use crate::{Context, Format};

mod answer;
mod ask;
mod follow;
mod show;
pub(crate) mod status;

use ask::Question;
use show::Show;

/// Records of one answer: what is printed begins after the first.
const PAGE: u64 = 500;

const HELP: &str = "\
Queries:
  timeout                    records with this word in the value or as the key
  \"connection reset\"         words that follow each other
  level:error AND user.id:7  fields of JSON values, by path
  took:>250  at:[10 TO 20]   ranges
  err*  stack:*              beginnings of words; fields that are there
  _key:order-7               _key, _offset, _partition, _topic, @timestamp and _headers.NAME are the record's own
AND OR NOT and ( ) combine them; words beside each other must all be there. Nothing at all finds every record.

Only topics with search.enable=true can be searched: eddy topic alter TOPIC --set search.enable=true";

#[derive(Debug, clap::Args)]
#[command(after_long_help = HELP)]
pub struct Arguments {
    /// Topics, separated by commas, globs too
    #[arg(value_name = "TOPIC,…")]
    topics: String,
    /// What to find (see --help); everything when left out
    #[arg(value_name = "QUERY", default_value = "", hide_default_value = true, allow_hyphen_values = true)]
    query: String,
    /// Only records from then on: 1h (ago), 2026-11-21, 2026-11-21T06:47:02Z
    #[arg(long, value_name = "TIME", value_parser = since, allow_hyphen_values = true)]
    since: Option<Moment>,
    /// Only records before then
    #[arg(long, value_name = "TIME", value_parser = since, allow_hyphen_values = true)]
    until: Option<Moment>,
    /// Stop after so many records
    #[arg(short = 'n', long, value_name = "N", default_value_t = 100)]
    limit: u64,
    /// The newest records first, as by default
    #[arg(long, conflicts_with = "oldest")]
    newest: bool,
    /// The oldest records first
    #[arg(long)]
    oldest: bool,
    /// Go on with what is written from now on, until interrupted
    #[arg(short, long, conflicts_with_all = ["oldest", "newest", "until"])]
    follow: bool,
    /// Wait until everything that is committed now can be found
    #[arg(short, long)]
    wait: bool,
    #[command(flatten)]
    http: HttpAddress,
}

pub(crate) async fn run(context: &Context, arguments: Arguments) -> Result<(), CliError> {
    let now = moment::now_ms();
    let at = |moment: Option<Moment>| moment.map(|moment| moment.millis(now));
    let question = Question {
        query: arguments.query,
        topics: arguments.topics,
        since: at(arguments.since),
        until: at(arguments.until),
        newest_first: !arguments.oldest,
        wait: arguments.wait,
        timeout: context.global.timeout,
    };
    let mut http = Http::connect(context, &arguments.http).await?;
    let mut show = Show::stdout(context.printer);
    let printing = async {
        if arguments.follow {
            follow::run(context, &mut http, &question, arguments.limit, &mut show).await
        } else {
            pages(context, &mut http, &question, arguments.limit, &mut show).await
        }
    };
    tokio::select! {
        printed = printing => printed?,
        // Ends well-formed documents, too.
        _ = tokio::signal::ctrl_c() => {}
    }
    show.end()
}

/// Prints page after page.
async fn pages(
    context: &Context,
    http: &mut Http,
    question: &Question,
    limit: u64,
    show: &mut Show<std::io::Stdout>,
) -> Result<(), CliError> {
    let (mut left, mut after) = (limit, None);
    loop {
        let answer = question.ask(http, after.as_deref(), left.min(PAGE)).await?;
        let is_first = after.is_none();
        for hit in &answer.hits {
            show.hit(hit)?;
        }
        show.flush()?;
        left = left.saturating_sub(answer.hits.len() as u64);
        if is_first {
            answer.warn(context);
        }
        after = answer.next.clone();
        if left == 0 && answer.total > limit && context.printer.format() == Format::Table {
            context.note(format!(
                "{limit} of {} records; -n N shows more",
                context.printer.count(i64::try_from(answer.total).unwrap_or(i64::MAX))
            ));
        }
        if left == 0 || after.is_none() || answer.hits.is_empty() {
            return Ok(());
        }
    }
}

/// `1h` means ago here: nobody searches the future.
fn since(text: &str) -> Result<Moment, String> {
    match crate::global::duration(text) {
        Ok(ago) => Ok(Moment::FromNow(-i64::try_from(ago.as_millis()).unwrap_or(i64::MAX))),
        Err(_) => match text.strip_suffix('d').and_then(|days| days.parse::<u32>().ok()) {
            Some(days) => Ok(Moment::FromNow(-i64::from(days) * 86_400_000)),
            None => text.parse(),
        },
    }
}

/// Time between two looks for new records.
const FOLLOW_PAUSE: Duration = Duration::from_millis(300);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_of_time_is_ago() {
        assert_eq!(since("1h").unwrap(), Moment::FromNow(-3_600_000));
        assert_eq!(since("2d").unwrap(), Moment::FromNow(-172_800_000));
        assert_eq!(since("-15m").unwrap(), Moment::FromNow(-900_000));
        assert_eq!(since("2026-11-21T06:47:02Z").unwrap(), Moment::At(1_795_243_622_000));
        assert!(since("soon").is_err());
    }
}
