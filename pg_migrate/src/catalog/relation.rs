//! Small questions about one relation.

use crate::fault::{Fault, Result, state};
use crate::pg::spi::{self, Arg};
use crate::pg::subtransaction;
use crate::recipe::estimate::Size;
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
        if fault.is_interruption() {
            return fault;
        }
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

/// Whether an object of that kind is there; `name` is SQL text. Of kinds that know no IF NOT
/// EXISTS the answer is no.
pub fn object_exists(kind: &str, name: &str) -> Result<bool> {
    let condition = match kind {
        "table" | "view" | "materialized_view" | "sequence" | "foreign_table" => {
            "pg_catalog.to_regclass($1) IS NOT NULL"
        }
        "schema" => "pg_catalog.to_regnamespace($1) IS NOT NULL",
        "extension" => {
            "EXISTS (SELECT 1 FROM pg_catalog.pg_extension \
             WHERE extname = (pg_catalog.parse_ident($1))[1])"
        }
        "statistics" => {
            "EXISTS (SELECT 1 FROM pg_catalog.pg_statistic_ext s \
             JOIN pg_catalog.pg_namespace n ON n.oid = s.stxnamespace \
             CROSS JOIN pg_catalog.parse_ident($1) p(names) \
             WHERE s.stxname = names[pg_catalog.cardinality(names)] \
               AND CASE WHEN pg_catalog.cardinality(names) = 2 THEN n.nspname = names[1] \
                        ELSE pg_catalog.pg_statistics_obj_is_visible(s.oid) END)"
        }
        _ => return Ok(false),
    };
    flag(&format!("SELECT {condition} AS value"), &[Arg::Text(name)])
}

/// Whether the table has no visible row. `only`: `ONLY ` where those of tables that inherit from it
/// do not count. Reads at most the pages before the first one; `false`
/// where the current user may not read it all, or a part of it is on another server.
pub fn is_empty(relation: u32, only: &str) -> Result<bool> {
    #[derive(Deserialize)]
    struct Name {
        value: String,
        readable: bool,
        pages: i64,
    }
    let row: Option<Name> = spi::first(
        "SELECT pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname) AS value, \
                pg_catalog.has_table_privilege(c.oid, 'SELECT') \
                  AND NOT pg_catalog.row_security_active(c.oid) \
                  AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_partition_tree(c.oid) t \
                                  JOIN pg_catalog.pg_class f ON f.oid = t.relid WHERE f.relkind = 'f') AS readable, \
                CASE WHEN c.relkind = 'r' THEN pg_catalog.pg_relation_size(c.oid) ELSE 0 END AS pages \
         FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE c.oid = $1::oid",
        &[Arg::Oid(relation)],
    )?;
    match row {
        // A large heap may begin with many dead pages: not worth reading them to find out.
        Some(name) if name.readable && name.pages < 64 * 1024 * 1024 => flag(
            &format!(
                "SELECT NOT EXISTS (SELECT 1 FROM {only}{}) AS value",
                name.value
            ),
            &[],
        ),
        _ => Ok(false),
    }
}

/// Whether there is nothing in its file.
pub fn has_no_page(relation: u32) -> Result<bool> {
    flag(
        "SELECT pg_catalog.pg_relation_size($1::oid) = 0 AS value",
        &[Arg::Oid(relation)],
    )
}

/// Whether it is a table, partitioned or not.
pub fn is_table(relation: u32) -> Result<bool> {
    flag(
        "SELECT relkind IN ('r', 'p') AS value FROM pg_catalog.pg_class WHERE oid = $1::oid",
        &[Arg::Oid(relation)],
    )
}

/// How many generations of partitioned or inherited tables there are above it.
pub fn ancestors(relation: u32) -> Result<i64> {
    #[derive(Deserialize)]
    struct Row {
        value: i64,
    }
    let row: Option<Row> = spi::first(
        "WITH RECURSIVE up(oid, level) AS ( \
             SELECT $1::oid, 0 \
             UNION ALL SELECT i.inhparent, level + 1 FROM pg_catalog.pg_inherits i JOIN up ON i.inhrelid = up.oid) \
         SELECT pg_catalog.max(level) AS value FROM up",
        &[Arg::Oid(relation)],
    )?;
    Ok(row.map_or(0, |row| row.value))
}

