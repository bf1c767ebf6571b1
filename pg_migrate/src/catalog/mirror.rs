//! How a definition reads when a column has another name. PostgreSQL itself does the rewriting: an
//! empty mirror of the table is made in a subtransaction, the object is made on it, the column is
//! renamed, the definition is read back, and everything is rolled back. Only ACCESS SHARE is taken
//! on the real table.

use super::relation;
use crate::fault::{Fault, Result};
use crate::pg::analyze;
use crate::pg::spi::{self, ident};
use crate::pg::subtransaction;
use crate::recipe::facts::{Column, Effect, IndexKey, IndexShape, Move};
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
fn make(table: &str, columns: &[Column], moves: &[Move]) -> Result<()> {
    spi::run("SET LOCAL client_min_messages = warning", &[])?;
    spi::run(
        &format!("CREATE TEMP TABLE pg_migrate_mirror (LIKE {table})"),
        &[],
    )?;
    #[derive(Deserialize)]
    struct Typed {
        name: String,
        data_type: String,
    }
    let there: Vec<Typed> = spi::select(
        "SELECT attname::text AS name, pg_catalog.format_type(atttypid, atttypmod) AS data_type \
         FROM pg_catalog.pg_attribute WHERE attrelid = 'pg_temp.pg_migrate_mirror'::regclass AND attnum > 0",
        &[],
    )?;
    // Earlier operations of the same migration may add some, or give them other types.
    for column in columns.iter().filter(|column| !column.data_type.is_empty()) {
        let (name, data_type) = (ident(&column.name), &column.data_type);
        match there.iter().find(|found| found.name == column.name) {
            Some(found) if found.data_type == *data_type => {}
            Some(_) => alter(&format!("ALTER COLUMN {name} TYPE {data_type} USING NULL"))?,
            None => alter(&format!("ADD COLUMN IF NOT EXISTS {name} {data_type}"))?,
        }
    }
    let oid = relation::must_resolve(MIRROR)?;
    let has = |column: &str| relation::has_column(oid, column);
    for one in moves.iter().filter(|one| !one.from.is_empty()) {
        if has(&one.from)? {
            if one.from != one.to && has(&one.to)? {
                alter(&format!("DROP COLUMN {}", ident(&one.to)))?;
            }
        } else {
            rename(&one.to, &one.from)?;
        }
    }
    Ok(())
}

/// Whether an expression over a row of the table is volatile: see `Facts::expression_over`.
pub fn expression(
    table: &str,
    columns: &[Column],
    fresh: bool,
    expression: &str,
    target: Option<&str>,
) -> Result<bool> {
    let alias = relation::name_parts(table)?.pop().unwrap_or_default();
    subtransaction::rehearse(|| {
        if fresh {
            spi::run("SET LOCAL client_min_messages = warning", &[])?;
            let columns: Vec<_> = columns
                .iter()
                .map(|column| format!("{} {}", ident(&column.name), column.data_type))
                .collect();
            let sql = format!(
                "CREATE TEMP TABLE pg_migrate_mirror ({})",
                columns.join(", ")
            );
            spi::run(&sql, &[])?;
        } else {
            make(table, columns, &[])?;
        }
        let over = format!("{MIRROR} AS {}", ident(&alias));
        Ok(analyze::expression(Some(&over), expression, target)?.volatile)
    })
}

fn alter(clause: &str) -> Result<()> {
    spi::run(&format!("ALTER TABLE {MIRROR} {clause}"), &[]).map(drop)
}

fn rename(from: &str, to: &str) -> Result<()> {
    alter(&format!("RENAME COLUMN {} TO {}", ident(from), ident(to)))
}

/// What `query` reads of the object that `object` makes, once the columns have moved.
fn reads_as(
    table: &str,
    columns: &[Column],
    object: &str,
    query: &str,
    moves: &[Move],
) -> Result<String> {
    subtransaction::rehearse(|| {
        make(table, columns, moves)?;
        spi::run(object, &[])?;
        for one in moves {
            if one.from != one.to {
                rename(&one.from, &one.to)?;
            }
            if !one.data_type.is_empty() {
                let (name, data_type) = (ident(&one.to), &one.data_type);
                alter(&format!("ALTER COLUMN {name} TYPE {data_type} USING NULL"))?;
            }
        }
        spi::first::<Text>(query, &[])?
            .map(|row| row.value)
            .ok_or_else(|| Fault::internal("the mirrored object was not found"))
    })
}

pub fn index(table: &str, columns: &[Column], definition: &str, moves: &[Move]) -> Result<String> {
    let object = format!("CREATE INDEX pg_migrate_mirror_index ON {MIRROR} {definition}");
    let query =
        "SELECT pg_catalog.pg_get_indexdef('pg_temp.pg_migrate_mirror_index'::regclass) AS value";
    using(&reads_as(table, columns, &object, query, moves)?)
}

