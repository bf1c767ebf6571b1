//! What the swap of a type change can only say when it comes: which foreign keys there are by then,
//! and where a sequence stands. Run with the rights of the caller, inside a step's transaction and
//! under its locks.

mod index;
mod referring;
mod settings;

pub use index::{Key, swap_partitioned_index, swap_partitioned_key};
pub use referring::{foreign_key_misses, validate_foreign_keys};
pub use settings::carry_partition_settings;

use crate::catalog::{self, Live};
use crate::fault::{Fault, Result, state};
use crate::ledger;
use crate::pg::spi::{self, Arg, ident, literal, qualified};
use crate::pg::{relation_lock, subtransaction};
use crate::recipe::facts::Facts;
use crate::recipe::step::Lock;
use serde::Deserialize;

fn run(sql: &str) -> Result<()> {
    spi::run(sql, &[]).map(drop)
}

/// Drops every foreign key over columns `old` and gives its name to its twin over columns `new`.
pub fn swap_foreign_keys(table: &str, old: &[String], new: &[String]) -> Result<()> {
    #[derive(Deserialize)]
    struct Pair {
        key_name: String,
        referencing: String,
        twin: Option<String>,
        comment: Option<String>,
    }
    let pairs: Vec<Pair> = spi::select(
        "SELECT key_name, referencing, twin, comment FROM migrate.foreign_key_twins($1, $2, $3) WHERE NOT repointed",
        &[
            Arg::Text(table),
            Arg::Texts(old.to_vec()),
            Arg::Texts(new.to_vec()),
        ],
    )?;
    for pair in &pairs {
        let (on, name) = (&pair.referencing, ident(&pair.key_name));
        let Some(twin) = &pair.twin else {
            return Err(Fault::new(
                state::DEPENDENT_OBJECTS,
                format!("foreign key \"{}\" of {on} has no counterpart over the new columns of {table}", pair.key_name),
            )
            .detail("It was made after the migration began.")
            .hint("Drop it, and make it again after the contract; or contract the migration that made it first."));
        };
        let was = referring::foreign_key_parts(on, &pair.key_name)?;
        let is = referring::foreign_key_parts(on, twin)?;
        spi::run(&format!("ALTER TABLE {on} DROP CONSTRAINT {name}"), &[])?;
        let twin = ident(twin);
        spi::run(
            &format!("ALTER TABLE {on} RENAME CONSTRAINT {twin} TO {name}"),
            &[],
        )?;
        if let Some(comment) = &pair.comment {
            let text = literal(comment);
            spi::run(
                &format!("COMMENT ON CONSTRAINT {name} ON {on} IS {text}"),
                &[],
            )?;
        }
        referring::take_key_names(&was, &is)?;
    }
    Ok(())
}

#[derive(Deserialize)]
struct Sequence {
    oid: u32,
    schema: String,
    name: String,
    always: bool,
    start: i64,
    increment: i64,
    /// `None`: the least, the greatest of its type.
    least: Option<i64>,
    greatest: Option<i64>,
    cache: i64,
    cycle: bool,
    comment: Option<String>,
    /// REVOKE and GRANT statements after which its privileges are what they are now.
    grants: Vec<String>,
}

const SEQUENCE: &str = "SELECT c.oid::int8 AS oid, n.nspname::text AS schema, c.relname::text AS name, \
    a.attidentity = 'a' AS always, s.seqstart AS start, s.seqincrement AS increment, \
    CASE WHEN s.seqmin = lo.value OR (s.seqincrement > 0 AND s.seqmin = 1) THEN NULL ELSE s.seqmin END AS least, \
    CASE WHEN s.seqmax = hi.value OR (s.seqincrement < 0 AND s.seqmax = -1) THEN NULL ELSE s.seqmax END AS greatest, \
    s.seqcache AS cache, s.seqcycle AS cycle, pg_catalog.obj_description(c.oid, 'pg_class') AS comment, \
    ARRAY(SELECT DISTINCT 'REVOKE ALL ON SEQUENCE ' || q.name || ' FROM ' || CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(g.grantee)) END \
          FROM pg_catalog.pg_default_acl da, pg_catalog.aclexplode(da.defaclacl) g \
          WHERE da.defaclobjtype = 'S' AND g.grantee NOT IN (c.relowner, da.defaclrole)) \
    || CASE WHEN c.relacl IS NOT NULL THEN ARRAY['REVOKE ALL ON SEQUENCE ' || q.name || ' FROM PUBLIC, ' || pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(c.relowner))] END \
    || ARRAY(SELECT 'GRANT ' || pg_catalog.string_agg(g.privilege_type, ', ' ORDER BY g.privilege_type) || ' ON SEQUENCE ' || q.name || ' TO ' \
                    || CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(g.grantee)) END \
                    || CASE WHEN g.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END \
             FROM pg_catalog.aclexplode(c.relacl) g GROUP BY g.grantee, g.is_grantable ORDER BY g.grantee <> c.relowner, g.grantee) AS grants \
  FROM pg_catalog.pg_attribute a \
  JOIN pg_catalog.pg_depend d ON d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = a.attrelid AND d.refobjsubid = a.attnum \
       AND d.classid = 'pg_catalog.pg_class'::regclass AND d.deptype = 'i' \
  JOIN pg_catalog.pg_class c ON c.oid = d.objid AND c.relkind = 'S' \
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
  JOIN pg_catalog.pg_sequence s ON s.seqrelid = c.oid, \
  LATERAL (SELECT CASE s.seqtypid WHEN 21 THEN -32768 WHEN 23 THEN -2147483648 ELSE -9223372036854775808 END AS value) lo, \
  LATERAL (SELECT CASE s.seqtypid WHEN 21 THEN 32767 WHEN 23 THEN 2147483647 ELSE 9223372036854775807 END AS value) hi, \
  LATERAL (SELECT pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname) AS name) q \
  WHERE a.attrelid = $1::oid AND a.attname = $2";

