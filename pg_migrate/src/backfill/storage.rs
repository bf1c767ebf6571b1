//! Which relations a job works on, and what their files look like now. The one place that would
//! have to know of another node: above it a job is a set of storage relations, whether one or a
//! thousand.

use crate::fault::Result;
use crate::pg::spi::{self, Arg};
use crate::pg::{kept, settings};
use serde::Deserialize;
use std::cell::Cell;

/// Catalog queries see nothing that the caller put on the search path.
fn read<T: serde::de::DeserializeOwned>(sql: &str, args: &[Arg]) -> Result<Vec<T>> {
    let scope = settings::Scope::new();
    scope.set("search_path", "pg_catalog, pg_temp");
    let rows = kept::fixed(|| spi::write(sql, args));
    drop(scope);
    rows
}

/// A column as far as a backfill must know it.
#[derive(Debug, Clone, Deserialize)]
pub struct Column {
    pub name: String,
    pub quoted: String,
    /// With its modifier, schema-qualified where it must be.
    pub data_type: String,
    pub generated: bool,
    /// A composite, or a domain, which may be over one.
    pub composite: bool,
    /// In a unique index that foreign keys could point to: changing it takes the stronger row lock.
    pub key: bool,
}

/// The relation a job is for.
#[derive(Debug, Clone, Deserialize)]
pub struct Table {
    pub kind: String,
    pub temporary: bool,
    /// Schema-qualified and quoted.
    pub name: String,
    /// Its bare name, quoted: expressions may qualify columns with it.
    pub alias: String,
    pub columns: Vec<Column>,
    /// The user's own triggers that each update fires.
    pub triggers: Vec<String>,
}

pub fn table(relation: u32) -> Result<Option<Table>> {
    let rows: Vec<Table> = read(
        "SELECT c.relkind::text AS kind, c.relpersistence = 't' AS temporary, \
                quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS name, quote_ident(c.relname) AS alias, \
                (SELECT coalesce(jsonb_agg(jsonb_build_object( \
                    'name', a.attname, 'quoted', quote_ident(a.attname), \
                    'data_type', format_type(a.atttypid, a.atttypmod), 'generated', a.attgenerated <> '', \
                    'composite', (SELECT ty.typtype IN ('c', 'd', 'p') FROM pg_type ty WHERE ty.oid = a.atttypid), \
                    'key', EXISTS (SELECT 1 FROM pg_index i WHERE i.indrelid = c.oid AND i.indisunique AND i.indimmediate \
                        AND i.indpred IS NULL AND i.indexprs IS NULL AND a.attnum = ANY (i.indkey::int2[])))), '[]') \
                 FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS columns, \
                (SELECT coalesce(jsonb_agg(t.tgname ORDER BY t.tgname), '[]') FROM pg_trigger t \
                 JOIN pg_proc f ON f.oid = t.tgfoid JOIN pg_namespace fn ON fn.oid = f.pronamespace \
                 WHERE t.tgrelid = c.oid AND NOT t.tgisinternal AND t.tgenabled <> 'D' AND t.tgtype & 16 <> 0 \
                   AND fn.nspname <> 'migrate') AS triggers \
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = $1",
        &[Arg::Oid(relation)],
    )?;
    Ok(rows.into_iter().next())
}

/// Columns in the partition key of the table or of one of its partitions, by name.
pub fn partition_keys(relation: u32) -> Result<Vec<String>> {
    #[derive(Deserialize)]
    struct Row {
        name: String,
    }
    let rows: Vec<Row> = read(
        "SELECT DISTINCT k.attname AS name FROM pg_partition_tree($1::oid::regclass) t \
         JOIN pg_partitioned_table p ON p.partrelid = t.relid \
         JOIN pg_attribute k ON k.attrelid = t.relid AND k.attnum = ANY (p.partattrs::int2[])",
        &[Arg::Oid(relation)],
    )?;
    Ok(rows.into_iter().map(|row| row.name).collect())
}

/// The OID that a name means in the search path of now.
pub fn resolve(name: &str) -> Result<Option<u32>> {
    #[derive(Deserialize)]
    struct Row {
        oid: Option<u32>,
    }
    let rows: Vec<Row> = spi::write(
        "SELECT pg_catalog.to_regclass($1)::pg_catalog.oid::pg_catalog.int8 AS oid",
        &[Arg::Text(name)],
    )?;
    Ok(rows.first().and_then(|row| row.oid))
}

/// A relation with rows of its own: the table itself, a leaf partition, an inheriting table.
#[derive(Debug, Clone, Deserialize)]
pub struct Leaf {
    pub relation: u32,
    /// Schema-qualified and quoted.
    pub name: String,
    /// A plain heap; otherwise what it is, in words.
    pub heap: bool,
    pub what: String,
    /// Not a heap, but it can be walked in the order of a unique key.
    pub keyed: bool,
    pub rows: i64,
}

