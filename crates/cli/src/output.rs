//! Results on stdout: one way to print a list of rows and one for a single thing, in every form.
//!
//! People get aligned columns, thousands separators and units on a terminal; a pipe gets the same columns separated by tabs with plain
//! numbers; machines get JSON or YAML of the rows themselves, never shortened.

use std::io::{self, IsTerminal, Write};

use serde::Serialize;

use crate::error::{CliError, Exit};
use crate::{Color, Format};

mod layout;

use layout::{aligned, tabbed};
pub(crate) use layout::{size, thousands};

/// A value in a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cell {
    /// As it is; tabs and line ends are escaped.
    Text(String),
    /// A number, with thousands separators for people.
    Count(i64),
    /// A number of bytes, with a unit for people.
    Bytes(u64),
    /// Not known, not there.
    None,
}

/// A column of a table of `T`.
#[derive(Debug)]
pub(crate) struct Column<T> {
    title: &'static str,
    cell: fn(&T) -> Cell,
    wide: bool,
}

/// Prints results.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Printer {
    format: Format,
    /// Aligned and with units, for people.
    human: bool,
    /// With escape sequences for colours.
    color: bool,
}

impl<T> Column<T> {
    /// A column that is always there. Numbers stand to the right by themselves.
    pub(crate) const fn new(title: &'static str, cell: fn(&T) -> Cell) -> Column<T> {
        Column { title, cell, wide: false }
    }

    /// A column of `--output wide`.
    pub(crate) const fn wide(title: &'static str, cell: fn(&T) -> Cell) -> Column<T> {
        Column { title, cell, wide: true }
    }
}

impl Cell {
    /// Text.
    pub(crate) fn text(text: impl Into<String>) -> Cell {
        Cell::Text(text.into())
    }

    /// A number.
    pub(crate) fn count(number: impl Into<i64>) -> Cell {
        Cell::Count(number.into())
    }

    /// Numbers such as broker ids, separated by commas.
    pub(crate) fn list<I: IntoIterator<Item: ToString>>(items: I) -> Cell {
        let items: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
        if items.is_empty() { Cell::None } else { Cell::Text(items.join(",")) }
    }

    fn shown(&self, human: bool) -> String {
        match self {
            Cell::Text(text) if text.contains(char::is_control) => text.escape_debug().to_string(),
            Cell::Text(text) => text.clone(),
            Cell::Count(number) if human => thousands(*number),
            Cell::Count(number) => number.to_string(),
            Cell::Bytes(bytes) if human => size(*bytes),
            Cell::Bytes(bytes) => bytes.to_string(),
            Cell::None => "-".to_owned(),
        }
    }

    fn is_number(&self) -> bool {
        matches!(self, Cell::Count(_) | Cell::Bytes(_))
    }
}

impl Printer {
    /// To stdout, as it is.
    pub(crate) fn stdout(format: Format, color: Color) -> Printer {
        let choice = match color {
            Color::Auto => anstream::AutoStream::choice(&io::stdout()),
            Color::Always => anstream::ColorChoice::Always,
            Color::Never => anstream::ColorChoice::Never,
        };
        let color = choice != anstream::ColorChoice::Never;
        Printer { format, human: io::stdout().is_terminal(), color }
    }

    /// A printer for tests: of a form, for people or for a pipe, without colours.
    #[cfg(test)]
    pub(crate) fn plain(format: Format, human: bool) -> Printer {
        Printer { format, human, color: false }
    }

    /// A printer for tests: for people, with colours.
    #[cfg(test)]
    pub(crate) fn colored(format: Format) -> Printer {
        Printer { format, human: true, color: true }
    }

    /// The form that was asked for.
    #[must_use]
    pub(crate) fn format(&self) -> Format {
        self.format
    }

    /// The same for another form.
    #[must_use]
    pub(crate) fn with_format(self, format: Format) -> Printer {
        Printer { format, ..self }
    }

    /// Whether the form is for people or tabs, not a machine's.
    #[must_use]
    pub(crate) fn is_table(&self) -> bool {
        matches!(self.format, Format::Table | Format::Wide)
    }

    /// Whether a person looks at it: numbers may have separators and units.
    #[must_use]
    pub(crate) fn is_human(&self) -> bool {
        self.human
    }

    /// Prints rows in the form asked for.
    ///
    /// # Errors
    /// Stdout, see [`CliError`].
    pub(crate) fn rows<T: Serialize>(&self, columns: &[Column<T>], rows: &[T]) -> Result<(), CliError> {
        self.write(&self.render_rows(columns, rows)?)
    }

    /// Prints one thing: `text` for people and pipes, the value itself for machines.
    ///
    /// # Errors
    /// Stdout, see [`CliError`].
    pub(crate) fn thing<T: Serialize>(
        &self,
        value: &T,
        text: impl FnOnce(&Printer) -> String,
    ) -> Result<(), CliError> {
        self.write(&self.render_thing(value, text)?)
    }