/// Takes identity from column `old` and gives it to `new`, with a sequence of the same name,
/// options, privileges and comment that goes on where the old one stood. Its type is that of the
/// new column; bounds that were those of the old type become those of the new one, as ALTER COLUMN
/// TYPE does.
pub fn move_identity(table: &str, old: &str, new: &str) -> Result<()> {
    #[derive(Deserialize)]
    struct Position {
        last_value: i64,
        is_called: bool,
    }
    let relation = catalog::resolve(table)?.ok_or_else(|| {
        Fault::new(
            state::UNDEFINED_TABLE,
            format!("table {table} does not exist"),
        )
    })?;
    let found: Option<Sequence> = spi::first(SEQUENCE, &[Arg::Oid(relation), Arg::Text(old)])?;
    let found = found.ok_or_else(|| {
        Fault::new(
            state::UNDEFINED_OBJECT,
            format!("column \"{old}\" of {table} is no identity column"),
        )
    })?;
    // From here on nobody draws a number from it.
    relation_lock::take(found.oid, Lock::AccessExclusive.number());
    let name = qualified(&found.schema, &found.name);
    let position: Position = spi::first(&format!("SELECT last_value, is_called FROM {name}"), &[])?
        .ok_or_else(|| Fault::internal(format!("sequence {name} is empty")))?;
    let bound = |word: &str, value: Option<i64>| match value {
        Some(value) => format!("{word} {value}"),
        None => format!("NO {word}"),
    };
    let generated = if found.always { "ALWAYS" } else { "BY DEFAULT" };
    let cycle = if found.cycle { "CYCLE" } else { "NO CYCLE" };
    let options = format!(
        "SEQUENCE NAME {name} START WITH {} INCREMENT BY {} {} {} CACHE {} {cycle}",
        found.start,
        found.increment,
        bound("MINVALUE", found.least),
        bound("MAXVALUE", found.greatest),
        found.cache,
    );
    let mut sql = vec![
        format!(
            "ALTER TABLE {table} ALTER COLUMN {} DROP IDENTITY",
            ident(old)
        ),
        format!(
            "ALTER TABLE {table} ALTER COLUMN {} ADD GENERATED {generated} AS IDENTITY ({options})",
            ident(new)
        ),
        format!(
            "SELECT pg_catalog.setval({}, {}, {})",
            literal(&name),
            position.last_value,
            position.is_called
        ),
    ];
    sql.extend(found.grants);
    if let Some(comment) = &found.comment {
        sql.push(format!(
            "COMMENT ON SEQUENCE {name} IS {}",
            literal(comment)
        ));
    }
    for statement in sql {
        spi::run(&statement, &[])?;
    }
    Ok(())
}

/// Brings back the column that `revision` set aside under this name, under the name `shadow`.
pub fn take_back_column(table: &str, column: &str, shadow: &str, revision: &str) -> Result<()> {
    let nothing = || {
        Fault::new(
            state::UNDEFINED_OBJECT,
            format!("migration \"{revision}\" keeps no column \"{column}\" of {table} aside"),
        )
    };
    let (schema, bare) = Live.landing(table)?;
    let aside = ledger::aside_of(&schema, &bare, Some(column))?
        .filter(|aside| aside.revision == revision)
        .ok_or_else(nothing)?;
    subtransaction::attempt(|| {
        spi::run(
            &format!(
                "ALTER TABLE {table} RENAME COLUMN {} TO {}",
                ident(&aside.aside_name),
                ident(shadow)
            ),
            &[],
        )
    })?;
    ledger::forget_aside(aside.aside, false)
}
