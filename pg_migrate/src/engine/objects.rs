//! What steps on objects other than tables call: replacing a view, moving a relation to another
//! schema, taking a type away. All with the rights of the caller.

use super::context::within;
use crate::catalog::{self, Live};
use crate::fault::{Fault, Result, state};
use crate::ledger::{self, Revision, StepRow};
use crate::pg::spi::{self, Arg, ident, qualified};
use crate::pg::{error, subtransaction};
use crate::recipe::facts::{ObjectFacts, View};
use crate::recipe::quote::name_with_suffix;
use serde::Deserialize;
use serde_json::Value;

/// What CREATE OR REPLACE VIEW raises where columns go, change or move.
const INVALID_TABLE_DEFINITION: &str = "42P16";
const ASIDE: &str = "migrate_aside";

/// Runs `statement`, a CREATE OR REPLACE VIEW. Where the new columns do not allow that, the view is
/// dropped and made again in this transaction with everything that belongs to it; so are the views
/// upon it. What cannot be made again is named in the error, and nothing is changed.
pub fn replace_view(name: &str, statement: &str) -> Result<()> {
    let why = match subtransaction::attempt(|| spi::run(statement, &[])) {
        Ok(_) => return Ok(()),
        Err(fault) if fault.sqlstate == INVALID_TABLE_DEFINITION => fault,
        Err(fault) => return Err(fault),
    };
    let Some(oid) = catalog::resolve(name)? else {
        return Err(why);
    };
    let (above, others) = catalog::views_above(oid)?;
    if !others.is_empty() {
        return Err(Fault::new(
            state::DEPENDENT_OBJECTS,
            format!("view {name} cannot be replaced: {}", why.message),
        )
        .detail(format!(
            "It would have to be dropped, and these depend on it: {}.",
            others.join("; ")
        ))
        .hint("Keep its columns and add new ones at the end, or drop and make again what depends on it in the same migration."));
    }
    let known = |oid: u32| -> Result<View> {
        catalog::view(oid)?.ok_or_else(|| Fault::internal("a view has disappeared"))
    };
    let own = known(oid)?;
    let above = above.into_iter().map(known).collect::<Result<Vec<_>>>()?;
    for view in above.iter().rev().chain([&own]) {
        spi::run(&format!("DROP VIEW {}", view.name), &[])?;
    }
    spi::run(statement, &[])?;
    let new = Live
        .view(name)?
        .map(|view| view.columns)
        .unwrap_or_default();
    let has = |column: &String| new.iter().any(|(name, _)| name == column);
    for piece in own
        .pieces
        .iter()
        .filter(|piece| piece.part.as_ref().is_none_or(has))
    {
        spi::run(&piece.sql, &[])?;
    }
    for view in &above {
        subtransaction::attempt(|| make_again(view)).map_err(|fault| Fault {
            detail: Some(match fault.detail {
                Some(detail) => {
                    format!("{detail}\nIn view {}, which depends on {name}.", view.name)
                }
                None => format!("In view {}, which depends on {name}.", view.name),
            }),
            ..fault
        })?;
    }
    Ok(())
}

fn make_again(view: &View) -> Result<()> {
    let options = view
        .options
        .as_ref()
        .map(|options| format!(" WITH ({options})"))
        .unwrap_or_default();
    spi::run(
        &format!("CREATE VIEW {}{options} AS {}", view.name, view.definition),
        &[],
    )?;
    for piece in &view.pieces {
        spi::run(&piece.sql, &[])?;
    }
    Ok(())
}

#[derive(Deserialize)]
struct Sql {
    sql: String,
}

/// The noun of ALTER for a relation, and its schema and name.
fn place(name: &str) -> Result<crate::recipe::facts::Object> {
    Live.object("table", name)?.ok_or_else(|| {
        Fault::new(
            state::UNDEFINED_TABLE,
            format!("relation {name} does not exist"),
        )
    })
}

/// Moves a table or view to another schema and leaves an updatable view in its old place, with the
/// same privileges.
pub fn move_relation(name: &str, schema: &str) -> Result<()> {
    let object = place(name)?;
    let (old, new) = (
        qualified(&object.schema, &object.name),
        qualified(schema, &object.name),
    );
    spi::run(
        &format!("ALTER {} {old} SET SCHEMA {}", object.noun, ident(schema)),
        &[],
    )?;
    spi::run(
        &format!("CREATE VIEW {old} WITH (security_invoker = true) AS SELECT * FROM {new}"),
        &[],
    )?;
    let oid = catalog::resolve(&new)?.unwrap_or_default();
    // A view has no defaults of its own: an INSERT through it must get the table's.
    let more: Vec<Sql> = spi::select(
        "SELECT 'ALTER VIEW ' || $2 || ' ALTER COLUMN ' || pg_catalog.quote_ident(a.attname) || ' SET DEFAULT ' \
                || pg_catalog.pg_get_expr(d.adbin, d.adrelid) AS sql \
         FROM pg_catalog.pg_attrdef d JOIN pg_catalog.pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum \
         WHERE d.adrelid = $1::oid AND a.attgenerated = '' \
         UNION ALL \
         SELECT 'GRANT ' || g.privilege_type || coalesce(' (' || pg_catalog.quote_ident(c.part) || ')', '') || ' ON ' || $2 || ' TO ' \
                || CASE WHEN g.grantee = 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(g.grantee)) END \
                || CASE WHEN g.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END \
         FROM pg_catalog.pg_class t, \
              LATERAL (SELECT NULL::text AS part, t.relacl AS acl \
                       UNION ALL SELECT a.attname, a.attacl FROM pg_catalog.pg_attribute a WHERE a.attrelid = t.oid AND NOT a.attisdropped) c, \
              pg_catalog.aclexplode(c.acl) g \
         WHERE t.oid = $1::oid AND g.grantee <> t.relowner AND g.privilege_type IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE')",
        &[Arg::Oid(oid), Arg::Text(&old)],
    )?;
    for row in more {
        spi::run(&row.sql, &[])?;
    }
    Ok(())
}