/// Every storage relation under `relation`, in the order in which they are worked on.
pub fn leaves(relation: u32) -> Result<Vec<Leaf>> {
    read(
        "WITH RECURSIVE tree(oid) AS ( \
             SELECT $1::oid UNION SELECT i.inhrelid FROM pg_inherits i JOIN tree ON i.inhparent = tree.oid) \
         SELECT c.oid::int8 AS relation, quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS name, \
                c.relkind = 'r' AND m.amname = 'heap' AS heap, \
                CASE WHEN c.relkind = 'f' THEN 'a foreign table' ELSE 'stored by access method ' || coalesce(m.amname, '?') END AS what, \
                c.relkind = 'r' AND m.amname <> 'heap' AND EXISTS ( \
                    SELECT 1 FROM pg_index k WHERE k.indrelid = c.oid AND k.indisunique AND k.indimmediate \
                      AND k.indisvalid AND k.indpred IS NULL AND k.indexprs IS NULL AND NOT EXISTS ( \
                        SELECT 1 FROM pg_attribute a WHERE a.attrelid = c.oid AND NOT a.attnotnull \
                          AND a.attnum = ANY ((k.indkey::int2[])[0:k.indnkeyatts - 1]))) AS keyed, \
                CASE WHEN c.relkind = 'f' THEN 0 \
                     WHEN c.reltuples > 0 THEN c.reltuples \
                     ELSE s.blocks * 50 END::int8 AS rows \
         FROM tree JOIN pg_class c ON c.oid = tree.oid JOIN pg_namespace n ON n.oid = c.relnamespace \
         LEFT JOIN pg_am m ON m.oid = c.relam \
         CROSS JOIN LATERAL (SELECT CASE WHEN c.relkind = 'r' THEN pg_relation_size(c.oid) ELSE 0 END \
                                    / current_setting('block_size')::float8 AS blocks) s \
         WHERE c.relkind IN ('r', 'f') ORDER BY c.oid",
        &[Arg::Oid(relation)],
    )
}

/// The heap file of a storage relation at this moment.
#[derive(Debug, Clone, Deserialize)]
pub struct Heap {
    /// Schema-qualified and quoted.
    pub name: String,
    pub filenode: u32,
    pub blocks: i64,
}

/// The heap of `leaf`; `None` when it is no longer a part of `root`. The caller has locked it.
pub fn heap(root: u32, leaf: u32) -> Result<Option<Heap>> {
    let rows: Vec<Heap> = read(
        "WITH RECURSIVE up(oid) AS ( \
             SELECT $2::oid UNION SELECT i.inhparent FROM pg_inherits i JOIN up ON i.inhrelid = up.oid) \
         SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS name, \
                pg_relation_filenode(c.oid)::int8 AS filenode, \
                pg_relation_size(c.oid) / current_setting('block_size')::int8 AS blocks \
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE c.oid = $2 AND EXISTS (SELECT 1 FROM up WHERE up.oid = $1)",
        &[Arg::Oid(root), Arg::Oid(leaf)],
    )?;
    Ok(rows.into_iter().next())
}

/// The triggers that fill `columns` on every write, as a text to compare: another one when they were
/// off meanwhile. `None`: not every column has one. Only those that also fire for replicated changes
/// (ENABLE ALWAYS) count.
pub fn sync_triggers(relation: u32, columns: &[String]) -> Result<Option<String>> {
    #[derive(Deserialize)]
    struct Row {
        triggers: Option<String>,
        columns: i64,
    }
    let rows: Vec<Row> = read(
        "SELECT string_agg(t.oid::text || ' since ' || t.xmin::text, ', ' ORDER BY t.oid) AS triggers, count(DISTINCT w.name) AS columns \
         FROM pg_trigger t \
         JOIN unnest($2) AS w(name) ON encode(convert_to(w.name, getdatabaseencoding()), 'escape') \
              = split_part(encode(t.tgargs, 'escape'), '\\000', 2) \
         WHERE t.tgrelid = $1 AND t.tgenabled = 'A' \
           AND t.tgfoid = to_regprocedure('migrate.sync_column_trigger()')",
        &[Arg::Oid(relation), Arg::Texts(columns.to_vec())],
    )?;
    Ok(rows
        .into_iter()
        .next()
        .filter(|row| row.columns == columns.len() as i64)
        .and_then(|row| row.triggers))
}

/// The primary key's columns, quoted literal and identifier in turn, as arguments of
/// `jsonb_build_object`; `None` without one.
pub fn key_pairs(relation: u32, alias: &str) -> Result<Option<String>> {
    #[derive(Deserialize)]
    struct Row {
        pairs: Option<String>,
    }
    let rows: Vec<Row> = read(
        "SELECT string_agg(quote_literal(a.attname) || ', ' || $2 || '.' || quote_ident(a.attname), ', ' ORDER BY a.attnum) AS pairs \
         FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey::int2[]) \
         WHERE i.indrelid = $1 AND i.indisprimary",
        &[Arg::Oid(relation), Arg::Text(alias)],
    )?;
    Ok(rows.into_iter().next().and_then(|row| row.pairs))
}

