//! Setting aside instead of dropping: a table moves to schema `migrate_aside`, a column gets a
//! hidden name; both come back with `restore`, and leave for good with `purge`. All run with the
//! rights of the caller, inside a step's transaction and under its locks.

use crate::catalog::{self, Live};
use crate::fault::{Fault, Result, state};
use crate::ledger::{self, Event, State};
use crate::pg::spi::{self, Arg, ident, qualified};
use crate::recipe::facts::{Facts, Table};
use crate::recipe::quote::name_with_suffix;
use serde::Deserialize;

const SCHEMA: &str = "migrate_aside";

/// Columns that are set aside are named so; everything that compares schemas passes over them.
const PREFIX: &str = "_pgm_aside_";

fn known(table: &str) -> Result<Table> {
    Live.table(table)?.ok_or_else(|| {
        Fault::new(
            state::UNDEFINED_TABLE,
            format!("table {table} does not exist"),
        )
    })
}

fn next_number() -> Result<i64> {
    #[derive(Deserialize)]
    struct Next {
        value: i64,
    }
    let rows: Vec<Next> = ledger::owned(|| {
        spi::select(
            "SELECT coalesce(max(aside), 0) + 1 AS value FROM migrate.aside",
            &[],
        )
    })?;
    Ok(rows.first().map_or(1, |row| row.value))
}

/// Whether there is something to keep. What a migration made and nobody has filled is dropped when
/// the migration is taken back; what the user drops is kept even when it is empty, so that it can
/// be restored with everything that belongs to it.
fn worth_keeping(table: &Table, revision: &str) -> Result<bool> {
    let taken_back = ledger::revision(revision)?
        .is_some_and(|row| !matches!(row.state, State::Contracting | State::Expanded));
    Ok(!(table.empty && taken_back))
}

/// Moves a table out of the application's sight.
pub fn set_aside_table(name: &str, revision: &str) -> Result<()> {
    let table = known(name)?;
    let key = qualified(&table.schema, &table.name);
    let dependents = Live.table_dependents(&key)?;
    if !dependents.is_empty() {
        let list: Vec<_> = dependents.iter().map(|d| d.what.as_str()).collect();
        return Err(Fault::new(
            state::DEPENDENT_OBJECTS,
            format!("table {key} cannot be taken away because other objects depend on it"),
        )
        .detail(list.join("; ")));
    }
    if !worth_keeping(&table, revision)? {
        spi::run(&format!("DROP TABLE {key}"), &[])?;
        return Ok(());
    }
    let hidden = name_with_suffix(&table.name, &format!("_{}", next_number()?));
    for constraint in table.constraints.iter().filter(|c| c.kind == "f") {
        // A foreign key from a table nobody sees would still stop deletes elsewhere.
        spi::run(
            &format!(
                "ALTER TABLE {key} DROP CONSTRAINT {}",
                ident(&constraint.name)
            ),
            &[],
        )?;
    }
    spi::run(&format!("ALTER TABLE {key} SET SCHEMA {SCHEMA}"), &[])?;
    spi::run(
        &format!(
            "ALTER TABLE {} RENAME TO {}",
            qualified(SCHEMA, &table.name),
            ident(&hidden)
        ),
        &[],
    )?;
    ledger::remember_aside(
        revision,
        table.oid,
        &table.schema,
        &table.name,
        None,
        &hidden,
    )
}

/// Brings back the newest table set aside under this name.
pub fn restore_table(name: &str) -> Result<()> {
    let (schema, table) = Live.landing(name)?;
    let aside = ledger::aside_of(&schema, &table, None)?.ok_or_else(|| nothing_aside(name))?;
    if catalog::exists(&schema, &table)? {
        return Err(
            Fault::new("42P07", format!("relation {name} already exists"))
                .hint("Rename it, then try again."),
        );
    }
    spi::run(
        &format!(
            "ALTER TABLE {} RENAME TO {}",
            qualified(SCHEMA, &aside.aside_name),
            ident(&table)
        ),
        &[],
    )?;
    spi::run(
        &format!(
            "ALTER TABLE {} SET SCHEMA {}",
            qualified(SCHEMA, &table),
            ident(&schema)
        ),
        &[],
    )?;
    ledger::forget_aside(aside.aside, false)
}

fn nothing_aside(what: &str) -> Fault {
    Fault::new(
        state::UNDEFINED_OBJECT,
        format!("nothing is set aside under the name {what}"),
    )
    .detail("It was purged, or dropped for good, or its table was empty.")
}

