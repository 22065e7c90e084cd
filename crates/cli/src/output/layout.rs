//! Tables and numbers as text.

use std::fmt::Write as _;

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, ContentArrangement, Table};

use super::Cell;

pub(super) fn tabbed(titles: &[String], rows: &[Vec<Cell>]) -> String {
    let mut out = titles.join("\t") + "\n";
    for row in rows {
        let cells: Vec<String> = row.iter().map(|cell| cell.shown(false)).collect();
        // Writing to a string does not fail.
        writeln!(out, "{}", cells.join("\t")).ok();
    }
    out
}

pub(super) fn aligned(titles: Vec<String>, rows: &[Vec<Cell>]) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    let width = titles.len();
    table.set_header(titles);
    for row in rows {
        table.add_row(row.iter().map(|cell| cell.shown(true)));
    }
    for index in 0..width {
        let mut cells =
            rows.iter().filter_map(|row| row.get(index)).filter(|cell| **cell != Cell::None).peekable();
        let is_number = cells.peek().is_some() && cells.all(Cell::is_number);
        if let Some(column) = table.column_mut(index) {
            column.set_padding((0, 2));
            column.set_cell_alignment(if is_number { CellAlignment::Right } else { CellAlignment::Left });
        }
    }
    let mut out = String::new();
    for line in table.lines() {
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

/// `1,234,567`.
pub(crate) fn thousands(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut out = String::new();
    if number < 0 {
        out.push('-');
    }
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `412 MiB`: three digits that count.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = "KiB";
    for next in UNITS.into_iter().skip(1) {
        if value < 999.5 {
            break;
        }
        value /= 1024.0;
        unit = next;
    }
    if value < 9.95 { format!("{value:.1} {unit}") } else { format!("{value:.0} {unit}") }
}
