//! What hangs on columns and does not move by itself: taken away and made again in the transaction
//! in which the columns change.

use super::retype::Group;
use super::{SHADOW, refused};
use crate::fault::Result;
use crate::recipe::facts::{Attached, is_not_enforced, is_temporal};
use crate::recipe::plan::{Planner, ddl};
use crate::recipe::quote::{ident, literal, qualified};
use crate::recipe::step::{AlsoLock, Lock, Phase, Step};
use serde::Deserialize;

/// Kinds that PostgreSQL does not change with the column, but that can be made anew by name.
pub fn remade(kind: &str) -> bool {
    matches!(
        kind,
        "view" | "rule" | "policy" | "trigger" | "publication" | "function"
    )
}

/// Why some of them cannot be carried, one line each.
pub fn obstacles(attached: &[Attached]) -> Vec<String> {
    attached
        .iter()
        .filter_map(|one| {
            let why = one.obstacle.as_ref()?;
            Some(format!("{} ({why})", one.what))
        })
        .collect()
}

/// Adds what is not in the list yet; of what is, the rank that is further from the table counts.
pub fn add_once(list: &mut Vec<Attached>, more: Vec<Attached>) {
    for one in more {
        match list.iter_mut().find(|known| known.what == one.what) {
            Some(known) => known.rank = known.rank.max(one.rank),
            None => list.push(one),
        }
    }
}

/// Statements that take away what stands on the columns: last made, first gone.
pub fn drops<'a>(attached: impl Iterator<Item = &'a Attached>) -> Vec<String> {
    let mut list: Vec<_> = attached.filter(|one| remade(&one.kind)).collect();
    list.sort_by_key(|one| (one.kind == "view", -one.rank));
    list.iter().flat_map(|one| one.drops.clone()).collect()
}

/// Those that are made again, what others stand on first.
pub fn in_order<'a>(attached: impl Iterator<Item = &'a Attached>) -> Vec<&'a Attached> {
    let mut list: Vec<_> = attached.filter(|one| remade(&one.kind)).collect();
    list.sort_by_key(|one| (one.kind != "view", one.rank));
    list
}

/// Statements that make it again.
pub fn makes<'a>(attached: impl Iterator<Item = &'a Attached>) -> Vec<String> {
    let list = in_order(attached);
    list.iter().flat_map(|one| one.makes.clone()).collect()
}

/// The step with the locks that changing what hangs on the columns of `key` needs.
pub fn with_locks(mut step: Step, key: &str, attached: &[Attached]) -> Step {
    for one in attached {
        let Some(relation) = one.relation.as_deref().filter(|name| *name != key) else {
            continue;
        };
        let (lock, rank) = match one.kind.as_str() {
            "sequence" => (Lock::ShareRowExclusive, -1),
            "identity" => (Lock::AccessExclusive, -1),
            // A view is locked before what it reads, as its readers do.
            _ => (Lock::AccessExclusive, one.rank),
        };
        step = step.also(AlsoLock::of(relation, lock).at(rank));
    }
    step
}

/// `Attached::detail` of extended statistics.
#[derive(Deserialize)]
struct Statistics {
    schema: String,
    name: String,
    columns: String,
    kinds: Vec<String>,
    target: Option<i32>,
    comment: Option<String>,
    owner: Option<String>,
}

