//! Putting the triggers of a split on both tables, and taking them off.

use super::program::End;
use crate::fault::{Fault, Result};
use crate::pg::{spi, subtransaction};
use crate::sync::install::Table;
use crate::sync::names::{SplitTrigger, split_name};

/// Puts triggers on both tables that keep them in step from now on. `back`: the columns come back
/// from the target, and only it is written by an application. Takes SHARE ROW EXCLUSIVE on both.
pub fn install_split(
    source: u32,
    target: u32,
    key: &[String],
    columns: &[String],
    back: bool,
) -> Result<()> {
    let (from, to) = (Table::owned(source)?, Table::owned(target)?);
    if source == target || key.is_empty() || columns.is_empty() {
        return Err(Fault::invalid(
            "a split needs two tables, the columns of a key and those that move",
        ));
    }
    for (relation, table) in [(source, &from), (target, &to)] {
        for column in key.iter().chain(columns) {
            table.column(relation, column)?;
        }
    }
    for table in [&from, &to] {
        let name = table.name();
        spi::run(
            &format!("LOCK TABLE {name} IN SHARE ROW EXCLUSIVE MODE"),
            &[],
        )?;
    }
    let list = |names: &[String]| spi::literal(&serde_json::json!(names).to_string());
    let (key, columns) = (list(key), list(columns));
    let create = |on: &Table, other: &Table, which: SplitTrigger, end: End| -> Result<()> {
        let name = spi::ident(&split_name(other.name(), which));
        spi::run(
            &format!(
                "CREATE TRIGGER {name} {} ON {} FOR EACH {} EXECUTE FUNCTION \
                 migrate.sync_split_trigger({}, {}, {key}, {columns})",
                which.when(),
                on.name(),
                which.each(),
                spi::literal(end.word()),
                spi::literal(other.name()),
            ),
            &[],
        )?;
        // Or logical apply and session_replication_role = replica pass by it.
        spi::run(
            &format!("ALTER TABLE {} ENABLE ALWAYS TRIGGER {name}", on.name()),
            &[],
        )
        .map(drop)
    };
    // Its transaction id is assigned here, after the locks were granted: see `sync`.
    subtransaction::attempt(|| {
        let end = if back { End::Back } else { End::Target };
        // PostgreSQL itself refuses to truncate the source alone: a foreign key points to it.
        create(&to, &from, SplitTrigger::Truncate, end)?;
        create(&to, &from, SplitTrigger::After, end)?;
        if back {
            return Ok(());
        }
        create(&to, &from, SplitTrigger::Before, end)?;
        create(&from, &to, SplitTrigger::After, End::Source)
    })
}

/// Takes the triggers off again. Takes ACCESS EXCLUSIVE for an instant.
pub fn drop_split(source: u32, target: u32) -> Result<()> {
    let (from, to) = (Table::owned(source)?, Table::owned(target)?);
    for (on, other) in [(&from, &to), (&to, &from)] {
        for which in SplitTrigger::ALL {
            spi::run(
                &format!(
                    "DROP TRIGGER IF EXISTS {} ON {}",
                    spi::ident(&split_name(other.name(), which)),
                    on.name()
                ),
                &[],
            )?;
        }
    }
    Ok(())
}
