//! Putting the triggers of a split on both tables, and taking them off.

use super::program::End;
use crate::fault::{Fault, Result};
use crate::pg::{spi, subtransaction};
use crate::sync::install::Table;
use crate::sync::names::split_name;

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
    let create = |on: &Table, other: &Table, when: &str, end: End| -> Result<()> {
        let name = spi::ident(&split_name(other.name(), when.starts_with("BEFORE")));
        spi::run(
            &format!(
                "CREATE TRIGGER {name} {when} ON {} FOR EACH ROW EXECUTE FUNCTION \
                 migrate.sync_split_trigger({}, {}, {key}, {columns})",
                on.name(),
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
    let after = "AFTER INSERT OR UPDATE OR DELETE";
    // Its transaction id is assigned here, after the locks were granted: see `sync`.
    subtransaction::attempt(|| {
        if back {
            return create(&to, &from, after, End::Back);
        }
        create(&to, &from, "BEFORE INSERT", End::Target)?;
        create(&to, &from, after, End::Target)?;
        create(&from, &to, after, End::Source)
    })
}

/// Takes the triggers off again. Takes ACCESS EXCLUSIVE for an instant.
pub fn drop_split(source: u32, target: u32) -> Result<()> {
    let (from, to) = (Table::owned(source)?, Table::owned(target)?);
    for (on, other) in [(&from, &to), (&to, &from)] {
        for before in [false, true] {
            spi::run(
                &format!(
                    "DROP TRIGGER IF EXISTS {} ON {}",
                    spi::ident(&split_name(other.name(), before)),
                    on.name()
                ),
                &[],
            )?;
        }
    }
    Ok(())
}
