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
    let suffix = format!("_{}", ledger::next_aside_number()?);
    let hidden = name_with_suffix(&table.name, &suffix);
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
    // They move with it, and must not meet those of a table set aside before.
    for companion in companions(table.oid)? {
        let hidden = format!("{}{suffix}", companion.name);
        if hidden.len() <= LONGEST {
            companion.rename(&table.schema, &hidden)?;
        }
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
    let suffix = aside
        .aside_name
        .rsplit_once('_')
        .map(|(_, number)| format!("_{number}"));
    for companion in companions(aside.relation)? {
        let name = suffix
            .as_deref()
            .and_then(|suffix| companion.name.strip_suffix(suffix));
        if let Some(name) = name {
            companion.rename(&schema, name)?;
        }
    }
    ledger::forget_aside(aside.aside, false)
}

/// Bytes of a name at most.
const LONGEST: usize = 63;

/// An index or an owned sequence of a table.
#[derive(Deserialize)]
struct Companion {
    name: String,
    kind: String,
}

impl Companion {
    /// The constraint of an index is renamed with it.
    fn rename(&self, schema: &str, to: &str) -> Result<()> {
        let kind = if self.kind == "S" {
            "SEQUENCE"
        } else {
            "INDEX"
        };
        let name = qualified(schema, &self.name);
        spi::run(&format!("ALTER {kind} {name} RENAME TO {}", ident(to)), &[]).map(drop)
    }
}

fn companions(relation: u32) -> Result<Vec<Companion>> {
    spi::select(
        "SELECT c.relname::text AS name, c.relkind::text AS kind FROM pg_catalog.pg_class c \
         WHERE c.oid IN (SELECT i.indexrelid FROM pg_catalog.pg_index i WHERE i.indrelid = $1::oid \
                         UNION ALL \
                         SELECT d.objid FROM pg_catalog.pg_depend d \
                         WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.refclassid = 'pg_catalog.pg_class'::regclass \
                           AND d.refobjid = $1::oid AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i')) \
           AND c.relkind IN ('i', 'I', 'S') ORDER BY 1",
        &[Arg::Oid(relation)],
    )
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
    let mark = format!("{PREFIX}{}_", ledger::next_aside_number()?);
    let hidden = name_with_suffix(&format!("{mark}{column}"), "");
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
    for sequence in owned_sequences(table.oid, column)? {
        // Its name is free again. One too long for the mark keeps it: it could not be given back.
        if mark.len() + sequence.name.len() < 64 {
            sql.push(rename_sequence(
                &sequence,
                &format!("{mark}{}", sequence.name),
            ));
        }
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

#[derive(Deserialize)]
struct Sequence {
    schema: String,
    name: String,
}

fn rename_sequence(sequence: &Sequence, to: &str) -> String {
    format!(
        "ALTER SEQUENCE {} RENAME TO {}",
        qualified(&sequence.schema, &sequence.name),
        ident(to)
    )
}

/// The sequences that would be dropped with the column, but for that of an identity.
fn owned_sequences(table: u32, column: &str) -> Result<Vec<Sequence>> {
    spi::select(
        "SELECT n.nspname::text AS schema, c.relname::text AS name \
         FROM pg_catalog.pg_attribute a \
         JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_class'::regclass AND d.deptype = 'a' \
              AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = a.attrelid AND d.refobjsubid = a.attnum \
         JOIN pg_catalog.pg_class c ON c.oid = d.objid AND c.relkind = 'S' \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE a.attrelid = $1::oid AND a.attname = $2 AND NOT a.attisdropped",
        &[Arg::Oid(table), Arg::Text(column)],
    )
}

/// Brings back the newest column set aside under this name.
pub fn restore_column(table_name: &str, column: &str) -> Result<()> {
    let table = known(table_name)?;
    let key = qualified(&table.schema, &table.name);
    let aside = ledger::aside_of(&table.schema, &table.name, Some(column))?
        .ok_or_else(|| nothing_aside(&format!("\"{column}\" of {key}")))?;
    for sequence in owned_sequences(table.oid, &aside.aside_name)? {
        let number = sequence.name.strip_prefix(PREFIX);
        if let Some((_, name)) = number.and_then(|rest| rest.split_once('_')) {
            spi::run(&rename_sequence(&sequence, name), &[])?;
        }
    }
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
    dropped.extend(super::objects::purge_types()?);
    Ok(dropped)
}

/// Renames a table and leaves an updatable view under the old name, with the same privileges.
pub fn rename_table(name: &str, to: &str) -> Result<()> {
    let table = known(name)?;
    let key = qualified(&table.schema, &table.name);
    let new = qualified(&table.schema, to);
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
    grant_alike(table.oid, &key)
}

/// Gives everybody the rights in `to` that they have in `from`, as far as rows are concerned.
pub fn carry_grants(from: &str, to: &str) -> Result<()> {
    let (from, to) = (known(from)?, known(to)?);
    grant_alike(from.oid, &qualified(&to.schema, &to.name))
}

fn grant_alike(from: u32, to: &str) -> Result<()> {
    #[derive(Deserialize)]
    struct Grant {
        privilege: String,
        grantee: String,
    }
    let grants: Vec<Grant> = spi::select(
        "SELECT g.privilege_type AS privilege, \
                CASE WHEN g.grantee = 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(g.grantee)) END AS grantee \
         FROM pg_catalog.pg_class c, pg_catalog.aclexplode(c.relacl) g \
         WHERE c.oid = $1::oid AND g.grantee <> c.relowner AND g.privilege_type IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE')",
        &[Arg::Oid(from)],
    )?;
    for grant in grants {
        spi::run(
            &format!("GRANT {} ON {to} TO {}", grant.privilege, grant.grantee),
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