impl Planner<'_> {
    /// What an earlier operation drops before contract does not hang there any more; what leaves at
    /// contract is in nobody's way.
    pub fn pass_over_dropped(&self, group: &mut Group) {
        let key = group.key;
        let when = |one: &Attached| {
            let name = one.detail.get("name")?.as_str()?;
            let named = matches!(one.kind.as_str(), "index" | "constraint");
            self.dropped
                .get(&(key.to_owned(), name.to_owned()))
                .filter(|_| named)
                .copied()
        };
        group
            .attached
            .retain(|one| when(one).is_none_or(|phase| phase == Phase::Contract));
        for one in &mut group.attached {
            if when(one).is_some() {
                one.obstacle = None;
                one.kind = "dropped".to_owned();
            }
        }
    }

    /// Everything must be known, carried or named: there is no third.
    pub fn refuse_obstacles(&self, group: &Group) -> Result<()> {
        let mut blocking = obstacles(&group.attached);
        for one in &group.attached {
            let text = |key: &str| one.detail.get(key).and_then(serde_json::Value::as_str);
            let unknown = match (one.kind.as_str(), text("name")) {
                ("index", Some(name)) => !group.table.indexes.iter().any(|i| i.name == name),
                ("constraint", Some(name)) => match text("kind") {
                    // A foreign key is looked up on its own; NOT NULL belongs to the column.
                    Some("f" | "n") => false,
                    _ => !group.table.constraints.iter().any(|c| c.name == name),
                },
                _ => false,
            };
            if unknown {
                blocking.push(format!(
                    "{} (it is not known how it uses the column)",
                    one.what
                ));
            }
        }
        let constraints = group.table.constraints.iter();
        for constraint in constraints.filter(|c| group.involves(&c.columns)) {
            let kind = if constraint.kind == "x" {
                "exclusion"
            } else if constraint.kind != "c" && is_temporal(&constraint.definition) {
                "temporal"
            } else if is_not_enforced(&constraint.definition) {
                "unenforced"
            } else {
                continue;
            };
            blocking.push(format!("{kind} constraint {}", constraint.name));
        }
        if blocking.is_empty() {
            let changes = group.moves.iter();
            let changes: Vec<_> = changes
                .map(|one| (one.from.clone(), one.data_type.clone()))
                .collect();
            let remade = in_order(group.attached.iter());
            if !remade.is_empty() {
                blocking = self
                    .facts
                    .cannot_be_remade(group.table, &changes, &remade)?;
            }
        }
        if blocking.is_empty() {
            return Ok(());
        }
        Err(refused(group, &blocking))
    }

    /// Extended statistics over the shadow columns, which ANALYZE fills before the swap.
    pub fn carry_statistics(&mut self, group: &Group) -> Result<(Vec<String>, Vec<String>)> {
        let (mut before, mut after) = (Vec::new(), Vec::new());
        for one in group.attached.iter().filter(|one| one.kind == "statistics") {
            let found: Statistics = serde_json::from_value(one.detail.clone())
                .map_err(|err| crate::fault::Fault::internal(err.to_string()))?;
            let columns = self.facts.statistics_moved(
                group.key,
                &group.table.columns,
                &found.columns,
                &group.moves,
            )?;
            let bare = self.free_statistics_name(&found.name);
            let name = qualified(&found.schema, &bare);
            let kinds = match found.kinds.is_empty() {
                true => String::new(),
                false => format!(" ({})", found.kinds.join(", ")),
            };
            let mut sql = vec![format!(
                "CREATE STATISTICS {name}{kinds} ON {columns} FROM {}",
                group.key
            )];
            if let Some(target) = found.target {
                sql.push(format!("ALTER STATISTICS {name} SET STATISTICS {target}"));
            }
            self.push(
                ddl(
                    Phase::Migrate,
                    group.key,
                    Lock::ShareUpdateExclusive,
                    sql.join(";\n"),
                )
                .undo(format!("DROP STATISTICS IF EXISTS {name}")),
            );
            before.extend(one.drops.clone());
            after.push(format!(
                "ALTER STATISTICS {name} RENAME TO {}",
                ident(&found.name)
            ));
            let old = qualified(&found.schema, &found.name);
            if let Some(comment) = &found.comment {
                after.push(format!(
                    "COMMENT ON STATISTICS {old} IS {}",
                    literal(comment)
                ));
            }
            if let Some(owner) = &found.owner {
                after.push(format!("ALTER STATISTICS {old} OWNER TO {owner}"));
            }
        }
        Ok((before, after))
    }

    fn free_statistics_name(&self, base: &str) -> String {
        crate::recipe::quote::name_with_suffix(base, SHADOW)
    }
}
