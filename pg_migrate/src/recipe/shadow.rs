//! rename_column and alter_column: changes that keep an old and a new column side by side.
//!
//! A rename keeps the old column as the one that lasts: at contract the copy is dropped and the
//! old column takes the new name, so that everything that hangs on it (indexes, constraints,
//! foreign keys both ways, views, policies, statistics, identity, publications) is carried over by
//! PostgreSQL itself. A type change must keep the new one, and carries over what hangs on the old.

use crate::document::model::{AlterColumn, CreateConstraint, Operation, RenameColumn};
use crate::fault::{Fault, Result, state};
use crate::recipe::column::{
    backfill_step, carry_attributes, drop_sync_trigger, sync_backfill, sync_trigger,
};
use crate::recipe::facts::{Column, Constraint, Index, Table};
use crate::recipe::plan::{Planner, Renaming, concurrent, ddl, unlocked, verify};
use crate::recipe::quote::{ident, literal, name_with_suffix, qualified};
use crate::recipe::step::{Kind, Lock, Phase, Step};
use crate::recipe::types;
use serde_json::json;

/// A query that counts rows in which old and new disagree.
fn disagreements(key: &str, table: &Table, agree: &str) -> String {
    let only = if table.kind == "p" { "" } else { "ONLY " };
    format!("SELECT count(*) FROM {only}{key} WHERE NOT ({agree})")
}

/// `a IS NOT DISTINCT FROM b`, also for types without equality.
fn same(a: &str, b: &str, data_type: &str) -> String {
    match data_type {
        "json" | "xml" | "point" | "polygon" | "box" | "path" | "line" | "lseg" | "circle" => {
            format!("{a}::text IS NOT DISTINCT FROM {b}::text")
        }
        _ => format!("{a} IS NOT DISTINCT FROM {b}"),
    }
}

fn column_type(column: &Column) -> String {
    match &column.collation {
        Some(collation) => format!("{} COLLATE {collation}", column.data_type),
        None => column.data_type.clone(),
    }
}

