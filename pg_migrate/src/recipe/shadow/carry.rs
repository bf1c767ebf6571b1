//! What a type change carries from the old column to the new one.

use super::helper_build;
use crate::document::model::{CreateConstraint, Operation, Sql};
use crate::fault::Result;
use crate::recipe::facts::{Column, Constraint, Index, Table};
use crate::recipe::names;
use crate::recipe::plan::{Planner, ddl};
use crate::recipe::quote::{ident, idents, literal, name_with_suffix, qualified};
use crate::recipe::step::{Lock, Phase};
use crate::recipe::table::deferral;

/// Statements that swap the copies in.
#[derive(Default)]
pub struct Swap {
    /// Before the old column leaves.
    pub before: Vec<String>,
    /// After the new one has its name.
    pub after: Vec<String>,
}

/// What follows `ALTER COLUMN name` to give a column the statistics target and options of `from`.
fn estimates(from: &Column) -> Vec<String> {
    let mut clauses = Vec::new();
    if let Some(target) = from.statistics {
        clauses.push(format!("SET STATISTICS {target}"));
    }
    if !from.options.is_empty() {
        let options: Vec<_> = from
            .options
            .iter()
            .map(|option| format!("{} = {}", ident(&option.name), literal(&option.value)))
            .collect();
        clauses.push(format!("SET ({})", options.join(", ")));
    }
    clauses
}

/// What follows `ALTER COLUMN name` to give a column the storage and compression of `from`.
fn storage(from: &Column) -> Vec<String> {
    let storage = from.storage.iter().map(|way| format!("SET STORAGE {way}"));
    let compression = from
        .compression
        .iter()
        .map(|method| format!("SET COMPRESSION {method}"));
    storage.chain(compression).collect()
}

fn alter(key: &str, column: &str, clauses: &[String]) -> String {
    let name = ident(column);
    let commands: Vec<_> = clauses
        .iter()
        .map(|clause| format!("ALTER COLUMN {name} {clause}"))
        .collect();
    format!("ALTER TABLE {key} {}", commands.join(", "))
}