/// Whether the current user has the rights of its owner.
pub fn is_mine(relation: u32) -> Result<bool> {
    flag(
        "SELECT pg_catalog.pg_has_role(relowner, 'USAGE') AS value FROM pg_catalog.pg_class WHERE oid = $1::oid",
        &[Arg::Oid(relation)],
    )
}

/// Whether the table is as this subcommand of ALTER TABLE would make it.
pub fn is_already(relation: u32, change: &str, name: Option<&str>) -> Result<bool> {
    let condition = match change {
        "SET LOGGED" => "c.relpersistence = 'p'",
        "SET UNLOGGED" => "c.relpersistence = 'u'",
        "SET ACCESS METHOD" => {
            "c.relam = (SELECT m.oid FROM pg_catalog.pg_am m WHERE m.amname = $2)"
        }
        "SET TABLESPACE" => {
            "(SELECT s.oid FROM pg_catalog.pg_tablespace s WHERE s.spcname = $2) = \
             CASE WHEN c.reltablespace <> 0 THEN c.reltablespace ELSE ( \
                 SELECT d.dattablespace FROM pg_catalog.pg_database d \
                 WHERE d.datname = pg_catalog.current_database()) END"
        }
        _ => return Ok(false),
    };
    flag(
        &format!(
            "SELECT coalesce({condition}, false) AS value FROM pg_catalog.pg_class c \
             WHERE c.oid = $1::oid AND $2 IS NOT NULL"
        ),
        &[Arg::Oid(relation), Arg::Text(name.unwrap_or_default())],
    )
}

