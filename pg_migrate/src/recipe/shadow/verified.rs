//! What must be so before the swap of a type change: old and new agree, and nothing hangs on the old
//! columns that is not carried.

use super::retype::{Group, text_array};
use super::{disagreements, same};
use crate::recipe::facts::Attached;
use crate::recipe::plan::{Planner, verify};
use crate::recipe::quote::{ident, literal, qualified};

/// The marks of what is carried. Without its digest a mark stands for the object in whatever shape:
/// what an earlier operation of the same migration makes or changes is not there yet.
fn known(group: &Group) -> Vec<String> {
    let keys = |one: &&Attached| one.detail.get("kind").is_none_or(|kind| kind != "f");
    let mut marks: Vec<String> = Vec::new();
    for one in group.attached.iter().filter(keys) {
        let Some(mark) = one.mark.as_ref().filter(|_| one.kind != "default") else {
            continue; // the column's own default is among its settings
        };
        let bare = mark.rsplit_once(' ').map_or("", |(bare, _)| bare);
        marks.push(match group.changed_before && one.kind == "settings" {
            true => bare.to_owned(),
            false => mark.clone(),
        });
    }
    let table = group.table;
    // That of a constraint hangs on the constraint.
    let indexes = table
        .indexes
        .iter()
        .filter(|i| i.constraint.is_none() && group.involves(&i.columns));
    let mut made: Vec<String> = indexes
        .map(|index| format!("index {}", qualified(&table.schema, &index.name)))
        .collect();
    let constraints = table.constraints.iter();
    made.extend(
        constraints
            .filter(|c| c.kind != "f" && group.involves(&c.columns))
            .map(|c| format!("table constraint {} on {}", ident(&c.name), group.key)),
    );
    made.retain(|bare| {
        !marks
            .iter()
            .any(|mark| mark.starts_with(&format!("{bare} ")))
    });
    marks.extend(made);
    marks
}

pub fn not_carried_message(columns: &str, key: &str) -> String {
    format!(
        "objects on \"{columns}\" of {key} were made or changed meanwhile and would be lost: take that back, and do it again after the contract"
    )
}

impl Planner<'_> {
    /// A query that counts what hangs on the columns and would be lost.
    pub fn not_carried(&self, group: &Group) -> String {
        let made: Vec<String> = self.made.iter().cloned().collect();
        format!(
            "SELECT count(*) FROM migrate.not_carried({}, {}, {}){}",
            literal(group.key),
            text_array(&group.columns()),
            text_array(&known(group)),
            match made.is_empty() {
                true => String::new(),
                false => format!(" AS what WHERE what <> ALL ({})", text_array(&made)),
            }
        )
    }

    pub fn verifications(&mut self, group: &Group, keys: bool) {
        let (key, columns) = (group.key, group.columns());
        for change in &group.changes {
            let (old, new) = (ident(&change.column.name), ident(&change.shadow));
            let agree = match change.volatile {
                // All that can be told is that it was filled.
                true => format!(
                    "{new} IS NOT NULL OR ({}) IS NULL OR {old} IS NULL",
                    change.up
                ),
                false => format!(
                    "{} OR {}",
                    same(&new, &format!("({})", change.up), &change.new_type),
                    same(
                        &old,
                        &format!("({})", change.down),
                        &change.column.data_type
                    )
                ),
            };
            self.push(verify(
                key,
                disagreements(key, group.table, &agree),
                &format!(
                    "rows of {key} in which the old and the new \"{}\" disagree",
                    change.column.name
                ),
            ));
        }
        let named = columns.join("\", \"");
        self.push(verify(
            key,
            self.not_carried(group),
            &not_carried_message(&named, key),
        ));
        let leaving: Vec<String> = self
            .dropped
            .keys()
            .filter(|(table, _)| table == key)
            .map(|(_, name)| name.clone())
            .collect();
        let counterparts = format!(
            "SELECT count(*) FROM migrate.foreign_key_twins({}, {}, {}) WHERE twin IS NULL AND NOT repointed{}",
            literal(key),
            text_array(&columns),
            text_array(&group.shadows()),
            match leaving.is_empty() {
                true => String::new(),
                false => format!(" AND key_name <> ALL ({})", text_array(&leaving)),
            }
        );
        let message = match keys {
            true => "foreign keys",
            false => "foreign keys made meanwhile",
        };
        self.push(verify(
            key,
            counterparts,
            &format!("{message} over \"{named}\" of {key} have no counterpart over the new columns: drop them, or contract the migration that made them first"),
        ));
    }
}