impl Planner<'_> {
    /// Statistics target, options, storage and compression of `column` for `shadow`, which is of
    /// type `new_type`. Must come before the first value is stored.
    pub fn carry_tuning(
        &mut self,
        key: &str,
        column: &Column,
        shadow: &str,
        new_type: &str,
    ) -> Result<()> {
        let mut clauses = estimates(column);
        let stored = storage(column);
        if !stored.is_empty() && self.facts.toastable(new_type)? {
            clauses.extend(stored);
        } else if !stored.is_empty() {
            // The new type cannot have it: the old one's way back must give it anew.
            self.plan.inverse.push(Operation::Sql(Sql {
                up: alter(key, &column.name, &stored),
                down: Some("SELECT 1".into()),
                on_complete: true,
                ..Sql::default()
            }));
        }
        if !clauses.is_empty() {
            let sql = alter(key, shadow, &clauses);
            self.push(ddl(Phase::Expand, key, Lock::AccessExclusive, sql));
        }
        Ok(())
    }

    /// What the NOT NULL of `shadow` is called until and after it takes the place of `column`.
    pub fn names_of_not_null(
        &self,
        table: &Table,
        column: &Column,
        shadow: &str,
    ) -> (Option<String>, Option<String>) {
        if !self.facts.names_not_null() {
            return (None, None);
        }
        let taken = |name: &String| {
            table.constraints.iter().any(|c| c.name == *name)
                || table
                    .columns
                    .iter()
                    .any(|c| c.name != column.name && c.not_null_name.as_ref() == Some(name))
        };
        let columns = [column.name.clone()];
        let after = column.not_null_name.clone().or_else(|| {
            (0..=table.constraints.len() + table.columns.len())
                .map(|pass| names::constraint(&table.name, &columns, "not_null", pass))
                .find(|name| !taken(name))
        });
        (Some(name_with_suffix(shadow, "_not_null")), after)
    }

    /// Copies of the indexes and constraints of `column` on `shadow`, and the statements that swap
    /// them in before the old column leaves and after the new one has its name.
    pub fn carry_over(
        &mut self,
        key: &str,
        table: &Table,
        column: &Column,
        shadow: &str,
    ) -> Result<Swap> {
        let mut swap = Swap::default();
        let involved = |columns: &[String]| columns.contains(&column.name);
        let indexes: Vec<Index> = table
            .indexes
            .iter()
            .filter(|i| i.valid && involved(&i.columns))
            .cloned()
            .collect();
        for index in &indexes {
            let name = self.free_name(&table.schema, &index.name, "_pgm_new")?;
            let body = self.index_renamed(key, &index.definition, &column.name, shadow)?;
            self.push(helper_build(key, &table.schema, &name, index.unique, &body));
            let (old_name, new_name) = (
                qualified(&table.schema, &index.name),
                qualified(&table.schema, &name),
            );
            match table
                .constraints
                .iter()
                .find(|c| Some(&c.name) == index.constraint.as_ref())
            {
                Some(constraint) => {
                    let kind = if constraint.kind == "p" {
                        "PRIMARY KEY"
                    } else {
                        "UNIQUE"
                    };
                    let deferral = deferral(constraint.deferrable, constraint.deferred);
                    swap.before.push(format!(
                        "ALTER TABLE {key} DROP CONSTRAINT {}",
                        ident(&constraint.name)
                    ));
                    swap.after.push(format!(
                        "ALTER TABLE {key} ADD CONSTRAINT {} {kind} USING INDEX {}{deferral}",
                        ident(&constraint.name),
                        ident(&name)
                    ));
                }
                None => {
                    swap.before.push(format!("DROP INDEX {old_name}"));
                    swap.after.push(format!(
                        "ALTER INDEX {new_name} RENAME TO {}",
                        ident(&index.name)
                    ));
                }
            }
            if let Some(comment) = &index.comment {
                swap.after.push(format!(
                    "COMMENT ON INDEX {old_name} IS {}",
                    literal(comment)
                ));
            }
            if index.clustered {
                swap.after.push(format!(
                    "ALTER TABLE {key} CLUSTER ON {}",
                    ident(&index.name)
                ));
            }
            if index.replica_identity {
                swap.after.push(format!(
                    "ALTER TABLE {key} REPLICA IDENTITY USING INDEX {}",
                    ident(&index.name)
                ));
            }
        }
        let constraints: Vec<Constraint> = table
            .constraints
            .iter()
            .filter(|c| matches!(c.kind.as_str(), "c" | "f") && involved(&c.columns))
            .cloned()
            .collect();
        for constraint in &constraints {
            let name = name_with_suffix(&constraint.name, "_pgm_new");
            let definition = if constraint.kind == "f" {
                let was = format!("FOREIGN KEY ({})", idents(&constraint.columns));
                let columns: Vec<&str> = constraint
                    .columns
                    .iter()
                    .map(|c| {
                        if *c == column.name {
                            shadow
                        } else {
                            c.as_str()
                        }
                    })
                    .collect();
                let is = format!("FOREIGN KEY ({})", idents(&columns));
                constraint.definition.replacen(&was, &is, 1)
            } else {
                self.constraint_renamed(key, &constraint.definition, &column.name, shadow)?
            };
            self.constraint_steps(&CreateConstraint {
                name: name.clone(),
                table: key.to_owned(),
                kind: if constraint.kind == "f" {
                    "foreign_key".into()
                } else {
                    "check".into()
                },
                definition: Some(definition),
                ..CreateConstraint::default()
            })?;
            swap.before.push(format!(
                "ALTER TABLE {key} DROP CONSTRAINT {}",
                ident(&constraint.name)
            ));
            swap.after.push(format!(
                "ALTER TABLE {key} RENAME CONSTRAINT {} TO {}",
                ident(&name),
                ident(&constraint.name)
            ));
        }
        let commented = table.constraints.iter().filter(|c| involved(&c.columns));
        for constraint in commented {
            if let Some(comment) = &constraint.comment {
                swap.after.push(format!(
                    "COMMENT ON CONSTRAINT {} ON {key} IS {}",
                    ident(&constraint.name),
                    literal(comment)
                ));
            }
        }
        Ok(swap)
    }
}
