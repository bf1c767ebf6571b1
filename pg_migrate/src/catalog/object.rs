//! Objects other than tables: how they are made as they are now, and what a statement would change.

use super::relation;
use crate::fault::{Fault, Result};
use crate::ledger;
use crate::pg::parser::before_collation;
use crate::pg::spi::{self, Arg, ident};
use crate::pg::{settings, subtransaction};
use crate::recipe::facts::{Function, Indexed, Object, ObjectFacts, Query, View};
use serde::Deserialize;
use std::collections::BTreeMap;

const VIEW: &str = include_str!("object/view.sql");
const PRIVILEGES: &str = include_str!("object/privileges.sql");
const TRIGGER: &str = include_str!("object/trigger.sql");
const INDEXES: &str = include_str!("object/indexes.sql");
const PROBE: &str = "pg_migrate_probe";

#[derive(Deserialize)]
struct Sql {
    sql: String,
}

/// Runs `body` with nothing in the search path, so that every name is printed with its schema.
fn qualified_names<T>(body: impl FnOnce() -> Result<T>) -> Result<T> {
    let scope = settings::Scope::new();
    scope.set("search_path", "");
    let value = body()?;
    drop(scope);
    Ok(value)
}

/// The view, by its OID.
pub fn view(oid: u32) -> Result<Option<View>> {
    qualified_names(|| spi::first(VIEW, &[Arg::Oid(oid)]))
}

/// What hangs on a view, view upon view: those that can be made again, lowest first, and what
/// cannot, in words.
pub fn views_above(oid: u32) -> Result<(Vec<u32>, Vec<String>)> {
    #[derive(Deserialize)]
    struct Above {
        oid: u32,
        what: String,
        plain: bool,
    }
    let found: Vec<Above> = spi::select(
        "WITH RECURSIVE above AS ( \
             SELECT $1::oid AS oid, 'pg_catalog.pg_class'::regclass AS class, 0 AS depth \
             UNION \
             SELECT coalesce(r.ev_class, d.objid), CASE WHEN r.oid IS NULL THEN d.classid ELSE 'pg_catalog.pg_class'::regclass END, above.depth + 1 \
             FROM above \
             JOIN pg_catalog.pg_depend d ON d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = above.oid \
                  AND above.class = 'pg_catalog.pg_class'::regclass AND d.deptype = 'n' \
             LEFT JOIN pg_catalog.pg_rewrite r ON d.classid = 'pg_catalog.pg_rewrite'::regclass AND r.oid = d.objid \
             WHERE coalesce(r.ev_class, 0) <> above.oid AND above.depth < 100 \
         ) \
         SELECT above.oid::int8 AS oid, pg_catalog.pg_describe_object(above.class, above.oid, 0) AS what, \
                above.class = 'pg_catalog.pg_class'::regclass AND coalesce(c.relkind = 'v', false) AS plain \
         FROM above LEFT JOIN pg_catalog.pg_class c ON c.oid = above.oid AND above.class = 'pg_catalog.pg_class'::regclass \
         WHERE above.depth > 0 GROUP BY above.oid, above.class, c.relkind ORDER BY max(above.depth), above.oid",
        &[Arg::Oid(oid)],
    )?;
    let (plain, others): (Vec<_>, Vec<_>) = found.into_iter().partition(|above| above.plain);
    Ok((
        plain.into_iter().map(|above| above.oid).collect(),
        others.into_iter().map(|above| above.what).collect(),
    ))
}

impl ObjectFacts for super::Live {
    fn comment_before(&self, statement: &str) -> Result<Option<Option<String>>> {
        #[derive(Deserialize)]
        struct Comment {
            place: String,
            text: String,
        }
        let read = || -> Result<BTreeMap<String, String>> {
            let rows: Vec<Comment> = spi::select(
                "SELECT pg_catalog.format('%s %s %s', classoid, objoid, objsubid) AS place, description AS text \
                 FROM pg_catalog.pg_description \
                 UNION ALL SELECT pg_catalog.format('%s %s', classoid, objoid), description FROM pg_catalog.pg_shdescription",
                &[],
            )?;
            Ok(rows.into_iter().map(|row| (row.place, row.text)).collect())
        };
        let before = read()?;
        let after = subtransaction::rehearse(|| {
            spi::run(statement, &[])?;
            read()
        })?;
        if before == after {
            return Ok(None);
        }
        Ok(Some(
            before
                .into_iter()
                .find(|(place, text)| after.get(place) != Some(text))
                .map(|(_, text)| text),
        ))
    }

