//! What a trace asks of the catalogs: names, files and scans, by OID, now and as they were.

use crate::fault::Result;
use crate::pg::past::Past;
use crate::pg::settings::Scope;
use crate::pg::spi::{self, Arg};
use serde::Deserialize;
use std::collections::BTreeMap;

/// A relation of users, or one of the server's own.
#[derive(Debug, Clone, Deserialize)]
pub struct Relation {
    pub oid: u32,
    /// Qualified and quoted.
    pub name: String,
    /// `pg_class.relkind`.
    pub kind: String,
    /// `pg_class.relfilenode`: another one is another file.
    pub file: u32,
    /// The table that an index is on; else 0.
    pub table: u32,
    /// Of the system, of TOAST, or of this extension.
    pub internal: bool,
    pub temporary: bool,
}

fn list(oids: &[u32]) -> String {
    let words: Vec<String> = oids.iter().map(u32::to_string).collect();
    format!("'{{{}}}'::pg_catalog.oid[]", words.join(","))
}

fn relations_query(condition: &str) -> String {
    format!(
        "SELECT c.oid::int8 AS oid, \
                pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname) AS name, \
                c.relkind::text AS kind, c.relfilenode::int8 AS file, \
                coalesce(i.indrelid::int8, 0) AS \"table\", \
                n.nspname IN ('pg_catalog', 'information_schema', 'pg_toast', 'migrate') \
                  OR n.nspname LIKE 'pg\\_toast\\_temp\\_%' AS internal, \
                c.relpersistence = 't' AS temporary \
         FROM pg_catalog.pg_class c \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         LEFT JOIN pg_catalog.pg_index i ON i.indexrelid = c.oid \
         WHERE {condition}"
    )
}

fn of(oids: &[u32]) -> String {
    relations_query(&format!("c.oid = ANY ({})", list(oids)))
}

/// Runs a query of ours whatever the traced script has set the search path to.
fn undisturbed<T>(body: impl FnOnce() -> Result<T>) -> Result<T> {
    let scope = Scope::new();
    scope.set("search_path", "pg_catalog, pg_temp");
    let value = body();
    drop(scope);
    value
}

fn by_oid(found: Vec<Relation>) -> BTreeMap<u32, Relation> {
    found.into_iter().map(|one| (one.oid, one)).collect()
}

/// The relations of these OIDs that are there.
pub fn relations(oids: &[u32]) -> Result<BTreeMap<u32, Relation>> {
    undisturbed(|| spi::select(&of(oids), &[])).map(by_oid)
}

/// The relations that have these names (qualified and quoted).
pub fn relations_named(names: &[&str]) -> Result<BTreeMap<u32, Relation>> {
    if names.is_empty() {
        return Ok(BTreeMap::new());
    }
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let query = relations_query(
        "c.oid IN (SELECT pg_catalog.to_regclass(name) FROM pg_catalog.unnest($1) name)",
    );
    undisturbed(|| spi::select(&query, &[Arg::Texts(names)])).map(by_oid)
}

/// The same, as they were.
pub fn relations_then(past: &Past, oids: &[u32]) -> Result<BTreeMap<u32, Relation>> {
    undisturbed(|| past.select(&of(oids))).map(by_oid)
}

/// How often each table of users has been scanned by this session and not been reported yet.
pub fn scans() -> Result<BTreeMap<u32, i64>> {
    #[derive(Deserialize)]
    struct Row {
        oid: u32,
        scans: i64,
    }
    let rows: Vec<Row> = undisturbed(|| {
        spi::select(
            "SELECT c.oid::int8 AS oid, pg_catalog.pg_stat_get_xact_numscans(c.oid) AS scans \
             FROM pg_catalog.pg_class c \
             WHERE c.relkind IN ('r', 'm') AND c.oid >= 16384 \
               AND pg_catalog.pg_stat_get_xact_numscans(c.oid) > 0",
            &[],
        )
    })?;
    Ok(rows.into_iter().map(|row| (row.oid, row.scans)).collect())
}

/// Of these tables those that have a page. The caller holds a lock on each.
pub fn with_pages(tables: &[u32]) -> Result<Vec<u32>> {
    #[derive(Deserialize)]
    struct Row {
        oid: u32,
    }
    if tables.is_empty() {
        return Ok(Vec::new());
    }
    let rows: Vec<Row> = undisturbed(|| {
        spi::select(
            &format!(
                "SELECT o::int8 AS oid FROM pg_catalog.unnest({}) o WHERE pg_catalog.pg_relation_size(o) > 0",
                list(tables)
            ),
            &[],
        )
    })?;
    Ok(rows.into_iter().map(|row| row.oid).collect())
}

#[derive(Debug, Clone, Deserialize)]
struct Described {
    class: u32,
    object: u32,
    name: Option<String>,
}

