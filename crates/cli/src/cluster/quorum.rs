//! `eddy cluster quorum`.

use serde::Serialize;

use super::ask;
use super::facts::Replica;
use crate::error::{CliError, Exit};
use crate::moment::span;
use crate::{Cell, Column, Context};

#[derive(Debug, Serialize)]
struct Row {
    role: &'static str,
    /// Term of the metadata group.
    term: i32,
    #[serde(flatten)]
    replica: Replica,
}

const COLUMNS: &[Column<Row>] = &[
    Column::new("ID", |row| Cell::count(row.replica.id)),
    Column::new("ROLE", |row| Cell::text(row.role)),
    Column::new("TERM", |row| Cell::count(row.term)),
    Column::new("BEHIND", |row| row.replica.behind.map_or(Cell::None, Cell::Count)),
    Column::new("CAUGHT UP", |row| {
        row.replica.caught_up_ms_ago.map_or(Cell::None, |ms| Cell::text(format!("{} ago", span(ms))))
    }),
];

pub(super) async fn run(context: &Context) -> Result<(), CliError> {
    let quorum = ask::quorum(context.brokers().await?).await?;
    let quorum = quorum.ok_or_else(|| {
        CliError::new(Exit::Failed, "the brokers do not tell of their controllers")
            .fact("they have no leader at the moment, or are too old to tell")
    })?;
    let row = |role, &replica: &Replica| Row { role, term: quorum.epoch, replica };
    let voters = quorum.voters.iter().map(|voter| {
        let role = if voter.id == quorum.leader { "leader" } else { "voter" };
        row(role, voter)
    });
    let rows: Vec<Row> = voters.chain(quorum.observers.iter().map(|one| row("observer", one))).collect();
    context.printer.rows(COLUMNS, &rows)
}