    fn object(&self, kind: &str, name: &str) -> Result<Option<Object>> {
        let query = match kind {
            "table" => {
                "SELECT n.nspname::text AS schema, c.relname::text AS name, \
                        pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname) AS sql, \
                        CASE c.relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' WHEN 'S' THEN 'SEQUENCE' \
                             WHEN 'f' THEN 'FOREIGN TABLE' WHEN 'c' THEN 'TYPE' WHEN 'i' THEN 'INDEX' WHEN 'I' THEN 'INDEX' ELSE 'TABLE' END AS noun \
                 FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
                 WHERE c.oid = pg_catalog.to_regclass($1)"
            }
            "type" => {
                "SELECT n.nspname::text AS schema, t.typname::text AS name, \
                        pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(t.typname) AS sql, \
                        CASE t.typtype WHEN 'd' THEN 'DOMAIN' ELSE 'TYPE' END AS noun \
                 FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace \
                 WHERE t.oid = pg_catalog.to_regtype($1)"
            }
            _ => {
                "SELECT n.nspname::text AS schema, pg_catalog.quote_ident(p.proname) || '(' || a.list || ')' AS name, \
                        pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(p.proname) || '(' || a.list || ')' AS sql, \
                        CASE p.prokind WHEN 'p' THEN 'PROCEDURE' WHEN 'a' THEN 'AGGREGATE' ELSE 'FUNCTION' END AS noun \
                 FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace, \
                      LATERAL (SELECT coalesce(pg_catalog.string_agg(pg_catalog.quote_ident(tn.nspname) || '.' || pg_catalog.quote_ident(t.typname), ', ' ORDER BY u.ord), '') AS list \
                               FROM pg_catalog.unnest(p.proargtypes::oid[]) WITH ORDINALITY u (oid, ord) \
                               JOIN pg_catalog.pg_type t ON t.oid = u.oid JOIN pg_catalog.pg_namespace tn ON tn.oid = t.typnamespace) a \
                 WHERE p.oid = CASE WHEN $1 LIKE '%(%' THEN pg_catalog.to_regprocedure($1)::oid ELSE pg_catalog.to_regproc($1)::oid END"
            }
        };
        if kind == "table" {
            relation::name_parts(name)?;
        }
        spi::first(query, &[Arg::Text(name)])
    }

    fn schema_exists(&self, schema: &str) -> Result<bool> {
        let found: Option<Sql> = spi::first(
            "SELECT nspname::text AS sql FROM pg_catalog.pg_namespace WHERE nspname = $1",
            &[Arg::Text(schema)],
        )?;
        Ok(found.is_some())
    }

    fn enum_values(&self, data_type: &str) -> Result<Option<(String, Vec<String>)>> {
        #[derive(Deserialize)]
        struct Values {
            name: String,
            labels: Vec<String>,
        }
        let found: Option<Values> = spi::first(
            "SELECT pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(t.typname) AS name, \
                    (SELECT coalesce(pg_catalog.array_agg(e.enumlabel::text ORDER BY e.enumsortorder), '{}') \
                     FROM pg_catalog.pg_enum e WHERE e.enumtypid = t.oid) AS labels \
             FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace \
             WHERE t.typtype = 'e' AND t.oid = pg_catalog.to_regtype($1)",
            &[Arg::Text(data_type)],
        )?;
        Ok(found.map(|found| (found.name, found.labels)))
    }

    fn view(&self, name: &str) -> Result<Option<View>> {
        match relation::resolve(name)? {
            Some(oid) => view(oid),
            None => Ok(None),
        }
    }

