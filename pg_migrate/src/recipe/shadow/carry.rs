//! What a type change carries from the old column to the new one.

use super::retype::{Group, Retype};
use super::{SHADOW, helper_build, refused};
use crate::document::model::{Operation, Sql};
use crate::fault::{Fault, Result};
use crate::recipe::facts::{Column, Constraint, Index, Table};
use crate::recipe::names;
use crate::recipe::plan::{Planner, ddl, validate};
use crate::recipe::quote::{ident, literal, name_with_suffix, qualified};
use crate::recipe::step::{Lock, Phase};
use crate::recipe::table::deferral;

/// Statements that swap the copies in.
#[derive(Default)]
pub struct Swap {
    /// Before the old column leaves.
    pub before: Vec<String>,
    /// After the new one has its name.
    pub after: Vec<String>,
    /// An index over an expression is among the copies.
    pub expressions: bool,
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
pub fn storage(from: &Column) -> Vec<String> {
    let storage = from.storage.iter().map(|way| format!("SET STORAGE {way}"));
    let compression = from
        .compression
        .iter()
        .map(|method| format!("SET COMPRESSION {method}"));
    storage.chain(compression).collect()
}

pub fn alter(key: &str, column: &str, clauses: &[String]) -> String {
    let name = ident(column);
    let commands: Vec<_> = clauses
        .iter()
        .map(|clause| format!("ALTER COLUMN {name} {clause}"))
        .collect();
    format!("ALTER TABLE {key} {}", commands.join(", "))
}

/// The statement that gives a column of another table (of the same type) the statistics target,
/// options, storage and compression of `column`; none where they are the defaults.
pub fn tuning(key: &str, column: &Column) -> Option<String> {
    let clauses = [estimates(column), storage(column)].concat();
    (!clauses.is_empty()).then(|| alter(key, &column.name, &clauses))
}

impl Planner<'_> {
    /// Statistics target, options, storage and compression of the column for its shadow. Must come
    /// before the first value is stored. On a partitioned table they are set on it alone: each
    /// partition has its own.
    pub fn carry_tuning(&mut self, group: &Group, change: &Retype) -> Result<()> {
        let (key, column) = (group.key, &change.column);
        let only = match group.table.kind.as_str() {
            "p" => "ONLY ",
            _ => "",
        };
        let mut clauses = estimates(column);
        let stored = storage(column);
        if !stored.is_empty() && self.facts.toastable(&change.new_type)? {
            clauses.extend(stored);
        } else if !stored.is_empty() {
            // The new type cannot have it: the old one's way back must give it anew.
            let there = match &group.table.partition_of {
                Some(_) => format!("IF EXISTS {only}{key}"),
                None => format!("{only}{key}"),
            };
            self.plan.inverse.push(Operation::Sql(Sql {
                up: alter(&there, &column.name, &stored),
                down: Some("SELECT 1".into()),
                on_complete: true,
                ..Sql::default()
            }));
        }
        if !clauses.is_empty() {
            let sql = alter(&format!("{only}{key}"), &change.shadow, &clauses);
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

    /// Copies of the indexes and CHECK constraints of the columns on their shadows, and the
    /// statements that swap them in before the old columns leave and after the new ones have their
    /// names.
    pub fn carry_over(&mut self, group: &Group) -> Result<Swap> {
        let mut swap = Swap::default();
        let (key, table) = (group.key, group.table);
        let indexes = table.indexes.iter();
        for index in indexes.filter(|i| i.valid && group.involves(&i.columns)) {
            self.carry_index(group, index, &mut swap)?;
        }
        let constraints = table.constraints.iter();
        for constraint in constraints.filter(|c| c.kind == "c" && group.involves(&c.columns)) {
            self.carry_check(group, constraint, &mut swap)?;
        }
        let commented = table
            .constraints
            .iter()
            .filter(|c| c.kind != "f" && group.involves(&c.columns));
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

    fn carry_index(&mut self, group: &Group, index: &Index, swap: &mut Swap) -> Result<()> {
        let (key, table) = (group.key, group.table);
        let name = self.free_name(&table.schema, &index.name, SHADOW)?;
        let moved = self
            .facts
            .index_moved(key, &table.columns, &index.definition, &group.moves);
        let body = moved.map_err(|fault| cannot(group, &format!("index {}", index.name), fault))?;
        swap.expressions |= has_expression(&body);
        let body = match &index.tablespace {
            Some(tablespace) => with_tablespace(&body, tablespace),
            None => body,
        };
        let (old_name, new_name) = (
            qualified(&table.schema, &index.name),
            qualified(&table.schema, &name),
        );
        if table.kind == "p" {
            return self.carry_partitioned_index(group, index, (&name, &body), swap);
        }
        let constraint = table
            .constraints
            .iter()
            .find(|c| Some(&c.name) == index.constraint.as_ref());
        let mut build = helper_build(key, &table.schema, &name, index.unique, &body);
        if constraint.is_some_and(|c| c.deferrable) {
            build = build.warn("until the contract a value that is there twice is refused at once, not at the end of the transaction");
        }
        self.push(build);
        for target in &index.targets {
            self.push(ddl(
                Phase::Migrate,
                key,
                Lock::ShareUpdateExclusive,
                format!(
                    "ALTER INDEX {new_name} ALTER COLUMN {} SET STATISTICS {}",
                    target.number, target.target
                ),
            ));
        }
        match constraint {
            Some(constraint) => {
                let kind = match constraint.kind.as_str() {
                    "p" => "PRIMARY KEY",
                    _ => "UNIQUE",
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
        self.carry_marks(group, index, swap);
        Ok(())
    }

    /// What is said of an index beside its definition.
    fn carry_marks(&self, group: &Group, index: &Index, swap: &mut Swap) {
        let key = group.key;
        let old_name = qualified(&group.table.schema, &index.name);
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

    fn carry_check(
        &mut self,
        group: &Group,
        constraint: &Constraint,
        swap: &mut Swap,
    ) -> Result<()> {
        let (key, table) = (group.key, group.table);
        let moved =
            self.facts
                .constraint_moved(key, &table.columns, &constraint.definition, &group.moves);
        let what = format!("constraint {}", constraint.name);
        let definition = moved.map_err(|fault| cannot(group, &what, fault))?;
        let name = self.free_constraint_name(key, &constraint.name)?;
        let bare = ident(&name);
        self.push(
            ddl(
                Phase::Migrate,
                key,
                Lock::AccessExclusive,
                format!("ALTER TABLE {key} ADD CONSTRAINT {bare} {definition} NOT VALID"),
            )
            .undo(format!(
                "ALTER TABLE {key} DROP CONSTRAINT IF EXISTS {bare}"
            )),
        );
        if constraint.validated && table.kind == "p" {
            self.validate_parts(Phase::Migrate, key, &name)?;
        }
        if constraint.validated {
            self.push(validate(
                Phase::Migrate,
                key,
                format!("ALTER TABLE {key} VALIDATE CONSTRAINT {bare}"),
            ));
        }
        self.change(key, |table| {
            table.constraints.push(Constraint {
                name: name.clone(),
                ..Constraint::default()
            });
        });
        let old = ident(&constraint.name);
        swap.before
            .push(format!("ALTER TABLE {key} DROP CONSTRAINT {old}"));
        swap.after.push(format!(
            "ALTER TABLE {key} RENAME CONSTRAINT {bare} TO {old}"
        ));
        Ok(())
    }
}

/// What PostgreSQL says of an object over the new types, as a refusal that names the object.
fn cannot(group: &Group, what: &str, fault: Fault) -> Fault {
    if fault.is_interruption() {
        return fault;
    }
    refused(group, &[format!("{what} ({})", fault.message)])
}

/// Statements that take from a column that was set aside what it still has of its former life.
pub fn cleared(key: &str, kept: &Column, name: &str) -> Vec<String> {
    let name = ident(name);
    let mut sql: Vec<String> = kept
        .grants
        .iter()
        .map(|grant| {
            format!(
                "REVOKE {} ({name}) ON {key} FROM {}",
                grant.privilege, grant.grantee
            )
        })
        .collect();
    if kept.comment.is_some() {
        sql.push(format!("COMMENT ON COLUMN {key}.{name} IS NULL"));
    }
    let mut clauses = Vec::new();
    if kept.statistics.is_some() {
        clauses.push("SET STATISTICS -1".to_owned());
    }
    if !kept.options.is_empty() {
        let names: Vec<_> = kept.options.iter().map(|o| ident(&o.name)).collect();
        clauses.push(format!("RESET ({})", names.join(", ")));
    }
    if kept.compression.is_some() {
        clauses.push("SET COMPRESSION default".to_owned());
    }
    if !clauses.is_empty() {
        let commands: Vec<_> = clauses
            .iter()
            .map(|clause| format!("ALTER COLUMN {name} {clause}"))
            .collect();
        sql.push(format!("ALTER TABLE {key} {}", commands.join(", ")));
    }
    sql
}

/// The bytes of an index definition that stand outside strings and quoted names, with the depth of
/// parentheses they are at.
fn plain(definition: &str) -> impl Iterator<Item = (usize, u8, usize)> + '_ {
    let (mut quote, mut depth) = (None, 0_usize);
    definition
        .bytes()
        .enumerate()
        .filter_map(move |(at, byte)| match (quote, byte) {
            (Some(open), _) if byte == open => {
                quote = None;
                None
            }
            (Some(_), _) => None,
            (None, b'\'' | b'"') => {
                quote = Some(byte);
                None
            }
            (None, b'(') => {
                depth += 1;
                Some((at, byte, depth))
            }
            (None, b')') => {
                depth = depth.saturating_sub(1);
                Some((at, byte, depth))
            }
            _ => Some((at, byte, depth)),
        })
}

/// Whether one of its keys may be an expression: then ANALYZE collects statistics for the index.
fn has_expression(definition: &str) -> bool {
    plain(definition).any(|(_, byte, depth)| byte == b'(' && depth > 1)
}

fn with_tablespace(definition: &str, tablespace: &str) -> String {
    let at = plain(definition)
        .find(|(at, byte, depth)| {
            *depth == 0 && *byte == b' ' && definition[*at..].starts_with(" WHERE ")
        })
        .map_or(definition.len(), |(at, ..)| at);
    format!(
        "{} TABLESPACE {tablespace}{}",
        &definition[..at],
        &definition[at..]
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tablespace_stands_before_the_predicate() {
        assert_eq!(
            with_tablespace("USING btree (a) WHERE (b = ' WHERE '::text)", "fast"),
            "USING btree (a) TABLESPACE fast WHERE (b = ' WHERE '::text)"
        );
        assert_eq!(
            with_tablespace("USING btree (\" WHERE \")", "fast"),
            "USING btree (\" WHERE \") TABLESPACE fast"
        );
    }

    #[test]
    fn an_expression_is_seen() {
        assert!(has_expression("USING btree (lower(body))"));
        assert!(!has_expression(
            "USING btree (body, \"a(\") WITH (fillfactor='70')"
        ));
    }
}
