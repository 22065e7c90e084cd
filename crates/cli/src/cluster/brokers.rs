//! `eddy cluster brokers`.

use super::ask;
use super::facts::Broker;
use crate::error::CliError;
use crate::{Cell, Column, Context};

const COLUMNS: &[Column<Broker>] = &[
    Column::new("ID", |row| Cell::count(row.id)),
    Column::new("ADDRESS", |row| Cell::text(row.address.clone())),
    Column::new("RACK", |row| row.rack.as_ref().map_or(Cell::None, Cell::text)),
    Column::new("STATE", |row| Cell::text(state(row))),
    Column::new("LEADS", |row| Cell::Count(row.leads as i64)),
    Column::new("REPLICAS", |row| Cell::Count(row.replicas as i64)),
    Column::new("OUT OF SYNC", |row| Cell::Count(row.out_of_sync as i64)),
    Column::new("LOG", |row| row.log_bytes.map_or(Cell::None, Cell::Bytes)),
    Column::new("DISK", |row| {
        row.disk.map_or(Cell::None, |disk| Cell::text(format!("{}%", disk.used_percent())))
    }),
    Column::wide("DISK TOTAL", |row| row.disk.map_or(Cell::None, |disk| Cell::Bytes(disk.total_bytes))),
    Column::wide("DISK FREE", |row| row.disk.map_or(Cell::None, |disk| Cell::Bytes(disk.usable_bytes))),
];

fn state(broker: &Broker) -> &'static str {
    match (&broker.unreachable, broker.is_fenced) {
        (Some(_), _) => "unreachable",
        (None, true) => "fenced",
        (None, false) => "ok",
    }
}

pub(super) async fn run(context: &Context) -> Result<(), CliError> {
    let brokers = context.brokers().await?;
    let cluster = brokers.cluster(None).await?;
    let mut listed = ask::list(brokers, &cluster).await?;
    for broker in listed.iter_mut().filter(|broker| !broker.is_fenced) {
        ask::ask_dirs(brokers, broker).await?;
    }
    ask::count(&cluster, &mut listed);
    context.printer.rows(COLUMNS, &listed)
}
