//! create_table, drop_table, rename_table, restore of a table.

mod clause;
mod replica;

pub use clause::{
    check_clause, check_text, column_clause, constraint_clause, deferral, inline_constraints,
};

use crate::document::model::{
    Column, CreateTable, DropTable, Operation, RenameTable, Restore, TableConstraint,
};
use crate::fault::{Fault, Result, state};
use crate::recipe::constraint::{clause_of, pictured};
use crate::recipe::facts::{self, Table};
use crate::recipe::names;
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
        let (schema, name) = self.landing(&op.name)?;
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
            lines.push(column_clause(column, !many_pk)?);
        }
        let keys: Vec<String> = op
            .columns
            .iter()
            .filter(|column| column.pk && many_pk)
            .map(|column| column.name.clone())
            .collect();
        if many_pk {
            lines.push(format!("PRIMARY KEY ({})", idents(&keys)));
        }
        for constraint in &op.constraints {
            lines.push(format!(
                "CONSTRAINT {} {}",
                ident(&constraint.name),
                constraint_clause(constraint)?
            ));
        }
        let table = self.picture(op, &schema, &name, &keys)?;
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
            if self.landing(&target)? != (schema.clone(), name.clone()) {
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
        self.remember(key.clone(), table);
        self.check_new_table(op, &key)
    }

    /// The table as it will be.
    fn picture(
        &mut self,
        op: &CreateTable,
        schema: &str,
        name: &str,
        keys: &[String],
    ) -> Result<Table> {
        let mut table = Table {
            schema: schema.to_owned(),
            name: name.to_owned(),
            kind: "r".into(),
            empty: true,
            fresh: true,
            comment: op.comment.clone(),
            replica_identity: "d".into(),
            ..Table::default()
        };
        for column in &op.columns {
            table.columns.push(facts::Column {
                name: column.name.clone(),
                data_type: self.data_type(&column.data_type)?,
                not_null: !column.nullable,
                default: column.default.clone(),
                comment: column.comment.clone(),
                ..facts::Column::default()
            });
        }
        for column in &op.columns {
            let inline = Column {
                pk: column.pk && keys.is_empty(),
                ..column.clone()
            };
            inline_constraints(&mut table, &inline);
        }
        let primary = (!keys.is_empty()).then(|| TableConstraint {
            name: names::constraint(name, keys, "pkey", 0),
            kind: "primary_key".into(),
            columns: keys.to_vec(),
            ..TableConstraint::default()
        });
        for constraint in op.constraints.iter().chain(&primary) {
            let made = pictured(&table, constraint)?;
            table.indexes.extend(made.1);
            table.constraints.push(made.0);
        }
        Ok(table)
    }

    /// Reads the expressions of a new table.
    fn check_new_table(&mut self, op: &CreateTable, key: &str) -> Result<()> {
        for column in &op.columns {
            let serial = column.data_type.to_lowercase().contains("serial");
            let target = (!serial).then_some(column.data_type.as_str());
            if let Some(default) = &column.default {
                self.reads_alone(default, target)?;
            }
            let generated = column.generated.as_ref();
            if let Some(text) = generated.and_then(|generated| generated.expression.as_ref()) {
                self.reads(key, text, target)?;
            }
            if let Some(check) = &column.check {
                self.reads(key, &check.constraint, Some("boolean"))?;
            }
        }
        for constraint in &op.constraints {
            if let Some(check) = &constraint.check {
                self.reads(key, check, Some("boolean"))?;
            }
        }
        Ok(())
    }

    pub fn drop_table(&mut self, op: &DropTable) -> Result<()> {
        if op.if_exists && !self.has_table(&op.name)? {
            return Ok(());
        }
        let (key, table) = self.table(&op.name)?;
        if table.fresh {
            // Nobody has seen it. Its own undo takes it away once more.
            let phase = self.now();
            let step = unlocked(phase, format!("DROP TABLE {key}"));
            self.push(step.undo(format!("CREATE TABLE {key} ()")));
            self.plan
                .inverse
                .retain(|back| !matches!(back, Operation::DropTable(back) if back.name == key));
            self.forget(&key);
            return Ok(());
        }
        {
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
        for constraint in table.constraints.iter().filter(|found| found.kind == "f") {
            self.drops(&key, &constraint.name, Phase::Contract);
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
                .map(|constraint| Operation::CreateConstraint(clause_of(&key, &table, constraint)))
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
        self.touch(&key, "*");
        self.leaves(&key, None);
        Ok(())
    }

    pub fn rename_table(&mut self, op: &RenameTable) -> Result<()> {
        let (key, table) = self.table(&op.from)?;
        let (_, to) = self.landing(&op.to)?;
        let new_key = qualified(&table.schema, &to);
        self.not_leaving(&new_key, None)?;
        if table.fresh {
            return self.rename_new_table(&key, table, &to);
        }
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

    /// Of one that nobody has used yet: no view stands in for the old name.
    fn rename_new_table(&mut self, key: &str, table: Table, to: &str) -> Result<()> {
        let new_key = qualified(&table.schema, to);
        if self.has_table(&new_key)? {
            return Err(Fault::new(
                "42P07",
                format!("relation {new_key} already exists"),
            ));
        }
        let (was, is) = (ident(&table.name), ident(to));
        let phase = self.now();
        let step = unlocked(phase, format!("ALTER TABLE {key} RENAME TO {is}"));
        self.push(step.undo(format!("ALTER TABLE {new_key} RENAME TO {was}")));
        for made in &mut self.plan.inverse {
            if let Operation::DropTable(back) = made
                && back.name == key
            {
                back.name.clone_from(&new_key);
            }
        }
        self.forget(key);
        self.remember(
            new_key,
            Table {
                name: to.to_owned(),
                ..table
            },
        );
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