/// A column of the key in whose order a table is walked.
#[derive(Debug, Clone, Deserialize)]
pub struct KeyColumn {
    pub quoted: String,
    /// With its modifier, schema-qualified where it must be.
    pub data_type: String,
}

/// The columns of a unique index whose columns cannot be null, the primary key's before others;
/// `None`: there is none.
pub fn unique_key(leaf: u32) -> Result<Option<Vec<KeyColumn>>> {
    let rows: Vec<KeyColumn> = read(
        "SELECT quote_ident(a.attname) AS quoted, format_type(a.atttypid, a.atttypmod) AS data_type \
         FROM (SELECT k.indrelid, k.indkey, k.indnkeyatts FROM pg_index k WHERE k.indrelid = $1 AND k.indisunique \
                 AND k.indimmediate AND k.indisvalid AND k.indpred IS NULL AND k.indexprs IS NULL AND NOT EXISTS ( \
                   SELECT 1 FROM pg_attribute a WHERE a.attrelid = k.indrelid AND NOT a.attnotnull \
                     AND a.attnum = ANY ((k.indkey::int2[])[0:k.indnkeyatts - 1])) \
               ORDER BY k.indisprimary DESC, k.indexrelid LIMIT 1) i \
         CROSS JOIN LATERAL generate_series(0, i.indnkeyatts - 1) AS p(place) \
         JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[p.place] ORDER BY p.place",
        &[Arg::Oid(leaf)],
    )?;
    Ok((!rows.is_empty()).then_some(rows))
}

/// Whether an index of the heap has one of the columns in it, in any way: then no update of it is
/// heap-only.
pub fn indexed(leaf: u32, columns: &[String]) -> Result<bool> {
    #[derive(Deserialize)]
    struct Row {
        indexed: bool,
    }
    let rows: Vec<Row> = read(
        "SELECT EXISTS (SELECT 1 FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attname = ANY ($2) \
           WHERE i.indrelid = $1 AND (a.attnum = ANY (i.indkey::int2[]) OR EXISTS ( \
             SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = i.indexrelid \
               AND d.refclassid = 'pg_class'::regclass AND d.refobjid = i.indrelid AND d.refobjsubid = a.attnum))) AS indexed",
        &[Arg::Oid(leaf), Arg::Texts(columns.to_vec())],
    )?;
    Ok(rows.first().is_some_and(|row| row.indexed))
}

/// Heap-only updates of a heap that this transaction has made so far.
pub fn hot_updates(leaf: u32) -> Result<i64> {
    #[derive(Deserialize)]
    struct Row {
        hot: i64,
    }
    let rows: Vec<Row> = read(
        "SELECT coalesce(pg_stat_get_xact_tuples_hot_updated($1), 0) AS hot",
        &[Arg::Oid(leaf)],
    )?;
    Ok(rows.first().map_or(0, |row| row.hot))
}

/// Whether the server can compress page images in the WAL with LZ4 (PostgreSQL 15, if built so).
pub fn has_lz4() -> Result<bool> {
    thread_local! {
        static KNOWN: Cell<Option<bool>> = const { Cell::new(None) };
    }
    #[derive(Deserialize)]
    struct Row {
        has: bool,
    }
    if let Some(known) = KNOWN.get() {
        return Ok(known);
    }
    let rows: Vec<Row> = read(
        "SELECT coalesce('lz4' = ANY (enumvals), false) AS has FROM pg_settings WHERE name = 'wal_compression'",
        &[],
    )?;
    let has = rows.first().is_some_and(|row| row.has);
    KNOWN.set(Some(has));
    Ok(has)
}

/// Who has the oldest snapshot that keeps dead rows, in words.
pub fn oldest_snapshot() -> Result<String> {
    #[derive(Deserialize)]
    struct Row {
        who: String,
    }
    let rows: Vec<Row> = read(
        "SELECT who FROM ( \
           SELECT age(backend_xmin) AS age, 'session ' || pid || coalesce(' of ' || usename, '') \
                  || coalesce(', in its transaction for ' || date_trunc('second', clock_timestamp() - xact_start), '') AS who \
           FROM pg_stat_activity WHERE coalesce(backend_xmin, backend_xid) IS NOT NULL AND pid <> pg_backend_pid() \
           UNION ALL SELECT age(transaction), 'prepared transaction ' || quote_literal(gid) FROM pg_prepared_xacts \
           UNION ALL SELECT age(xmin), 'replication slot ' || slot_name FROM pg_replication_slots WHERE xmin IS NOT NULL \
           UNION ALL SELECT age(backend_xmin), 'standby ' || application_name || ' (hot_standby_feedback)' \
           FROM pg_stat_replication WHERE backend_xmin IS NOT NULL) q \
         WHERE age IS NOT NULL ORDER BY age DESC LIMIT 1",
        &[],
    )?;
    Ok(rows
        .into_iter()
        .next()
        .map_or_else(|| "a snapshot".to_owned(), |row| row.who))
}
