//! Foreign keys over columns whose type changes: each gets a twin over the shadow columns, valid
//! before the swap, so that the swap has nothing to check.

use super::retype::Group;
use super::{SHADOW, refused};
use crate::fault::{Fault, Result, state};
use crate::recipe::facts::{self, ForeignKey};
use crate::recipe::plan::{Planner, ddl, validate};
use crate::recipe::quote::{ident, idents, name_with_suffix};
use crate::recipe::step::{Lock, Phase};

/// The definition after `CONSTRAINT name`.
pub fn definition(key: &ForeignKey) -> String {
    let mut sql = format!(
        "FOREIGN KEY ({}) REFERENCES {} ({})",
        idents(&key.columns),
        key.references,
        idents(&key.referenced)
    );
    if key.match_full {
        sql.push_str(" MATCH FULL");
    }
    if let Some(action) = &key.on_update {
        sql.push_str(&format!(" ON UPDATE {action}"));
    }
    if let Some(action) = &key.on_delete {
        sql.push_str(&format!(" ON DELETE {action}"));
        if !key.set_columns.is_empty() {
            sql.push_str(&format!(" ({})", idents(&key.set_columns)));
        }
    }
    if key.deferrable {
        sql.push_str(" DEFERRABLE");
    }
    if key.deferred {
        sql.push_str(" INITIALLY DEFERRED");
    }
    sql
}

impl Group<'_> {
    /// The key as it is over the shadow columns; `None`: it is over none of the changed ones.
    pub fn image(&self, key: &ForeignKey) -> Option<ForeignKey> {
        let moved = |table: &str, columns: &[String]| -> Vec<String> {
            columns
                .iter()
                .map(|column| match table == self.key {
                    true => self.shadow_of(column).unwrap_or(column).to_owned(),
                    false => column.clone(),
                })
                .collect()
        };
        let image = ForeignKey {
            columns: moved(&key.table, &key.columns),
            referenced: moved(&key.references, &key.referenced),
            set_columns: moved(&key.table, &key.set_columns),
            ..key.clone()
        };
        (image != *key).then_some(image)
    }
}

/// The same over the columns of `table` that another change in flight will put in place, if it has any.
fn once_contracted(key: &ForeignKey, table: &str, found: &facts::Table) -> Option<ForeignKey> {
    let moved = |of: &str, columns: &[String]| -> Vec<String> {
        columns
            .iter()
            .map(|column| {
                let shadow = name_with_suffix(column, SHADOW);
                match of == table && found.column(&shadow).is_some() {
                    true => shadow,
                    false => column.clone(),
                }
            })
            .collect()
    };
    let image = ForeignKey {
        columns: moved(&key.table, &key.columns),
        referenced: moved(&key.references, &key.referenced),
        ..key.clone()
    };
    (image != *key).then_some(image)
}