/// How an index would be stored.
pub fn shape(table: &str, columns: &[Column], definition: &str) -> Result<IndexShape> {
    subtransaction::rehearse(|| {
        make(table, columns, &[])?;
        spi::run(
            &format!("CREATE INDEX pg_migrate_mirror_index ON {MIRROR} {definition}"),
            &[],
        )?;
        let text: Option<Text> = spi::first(
            "SELECT pg_catalog.pg_get_indexdef('pg_temp.pg_migrate_mirror_index'::regclass) AS value",
            &[],
        )?;
        let text = text.map(|row| row.value).unwrap_or_default();
        let keys: Vec<IndexKey> = spi::select(
            "SELECT a.attname AS name, k.number = 0 AS expression, a.attnum > i.indnkeyatts AS included \
             FROM pg_catalog.pg_index i \
             CROSS JOIN LATERAL pg_catalog.unnest(i.indkey::int2[]) WITH ORDINALITY k(number, place) \
             JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indexrelid AND a.attnum = k.place \
             WHERE i.indexrelid = 'pg_temp.pg_migrate_mirror_index'::regclass ORDER BY a.attnum",
            &[],
        )?;
        Ok(IndexShape {
            definition: using(&text)?,
            keys,
        })
    })
}

/// From `CREATE INDEX … ON … USING …`: what begins with USING.
fn using(text: &str) -> Result<String> {
    let at = text
        .find(" USING ")
        .ok_or_else(|| Fault::internal(format!("unexpected index definition: {text}")))?;
    Ok(text[at + 1..].to_owned())
}

pub fn constraint(
    table: &str,
    columns: &[Column],
    definition: &str,
    moves: &[Move],
) -> Result<String> {
    let object =
        format!("ALTER TABLE {MIRROR} ADD CONSTRAINT pg_migrate_mirror_check {definition}");
    let query = "SELECT pg_catalog.pg_get_constraintdef(oid) AS value FROM pg_catalog.pg_constraint \
                 WHERE conrelid = 'pg_temp.pg_migrate_mirror'::regclass AND conname = 'pg_migrate_mirror_check'";
    reads_as(table, columns, &object, query, moves)
}

pub fn statistics(
    table: &str,
    columns: &[Column],
    definition: &str,
    moves: &[Move],
) -> Result<String> {
    let object = format!(
        "CREATE STATISTICS pg_temp.pg_migrate_mirror_statistics ON {definition} FROM {MIRROR}"
    );
    let query = "SELECT pg_catalog.pg_get_statisticsobjdef_columns(oid) AS value FROM pg_catalog.pg_statistic_ext \
                 WHERE stxrelid = 'pg_temp.pg_migrate_mirror'::regclass";
    reads_as(table, columns, &object, query, moves)
}

/// The type change is done to an empty mirror with the table's indexes: what gets a new file there
/// would be written anew here. The session's settings (TimeZone) count as they would.
pub fn effect(
    table: &str,
    columns: &[Column],
    indexes: &[String],
    column: &str,
    data_type: &str,
    using: Option<&str>,
) -> Result<Effect> {
    const FILES: &str = "SELECT coalesce(pg_catalog.string_agg(q.file, ' ' ORDER BY q.file), '') AS value FROM (\
        SELECT pg_catalog.pg_relation_filenode(i.indexrelid)::text AS file FROM pg_catalog.pg_index i \
        WHERE i.indrelid = 'pg_temp.pg_migrate_mirror'::regclass) q";
    const FILE: &str =
        "SELECT pg_catalog.pg_relation_filenode('pg_temp.pg_migrate_mirror')::text AS value";
    const TYPE: &str = "SELECT atttypid::text || ' ' || attcollation::text AS value FROM pg_catalog.pg_attribute \
        WHERE attrelid = 'pg_temp.pg_migrate_mirror'::regclass AND NOT attisdropped AND attname = ";
    let read = |sql: &str| -> Result<String> {
        Ok(spi::first::<Text>(sql, &[])?
            .map(|row| row.value)
            .unwrap_or_default())
    };
    let type_of = format!("{TYPE}{}", spi::literal(column));
    subtransaction::rehearse(|| {
        make(table, columns, &[])?;
        for index in indexes {
            spi::run(&format!("CREATE INDEX ON {MIRROR} {index}"), &[])?;
        }
        let before = (read(FILE)?, read(FILES)?, read(&type_of)?);
        let using = using
            .map(|text| format!(" USING {text}"))
            .unwrap_or_default();
        alter(&format!(
            "ALTER COLUMN {} TYPE {data_type}{using}",
            ident(column)
        ))?;
        Ok(Effect {
            rewrites: read(FILE)? != before.0,
            rebuilds: read(FILES)? != before.1,
            same_base: read(&type_of)? == before.2,
        })
    })
}

/// An error if a foreign key cannot be from columns of the first types to columns of the second.
pub fn comparable(from: &[String], to: &[String]) -> Result<()> {
    let list = |types: &[String]| -> String {
        let columns: Vec<_> = (1..)
            .zip(types)
            .map(|(number, name)| format!("c{number} {name}"))
            .collect();
        columns.join(", ")
    };
    let names: Vec<_> = (1..=to.len()).map(|number| format!("c{number}")).collect();
    let names = names.join(", ");
    subtransaction::rehearse(|| {
        spi::run("SET LOCAL client_min_messages = warning", &[])?;
        spi::run(
            &format!(
                "CREATE TEMP TABLE pg_migrate_mirror ({}, UNIQUE ({names}))",
                list(to)
            ),
            &[],
        )?;
        spi::run(
            &format!(
                "CREATE TEMP TABLE pg_migrate_referencing ({}, FOREIGN KEY ({names}) REFERENCES {MIRROR} ({names}))",
                list(from)
            ),
            &[],
        )
        .map(drop)
    })
}
