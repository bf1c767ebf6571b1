//! What a statement does, as it is told whatever is said of it.

use super::finding::Deed;
use super::world::World;
use crate::document::model::Operation;
use crate::fault::Result;
use crate::pg::parser::Statement;
use crate::recipe;
use crate::recipe::step::Lock;
use crate::recipe::written::{Effect, Known, Scene, Work};
use serde_json::Value;
use std::collections::HashMap;

/// Longer statements are not planned, which may take PostgreSQL very long: bytes.
pub const PLANNED: usize = 16 * 1024;

/// Whether a query reads a whole table, by PostgreSQL's own plan of it.
pub fn reads(world: &mut World, statement: &Statement, effect: &mut Effect) -> Result<()> {
    let action = &statement.action;
    let plain = action.tag == "SELECT" && action.setting.is_none();
    if !plain || action.reads.is_empty() || statement.text.len() > PLANNED {
        return Ok(());
    }
    for name in &action.reads {
        let Some(known) = world.there(&recipe::written::sql(name))? else {
            // Of the query's own WITH.
            continue;
        };
        if known.table.oid == 0 || world.busy.contains(&known.key) {
            return Ok(());
        }
    }
    match world.facts().scans_whole(&statement.text) {
        Err(fault) if fault.is_interruption() => return Err(fault),
        Ok(true) => effect.work = effect.work.max(Work::Scans),
        _ => {}
    }
    Ok(())
}

/// The strongest lock on each relation, in the order in which they came.
#[derive(Default)]
struct Locks {
    list: Vec<(String, Lock)>,
    at: HashMap<String, usize>,
}

impl Locks {
    fn of(list: &[(String, Lock)]) -> Locks {
        let mut made = Locks::default();
        for (key, lock) in list {
            made.put(key.clone(), *lock);
        }
        made
    }

    fn get(&self, key: &str) -> Option<Lock> {
        self.at
            .get(key)
            .and_then(|at| self.list.get(*at))
            .map(|(_, lock)| *lock)
    }

    fn put(&mut self, key: String, lock: Lock) {
        match self.at.get(&key).and_then(|at| self.list.get_mut(*at)) {
            Some((_, strongest)) => *strongest = lock.max(*strongest),
            None => {
                self.at.insert(key.clone(), self.list.len());
                self.list.push((key, lock));
            }
        }
    }
}

/// What a statement does, with the locks that its effect leaves out.
pub fn deed(
    world: &mut World,
    number: i32,
    statement: &Statement,
    effect: &Effect,
    on: &[Known],
) -> Result<Deed> {
    let (mut locks, mut indexes) = (Locks::of(&effect.locks), Locks::default());
    let action = &statement.action;
    for known in on.iter().filter(|_| !effect.idle) {
        let index = matches!(known.table.kind.as_str(), "i" | "I");
        match (action.tag.as_str(), effect.lock) {
            ("REINDEX", _) if action.concurrent => {}
            ("REINDEX", _) if index => {
                indexes.put(known.key.clone(), Lock::AccessExclusive);
            }
            ("REINDEX", _) => {
                for found in &known.table.indexes {
                    let key = recipe::quote::qualified(&known.table.schema, &found.name);
                    indexes.put(key, Lock::AccessExclusive);
                }
            }
            ("DROP INDEX", _) if !known.table.fresh => {
                let lock = match action.concurrent {
                    true => Lock::ShareUpdateExclusive,
                    false => Lock::AccessExclusive,
                };
                if let Some(table) = world.table_of_index(&known.key)? {
                    locks.put(table, lock);
                }
            }
            (_, Some(lock)) if index => indexes.put(known.key.clone(), lock),
            (_, Some(lock)) if !known.is_table() && !known.table.fresh => {
                locks.put(known.key.clone(), lock);
            }
            _ => {}
        }
    }
    if !effect.idle {
        further(world, statement, effect, on, &mut locks)?;
    }
    let (locks, indexes) = (locks.list, indexes.list);
    let strongest = locks.iter().chain(&indexes).map(|(_, lock)| *lock).max();
    let line = i32::try_from(statement.line).unwrap_or(i32::MAX);
    Ok(Deed {
        statement: number,
        line,
        sql: statement.text.clone(),
        rewrites: effect.work == Work::Rewrites,
        scans: effect.work >= Work::Scans,
        lock: effect.lock.max(strongest),
        locks,
        indexes,
        operation: None,
    })
}

/// Subcommands of ALTER TABLE that are done to the partitions too.
const TO_PARTITIONS: [&str; 10] = [
    "ADD COLUMN",
    "DROP COLUMN",
    "ADD CONSTRAINT",
    "DROP CONSTRAINT",
    "VALIDATE CONSTRAINT",
    "SET DATA TYPE",
    "SET NOT NULL",
    "DROP NOT NULL",
    "SET DEFAULT",
    "RENAME COLUMN",
];

/// Locks on relations that the statement does not name: partitions, what CASCADE empties, what a
/// comment is on.
fn further(
    world: &mut World,
    statement: &Statement,
    effect: &Effect,
    on: &[Known],
    locks: &mut Locks,
) -> Result<()> {
    let action = &statement.action;
    let tag = action.tag.as_str();
    let whole = matches!(
        tag,
        "CREATE INDEX" | "TRUNCATE TABLE" | "LOCK TABLE" | "DROP TABLE"
    ) || TO_PARTITIONS.contains(&action.what)
        || action
            .changes
            .iter()
            .any(|change| TO_PARTITIONS.contains(&change.what));
    for known in on {
        let live = known.table.oid != 0 && !world.busy.contains(&known.key);
        if live
            && known.table.kind == "p"
            && whole
            && !action.only
            && let Some(lock) = locks.get(&known.key).or(effect.lock)
        {
            for child in world.partitions(&known.key)? {
                locks.put(child, lock);
            }
        }
        let cascades = action.cascade && matches!(tag, "TRUNCATE TABLE" | "DROP TABLE");
        if live && cascades {
            for table in world.referring(&known.key, tag == "TRUNCATE TABLE")? {
                locks.put(table, Lock::AccessExclusive);
            }
        }
    }
    if tag == "COMMENT"
        && let Some(object) = &action.object
        && matches!(
            object.kind,
            "table" | "table column" | "view" | "materialized view"
        )
        && let Some(name) = object.relation()
        && let Some(known) = world.there(&recipe::written::sql(&name))?
        && let (Some(lock), false) = (effect.lock, known.table.fresh)
    {
        locks.put(known.key, lock);
    }
    Ok(())
}

/// What stands for the statement in a migration, as the JSON of a document; `None`: itself.
pub fn operation(statement: &Statement) -> Option<Value> {
    let made = recipe::script::operations(statement, false, false).ok()?;
    if made
        .iter()
        .all(|operation| matches!(operation, Operation::Sql(_)))
    {
        return None;
    }
    let values: Vec<Value> = made
        .iter()
        .filter_map(|operation| serde_json::to_value(operation).ok())
        .map(lean)
        .collect();
    match values.len() {
        1 => values.into_iter().next(),
        _ => Some(Value::Array(values)),
    }
}

/// Without what is empty. (In `alter_column` nothing is: `null` means something there.)
fn lean(value: Value) -> Value {
    match value {
        Value::Object(map) if map.contains_key("alter_column") => Value::Object(map),
        Value::Object(map) => map
            .into_iter()
            .map(|(key, value)| (key, lean(value)))
            .filter(|(_, value)| {
                !value.is_null() && value.as_array().is_none_or(|list| !list.is_empty())
            })
            .collect::<serde_json::Map<_, _>>()
            .into(),
        other => other,
    }
}