impl Planner<'_> {
    /// The foreign keys of the group's columns, both ways, with their images; also those that an
    /// earlier operation of this migration makes.
    pub fn keys_over(&mut self, group: &Group) -> Result<Vec<(ForeignKey, ForeignKey)>> {
        let mut keys = self.facts.foreign_keys(group.key)?;
        keys.retain(|key| {
            let at = (key.table.clone(), key.name.clone());
            !self.dropped.contains_key(&at)
        });
        keys.extend(
            self.twins
                .iter()
                .filter(|twin| twin.table == group.key || twin.references == group.key)
                .cloned(),
        );
        let pairs: Vec<_> = keys
            .iter()
            .filter_map(|key| group.image(key).map(|image| (key.clone(), image)))
            .collect();
        for (key, image) in &pairs {
            self.key_can_be_carried(group, key, image)?;
            if self.repointed(group, key) {
                self.key_can_be_repointed(group, key)?;
            }
            let (other, columns) = match key.table == group.key {
                true => (&key.references, &key.referenced),
                false => (&key.table, &key.columns),
            };
            let (_, found) = self.table(other)?;
            let over = |key: &ForeignKey| (key.columns.clone(), key.referenced.clone());
            let Some(later) = once_contracted(key, other, &found).filter(|later| {
                // Of this group itself, or of an earlier operation: seen to here.
                over(later) != over(image) && group.image(later).is_some()
            }) else {
                continue;
            };
            if found.kind == "p" && other == &key.references {
                continue; // it is made anew when the other's swap comes, whatever is there by then
            }
            if !keys.iter().any(|known| over(known) == over(&later)) {
                return Err(Fault::new(
                    state::OBJECT_IN_USE,
                    format!(
                        "foreign key \"{}\" of {} is being carried over by another migration, which is not ready yet",
                        key.name, key.table
                    ),
                )
                .detail(format!("It changes {} ({}).", other, columns.join(", ")))
                .hint("CALL migrate.upgrade(); first, so that this one can see what the other has made."));
            }
        }
        Ok(pairs)
    }

    fn key_can_be_carried(
        &mut self,
        group: &Group,
        key: &ForeignKey,
        image: &ForeignKey,
    ) -> Result<()> {
        let what = format!("foreign key \"{}\" of {}", key.name, key.table);
        if let Some(obstacle) = &key.obstacle {
            return Err(refused(group, &[format!("{what} ({obstacle})")]));
        }
        let sets_default = [&key.on_update, &key.on_delete]
            .into_iter()
            .any(|action| action.as_deref() == Some("SET DEFAULT"));
        if sets_default && image.columns != key.columns {
            return Err(refused(
                group,
                &[format!(
                    "{what} (it sets a default that the new column has only afterwards)"
                )],
            ));
        }
        let types = |planner: &mut Self, table: &str, columns: &[String]| -> Result<Vec<String>> {
            let (_, found) = planner.table(table)?;
            columns
                .iter()
                .map(|column| match group.type_of(table, column) {
                    Some(data_type) => Ok(data_type.to_owned()),
                    None => planner
                        .column(table, &found, column)
                        .map(|column| column.data_type),
                })
                .collect()
        };
        let from = types(self, &image.table, &image.columns)?;
        let to = types(self, &image.references, &image.referenced)?;
        self.facts.comparable(&from, &to).map_err(|fault| {
            if fault.is_interruption() {
                return fault;
            }
            Fault {
                detail: Some(format!(
                    "{what} would go from ({}) to ({}): {}.",
                    from.join(", "),
                    to.join(", "),
                    fault.message
                )),
                hint: Some(
                    "Drop the foreign key first, change both sides, and add it again.".into(),
                ),
                ..refused(group, std::slice::from_ref(&what))
            }
        })
    }

    /// A foreign key to the primary key of a partitioned table is made anew unchecked, and validated.
    fn key_can_be_repointed(&mut self, group: &Group, key: &ForeignKey) -> Result<()> {
        let (_, found) = self.table(&key.table)?;
        let why = if found.kind == "p" {
            "it is from one partitioned table to the primary key of another: it could be made anew only with a check of every row under a lock"
        } else if !key.validated {
            "it is not validated"
        } else {
            return Ok(());
        };
        let what = format!("foreign key \"{}\" of {} ({why})", key.name, key.table);
        Err(refused(group, &[what]))
    }

    /// Makes the twins; the swap finds them by what they are over.
    pub fn twin_keys(&mut self, pairs: &[(ForeignKey, ForeignKey)]) -> Result<()> {
        for (key, image) in pairs {
            let name = self.free_constraint_name(&key.table, &key.name)?;
            let (table, bare) = (&key.table, ident(&name));
            if self.table(table)?.1.kind == "p" {
                self.partitioned_foreign_key(table, &key.references, &name, &definition(image))?;
                self.twin_made(name, image);
                continue;
            }
            let step = ddl(
                Phase::Migrate,
                table,
                Lock::ShareRowExclusive,
                format!(
                    "ALTER TABLE {table} ADD CONSTRAINT {bare} {} NOT VALID",
                    definition(image)
                ),
            )
            .undo(format!(
                "ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {bare}"
            ));
            self.push(if key.references == key.table {
                step
            } else {
                step.also_locks(&key.references, Lock::ShareRowExclusive)
            });
            if key.validated {
                self.push(validate(
                    Phase::Migrate,
                    table,
                    format!("ALTER TABLE {table} VALIDATE CONSTRAINT {bare}"),
                ));
            }
            self.twin_made(name, image);
        }
        Ok(())
    }

    fn twin_made(&mut self, name: String, image: &ForeignKey) {
        self.twins.push(ForeignKey {
            name: name.clone(),
            ..image.clone()
        });
        self.change(&image.table, |table| {
            table.constraints.push(facts::Constraint {
                name,
                ..facts::Constraint::default()
            });
        });
    }

    /// A name for a helper constraint, free on the table.
    pub fn free_constraint_name(&mut self, table: &str, base: &str) -> Result<String> {
        let (_, found) = self.table(table)?;
        let taken = |name: &String| found.constraints.iter().any(|c| c.name == *name);
        (0..100)
            .map(|number| match number {
                0 => name_with_suffix(base, SHADOW),
                _ => name_with_suffix(base, &format!("{SHADOW}{number}")),
            })
            .find(|name| !taken(name))
            .ok_or_else(|| Fault::internal(format!("no free name like {base}{SHADOW}")))
    }
}