    fn query(&self, definition: &str, columns: &[String]) -> Result<Query> {
        #[derive(Deserialize)]
        struct Found {
            columns: Vec<(String, String)>,
            reads: Vec<(String, String)>,
        }
        let names: Vec<_> = columns.iter().map(|name| ident(name)).collect();
        let list = if names.is_empty() {
            String::new()
        } else {
            format!(" ({})", names.join(", "))
        };
        subtransaction::rehearse(|| {
            spi::run("SET LOCAL client_min_messages = error", &[])?;
            spi::run(
                &format!("CREATE TEMP VIEW {PROBE}{list} AS {definition}"),
                &[],
            )?;
            let found: Option<Found> = spi::first(
                "SELECT (SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array(a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod)) ORDER BY a.attnum) \
                         FROM pg_catalog.pg_attribute a WHERE a.attrelid = v.oid AND a.attnum > 0) AS columns, \
                        (SELECT coalesce(pg_catalog.jsonb_agg(DISTINCT pg_catalog.jsonb_build_array( \
                                    pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname), a.attname)), '[]') \
                         FROM pg_catalog.pg_rewrite r \
                         JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_rewrite'::regclass AND d.objid = r.oid \
                              AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid <> v.oid \
                         JOIN pg_catalog.pg_class c ON c.oid = d.refobjid \
                         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
                         LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid AND a.attnum > 0 \
                         WHERE r.ev_class = v.oid AND a.attname IS NOT NULL) AS reads \
                 FROM (SELECT pg_catalog.to_regclass($1)::oid AS oid) v",
                &[Arg::Text(&format!("pg_temp.{PROBE}"))],
            )?;
            let found = found.ok_or_else(|| Fault::internal("the probed view was not found"))?;
            Ok(Query {
                columns: found.columns,
                reads: found.reads,
            })
        })
    }

    fn function(&self, statement: &str, name: &str) -> Result<Function> {
        #[derive(Deserialize)]
        struct Known {
            oid: u32,
            place: String,
            definition: Option<String>,
        }
        let bare = relation::name_parts(name)?.pop().unwrap_or_default();
        let known = || -> Result<Vec<Known>> {
            spi::select(
                "SELECT oid::int8 AS oid, ctid::text AS place, \
                        CASE WHEN prokind <> 'a' THEN pg_catalog.pg_get_functiondef(oid) END AS definition \
                 FROM pg_catalog.pg_proc WHERE proname = $1",
                &[Arg::Text(&bare)],
            )
        };
        let before: BTreeMap<u32, Known> = known()?.into_iter().map(|row| (row.oid, row)).collect();
        let (oid, sql) = subtransaction::rehearse(|| {
            spi::run("SET LOCAL check_function_bodies = off", &[])?;
            spi::run(statement, &[])?;
            let made = known()?.into_iter().find(|row| {
                before
                    .get(&row.oid)
                    .is_none_or(|was| was.place != row.place)
            });
            let made = made
                .ok_or_else(|| Fault::invalid(format!("the statement makes no function {name}")))?;
            let sql: Option<Sql> = qualified_names(|| {
                spi::first(
                    "SELECT CASE p.prokind WHEN 'p' THEN 'PROCEDURE ' WHEN 'a' THEN 'AGGREGATE ' ELSE 'FUNCTION ' END \
                            || pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(p.proname) \
                            || '(' || pg_catalog.pg_get_function_identity_arguments(p.oid) || ')' AS sql \
                     FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace WHERE p.oid = $1::oid",
                    &[Arg::Oid(made.oid)],
                )
            })?;
            Ok((made.oid, sql.map(|row| row.sql).unwrap_or_default()))
        })?;
        Ok(Function {
            before: before.get(&oid).and_then(|row| row.definition.clone()),
            sql,
        })
    }

    fn trigger(&self, table: &str, name: &str) -> Result<Vec<String>> {
        let Some(oid) = relation::resolve(table)? else {
            return Ok(Vec::new());
        };
        let rows: Vec<Sql> =
            qualified_names(|| spi::select(TRIGGER, &[Arg::Oid(oid), Arg::Text(name)]))?;
        Ok(rows.into_iter().map(|row| row.sql).collect())
    }

    fn privileges_back(&self, statement: &str, kind: &str, on: &[String]) -> Result<Vec<String>> {
        let before = privileges(kind, on)?;
        let after = subtransaction::rehearse(|| {
            spi::run(statement, &[])?;
            privileges(kind, on)
        })?;
        Ok(back(&before, &after, kind))
    }
    fn indexes(&self, name: &str, of_table: bool) -> Result<Vec<Indexed>> {
        match relation::resolve(name)? {
            Some(oid) => spi::select(INDEXES, &[Arg::Oid(oid), Arg::Bool(of_table)]),
            None => Ok(Vec::new()),
        }
    }

    fn checked_domain(&self, data_type: &str) -> Result<Option<(String, String)>> {
        #[derive(Deserialize)]
        struct Domain {
            base: String,
            checks: String,
        }
        let found: Option<Domain> = spi::first(
            "WITH RECURSIVE chain AS ( \
                 SELECT t.* FROM pg_catalog.pg_type t WHERE t.oid = pg_catalog.to_regtype($1) \
                 UNION ALL SELECT b.* FROM chain JOIN pg_catalog.pg_type b ON b.oid = chain.typbasetype \
             ) \
             SELECT (SELECT pg_catalog.format_type(d.typbasetype, d.typtypmod) FROM chain d JOIN chain b ON b.oid = d.typbasetype \
                     WHERE b.typtype <> 'd') AS base, \
                    q.checks \
             FROM (SELECT pg_catalog.string_agg(c.text, ', ') AS checks \
                   FROM (SELECT pg_catalog.pg_get_constraintdef(k.oid) AS text FROM chain \
                         JOIN pg_catalog.pg_constraint k ON k.contypid = chain.oid \
                         UNION SELECT 'NOT NULL' FROM chain WHERE typtype = 'd' AND typnotnull) c) q \
             WHERE q.checks IS NOT NULL",
            &[Arg::Text(before_collation(data_type).0)],
        )?;
        Ok(found.map(|found| (found.base, found.checks)))
    }

    fn taken_back(&self, revision: &str) -> Result<bool> {
        ledger::taken_back(revision)
    }
}

