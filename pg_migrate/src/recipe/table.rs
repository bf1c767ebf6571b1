//! create_table, drop_table, rename_table, restore of a table.

mod clause;

pub use clause::{column_clause, constraint_clause, deferral};

use crate::document::model::{CreateTable, DropTable, Operation, RenameTable, Restore};
use crate::fault::{Fault, Result, state};
use crate::recipe::constraint::clause_of;
use crate::recipe::facts::{self, Table};
use crate::recipe::plan::{Planner, ddl, unlocked};
use crate::recipe::quote::{ident, idents, literal, qualified};
use crate::recipe::step::{Lock, Phase};

pub fn set_aside_table(key: &str, revision: &str) -> String {
    format!(
        "SELECT migrate.set_aside_table({}, {})",
        literal(key),
        literal(revision)
    )
}

impl Planner<'_> {
    pub fn create_table(&mut self, op: &CreateTable) -> Result<()> {
        let (schema, name) = self.facts.landing(&op.name)?;
        let key = qualified(&schema, &name);
        self.not_leaving(&key, None)?;
        if self.has_table(&op.name)? {
            return Err(
                Fault::new("42P07", format!("relation {key} already exists")).hint(
                    "Choose another name, or stamp the revision if this migration ran before.",
                ),
            );
        }
        let many_pk = op.columns.iter().filter(|column| column.pk).count() > 1;
        let mut lines = Vec::new();
        for column in &op.columns {
            if let Some(default) = &column.default {
                self.facts.expression("", default, None).map(drop)?;
            }
            lines.push(column_clause(column, !many_pk)?);
        }
        if many_pk {
            let keys: Vec<_> = op
                .columns
                .iter()
                .filter(|c| c.pk)
                .map(|c| c.name.as_str())
                .collect();
            lines.push(format!("PRIMARY KEY ({})", idents(&keys)));
        }
        for constraint in &op.constraints {
            lines.push(format!(
                "CONSTRAINT {} {}",
                ident(&constraint.name),
                constraint_clause(constraint)?
            ));
        }
        let mut step = unlocked(
            Phase::Expand,
            format!("CREATE TABLE {key} (\n    {}\n)", lines.join(",\n    ")),
        )
        .undo(set_aside_table(&key, self.revision));
        let references = op
            .columns
            .iter()
            .filter_map(|column| column.references.as_ref().map(|r| r.table.clone()))
            .chain(
                op.constraints
                    .iter()
                    .filter_map(|c| c.references.as_ref().map(|r| r.table.clone())),
            );
        for target in references {
            if self.facts.landing(&target)? != (schema.clone(), name.clone()) {
                let (target, table) = self.table(&target)?;
                if !table.fresh {
                    step = step.also_locks(&target, Lock::ShareRowExclusive);
                }
            }
        }
        self.push(step);
        let comments = op
            .columns
            .iter()
            .filter_map(|c| {
                c.comment
                    .as_ref()
                    .map(|text| (format!("COLUMN {key}.{}", ident(&c.name)), text))
            })
            .chain(
                op.comment
                    .as_ref()
                    .map(|text| (format!("TABLE {key}"), text)),
            );
        for (what, text) in comments {
            self.plan.steps.push(unlocked(
                Phase::Expand,
                format!("COMMENT ON {what} IS {}", literal(text)),
            ));
        }
        self.plan.inverse.push(Operation::DropTable(DropTable {
            name: key.clone(),
            immediately: false,
            if_exists: false,
        }));
        let columns = op
            .columns
            .iter()
            .map(|column| facts::Column {
                name: column.name.clone(),
                data_type: column.data_type.clone(),
                not_null: !column.nullable,
                default: column.default.clone(),
                ..facts::Column::default()
            })
            .collect();
        let table = Table {
            schema,
            name,
            kind: "r".into(),
            empty: true,
            fresh: true,
            columns,
            ..Table::default()
        };
        self.remember(key, table);
        Ok(())
    }

    pub fn drop_table(&mut self, op: &DropTable) -> Result<()> {
        if op.if_exists && !self.has_table(&op.name)? {
            return Ok(());
        }
        let (key, table) = self.table(&op.name)?;
        if !table.fresh {
            let dependents = self.dependents(&key, None)?;
            if !dependents.is_empty() {
                let list: Vec<_> = dependents.iter().map(|d| d.what.as_str()).collect();
                return Err(Fault::new(
                    state::DEPENDENT_OBJECTS,
                    format!("table {key} cannot be dropped because other objects depend on it"),
                )
                .detail(list.join("; "))
                .hint("Drop or change them first, in this migration or an earlier one; nothing is dropped by CASCADE."));
            }
        }
        let mut step = if op.immediately {
            self.irreversible(format!("table {key} is dropped for good"));
            ddl(
                Phase::Contract,
                &key,
                Lock::AccessExclusive,
                format!("DROP TABLE {key}"),
            )
            .warn("destroys the table's data for good")
        } else {
            // Its foreign keys leave when it is set aside: see the engine.
            let operations = table
                .constraints
                .iter()
                .filter(|constraint| constraint.kind == "f")
                .map(|constraint| Operation::CreateConstraint(clause_of(&key, constraint)))
                .collect();
            self.plan.inverse.push(Operation::Restore(Restore {
                table: key.clone(),
                column: None,
                attributes: Vec::new(),
                operations,
                fill: None,
            }));
            ddl(
                Phase::Contract,
                &key,
                Lock::AccessExclusive,
                set_aside_table(&key, self.revision),
            )
            .warn("hides the table and its data; restorable until migrate.purge")
        };
        for constraint in table.constraints.iter().filter(|c| c.kind == "f") {
            if let Some(target) = &constraint.references {
                step = step.also_locks(target, Lock::AccessExclusive);
            }
        }
        self.push(step);
        self.leaves(&key, None);
        Ok(())
    }

    pub fn rename_table(&mut self, op: &RenameTable) -> Result<()> {
        let (key, table) = self.table(&op.from)?;
        let (_, to) = self.facts.landing(&op.to)?;
        let new_key = qualified(&table.schema, &to);
        self.not_leaving(&new_key, None)?;
        if self.facts.relation_exists(&table.schema, &to)? {
            return Err(Fault::new(
                "42P07",
                format!("relation {new_key} already exists"),
            ));
        }
        self.push(
            ddl(
                Phase::Expand,
                &key,
                Lock::AccessExclusive,
                format!(
                    "SELECT migrate.rename_table({}, {})",
                    literal(&key),
                    literal(&to)
                ),
            )
            .undo(format!(
                "SELECT migrate.rename_table_back({}, {})",
                literal(&new_key),
                literal(&table.name)
            )),
        );
        self.push(
            ddl(
                Phase::Contract,
                &key,
                Lock::AccessExclusive,
                format!("DROP VIEW {key}"),
            )
            .warn("the old name stops working"),
        );
        self.plan.inverse.push(Operation::RenameTable(RenameTable {
            from: new_key.clone(),
            to: ident(&table.name),
        }));
        self.touch(&key, "*");
        self.remember(new_key, Table { name: to, ..table });
        Ok(())
    }

    pub fn restore(&mut self, op: &Restore) -> Result<()> {
        let Some(column) = &op.column else {
            self.push(
                unlocked(
                    Phase::Expand,
                    format!("SELECT migrate.restore_table({})", literal(&op.table)),
                )
                .undo(set_aside_table(&op.table, self.revision)),
            );
            for operation in &op.operations {
                if let Operation::CreateConstraint(constraint) = operation {
                    self.not_valid(&op.table, constraint, None)?;
                }
            }
            return Ok(());
        };
        self.restore_column(op, column)
    }
}
