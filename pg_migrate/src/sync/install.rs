//! Putting the sync trigger on a table, taking it off, and telling it that its backfill is done.

mod several;
mod those;

pub use several::install_several;
pub use those::{Found, SYNC_TRIGGERS, drop_trigger, is_there, triggers};

use crate::fault::{Fault, Result, state};
use crate::pg::expression::{self, Compiled};
use crate::pg::torture::{self, Mutant, Point};
use crate::pg::{analyze, error, identity, relation_column, spi, subtransaction, trigger};
use crate::sync::arguments::{Arguments, check};
use crate::sync::late;
use crate::sync::names::{PREFIX, one_way_name, trigger_name};
use crate::sync::program::FINISHED;
use crate::sync::rules::Policy;
use serde::Deserialize;
use spi::Arg;

#[derive(Deserialize)]
pub struct Table {
    name: String,
    kind: String,
    owner: u32,
}

impl Table {
    fn find(relation: u32) -> Result<Table> {
        let table: Option<Table> = spi::first(
            "SELECT pg_catalog.format('%I.%I', n.nspname, c.relname) AS name, \
                    c.relkind::pg_catalog.text AS kind, c.relowner::pg_catalog.int8 AS owner \
             FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n \
                  ON n.oid OPERATOR(pg_catalog.=) c.relnamespace \
             WHERE c.oid OPERATOR(pg_catalog.=) $1",
            &[Arg::Oid(relation)],
        )?;
        table.ok_or_else(|| {
            Fault::new(
                state::UNDEFINED_TABLE,
                format!("there is no relation with OID {relation}"),
            )
        })
    }

    /// The table, if the current role may change it.
    pub fn owned(relation: u32) -> Result<Table> {
        let table = Self::find(relation)?;
        if !matches!(table.kind.as_str(), "r" | "p") {
            return Err(Fault::new(
                state::WRONG_OBJECT_TYPE,
                format!("{} is not a table", table.name),
            )
            .detail("Only rows of tables and partitioned tables pass through a row trigger."));
        }
        if !identity::has_rights_of(table.owner) {
            return Err(Fault::new(
                state::INSUFFICIENT_PRIVILEGE,
                format!("must be owner of table {}", table.name),
            )
            .hint(format!(
                "SET ROLE {};",
                spi::ident(&identity::role_name(table.owner))
            )));
        }
        Ok(table)
    }

    /// Schema-qualified and quoted.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn column(&self, relation: u32, name: &str) -> Result<i16> {
        let number = relation_column::number(relation, name).ok_or_else(|| {
            Fault::new(
                state::UNDEFINED_COLUMN,
                format!("column \"{name}\" of table {} does not exist", self.name),
            )
        })?;
        relation_column::must_be_written(relation, &self.name, number, name)?;
        Ok(number)
    }
}

/// Puts the trigger on `relation` and gives its name. Takes SHARE ROW EXCLUSIVE: waits for writers,
/// then holds new ones up until the transaction ends. Errors say what is wrong with a column or an
/// expression before that lock is asked for.
pub fn install(
    relation: u32,
    old: &str,
    new: &str,
    up: Option<&str>,
    down: Option<&str>,
    on_conflict: &str,
) -> Result<String> {
    let table = Table::owned(relation)?;
    let policy = Policy::named(on_conflict).ok_or_else(|| {
        Fault::invalid(format!(
            "on_conflict is new, raise or fill, not \"{on_conflict}\""
        ))
    })?;
    let two_way = !old.is_empty();
    check(&Arguments {
        old: two_way.then_some(old),
        new,
        up,
        down,
        policy,
        more: Vec::new(),
    })?;
    let new_number = table.column(relation, new)?;
    let up = up
        .map(|text| expression::check(relation, text, new_number))
        .transpose()?;
    let mut stored_down = None;
    if two_way {
        let old_number = table.column(relation, old)?;
        stored_down = down
            .map(|text| expression::check(relation, text, old_number))
            .transpose()?;
        for (missing, source, target) in [
            (up.is_none(), old_number, new_number),
            (stored_down.is_none(), new_number, old_number),
        ] {
            if missing {
                subtransaction::rehearse(|| {
                    Compiled::assignment(relation, source, target).map(drop)
                })
                .map_err(|fault| Fault {
                    message: format!(
                        "columns \"{old}\" and \"{new}\" of table {} cannot be copied as they are: {}",
                        table.name, fault.message
                    ),
                    ..fault
                })?;
            }
        }
    }
    let name = match (&up, two_way) {
        (Some(up), false) => {
            let rank = rank(relation, &table, up, new)?;
            one_way_name(new, rank, policy == Policy::Fill)
        }
        _ => trigger_name(old, new),
    };
    let arguments = [
        old,
        new,
        up.as_deref().unwrap_or(""),
        stored_down.as_deref().unwrap_or(""),
        on_conflict,
    ];
    put_on_all(relation, &table, &name, &arguments)?;
    Ok(name)
}