/// The catalogs whose objects can be named after they are gone: the table, the kind, the name, its
/// schema, and which of them count. A table's row type is locked with the table.
const NAMED: [(&str, &str, &str, &str, &str); 8] = [
    (
        "pg_type",
        "type",
        "typname",
        "typnamespace",
        "NOT EXISTS (SELECT FROM pg_catalog.pg_type t JOIN pg_catalog.pg_class c ON c.oid = t.typrelid \
                     WHERE t.oid IN (o.oid, o.typelem) AND c.relkind <> 'c')",
    ),
    ("pg_namespace", "schema", "nspname", "", "true"),
    ("pg_proc", "function", "proname", "pronamespace", "true"),
    ("pg_constraint", "constraint", "conname", "", "true"),
    ("pg_trigger", "trigger", "tgname", "", "true"),
    ("pg_rewrite", "rule", "rulename", "", "true"),
    (
        "pg_opclass",
        "operator class",
        "opcname",
        "opcnamespace",
        "true",
    ),
    ("pg_extension", "extension", "extname", "", "true"),
];

fn catalogs() -> Result<Vec<u32>> {
    #[derive(Deserialize)]
    struct Row {
        oid: u32,
    }
    let names: Vec<String> = NAMED.iter().map(|(name, ..)| format!("'{name}'")).collect();
    let rows: Vec<Row> = undisturbed(|| {
        spi::select(
            &format!(
                "SELECT oid::int8 AS oid FROM pg_catalog.pg_class \
                 WHERE relnamespace = 11 AND relname IN ({})",
                names.join(", ")
            ),
            &[],
        )
    })?;
    Ok(rows.into_iter().map(|row| row.oid).collect())
}

/// What objects are called that were there before: `pg_describe_object` where they still are, else
/// their kind and bare name. What is in no answer was not there, or cannot be named.
pub fn objects_then(past: &Past, objects: &[(u32, u32)]) -> Result<BTreeMap<(u32, u32), String>> {
    if objects.is_empty() {
        return Ok(BTreeMap::new());
    }
    let oids: Vec<u32> = objects.iter().map(|(_, object)| *object).collect();
    let parts: Vec<String> = NAMED
        .iter()
        .map(|(catalog, kind, name, schema, counts)| {
            let schema = match *schema {
                "" => String::new(),
                schema => format!(
                    "coalesce((SELECT pg_catalog.quote_ident(n.nspname) || '.' FROM pg_catalog.pg_namespace n \
                               WHERE n.oid = o.{schema}), '') || "
                ),
            };
            format!(
                "SELECT 'pg_catalog.{catalog}'::pg_catalog.regclass::pg_catalog.oid::int8 AS class, o.oid::int8 AS object, \
                        '{kind} ' || {schema}pg_catalog.quote_ident(o.{name}::text) AS name \
                 FROM pg_catalog.{catalog} o WHERE {counts} AND o.oid = ANY ({})",
                list(&oids)
            )
        })
        .collect();
    let then: Vec<Described> = undisturbed(|| past.select(&parts.join(" UNION ALL ")))?;
    let words: Vec<String> = objects
        .iter()
        .map(|(class, object)| format!("({class}::pg_catalog.oid, {object}::pg_catalog.oid)"))
        .collect();
    let now: Vec<Described> = undisturbed(|| {
        spi::select(
            &format!(
                "SELECT v.c::int8 AS class, v.o::int8 AS object, \
                        pg_catalog.pg_describe_object(v.c, v.o, 0) AS name \
                 FROM (VALUES {}) v (c, o)",
                words.join(", ")
            ),
            &[],
        )
    })?;
    let told = catalogs()?;
    let mut names = BTreeMap::new();
    for one in then {
        if let Some(name) = one.name {
            names.insert((one.class, one.object), name);
        }
    }
    for one in now {
        let key = (one.class, one.object);
        // An object of a catalog that was asked, and was not in it: it is new.
        let new = told.contains(&one.class) && !names.contains_key(&key);
        if let (Some(name), false) = (one.name, new) {
            names.insert(key, name);
        }
    }
    Ok(names)
}

/// Who a session is, as far as we may see.
#[derive(Debug, Clone, Deserialize)]
pub struct Session {
    pub pid: i64,
    pub user: Option<String>,
    pub application: Option<String>,
    pub age: Option<String>,
    pub state: Option<String>,
    pub query: Option<String>,
}

pub fn sessions(pids: &[i32]) -> Result<Vec<Session>> {
    if pids.is_empty() {
        return Ok(Vec::new());
    }
    undisturbed(|| {
        spi::select(
            "SELECT a.pid::int8 AS pid, a.usename::text AS \"user\", nullif(a.application_name, '') AS application, \
                    (pg_catalog.date_trunc('second', pg_catalog.clock_timestamp() - a.xact_start))::text AS age, \
                    a.state, pg_catalog.left(a.query, 120) AS query \
             FROM pg_catalog.pg_stat_activity a WHERE a.pid::int8 = ANY ($1)",
            &[Arg::Ints(pids.iter().map(|&pid| i64::from(pid)).collect())],
        )
    })
}
