//! The contract of a type change: what is verified first, and the statements of the swap.

use super::*;

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

impl Planner<'_> {
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
        let known = known(group);
        self.push(verify(
            key,
            format!(
                "SELECT count(*) FROM migrate.not_carried({}, {}, {})",
                literal(key),
                text_array(&columns),
                text_array(&known)
            ),
            &format!("objects on \"{named}\" of {key} were made or changed meanwhile and would be lost: take that back, and do it again after the contract"),
        ));
        let leaving: Vec<String> = self
            .dropped_keys
            .iter()
            .filter(|(table, _)| table == key)
            .map(|(_, name)| name.clone())
            .collect();
        let counterparts = format!(
            "SELECT count(*) FROM migrate.foreign_key_twins({}, {}, {}) WHERE twin IS NULL{}",
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

    /// The statements that put the shadow column in the old one's place.
    pub fn replacement(&self, group: &Group, change: &Retype) -> Result<Vec<String>> {
        let (key, column) = (group.key, &change.column);
        let (old, new) = (ident(&column.name), ident(&change.shadow));
        let mut sql = Vec::new();
        if column.identity.is_some() {
            sql.push(format!(
                "SELECT migrate.move_identity({}, {}, {})",
                literal(key),
                literal(&column.name),
                literal(&change.shadow)
            ));
        }
        sql.push(format!(
            "SELECT migrate.set_aside_column({}, {}, {})",
            literal(key),
            literal(&column.name),
            literal(self.revision)
        ));
        sql.push(format!("ALTER TABLE {key} RENAME COLUMN {new} TO {old}"));
        let default = match &change.op.default {
            Some(changed) => changed.clone(),
            None => match &column.default {
                Some(text) => Some(self.default_for(text, &change.new_type)?),
                None => None,
            },
        };
        if let Some(default) = default {
            sql.push(format!(
                "ALTER TABLE {key} ALTER COLUMN {old} SET DEFAULT {default}"
            ));
        }
        let owned = group.attached.iter().filter(|one| {
            one.kind == "sequence" && one.detail.get("column").is_some_and(|c| *c == column.name)
        });
        sql.extend(owned.flat_map(|one| one.makes.clone()));
        Ok(sql)
    }

    /// A default as it stands where it fits the new type, as ALTER COLUMN TYPE leaves it; else cast.
    fn default_for(&self, text: &str, new_type: &str) -> Result<String> {
        match self.facts.expression("", text, Some(new_type)) {
            Ok(_) => Ok(text.to_owned()),
            Err(fault) if fault.is_interruption() => Err(fault),
            Err(_) => Ok(format!("({text})::{new_type}")),
        }
    }

    pub fn push_swap(
        &mut self,
        group: &Group,
        keys: &[(
            crate::recipe::facts::ForeignKey,
            crate::recipe::facts::ForeignKey,
        )],
        contract: Vec<String>,
    ) {
        for (number, sql) in contract.into_iter().enumerate() {
            let mut step = ddl(Phase::Contract, group.key, Lock::AccessExclusive, sql);
            if number == 0 {
                // The group's steps share one transaction, and its locks are taken before the first.
                step = with_locks(step, group.key, &group.attached);
                for (key, _) in keys {
                    for table in [&key.table, &key.references] {
                        if table != group.key {
                            step = step.also_locks(table, Lock::AccessExclusive);
                        }
                    }
                }
            }
            if step.sql.contains("set_aside_column") {
                step = step.warn("hides the old values; restorable until migrate.purge");
            }
            self.push(step);
        }
    }
}