/// Hides a column: a name nobody uses, no NOT NULL, no default.
pub fn set_aside_column(table_name: &str, column: &str, revision: &str) -> Result<()> {
    let table = known(table_name)?;
    let key = qualified(&table.schema, &table.name);
    let Some(found) = table.column(column) else {
        return Err(Fault::new(
            state::UNDEFINED_COLUMN,
            format!("column \"{column}\" of table {key} does not exist"),
        ));
    };
    if !worth_keeping(&table, revision)? {
        spi::run(
            &format!("ALTER TABLE {key} DROP COLUMN {}", ident(column)),
            &[],
        )?;
        return Ok(());
    }
    let hidden = name_with_suffix(&format!("{PREFIX}{}_{column}", next_number()?), "");
    let (old, new) = (ident(column), ident(&hidden));
    let mut sql = vec![format!("ALTER TABLE {key} RENAME COLUMN {old} TO {new}")];
    if found.identity.is_some() {
        sql.push(format!(
            "ALTER TABLE {key} ALTER COLUMN {new} DROP IDENTITY"
        ));
    }
    if found.default.is_some() {
        sql.push(format!("ALTER TABLE {key} ALTER COLUMN {new} DROP DEFAULT"));
    }
    if found.not_null {
        sql.push(format!(
            "ALTER TABLE {key} ALTER COLUMN {new} DROP NOT NULL"
        ));
    }
    for statement in sql {
        spi::run(&statement, &[])?;
    }
    ledger::remember_aside(
        revision,
        table.oid,
        &table.schema,
        &table.name,
        Some(column),
        &hidden,
    )
}

/// Brings back the newest column set aside under this name.
pub fn restore_column(table_name: &str, column: &str) -> Result<()> {
    let table = known(table_name)?;
    let key = qualified(&table.schema, &table.name);
    let aside = ledger::aside_of(&table.schema, &table.name, Some(column))?
        .ok_or_else(|| nothing_aside(&format!("\"{column}\" of {key}")))?;
    spi::run(
        &format!(
            "ALTER TABLE {key} RENAME COLUMN {} TO {}",
            ident(&aside.aside_name),
            ident(column)
        ),
        &[],
    )?;
    ledger::forget_aside(aside.aside, false)
}

/// Drops for good what was set aside longer ago than `older_than` (an interval). Only what the
/// caller owns; gives what it dropped.
pub fn purge(older_than: &str) -> Result<Vec<String>> {
    let mut dropped = Vec::new();
    for aside in ledger::asides_before(older_than)? {
        #[derive(Deserialize)]
        struct Place {
            value: String,
            mine: bool,
        }
        let place: Option<Place> = spi::first(
            "SELECT pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname) AS value, \
                    pg_catalog.pg_has_role(c.relowner, 'USAGE') AS mine \
             FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
             WHERE c.oid = $1::oid",
            &[Arg::Oid(aside.relation)],
        )?;
        let what = match (&place, aside.kind.as_str()) {
            (Some(place), _) if !place.mine => continue,
            (Some(place), "table") => {
                spi::run(&format!("DROP TABLE {}", place.value), &[])?;
                format!(
                    "table {}",
                    qualified(&aside.original_schema, &aside.original_table)
                )
            }
            (Some(place), _) => {
                spi::run(
                    &format!(
                        "ALTER TABLE {} DROP COLUMN IF EXISTS {}",
                        place.value,
                        ident(&aside.aside_name)
                    ),
                    &[],
                )?;
                format!(
                    "column {} of {}",
                    ident(aside.original_column.as_deref().unwrap_or_default()),
                    qualified(&aside.original_schema, &aside.original_table)
                )
            }
            (None, _) => {
                ledger::forget_aside(aside.aside, true)?;
                continue;
            }
        };
        ledger::forget_aside(aside.aside, true)?;
        ledger::event(&Event {
            what: "purged",
            detail: Some(&what),
            ..Event::default()
        })?;
        dropped.push(what);
    }
    Ok(dropped)
}

/// Renames a table and leaves an updatable view under the old name, with the same privileges.
pub fn rename_table(name: &str, to: &str) -> Result<()> {
    #[derive(Deserialize)]
    struct Grant {
        privilege: String,
        grantee: String,
    }
    let table = known(name)?;
    let key = qualified(&table.schema, &table.name);
    let new = qualified(&table.schema, to);
    let grants: Vec<Grant> = spi::select(
        "SELECT g.privilege_type AS privilege, \
                CASE WHEN g.grantee = 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(g.grantee)) END AS grantee \
         FROM pg_catalog.pg_class c, pg_catalog.aclexplode(c.relacl) g \
         WHERE c.oid = $1::oid AND g.grantee <> c.relowner AND g.privilege_type IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE')",
        &[Arg::Oid(table.oid)],
    )?;
    spi::run(&format!("ALTER TABLE {key} RENAME TO {}", ident(to)), &[])?;
    spi::run(
        &format!("CREATE VIEW {key} WITH (security_invoker = true) AS SELECT * FROM {new}"),
        &[],
    )?;
    for column in table.columns.iter() {
        // A view has no defaults of its own: an INSERT through it must get the table's.
        if let (Some(default), None) = (&column.default, &column.generated) {
            spi::run(
                &format!(
                    "ALTER VIEW {key} ALTER COLUMN {} SET DEFAULT {default}",
                    ident(&column.name)
                ),
                &[],
            )?;
        }
    }
    for grant in grants {
        spi::run(
            &format!("GRANT {} ON {key} TO {}", grant.privilege, grant.grantee),
            &[],
        )?;
    }
    Ok(())
}

/// The way back before contract.
pub fn rename_table_back(name: &str, old: &str) -> Result<()> {
    let table = known(name)?;
    spi::run(&format!("DROP VIEW {}", qualified(&table.schema, old)), &[])?;
    spi::run(
        &format!(
            "ALTER TABLE {} RENAME TO {}",
            qualified(&table.schema, &table.name),
            ident(old)
        ),
        &[],
    )
    .map(drop)
}