/// Puts the trigger on the table and on those that inherit from it: an UPDATE of the parent writes
/// rows of theirs, for which only their own triggers fire. Partitions get theirs from PostgreSQL.
fn put_on_all(relation: u32, table: &Table, name: &str, arguments: &[&str]) -> Result<()> {
    #[derive(Deserialize)]
    struct Heir {
        oid: u32,
    }
    create(relation, table, name, arguments)?;
    warn_of_later_triggers(relation, table, name)?;
    let heirs: Vec<Heir> = spi::select(
        "WITH RECURSIVE heirs AS ( \
             SELECT i.inhrelid AS oid FROM pg_catalog.pg_inherits i \
             WHERE i.inhparent OPERATOR(pg_catalog.=) $1 \
             UNION \
             SELECT i.inhrelid FROM pg_catalog.pg_inherits i \
                    JOIN heirs ON i.inhparent OPERATOR(pg_catalog.=) heirs.oid) \
         SELECT h.oid::pg_catalog.int8 AS oid FROM heirs h \
         JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) h.oid \
         WHERE NOT c.relispartition ORDER BY 1",
        &[Arg::Oid(relation)],
    )?;
    for heir in heirs {
        let table = Table::owned(heir.oid)?;
        create(heir.oid, &table, name, arguments)?;
        warn_of_later_triggers(heir.oid, &table, name)?;
    }
    Ok(())
}

fn create(relation: u32, table: &Table, name: &str, arguments: &[&str]) -> Result<()> {
    if torture::mistaken(Mutant::EarlyEnd) {
        torture::note_end(relation, &table.name);
    }
    torture::at(Point::TriggerLock);
    spi::run(
        &format!("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE", table.name),
        &[],
    )?;
    let existing: Option<Existing> = spi::first(
        "SELECT t.tgname AS name FROM pg_catalog.pg_trigger t \
         WHERE t.tgrelid OPERATOR(pg_catalog.=) $1 \
           AND t.tgname::pg_catalog.text OPERATOR(pg_catalog.=) $2",
        &[Arg::Oid(relation), Arg::Text(name)],
    )?;
    if existing.is_some() {
        return Err(Fault::new(
            state::DUPLICATE_OBJECT,
            format!(
                "table {} already has the sync trigger {}",
                table.name,
                spi::ident(name)
            ),
        )
        .hint(format!(
            "SELECT migrate.drop_sync_trigger({}, {}, {});",
            spi::literal(&table.name),
            spi::literal(arguments.first().unwrap_or(&"")),
            spi::literal(arguments.get(1).unwrap_or(&"")),
        )));
    }
    let trigger = spi::ident(name);
    // Trailing arguments at their defaults say nothing.
    let mut arguments = arguments;
    while let [rest @ .., "" | "new"] = arguments
        && rest.len() >= 2
    {
        arguments = rest;
    }
    let list: Vec<_> = arguments.iter().map(|text| spi::literal(text)).collect();
    let mistaken = torture::mistaken(Mutant::UpdateOf) && !arguments[0].is_empty();
    let update = match mistaken {
        true => format!("UPDATE OF {}", spi::ident(arguments[0])),
        false => "UPDATE".to_owned(),
    };
    // Its transaction id is assigned here, after the lock was granted: see the room's first lines.
    subtransaction::attempt(|| {
        spi::run(
            &format!(
                "CREATE TRIGGER {trigger} BEFORE INSERT OR {update} ON {} FOR EACH ROW \
                 EXECUTE FUNCTION migrate.sync_column_trigger({})",
                table.name,
                list.join(", ")
            ),
            &[],
        )?;
        // Or logical apply and session_replication_role = replica pass by it.
        spi::run(
            &format!("ALTER TABLE {} ENABLE ALWAYS TRIGGER {trigger}", table.name),
            &[],
        )
    })?;
    torture::at(Point::TriggerMade);
    Ok(())
}

