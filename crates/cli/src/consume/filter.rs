//! Which records are wanted, by globs on key, value and headers.

use globset::GlobSet;

use crate::error::CliError;
use crate::record::Record;
use crate::select::glob_set;

#[derive(Debug, Default, clap::Args)]
pub(crate) struct Globs {
    /// Only records whose key fits this glob
    #[arg(long, value_name = "GLOB")]
    key: Vec<String>,
    /// Only records whose value fits this glob
    #[arg(long, value_name = "GLOB")]
    value: Vec<String>,
    /// Only records with a header that fits: NAME, or NAME=GLOB
    #[arg(long, value_name = "NAME[=GLOB]")]
    header: Vec<String>,
}

/// A record passes when it fits one glob of each kind that there is.
#[derive(Debug, Default)]
pub(crate) struct Filter {
    key: Option<GlobSet>,
    value: Option<GlobSet>,
    headers: Vec<(String, Option<GlobSet>)>,
}

impl Filter {
    pub(crate) fn new(globs: &Globs) -> Result<Filter, CliError> {
        let set = |texts: &[String]| {
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            if texts.is_empty() { Ok(None) } else { glob_set(&texts).map(Some) }
        };
        let header = |text: &String| match text.split_once('=') {
            Some((name, glob)) => Ok((name.to_owned(), Some(glob_set(&[glob])?))),
            None => Ok((text.clone(), None)),
        };
        let headers = globs.header.iter().map(header).collect::<Result<_, CliError>>()?;
        Ok(Filter { key: set(&globs.key)?, value: set(&globs.value)?, headers })
    }

    pub(crate) fn passes(&self, record: &Record) -> bool {
        let fits = |set: &Option<GlobSet>, bytes: Option<&[u8]>| match (set, bytes) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(set), Some(bytes)) => set.is_match(&*String::from_utf8_lossy(bytes)),
        };
        let has_header = |(name, set): &(String, Option<GlobSet>)| {
            record
                .headers
                .iter()
                .any(|header| *header.key == *name.as_bytes() && fits(set, header.value.as_deref()))
        };
        fits(&self.key, record.key.as_deref())
            && fits(&self.value, record.value.as_deref())
            && (self.headers.is_empty() || self.headers.iter().any(has_header))
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use eddy_batch::Header;

    use super::*;

    fn passes(key: &[&str], value: &[&str], header: &[&str]) -> bool {
        let own = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let globs = Globs { key: own(key), value: own(value), header: own(header) };
        let trace = Header { key: Bytes::from_static(b"trace"), value: Some(Bytes::from_static(b"eu/1=2")) };
        let record = Record { headers: vec![trace], ..Record::sample() };
        Filter::new(&globs).unwrap().passes(&record)
    }

    #[test]
    fn one_glob_of_each_kind_must_fit() {
        assert!(passes(&[], &[], &[]));
        assert!(passes(&["x", "k*"], &["some*"], &["trace"]));
        assert!(!passes(&["x"], &["some*"], &[]));
        assert!(!passes(&["k*"], &["other"], &[]));
        assert!(passes(&[], &[], &["none", "trace=eu/*=2"]));
        assert!(!passes(&[], &[], &["trace=us*"]));
    }

    #[test]
    fn null_fits_no_glob() {
        let filter = Filter::new(&Globs { value: vec!["*".to_owned()], ..Globs::default() }).unwrap();
        assert!(!filter.passes(&Record { value: None, ..Record::sample() }));
        assert!(filter.passes(&Record { value: Some(Bytes::new()), ..Record::sample() }));
    }
}
