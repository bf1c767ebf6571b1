//! Small questions about one relation.

use crate::fault::{Fault, Result, state};
use crate::pg::spi::{self, Arg};
use crate::pg::subtransaction;
use serde::Deserialize;

#[derive(Deserialize)]
struct Flag {
    value: bool,
}

fn flag(sql: &str, args: &[Arg]) -> Result<bool> {
    Ok(spi::first::<Flag>(sql, args)?.is_some_and(|row| row.value))
}

/// The identifiers of a possibly qualified name, unquoted and case-folded as SQL does.
pub fn name_parts(name: &str) -> Result<Vec<String>> {
    #[derive(Deserialize)]
    struct Parts {
        value: Vec<String>,
    }
    subtransaction::attempt(|| {
        spi::first::<Parts>(
            "SELECT pg_catalog.parse_ident($1) AS value",
            &[Arg::Text(name)],
        )
    })
    .map_err(|fault| {
        Fault::invalid(format!("\"{name}\" is not a name"))
            .detail(fault.message)
            .hint("Write table or schema.table, with double quotes around a part that needs them.")
    })
    .map(|row| row.map(|row| row.value).unwrap_or_default())
}

/// The OID of a relation named by SQL text, through the search path.
pub fn resolve(name: &str) -> Result<Option<u32>> {
    #[derive(Deserialize)]
    struct Oid {
        oid: Option<i64>,
    }
    name_parts(name)?;
    let row: Option<Oid> = spi::first(
        "SELECT pg_catalog.to_regclass($1)::oid::int8 AS oid",
        &[Arg::Text(name)],
    )?;
    Ok(row
        .and_then(|row| row.oid)
        .and_then(|oid| u32::try_from(oid).ok()))
}

/// The same, with PostgreSQL's own error when there is none.
pub fn must_resolve(name: &str) -> Result<u32> {
    resolve(name)?.ok_or_else(|| {
        Fault::new(
            state::UNDEFINED_TABLE,
            format!("relation {name} does not exist"),
        )
    })
}

pub fn has_column(relation: u32, column: &str) -> Result<bool> {
    flag(
        "SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_attribute \
         WHERE attrelid = $1::oid AND attname = $2 AND attnum > 0 AND NOT attisdropped) AS value",
        &[Arg::Oid(relation), Arg::Text(column)],
    )
}

pub fn exists(schema: &str, name: &str) -> Result<bool> {
    flag(
        "SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_class c \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE n.nspname = $1 AND c.relname = $2) AS value",
        &[Arg::Text(schema), Arg::Text(name)],
    )
}

/// Whether the table has no visible row. Reads at most the pages before the first one; `false`
/// where the current user may not read it.
pub fn is_empty(relation: u32) -> Result<bool> {
    #[derive(Deserialize)]
    struct Name {
        value: String,
        readable: bool,
        pages: i64,
    }
    let row: Option<Name> = spi::first(
        "SELECT pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname) AS value, \
                pg_catalog.has_table_privilege(c.oid, 'SELECT') AS readable, \
                CASE WHEN c.relkind = 'r' THEN pg_catalog.pg_relation_size(c.oid) ELSE 0 END AS pages \
         FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE c.oid = $1::oid",
        &[Arg::Oid(relation)],
    )?;
    match row {
        // A large heap may begin with many dead pages: not worth reading them to find out.
        Some(name) if name.readable && name.pages < 64 * 1024 * 1024 => flag(
            &format!("SELECT NOT EXISTS (SELECT 1 FROM {}) AS value", name.value),
            &[],
        ),
        _ => Ok(false),
    }
}

/// Whether `LOCK TABLE` in a strong mode is allowed to the current user.
pub fn may_lock(relation: u32) -> Result<bool> {
    flag(
        "SELECT pg_catalog.has_table_privilege($1::oid, 'UPDATE') \
             OR pg_catalog.has_table_privilege($1::oid, 'DELETE') \
             OR pg_catalog.has_table_privilege($1::oid, 'TRUNCATE') AS value",
        &[Arg::Oid(relation)],
    )
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IndexState {
    Absent,
    Invalid,
    Valid,
}

/// Whether the index exists and can be used.
pub fn index_state(name: &str) -> Result<IndexState> {
    let Some(oid) = resolve(name)? else {
        return Ok(IndexState::Absent);
    };
    Ok(
        if flag(
            "SELECT indisvalid AND indisready AS value FROM pg_catalog.pg_index \
             WHERE indexrelid = $1::oid",
            &[Arg::Oid(oid)],
        )? {
            IndexState::Valid
        } else {
            IndexState::Invalid
        },
    )
}

/// Whether the server is a read-only standby.
pub fn on_standby() -> Result<bool> {
    flag("SELECT pg_catalog.pg_is_in_recovery() AS value", &[])
}