#[derive(Deserialize)]
struct Existing {
    name: String,
}

/// A trigger that runs later may change the row behind the sync trigger's back.
fn warn_of_later_triggers(relation: u32, table: &Table, name: &str) -> Result<()> {
    let later: Vec<Existing> = spi::select(
        "SELECT t.tgname AS name FROM pg_catalog.pg_trigger t \
         WHERE t.tgrelid OPERATOR(pg_catalog.=) $1 \
           AND t.tgtype::pg_catalog.int4 OPERATOR(pg_catalog.&) 3 OPERATOR(pg_catalog.=) 3 \
           AND t.tgtype::pg_catalog.int4 OPERATOR(pg_catalog.&) 20 OPERATOR(pg_catalog.<>) 0 \
           AND NOT t.tgisinternal \
           AND t.tgname::pg_catalog.text COLLATE pg_catalog.\"C\" OPERATOR(pg_catalog.>) $2 \
           AND t.tgname::pg_catalog.text NOT LIKE '~~pg\\_migrate\\_sync\\_%' \
         ORDER BY t.tgname",
        &[Arg::Oid(relation), Arg::Text(name)],
    )?;
    if let Some(first) = later.first() {
        error::warning(
            Fault::new(
                "01000",
                format!("trigger {} of table {} runs after the sync trigger", spi::ident(&first.name), table.name),
            )
            .detail("BEFORE triggers run in the order of their names: what it changes in the two columns is not synced.")
            .hint(format!(
                "ALTER TRIGGER {} ON {} RENAME TO …; to a name that sorts before ~~.",
                spi::ident(&first.name),
                table.name
            )),
        );
    }
    Ok(())
}

/// The backfill of `new` is done: from now on a null in it was written on purpose. Cheap, and waits
/// for no writer. Without `unseen` partitions are left out that have come and were not given by
/// `late` yet.
pub fn finished(relation: u32, old: &str, new: &str, unseen: bool) -> Result<()> {
    let table = Table::owned(relation)?;
    let found = triggers(relation, old, new, true)?;
    if found.is_empty() {
        return Err(Fault::new(
            state::UNDEFINED_OBJECT,
            format!(
                "table {} has no sync trigger for column \"{new}\"",
                table.name
            ),
        ));
    }
    let left_out = match unseen {
        true => Vec::new(),
        false => late::unseen(relation, &found)?,
    };
    for one in found {
        if left_out.iter().all(|young| young.oid != one.oid) {
            trigger::set_comment(one.relation, one.oid, FINISHED)?;
        }
    }
    Ok(())
}

/// How many one-way triggers must have run, one upon the other, before this one can: it reads what
/// they fill.
fn rank(relation: u32, table: &Table, up: &str, new: &str) -> Result<usize> {
    let reads = analyze::expression(Some(&table.name), up, None)?.columns;
    let whole = reads.iter().any(|column| column == "*");
    let existing: Vec<Filling> = spi::select(
        &format!(
            "SELECT t.tgname AS name, a.attname AS column FROM pg_catalog.pg_trigger t \
         JOIN pg_catalog.pg_attribute a ON a.attrelid OPERATOR(pg_catalog.=) t.tgrelid \
         WHERE t.tgrelid OPERATOR(pg_catalog.=) $1 AND NOT a.attisdropped \
           AND {SYNC_TRIGGERS} \
           AND pg_catalog.substring(t.tgargs, 1, pg_catalog.octet_length(a.attname::pg_catalog.text) \
                   OPERATOR(pg_catalog.+) 2) OPERATOR(pg_catalog.=) \
               ('\\x00'::pg_catalog.bytea OPERATOR(pg_catalog.||) \
                pg_catalog.convert_to(a.attname::pg_catalog.text, pg_catalog.getdatabaseencoding()) \
                OPERATOR(pg_catalog.||) '\\x00'::pg_catalog.bytea)"
        ),
        &[Arg::Oid(relation)],
    )?;
    let before = existing
        .iter()
        .filter(|other| other.column != new && (whole || reads.contains(&other.column)))
        .filter_map(|other| other.name.strip_prefix(PREFIX))
        .map(|rest| rest.chars().take_while(|c| *c == '~').count());
    // A filling trigger without a tilde is passed by all that have one.
    Ok(before.max().unwrap_or(0))
}

#[derive(Deserialize)]
struct Filling {
    name: String,
    column: String,
}