/// The way back before contract.
pub fn move_relation_back(name: &str, schema: &str) -> Result<()> {
    let object = place(name)?;
    spi::run(
        &format!("DROP VIEW {}", qualified(schema, &object.name)),
        &[],
    )?;
    spi::run(
        &format!(
            "ALTER {} {} SET SCHEMA {}",
            object.noun,
            qualified(&object.schema, &object.name),
            ident(schema)
        ),
        &[],
    )
    .map(drop)
}

/// Drops a type. One that only columns and tables set aside still have is moved out of sight with
/// them, so that they stay restorable; the purge drops it after them.
pub fn set_aside_type(name: &str, revision: &str) -> Result<()> {
    let Some(object) = Live.object("type", name)? else {
        return Err(Fault::new(
            state::UNDEFINED_OBJECT,
            format!("type {name} does not exist"),
        ));
    };
    #[derive(Deserialize)]
    struct Users {
        aside: i64,
        others: i64,
    }
    let users: Option<Users> = spi::first(
        "SELECT count(*) FILTER (WHERE hidden) AS aside, count(*) FILTER (WHERE NOT hidden) AS others \
         FROM (SELECT coalesce(n.nspname = 'migrate_aside' OR a.attname ~ '^_pgm_aside_', false) AS hidden \
               FROM pg_catalog.pg_type t \
               JOIN pg_catalog.pg_depend d ON d.refclassid = 'pg_catalog.pg_type'::regclass \
                    AND d.refobjid IN (t.oid, t.typarray) AND d.deptype = 'n' AND t.oid = pg_catalog.to_regtype($1) \
               LEFT JOIN pg_catalog.pg_attrdef e ON d.classid = 'pg_catalog.pg_attrdef'::regclass AND e.oid = d.objid \
               LEFT JOIN pg_catalog.pg_constraint k ON d.classid = 'pg_catalog.pg_constraint'::regclass AND k.oid = d.objid \
               LEFT JOIN pg_catalog.pg_class c ON c.oid = coalesce(e.adrelid, k.conrelid, \
                    CASE WHEN d.classid = 'pg_catalog.pg_class'::regclass THEN d.objid END) \
               LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
               LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = coalesce(e.adnum, nullif(d.objsubid, 0))) u",
        &[Arg::Text(&object.sql)],
    )?;
    let noun = &object.noun;
    match users {
        Some(users) if users.aside > 0 && users.others == 0 => {
            let hidden =
                name_with_suffix(&object.name, &format!("_{}", ledger::next_aside_number()?));
            spi::run(
                &format!("ALTER {noun} {} RENAME TO {}", object.sql, ident(&hidden)),
                &[],
            )?;
            spi::run(
                &format!(
                    "ALTER {noun} {} SET SCHEMA {ASIDE}",
                    qualified(&object.schema, &hidden)
                ),
                &[],
            )?;
            error::notice(Fault::new(
                "00000",
                format!(
                    "type {} is set aside by \"{revision}\" with the columns that have it",
                    object.sql
                ),
            ));
            Ok(())
        }
        _ => spi::run(&format!("DROP {noun} {}", object.sql), &[]).map(drop),
    }
}

/// Drops types set aside that nothing has any more, of those the caller owns.
pub fn purge_types() -> Result<Vec<String>> {
    let rows: Vec<Sql> = spi::select(
        "SELECT 'migrate_aside.' || pg_catalog.quote_ident(t.typname) AS sql \
         FROM pg_catalog.pg_type t \
         WHERE t.typnamespace = 'migrate_aside'::regnamespace AND t.typtype IN ('e', 'd', 'r', 'c') \
           AND pg_catalog.pg_has_role(t.typowner, 'USAGE') \
           AND (t.typrelid = 0 OR EXISTS (SELECT 1 FROM pg_catalog.pg_class c WHERE c.oid = t.typrelid AND c.relkind = 'c')) \
           AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_depend d WHERE d.refclassid = 'pg_catalog.pg_type'::regclass \
                             AND d.refobjid IN (t.oid, t.typarray) AND d.deptype = 'n')",
        &[],
    )?;
    let mut dropped = Vec::new();
    for row in rows {
        spi::run(&format!("DROP TYPE {}", row.sql), &[])?;
        dropped.push(format!("type {}", row.sql));
    }
    Ok(dropped)
}

/// Says that something cannot be taken back.
pub fn stays(what: &str) {
    error::notice(
        Fault::new("00000", format!("{what} stays"))
            .detail("PostgreSQL has no way to drop it; nothing has to use it."),
    );
}

/// What an interrupted REINDEX CONCURRENTLY of this step left behind: invalid indexes under the
/// server's names for its copies, but for those that were there before the step began.
pub fn reindex_leftovers(revision: &Revision, step: &StepRow) -> Result<Vec<String>> {
    let Some(key) = step.args.get("reindex").and_then(Value::as_str) else {
        return Ok(Vec::new());
    };
    let of_table = step.args.get("of_table").is_some_and(|mark| *mark == true);
    let before = step.args.get("before").and_then(Value::as_array);
    let known = |name: &str| before.is_some_and(|list| list.iter().any(|one| one == name));
    let found = within(revision, || Live.indexes(key, of_table))?;
    Ok(found
        .into_iter()
        .filter(|index| index.leftover && !known(&index.name))
        .map(|index| index.name)
        .collect())
}