/// Object, column, grantee, privilege → whether it can be passed on.
type Held = BTreeMap<(String, Option<String>, String, String), bool>;

fn privileges(kind: &str, on: &[String]) -> Result<Held> {
    #[derive(Deserialize)]
    struct Row {
        name: String,
        part: Option<String>,
        grantee: String,
        privilege: String,
        grantable: bool,
    }
    let kind = kind.to_lowercase();
    let rows: Vec<Row> = spi::select(PRIVILEGES, &[Arg::Text(&kind), Arg::Texts(on.to_vec())])?;
    let mut held = Held::new();
    for row in rows {
        *held
            .entry((row.name, row.part, row.grantee, row.privilege))
            .or_default() |= row.grantable;
    }
    Ok(held)
}

/// The statements that lead from `after` to `before`.
fn back(before: &Held, after: &Held, kind: &str) -> Vec<String> {
    let kind = kind.to_uppercase();
    let what = |key: &(String, Option<String>, String, String)| {
        let (name, part, _, privilege) = key;
        let columns = part
            .as_ref()
            .map(|part| format!(" ({})", ident(part)))
            .unwrap_or_default();
        format!("{privilege}{columns} ON {kind} {name}")
    };
    let mut sql = Vec::new();
    for (key, grantable) in after {
        match before.get(key) {
            None => sql.push(format!("REVOKE {} FROM {}", what(key), key.2)),
            Some(false) if *grantable => sql.push(format!(
                "REVOKE GRANT OPTION FOR {} FROM {}",
                what(key),
                key.2
            )),
            Some(_) => {}
        }
    }
    // Taking a privilege of a table takes those of its columns too.
    let lost = |key: &(String, Option<String>, String, String)| {
        let whole = (key.0.clone(), None, key.2.clone(), key.3.clone());
        key.1.is_some() && after.contains_key(&whole) && !before.contains_key(&whole)
    };
    for (key, grantable) in before {
        let now = after.get(key);
        if now.is_none() || (*grantable && now == Some(&false)) || lost(key) {
            sql.push(format!(
                "GRANT {} TO {}{}",
                what(key),
                key.2,
                if *grantable { " WITH GRANT OPTION" } else { "" }
            ));
        }
    }
    sql
}
