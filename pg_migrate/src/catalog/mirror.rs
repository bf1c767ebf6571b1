//! How a definition reads when a column has another name. PostgreSQL itself does the rewriting: an
//! empty mirror of the table is made in a subtransaction, the object is made on it, the column is
//! renamed, the definition is read back, and everything is rolled back. Only ACCESS SHARE is taken
//! on the real table.

use super::relation;
use crate::fault::{Fault, Result};
use crate::pg::spi::{self, ident};
use crate::pg::subtransaction;
use crate::recipe::facts::Column;
use serde::Deserialize;

const MIRROR: &str = "pg_temp.pg_migrate_mirror";

#[derive(Deserialize)]
struct Text {
    value: String,
}

/// The part of `pg_get_indexdef` after `ON table `.
pub fn after_table(definition: &str, index: &str, schema: &str, table: &str) -> Result<String> {
    for unique in ["", "UNIQUE "] {
        for only in ["", "ONLY "] {
            let head = format!(
                "CREATE {unique}INDEX {} ON {only}{} ",
                ident(index),
                spi::qualified(schema, table)
            );
            if let Some(tail) = definition.strip_prefix(&head) {
                return Ok(tail.to_owned());
            }
        }
    }
    Err(Fault::internal(format!(
        "unexpected index definition: {definition}"
    )))
}

/// Makes the mirror with a column called `from` and none called `to`, whichever the table has.
fn make(table: &str, columns: &[Column], from: &str, to: &str) -> Result<()> {
    spi::run("SET LOCAL client_min_messages = warning", &[])?;
    spi::run(
        &format!("CREATE TEMP TABLE pg_migrate_mirror (LIKE {table})"),
        &[],
    )?;
    // Earlier operations of the same migration may add some.
    for column in columns.iter().filter(|column| !column.data_type.is_empty()) {
        spi::run(
            &format!(
                "ALTER TABLE {MIRROR} ADD COLUMN IF NOT EXISTS {} {}",
                ident(&column.name),
                column.data_type
            ),
            &[],
        )?;
    }
    if from.is_empty() {
        return Ok(());
    }
    let oid = relation::must_resolve(MIRROR)?;
    let has = |column: &str| relation::has_column(oid, column);
    if has(from)? {
        if from != to && has(to)? {
            spi::run(
                &format!("ALTER TABLE {MIRROR} DROP COLUMN {}", ident(to)),
                &[],
            )?;
        }
    } else {
        rename(to, from)?;
    }
    Ok(())
}

fn rename(from: &str, to: &str) -> Result<()> {
    let sql = format!(
        "ALTER TABLE {MIRROR} RENAME COLUMN {} TO {}",
        ident(from),
        ident(to)
    );
    spi::run(&sql, &[]).map(drop)
}

/// What `query` reads of the object that `object` makes, once `from` is called `to`.
fn reads_as(
    table: &str,
    columns: &[Column],
    object: &str,
    query: &str,
    from: &str,
    to: &str,
) -> Result<String> {
    subtransaction::rehearse(|| {
        make(table, columns, from, to)?;
        spi::run(object, &[])?;
        if from != to {
            rename(from, to)?;
        }
        spi::first::<Text>(query, &[])?
            .map(|row| row.value)
            .ok_or_else(|| Fault::internal("the mirrored object was not found"))
    })
}

pub fn index(
    table: &str,
    columns: &[Column],
    definition: &str,
    from: &str,
    to: &str,
) -> Result<String> {
    let object = format!("CREATE INDEX pg_migrate_mirror_index ON {MIRROR} {definition}");
    let query =
        "SELECT pg_catalog.pg_get_indexdef('pg_temp.pg_migrate_mirror_index'::regclass) AS value";
    let text = reads_as(table, columns, &object, query, from, to)?;
    let at = text
        .find(" USING ")
        .ok_or_else(|| Fault::internal(format!("unexpected index definition: {text}")))?;
    Ok(text[at + 1..].to_owned())
}

pub fn constraint(
    table: &str,
    columns: &[Column],
    definition: &str,
    from: &str,
    to: &str,
) -> Result<String> {
    let object =
        format!("ALTER TABLE {MIRROR} ADD CONSTRAINT pg_migrate_mirror_check {definition}");
    let query = "SELECT pg_catalog.pg_get_constraintdef(oid) AS value FROM pg_catalog.pg_constraint \
                 WHERE conrelid = 'pg_temp.pg_migrate_mirror'::regclass AND conname = 'pg_migrate_mirror_check'";
    reads_as(table, columns, &object, query, from, to)
}