impl Planner<'_> {
    pub fn rename_column(&mut self, op: &RenameColumn) -> Result<()> {
        let (key, table) = self.table(&op.table)?;
        let column = self.column(&key, &table, &op.from)?;
        if table.column(&op.to).is_some() {
            return Err(Fault::new(
                state::DUPLICATE_COLUMN,
                format!("column \"{}\" of table {key} already exists", op.to),
            )
            .hint("Choose another name, or drop that column in an earlier migration."));
        }
        self.settled(&key, &op.from)?;
        self.plan
            .inverse
            .push(Operation::RenameColumn(RenameColumn {
                table: key.clone(),
                from: op.to.clone(),
                to: op.from.clone(),
            }));
        let (old, new) = (ident(&op.from), ident(&op.to));
        if table.fresh {
            let phase = self.now();
            self.push(
                unlocked(
                    phase,
                    format!("ALTER TABLE {key} RENAME COLUMN {old} TO {new}"),
                )
                .undo(format!("ALTER TABLE {key} RENAME COLUMN {new} TO {old}")),
            );
            self.change(&key, |table| {
                if let Some(column) = table.columns.iter_mut().find(|c| c.name == op.from) {
                    column.name.clone_from(&op.to);
                }
            });
            return Ok(());
        }
        if column.generated.is_some() {
            return Err(Fault::new(
                state::FEATURE_NOT_SUPPORTED,
                format!("column \"{}\" of {key} is generated and cannot be kept in sync", op.from),
            )
            .hint("Write the statement with -- migrate:as-written: old and new application cannot run side by side."));
        }
        self.push(
            ddl(
                Phase::Expand,
                &key,
                Lock::AccessExclusive,
                format!(
                    "ALTER TABLE {key} ADD COLUMN {new} {}",
                    column_type(&column)
                ),
            )
            .undo(format!("ALTER TABLE {key} DROP COLUMN {new}")),
        );
        for sql in carry_attributes(&key, &column, &op.to) {
            self.push(ddl(Phase::Expand, &key, Lock::AccessExclusive, sql));
        }
        self.push(
            ddl(
                Phase::Expand,
                &key,
                Lock::ShareRowExclusive,
                sync_trigger(&key, &op.from, &op.to, None, None),
            )
            .undo(drop_sync_trigger(&key, &op.from, &op.to)),
        );
        self.push(sync_backfill(
            &key,
            &op.from,
            &op.to,
            &old,
            &format!("{new} IS NULL AND {old} IS NOT NULL"),
        ));
        let mut helpers = Vec::new();
        // The new application's queries need their indexes while both names exist.
        for index in table
            .indexes
            .iter()
            .filter(|index| index.valid && index.columns.contains(&op.from))
        {
            if index.constraint.is_some() && !index.unique {
                continue; // an exclusion constraint: enforced on the old column, not worth a copy
            }
            if table.kind == "p" {
                continue;
            }
            let name = self.free_name(&table.schema, &index.name, "_pgm_new")?;
            let body =
                self.index_renamed(&key, &index.definition, &op.from, &op.to)?;
            helpers.push(name.clone());
            self.push(helper_build(
                &key,
                &table.schema,
                &name,
                index.unique,
                &body,
            ));
        }
        self.push(verify(
            &key,
            disagreements(&key, &table, &same(&new, &old, &column.data_type)),
            &format!(
                "rows of {key} in which \"{}\" and \"{}\" disagree",
                op.from, op.to
            ),
        ));
        for sql in [
            drop_sync_trigger(&key, &op.from, &op.to),
            format!("ALTER TABLE {key} DROP COLUMN {new}"),
            format!("ALTER TABLE {key} RENAME COLUMN {old} TO {new}"),
        ] {
            self.push(ddl(Phase::Contract, &key, Lock::AccessExclusive, sql));
        }
        self.renamings.push(Renaming {
            table: key.clone(),
            old: op.from.clone(),
            new: op.to.clone(),
            helpers,
        });
        self.touch(&key, &op.from);
        self.touch(&key, &op.to);
        let copy = Column {
            name: op.to.clone(),
            not_null: false,
            ..column
        };
        self.change(&key, |table| table.columns.push(copy));
        Ok(())
    }

    pub fn alter_column(&mut self, op: &AlterColumn) -> Result<()> {
        let (key, table) = self.table(&op.table)?;
        let physical = self.physical(&key, &op.column);
        let column = self.column(&key, &table, &physical)?;
        let name = ident(&physical);
        let new_type = match &op.data_type {
            Some(wanted) => {
                let wanted = self.facts.canonical_type(wanted)?;
                (wanted != column.data_type).then_some(wanted)
            }
            None => None,
        };
        let free = new_type
            .as_deref()
            .is_some_and(|new| types::metadata_only(&column.data_type, new) && op.up.is_none());
        match (&new_type, free || table.fresh || table.empty) {
            (Some(new), true) => {
                let using = op
                    .up
                    .as_ref()
                    .map(|up| format!(" USING {up}"))
                    .unwrap_or_default();
                let phase = self.now();
                self.push(
                    ddl(
                        phase,
                        &key,
                        Lock::AccessExclusive,
                        format!("ALTER TABLE {key} ALTER COLUMN {name} TYPE {new}{using}"),
                    )
                    .undo(format!(
                        "ALTER TABLE {key} ALTER COLUMN {name} TYPE {} USING {}",
                        column.data_type,
                        op.down
                            .clone()
                            .unwrap_or_else(|| format!("{name}::{}", column.data_type))
                    )),
                );
                self.plan.inverse.push(Operation::AlterColumn(AlterColumn {
                    table: key.clone(),
                    column: op.column.clone(),
                    data_type: Some(column.data_type.clone()),
                    up: op.down.clone(),
                    down: op.up.clone(),
                    ..AlterColumn::default()
                }));
            }
            (Some(new), false) => return self.change_type(op, &key, &table, &column, new),
            (None, _) => {}
        }
        if new_type.is_none() && op.up.is_some() {
            if op.nullable != Some(false) {
                if op.data_type.is_some() {
                    return self.change_type(op, &key, &table, &column, &column.data_type);
                }
                return Err(Fault::invalid("up has nothing to do here").hint(
                    "up gives the value for a new type or, with nullable: false, for the nulls.",
                ));
            }
            self.fill_nulls(&key, &column, op)?;
        }
        self.simple_changes(op, &key, &column)
    }

    /// `nullable: false` with `up`: nulls are replaced, in old rows and in new ones.
    fn fill_nulls(&mut self, key: &str, column: &Column, op: &AlterColumn) -> Result<()> {
        let Some(up) = &op.up else { return Ok(()) };
        self.facts.expression(key, up, Some(&column.data_type))?;
        let name = ident(&column.name);
        // 'fill': here a null is never what a writer wants, unlike in a column that is new.
        self.push(
            ddl(
                Phase::Expand,
                key,
                Lock::ShareRowExclusive,
                format!(
                    "SELECT migrate.sync_column_trigger({}, '', {}, {}, NULL, 'fill')",
                    literal(key),
                    literal(&column.name),
                    literal(up)
                ),
            )
            .undo(drop_sync_trigger(key, "", &column.name)),
        );
        self.push(sync_backfill(
            key,
            "",
            &column.name,
            up,
            &format!("{name} IS NULL"),
        ));
        self.push(ddl(
            Phase::Contract,
            key,
            Lock::AccessExclusive,
            drop_sync_trigger(key, "", &column.name),
        ));
        self.touch(key, &column.name);
        Ok(())
    }

    /// Default, comment, nullability, unique, check, references: no copy for what needs none.
    fn simple_changes(&mut self, op: &AlterColumn, key: &str, column: &Column) -> Result<()> {
        let name = ident(&column.name);
        if let Some(default) = &op.default {
            let set = |value: &Option<String>| match value {
                Some(value) => format!("ALTER TABLE {key} ALTER COLUMN {name} SET DEFAULT {value}"),
                None => format!("ALTER TABLE {key} ALTER COLUMN {name} DROP DEFAULT"),
            };
            if let Some(value) = default {
                self.facts
                    .expression("", value, Some(&column.data_type))
                    .map(drop)?;
            }
            let phase = self.now();
            let step = ddl(phase, key, Lock::AccessExclusive, set(default));
            self.push(step.undo(set(&column.default)));
            self.plan.inverse.push(Operation::AlterColumn(AlterColumn {
                table: key.to_owned(),
                column: op.column.clone(),
                default: Some(column.default.clone()),
                ..AlterColumn::default()
            }));
        }
        if let Some(comment) = &op.comment {
            let set = |value: &Option<String>| {
                let value = value.as_deref().map_or_else(|| "NULL".to_owned(), literal);
                format!("COMMENT ON COLUMN {key}.{name} IS {value}")
            };
            let phase = self.now();
            let step = ddl(phase, key, Lock::ShareUpdateExclusive, set(comment));
            self.push(step.undo(set(&column.comment)));
            self.plan.inverse.push(Operation::AlterColumn(AlterColumn {
                table: key.to_owned(),
                column: op.column.clone(),
                comment: Some(column.comment.clone()),
                ..AlterColumn::default()
            }));
        }
        let of = crate::document::model::ColumnOf {
            table: key.to_owned(),
            column: op.column.clone(),
        };
        match op.nullable {
            Some(false) => self.set_not_null(&of)?,
            Some(true) => self.drop_not_null(&of)?,
            None => {}
        }
        let one = |name: &str, kind: &str| CreateConstraint {
            name: name.to_owned(),
            table: key.to_owned(),
            kind: kind.to_owned(),
            columns: vec![op.column.clone()],
            ..CreateConstraint::default()
        };
        if let Some(unique) = &op.unique {
            self.create_constraint(&one(&unique.name, "unique"))?;
        }
        if let Some(check) = &op.check {
            self.create_constraint(&CreateConstraint {
                check: Some(check.constraint.clone()),
                ..one(&check.name, "check")
            })?;
        }
        if let Some(references) = &op.references {
            self.create_constraint(&CreateConstraint {
                references: Some(references.into()),
                ..one(&references.name, "foreign_key")
            })?;
        }
        Ok(())
    }

    /// The shadow column: another type under the same name.
    fn change_type(
        &mut self,
        op: &AlterColumn,
        key: &str,
        table: &Table,
        column: &Column,
        new_type: &str,
    ) -> Result<()> {
        self.settled(key, &column.name)?;
        self.refuse_dependents(key, table, column)?;
        let old = ident(&column.name);
        let shadow = name_with_suffix(&column.name, "_pgm_new");
        let new = ident(&shadow);
        if table.column(&shadow).is_some() {
            return Err(Fault::new(
                state::DUPLICATE_COLUMN,
                format!("column \"{shadow}\" of table {key} is in the way of the shadow column"),
            ));
        }
        let up = op
            .up
            .clone()
            .unwrap_or_else(|| format!("{old}::{new_type}"));
        let down_over_new = match &op.down {
            Some(down) => down.clone(),
            None => format!("{old}::{}", column.data_type),
        };
        self.facts.expression(key, &up, Some(new_type))?;
        // `down` speaks of the new value under the column's own name.
        let down = types::rename_identifier(&down_over_new, &column.name, &shadow);
        self.push(
            ddl(
                Phase::Expand,
                key,
                Lock::AccessExclusive,
                format!("ALTER TABLE {key} ADD COLUMN {new} {new_type}"),
            )
            .undo(format!("ALTER TABLE {key} DROP COLUMN {new}")),
        );
        for sql in carry_attributes(key, column, &shadow) {
            self.push(ddl(Phase::Expand, key, Lock::AccessExclusive, sql));
        }
        self.push(
            ddl(
                Phase::Expand,
                key,
                Lock::ShareRowExclusive,
                sync_trigger(key, &column.name, &shadow, Some(&up), Some(&down)),
            )
            .undo(drop_sync_trigger(key, &column.name, &shadow)),
        );
        self.push(backfill_step(
            key,
            json!({ shadow.as_str(): up }),
            Some(&format!("{new} IS NULL")),
            json!({ "old": column.name, "new": shadow }),
        ));
        let swap = self.carry_over(key, table, column, &shadow)?;
        if op.nullable.map_or(column.not_null, |nullable| !nullable) {
            self.not_null_steps(Phase::Migrate, key, &shadow)?;
        }
        let agree = format!(
            "{} OR {}",
            same(&new, &format!("({up})"), new_type),
            same(&old, &format!("({down})"), &column.data_type)
        );
        self.push(verify(
            key,
            disagreements(key, table, &agree),
            &format!(
                "rows of {key} in which the old and the new \"{}\" disagree",
                column.name
            ),
        ));
        let mut contract = vec![drop_sync_trigger(key, &column.name, &shadow)];
        contract.extend(swap.before);
        contract.push(format!(
            "SELECT migrate.set_aside_column({}, {}, {})",
            literal(key),
            literal(&column.name),
            literal(self.revision)
        ));
        contract.push(format!("ALTER TABLE {key} RENAME COLUMN {new} TO {old}"));
        let default = match &op.default {
            Some(changed) => changed.clone(),
            None => column
                .default
                .as_ref()
                .map(|text| format!("({text})::{new_type}")),
        };
        if let Some(default) = default {
            contract.push(format!(
                "ALTER TABLE {key} ALTER COLUMN {old} SET DEFAULT {default}"
            ));
        }
        contract.extend(swap.after);
        for sql in contract {
            let mut step = ddl(Phase::Contract, key, Lock::AccessExclusive, sql);
            if step.sql.contains("set_aside_column") {
                step = step.warn("hides the old values; restorable until migrate.purge");
            }
            self.push(step);
        }
        self.plan.inverse.push(Operation::AlterColumn(AlterColumn {
            table: key.to_owned(),
            column: column.name.clone(),
            data_type: Some(column.data_type.clone()),
            up: Some(down_over_new),
            down: Some(up),
            default: op.default.as_ref().map(|_| column.default.clone()),
            nullable: (op.nullable == Some(false) && !column.not_null).then_some(true),
            ..AlterColumn::default()
        }));
        self.touch(key, &column.name);
        let rest = AlterColumn {
            data_type: None,
            up: None,
            down: None,
            default: None,
            // NOT NULL is for the new column, and done.
            nullable: op.nullable.filter(|nullable| *nullable),
            ..op.clone()
        };
        self.simple_changes(&rest, key, column)
    }

    fn refuse_dependents(&self, key: &str, table: &Table, column: &Column) -> Result<()> {
        let mut blocking: Vec<String> = self.dependents(key, Some(&column.name))?
            .into_iter()
            .map(|dependent| dependent.what)
            .collect();
        if column.identity.is_some() {
            blocking.push("the column's identity".into());
        }
        if column.generated.is_some() {
            blocking.push("the column's generation expression".into());
        }
        if table.kind == "p" {
            blocking.push("the partitions' indexes and constraints".into());
        }
        let excluded = table
            .constraints
            .iter()
            .filter(|c| c.kind == "x" && c.columns.contains(&column.name))
            .map(|c| format!("exclusion constraint {}", c.name));
        blocking.extend(excluded);
        if blocking.is_empty() {
            return Ok(());
        }
        Err(Fault::new(
            state::FEATURE_NOT_SUPPORTED,
            format!("the type of column \"{}\" of {key} cannot be changed online yet: something hangs on it that is not carried over", column.name),
        )
        .detail(blocking.join("; "))
        .hint("Drop or change these first, in this migration or an earlier one, and make them again afterwards."))
    }

    /// Copies of the indexes and constraints of `column` on `shadow`, and the statements that swap
    /// them in before the old column leaves and after the new one has its name.
    fn carry_over(
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
            let body = self.index_renamed(
                key,
                &index.definition,
                &column.name,
                shadow,
            )?;
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
                    let deferral =
                        crate::recipe::table::deferral(constraint.deferrable, constraint.deferred);
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
                let was = format!(
                    "FOREIGN KEY ({})",
                    crate::recipe::quote::idents(&constraint.columns)
                );
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
                let is = format!("FOREIGN KEY ({})", crate::recipe::quote::idents(&columns));
                constraint.definition.replacen(&was, &is, 1)
            } else {
                self.constraint_renamed(
                    key,
                    &constraint.definition,
                    &column.name,
                    shadow,
                )?
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
        Ok(swap)
    }
}

#[derive(Default)]
struct Swap {
    before: Vec<String>,
    after: Vec<String>,
}

fn helper_build(key: &str, schema: &str, name: &str, unique: bool, body: &str) -> Step {
    let unique = if unique { "UNIQUE " } else { "" };
    let index = qualified(schema, name);
    concurrent(
        Phase::Migrate,
        key,
        Some(&index),
        format!(
            "CREATE {unique}INDEX CONCURRENTLY {} ON {key} {body}",
            ident(name)
        ),
    )
    .undo_as(
        Kind::Concurrent,
        format!("DROP INDEX CONCURRENTLY IF EXISTS {index}"),
    )
}