    /// Writes text to stdout as it is.
    ///
    /// # Errors
    /// Stdout, see [`CliError`].
    pub(crate) fn write(&self, text: &str) -> Result<(), CliError> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(text.as_bytes())?;
        Ok(stdout.flush()?)
    }

    /// What [`rows`](Self::rows) prints.
    ///
    /// # Errors
    /// A value that the form cannot hold.
    pub(crate) fn render_rows<T: Serialize>(
        &self,
        columns: &[Column<T>],
        rows: &[T],
    ) -> Result<String, CliError> {
        match self.format {
            Format::Table | Format::Wide => Ok(self.table(columns, rows)),
            Format::Jsonl => {
                let mut out = String::new();
                for row in rows {
                    out.push_str(&serde_json::to_string(row).map_err(unwritable)?);
                    out.push('\n');
                }
                Ok(out)
            }
            Format::Json | Format::Yaml => self.document(&rows),
        }
    }

    /// What [`thing`](Self::thing) prints.
    ///
    /// # Errors
    /// A value that the form cannot hold.
    pub(crate) fn render_thing<T: Serialize>(
        &self,
        value: &T,
        text: impl FnOnce(&Printer) -> String,
    ) -> Result<String, CliError> {
        match self.format {
            Format::Table | Format::Wide => Ok(text(self)),
            Format::Json | Format::Jsonl | Format::Yaml => self.document(value),
        }
    }

    /// Rows as text, whatever form was asked for: a part of a larger page.
    pub(crate) fn table<T>(&self, columns: &[Column<T>], rows: &[T]) -> String {
        let is_wide = self.format == Format::Wide;
        let columns: Vec<_> = columns.iter().filter(|column| is_wide || !column.wide).collect();
        let titles = columns.iter().map(|column| column.title.to_owned()).collect();
        let cells: Vec<Vec<Cell>> =
            rows.iter().map(|row| columns.iter().map(|column| (column.cell)(row)).collect()).collect();
        if self.human { aligned(titles, &cells) } else { tabbed(&titles, &cells) }
    }

    /// A number as this printer shows it.
    #[must_use]
    pub(crate) fn count(&self, number: i64) -> String {
        Cell::Count(number).shown(self.human)
    }

    /// A number of bytes as this printer shows it.
    #[must_use]
    pub(crate) fn bytes(&self, bytes: u64) -> String {
        Cell::Bytes(bytes).shown(self.human)
    }

    /// Text in a style, where colours are wanted.
    #[must_use]
    pub(crate) fn styled(&self, style: anstyle::Style, text: &str) -> String {
        if self.color { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }

    fn document<T: Serialize>(&self, value: &T) -> Result<String, CliError> {
        match self.format {
            Format::Yaml => serde_norway::to_string(value).map_err(unwritable),
            Format::Jsonl => Ok(serde_json::to_string(value).map_err(unwritable)? + "\n"),
            Format::Json | Format::Table | Format::Wide => {
                Ok(serde_json::to_string_pretty(value).map_err(unwritable)? + "\n")
            }
        }
    }
}

fn unwritable(error: impl std::fmt::Display) -> CliError {
    CliError::new(Exit::Failed, format!("cannot write the result: {error}"))
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    #[derive(Serialize)]
    struct Row {
        name: &'static str,
        records: i64,
        bytes: Option<u64>,
    }

    const COLUMNS: &[Column<Row>] = &[
        Column::new("NAME", |row| Cell::text(row.name)),
        Column::new("RECORDS", |row| Cell::count(row.records)),
        Column::wide("SIZE", |row| row.bytes.map_or(Cell::None, Cell::Bytes)),
    ];

    fn check(format: Format, human: bool, expected: &Expect) {
        let rows = [
            Row { name: "orders", records: 1_834_112, bytes: Some(432_013_312) },
            Row { name: "a\tb", records: 7, bytes: None },
        ];
        let printed = Printer::plain(format, human).render_rows(COLUMNS, &rows).unwrap();
        expected.assert_eq(&printed.replace('\t', "<TAB>"));
    }

    #[test]
    fn people_get_aligned_columns_with_units() {
        check(
            Format::Wide,
            true,
            &expect![[r#"
            NAME      RECORDS     SIZE
            orders  1,834,112  412 MiB
            a\tb            7        -
        "#]],
        );
        check(
            Format::Table,
            true,
            &expect![[r#"
            NAME      RECORDS
            orders  1,834,112
            a\tb            7
        "#]],
        );
    }

    #[test]
    fn pipes_get_tabs_and_plain_numbers() {
        check(
            Format::Wide,
            false,
            &expect![[r#"
            NAME<TAB>RECORDS<TAB>SIZE
            orders<TAB>1834112<TAB>432013312
            a\tb<TAB>7<TAB>-
        "#]],
        );
    }

    #[test]
    fn machines_get_the_rows_themselves() {
        check(
            Format::Json,
            true,
            &expect![[r#"
            [
              {
                "name": "orders",
                "records": 1834112,
                "bytes": 432013312
              },
              {
                "name": "a\tb",
                "records": 7,
                "bytes": null
              }
            ]
        "#]],
        );
        check(
            Format::Jsonl,
            true,
            &expect![[r#"
            {"name":"orders","records":1834112,"bytes":432013312}
            {"name":"a\tb","records":7,"bytes":null}
        "#]],
        );
        check(
            Format::Yaml,
            true,
            &expect![[r#"
            - name: orders
              records: 1834112
              bytes: 432013312
            - name: "a\tb"
              records: 7
              bytes: null
        "#]],
        );
    }

    #[test]
    fn sizes_have_two_or_three_digits() {
        let shown = [0, 1023, 1024, 10_188, 1_048_575, 432_013_312, u64::MAX].map(size);
        assert_eq!(shown, ["0 B", "1023 B", "1.0 KiB", "9.9 KiB", "1.0 MiB", "412 MiB", "16 EiB"]);
        assert_eq!(thousands(-1_234_567), "-1,234,567");
        assert_eq!(thousands(123), "123");
    }
}