/// Whether `LOCK TABLE` in a strong mode is possible, and allowed to the current user.
pub fn may_lock(relation: u32) -> Result<bool> {
    flag(
        "SELECT pg_catalog.has_table_privilege($1::oid, 'UPDATE') \
             OR pg_catalog.has_table_privilege($1::oid, 'DELETE') \
             OR pg_catalog.has_table_privilege($1::oid, 'TRUNCATE') AS value \
         FROM pg_catalog.pg_class WHERE oid = $1::oid AND relkind IN ('r', 'p')",
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

/// How a table hangs on a partitioned one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attachment {
    None,
    /// The first half of DETACH CONCURRENTLY is done.
    Leaving,
    Whole,
}

pub fn attachment(table: &str, parent: &str) -> Result<Attachment> {
    #[derive(Deserialize)]
    struct Row {
        leaving: bool,
    }
    let row: Option<Row> = spi::first(
        "SELECT h.inhdetachpending AS leaving FROM pg_catalog.pg_inherits h \
         JOIN pg_catalog.pg_class c ON c.oid = h.inhrelid \
         WHERE h.inhrelid = pg_catalog.to_regclass($1) AND h.inhparent = pg_catalog.to_regclass($2) \
           AND c.relispartition",
        &[Arg::Text(table), Arg::Text(parent)],
    )?;
    Ok(match row {
        None => Attachment::None,
        Some(row) if row.leaving => Attachment::Leaving,
        Some(_) => Attachment::Whole,
    })
}

/// Whether an index of the table is attached to that index of its parent.
pub fn has_part(table: &str, index: &str) -> Result<bool> {
    flag(
        "SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_inherits h JOIN pg_catalog.pg_index i ON i.indexrelid = h.inhrelid \
         WHERE h.inhparent = pg_catalog.to_regclass($2) AND i.indrelid = pg_catalog.to_regclass($1)) AS value",
        &[Arg::Text(table), Arg::Text(index)],
    )
}

/// Whether the server is a read-only standby.
pub fn on_standby() -> Result<bool> {
    flag("SELECT pg_catalog.pg_is_in_recovery() AS value", &[])
}

/// How big a table is, partitions included; `None`: there is none of that name.
pub fn size(name: &str) -> Result<Option<Size>> {
    let Some(oid) = resolve(name)? else {
        return Ok(None);
    };
    spi::first(
        // Rows that nobody has counted are guessed as the planner does: by the width of the columns.
        "SELECT coalesce(sum(CASE WHEN c.reltuples >= 0 THEN c.reltuples \
                                  ELSE round(pg_catalog.pg_relation_size(c.oid) / (28.0 + w.width)) END), 0)::float8 AS rows, \
                coalesce(sum(pg_catalog.pg_table_size(c.oid)), 0)::float8 AS bytes \
         FROM pg_catalog.pg_class c \
         CROSS JOIN LATERAL ( \
             SELECT coalesce(sum(CASE WHEN a.attlen > 0 THEN a.attlen ELSE 32 END), 0) AS width \
             FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) w \
         WHERE c.oid IN (SELECT t.relid FROM pg_catalog.pg_partition_tree($1::oid) t WHERE t.isleaf) \
            OR (c.oid = $1::oid AND c.relkind <> 'p')",
        &[Arg::Oid(oid)],
    )
}

#[derive(Deserialize)]
struct Name {
    name: String,
}

fn names(sql: &str, relation: u32) -> Result<Vec<String>> {
    let rows: Vec<Name> = spi::select(sql, &[Arg::Oid(relation)])?;
    Ok(rows.into_iter().map(|row| row.name).collect())
}

/// Constraints of the table that hold for new rows only. What is NOT ENFORCED (from 18 on) is
/// never validated; nor, before 18, are the parts that a foreign key to a partitioned table has for
/// each of its partitions.
pub fn unvalidated(relation: u32) -> Result<Vec<String>> {
    names(
        "SELECT conname::text AS name FROM pg_catalog.pg_constraint k \
         WHERE conrelid = $1::oid AND NOT convalidated \
           AND coalesce((pg_catalog.to_jsonb(k) ->> 'conenforced')::boolean, true) \
           AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_constraint p \
                           WHERE p.oid = k.conparentid AND p.conrelid = k.conrelid) \
         ORDER BY 1",
        relation,
    )
}

/// Sync triggers of the table and its partitions that are not enabled for every kind of session.
pub fn sleeping_triggers(relation: u32) -> Result<Vec<String>> {
    names(
        "WITH RECURSIVE tables AS ( \
             SELECT $1::oid AS oid \
             UNION \
             SELECT i.inhrelid FROM pg_catalog.pg_inherits i JOIN tables ON i.inhparent = tables.oid) \
         SELECT t.tgname::text || CASE WHEN t.tgrelid = $1::oid THEN '' ELSE ' on ' || t.tgrelid::regclass::text END AS name \
         FROM pg_catalog.pg_trigger t \
         JOIN tables ON tables.oid = t.tgrelid \
         JOIN pg_catalog.pg_proc p ON p.oid = t.tgfoid \
         JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace \
         WHERE n.nspname = 'migrate' AND p.proname = 'sync_column_trigger' \
           AND t.tgenabled <> 'A' ORDER BY 1",
        relation,
    )
}

/// Triggers of the user's that run before rows are written but after a sync trigger of the table.
pub fn later_triggers(relation: u32) -> Result<Vec<String>> {
    names(
        "SELECT t.tgname::text AS name FROM pg_catalog.pg_trigger t \
         WHERE t.tgrelid = $1::oid AND NOT t.tgisinternal AND t.tgtype & 3 = 3 AND t.tgtype & 20 <> 0 \
           AND t.tgname::text COLLATE \"C\" > ( \
               SELECT min(s.tgname::text COLLATE \"C\") FROM pg_catalog.pg_trigger s \
               JOIN pg_catalog.pg_proc p ON p.oid = s.tgfoid \
               JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace \
               WHERE s.tgrelid = t.tgrelid AND n.nspname = 'migrate' AND p.proname = 'sync_column_trigger') \
           AND NOT EXISTS ( \
               SELECT 1 FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace \
               WHERE p.oid = t.tgfoid AND n.nspname = 'migrate' AND p.proname = 'sync_column_trigger') \
         ORDER BY 1",
        relation,
    )
}

pub fn has_extension(name: &str) -> Result<bool> {
    flag(
        "SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_extension WHERE extname = $1) AS value",
        &[Arg::Text(name)],
    )
}

/// The role that owns this extension.
pub fn extension_owner() -> Result<u32> {
    #[derive(Deserialize)]
    struct Owner {
        owner: u32,
    }
    spi::first::<Owner>(
        "SELECT extowner::int8 AS owner FROM pg_catalog.pg_extension WHERE extname = 'pg_migrate'",
        &[],
    )?
    .map(|row| row.owner)
    .ok_or_else(|| Fault::wrong_state("extension pg_migrate is not installed in this database"))
}
