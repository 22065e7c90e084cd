//! A search body: what is searched, how the hits are sorted, which of them are wanted, and how they are shown.

use std::time::Duration;

use eddy_types::Millis;
use serde_json::Value;
use tantivy::aggregation::agg_req::Aggregations;

use super::aggregations::{self, Shape};
use super::dsl::Dsl;
use super::highlight::{self, Highlight};
use super::sort::{self, Sort};
use super::source::SourceFilter;
use super::tree::Node;
use super::wrong::{Part, Wrong};

/// Hits that one search may page through: `from` and `size` together.
pub(crate) const WINDOW_MAX: usize = 10_000;

/// How exactly the hits are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Track {
    /// All of them.
    Exactly,
    /// Said to be at least so many when there are more.
    UpTo(u64),
    /// Not shown.
    Not,
}

impl Track {
    /// The count from which on more hits need not be counted.
    fn enough(self) -> Option<u64> {
        match self {
            Track::Exactly => None,
            Track::UpTo(count) => Some(count),
            Track::Not => Some(0),
        }
    }
}

/// A search, understood.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) query: Node,
    pub(crate) from: usize,
    pub(crate) size: usize,
    pub(crate) sort: Sort,
    pub(crate) track: Track,
    pub(crate) source: SourceFilter,
    pub(crate) highlight: Option<Highlight>,
    /// What `fields` and `docvalue_fields` ask for.
    pub(crate) fields: Vec<(String, Option<String>)>,
    pub(crate) aggregations: Option<(Aggregations, Shape)>,
    /// The fields of values that `sort` and `aggs` need as columns.
    pub(crate) sorted_by: Vec<SortedBy>,
    pub(crate) timeout: Option<Duration>,
}

const KEYS: &str = "query, from, size, sort, search_after, track_total_hits, _source, highlight, aggs, fields, \
                    docvalue_fields and timeout";

impl Request {
    /// When more hits than this were counted, those that score too little to be shown may be passed over: in a search for a phrase
    /// and nothing else, best first. `None` when all are counted.
    pub(crate) fn counted_up_to(&self) -> Option<u64> {
        let best_first = self.sort.only_by_score() && self.aggregations.is_none();
        let only_phrase = matches!(self.query, Node::Phrase { slop: 0, .. });
        self.track.enough().filter(|_| best_first && only_phrase)
    }

    /// Reads a body; `now` is what dates mean by it.
    pub(crate) fn parse(body: &Value, now: Millis) -> Result<Request, Wrong> {
        let root = Part::root(body);
        let mut request = Request::everything();
        let mut after = None;
        if body.is_null() {
            return Ok(request);
        }
        for (key, part) in root.entries("the body")? {
            match key {
                "query" => request.query = Dsl::new(now).query(&part, 0)?,
                "from" => request.from = window(&part, key)?,
                "size" => request.size = window(&part, key)?,
                "sort" => {
                    request.sort = sort::parse(&part)?;
                    request.need(request.sort.paths(), &part);
                }
                "search_after" => after = Some(part),
                "track_total_hits" => request.track = track(&part)?,
                "_source" => request.source = SourceFilter::parse(&part)?,
                "highlight" => request.highlight = Some(highlight::parse(&part)?),
                "fields" | "docvalue_fields" => request.fields.extend(fields(&part)?),
                "aggs" | "aggregations" => {
                    let parsed = aggregations::parse(&part)?;
                    request.need(aggregations::paths(&parsed.0), &part);
                    request.aggregations = Some(parsed);
                }
                "timeout" => request.timeout = Some(duration(&part)?),
                "track_scores" | "explain" | "version" | "seq_no_primary_term" | "profile"
                    if part.value == &Value::Bool(false) => {}
                "track_scores" => _ = part.bool(key)?,
                "stored_fields" | "script_fields" | "runtime_mappings" | "indices_boost"
                    if is_empty(part.value) => {}
                "stored_fields" if part.items().iter().all(|item| item.value == "*") => {}
                _ => return Err(part.unknown("key in the body", key, KEYS)),
            }
        }
        if request.from + request.size > WINDOW_MAX {
            return Err(root.too_much(format!(
                "from + size is {}, and at most {WINDOW_MAX} hits can be paged through; go on with search_after",
                request.from + request.size
            )));
        }
        if let Some(after) = after {
            if request.from > 0 {
                return Err(after.wrong("from must be 0 with search_after"));
            }
            request.sort.set_after(&after)?;
        }
        Ok(request)
    }

    /// What an empty body asks for.
    fn everything() -> Request {
        Request {
            query: Node::All,
            from: 0,
            size: 10,
            sort: Sort::default(),
            track: Track::UpTo(10_000),
            source: SourceFilter::default(),
            highlight: None,
            fields: Vec::new(),
            aggregations: None,
            sorted_by: Vec::new(),
            timeout: None,
        }
    }

    fn need(&mut self, paths: Vec<String>, at: &Part<'_>) {
        self.sorted_by.extend(paths.into_iter().map(|path| SortedBy { path, pointer: at.pointer() }));
    }
}

/// A field of values that is sorted by or aggregated over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SortedBy {
    pub(crate) path: String,
    /// JSON pointer to where the body says so.
    pub(crate) pointer: String,
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(entries) => entries.is_empty(),
        _ => false,
    }
}

fn window(part: &Part<'_>, what: &str) -> Result<usize, Wrong> {
    let count = part.count(what)?;
    usize::try_from(count).ok().filter(|count| *count <= WINDOW_MAX).ok_or_else(|| {
        part.too_much(format!(
            "{what} is {count}, and at most {WINDOW_MAX} hits can be paged through; go on with search_after"
        ))
    })
}

fn track(part: &Part<'_>) -> Result<Track, Wrong> {
    match part.value {
        Value::Bool(true) => Ok(Track::Exactly),
        Value::Bool(false) => Ok(Track::Not),
        _ => Ok(Track::UpTo(part.count("track_total_hits")?)),
    }
}

/// `500ms`, `10s`, `1m`; a number is milliseconds.
fn duration(part: &Part<'_>) -> Result<Duration, Wrong> {
    let text = part.as_text("timeout")?;
    parse_duration(&text).ok_or_else(|| part.wrong("timeout must be a time such as 500ms, 10s or 1m"))
}

fn parse_duration(text: &str) -> Option<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (count, unit) = text.split_at(digits);
    let count: u64 = count.parse().ok()?;
    match unit {
        "ms" | "" => Some(Duration::from_millis(count)),
        "s" => Some(Duration::from_secs(count)),
        "m" => Some(Duration::from_secs(count.checked_mul(60)?)),
        _ => None,
    }
}

fn fields(part: &Part<'_>) -> Result<Vec<(String, Option<String>)>, Wrong> {
    const FIELDS_MAX: usize = 256;
    let items = part.items_within(FIELDS_MAX, "fields")?;
    let one = |item: &Part<'_>| {
        if item.value.is_string() {
            return Ok((item.text("a field")?.to_owned(), None));
        }
        let (mut field, mut format) = (None, None);
        for (key, part) in item.entries("a field")? {
            match key {
                "field" => field = Some(part.text(key)?.to_owned()),
                "format" => format = Some(part.text(key)?.to_owned()),
                _ => return Err(part.unknown("key of a field", key, "field and format")),
            }
        }
        Ok((field.ok_or_else(|| item.wrong("[field] is missing"))?, format))
    };
    items.iter().map(one).collect()
}
