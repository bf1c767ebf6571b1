//! add_column: nullable and plain first, then its values, then what constrains it.

mod counted;

use super::{backfill_step, drop_sync_trigger, sync_backfill, sync_trigger};
use crate::document::model::{AddColumn, Column, CreateConstraint, DropColumn, Operation};
use crate::fault::{Fault, Result, state};
use crate::recipe::facts;
use crate::recipe::plan::{How, Planner, ddl, unlocked};
use crate::recipe::quote::{ident, literal, name_with_suffix};
use crate::recipe::step::{Lock, Phase};
use crate::recipe::table::{column_clause, inline_constraints};
use crate::recipe::types::rename_identifier;
use serde_json::json;

/// The operation with the name that the column has in the end.
fn under_last_name(op: &AddColumn, last: String) -> AddColumn {
    let mut op = op.clone();
    if let Some(check) = &mut op.column.check {
        check.constraint = rename_identifier(&check.constraint, &op.column.name, &last);
    }
    op.column.name = last;
    op
}

/// Adds a column by its clause and gives it its last name.
fn added(key: &str, clause: &str, first: &str, last: &str) -> String {
    let add = format!("ALTER TABLE {key} ADD COLUMN {clause}");
    if first == last {
        return add;
    }
    let (first, last) = (ident(first), ident(last));
    format!("{add};\nALTER TABLE {key} RENAME COLUMN {first} TO {last}")
}

impl Planner<'_> {
    pub fn add_column(&mut self, op: &AddColumn) -> Result<()> {
        let (key, table) = self.table(&op.table)?;
        let column = &op.column;
        self.not_leaving(&key, Some(&column.name))?;
        if table.column(&column.name).is_some() {
            if op.if_not_exists {
                return Ok(());
            }
            return Err(Fault::new(
                state::DUPLICATE_COLUMN,
                format!("column \"{}\" of table {key} already exists", column.name),
            )
            .hint("Choose another name, or stamp the revision if this migration ran before."));
        }
        // What PostgreSQL names after the column it names after this one.
        let first = column;
        let renamed = match table.fresh {
            true => None,
            false => self.last_name(&key, &first.name)?,
        };
        let renamed = renamed.map(|last| under_last_name(op, last));
        let op = renamed.as_ref().unwrap_or(op);
        let column = &op.column;
        let name = ident(&column.name);
        let data_type = self.data_type(&column.data_type)?;
        let remembered = facts::Column {
            name: column.name.clone(),
            data_type,
            not_null: !column.nullable,
            default: column.default.clone(),
            ..facts::Column::default()
        };
        self.plan.inverse.push(Operation::DropColumn(DropColumn {
            table: key.clone(),
            column: column.name.clone(),
            down: None,
            immediately: false,
            if_exists: true,
        }));
        let undo = format!(
            "SELECT migrate.set_aside_column({}, {}, {})",
            literal(&key),
            literal(&column.name),
            literal(self.revision)
        );
        // An empty table too is written by applications that do not know the column.
        if table.fresh || (table.empty && op.up.is_none()) {
            self.value_checked(&key, op)?;
            let sql = added(
                &key,
                &column_clause(first, true)?,
                &first.name,
                &column.name,
            );
            let step = if table.fresh {
                unlocked(self.now(), sql)
            } else {
                ddl(self.now(), &key, Lock::AccessExclusive, sql)
            };
            self.push(step.undo(undo));
            self.comment(&key, column);
            self.change(&key, |table| {
                table.columns.push(remembered);
                inline_constraints(table, column);
            });
            return Ok(());
        }
        if counted::is_counted(column) {
            self.plan.inverse.pop();
            return self.add_counted(op, &first.name, &key, &table, &undo);
        }
        self.refuse_rewriting(&key, &table, column)?;
        self.refuse_checked_domain(&key, &table, column)?;
        // A value that this migration adds to an enum is there from the migrate phase on.
        let later = column
            .default
            .as_ref()
            .is_some_and(|default| self.objects.mentions_label(default));
        let volatile = self.value_checked(&key, op)?;
        let filled = op.up.is_some() || volatile;
        if !column.nullable && column.default.is_none() && op.up.is_none() {
            return Err(Fault::new(
                "23502",
                format!(
                    "column \"{}\" would hold null in the rows {key} already has",
                    column.name
                ),
            )
            .hint("Give a default, or up (the value for existing rows), or nullable: true."));
        }
        // Nullable and without a default the new column is metadata only; a constant default too.
        let inline_default = !filled && column.default.is_some();
        let mut clause = format!("{} {}", ident(&first.name), column.data_type);
        if let (true, Some(default)) = (inline_default, &column.default) {
            clause.push_str(&format!(" DEFAULT {default}"));
            if !column.nullable {
                clause.push_str(" NOT NULL");
            }
        }
        let sql = added(&key, &clause, &first.name, &column.name);
        let phase = if later { self.now() } else { Phase::Expand };
        self.push(ddl(phase, &key, Lock::AccessExclusive, sql).undo(undo));
        self.comment(&key, column);
        self.change(&key, |table| {
            table.columns.push(facts::Column {
                not_null: inline_default && !column.nullable,
                ..remembered
            });
        });
        if let (true, Some(default), None) = (volatile, &column.default, &op.up) {
            self.push(ddl(
                Phase::Expand,
                &key,
                Lock::AccessExclusive,
                format!("ALTER TABLE {key} ALTER COLUMN {name} SET DEFAULT {default}"),
            ));
            self.push(backfill_step(
                &key,
                json!({ column.name.as_str(): default }),
                Some(&format!("{name} IS NULL")),
                json!(null),
            ));
        }
        if let Some(up) = &op.up {
            self.syncable(&key, &table)?;
            self.push(
                ddl(
                    Phase::Expand,
                    &key,
                    Lock::ShareRowExclusive,
                    sync_trigger(&key, "", &column.name, Some(up), None),
                )
                .undo(drop_sync_trigger(&key, "", &column.name)),
            );
            self.push(sync_backfill(
                &key,
                "",
                &column.name,
                up,
                &format!("{name} IS NULL"),
            ));
        }
        if !column.nullable && !inline_default {
            self.not_null_steps(Phase::Migrate, &key, &column.name, None)?;
            self.change_column(&key, &column.name, |column| column.not_null = true);
        }
        self.column_constraints(&key, column, &first.name)?;
        if op.up.is_some() {
            self.push(ddl(
                Phase::Contract,
                &key,
                Lock::AccessExclusive,
                drop_sync_trigger(&key, "", &column.name),
            ));
            if let Some(default) = &column.default {
                self.push(ddl(
                    Phase::Contract,
                    &key,
                    Lock::AccessExclusive,
                    format!("ALTER TABLE {key} ALTER COLUMN {name} SET DEFAULT {default}"),
                ));
            }
        }
        self.touch_as(&key, &column.name, How::Fill);
        Ok(())
    }

    /// Reads the column's expressions; whether its default is volatile.
    fn value_checked(&mut self, key: &str, op: &AddColumn) -> Result<bool> {
        let column = &op.column;
        let serial = column.data_type.to_lowercase().contains("serial");
        if self.makes_type(&column.data_type) {
            return Ok(false);
        }
        let target = (!serial).then_some(column.data_type.as_str());
        if let Some(up) = &op.up {
            self.reads(key, up, target)?;
        }
        if let Some(text) = column
            .generated
            .as_ref()
            .and_then(|g| g.expression.as_ref())
        {
            self.reads(key, text, target)?;
        }
        match &column.default {
            Some(default) => self.reads_alone(default, target),
            None => Ok(false),
        }
    }

    pub fn comment(&mut self, key: &str, column: &Column) {
        if let Some(comment) = &column.comment {
            let sql = format!(
                "COMMENT ON COLUMN {key}.{} IS {}",
                ident(&column.name),
                literal(comment)
            );
            self.push(ddl(Phase::Expand, key, Lock::ShareUpdateExclusive, sql));
        }
    }

    /// A column that PostgreSQL can only make by rewriting the table.
    fn refuse_rewriting(&self, key: &str, table: &facts::Table, column: &Column) -> Result<()> {
        if column.generated.is_none() {
            return Ok(());
        }
        Err(Fault::new(
            state::FEATURE_NOT_SUPPORTED,
            format!("adding a stored generated column would rewrite table {key}, which has rows"),
        )
        .detail(format!(
            "PostgreSQL holds ACCESS EXCLUSIVE for the length of the rewrite of {} rows, {}. A plain column cannot become a generated one later.",
            table.row_count(), table.size()
        ))
        .hint(
            "Add a plain column with up (the same expression): old rows are filled, and until the contract new ones too; \
             after it the application or a trigger of yours gives the value. Or write the statement with \
             -- migrate:as-written to accept the rewrite.",
        ))
    }

    /// unique, pk, check and references of a column that now exists. `first`: the name with which it is
    /// added, after which PostgreSQL names them.
    pub fn column_constraints(&mut self, key: &str, column: &Column, first: &str) -> Result<()> {
        let one = |name: String, kind: &str| CreateConstraint {
            name,
            table: key.to_owned(),
            kind: kind.to_owned(),
            columns: vec![column.name.clone()],
            ..CreateConstraint::default()
        };
        let bare = self.table(key)?.1.name;
        if column.unique {
            let name = name_with_suffix(&format!("{bare}_{first}"), "_key");
            self.constraint_steps(&one(name, "unique"))?;
        }
        if column.pk {
            self.constraint_steps(&one(name_with_suffix(&bare, "_pkey"), "primary_key"))?;
        }
        if let Some(check) = &column.check {
            self.constraint_steps(&CreateConstraint {
                check: Some(check.constraint.clone()),
                no_inherit: check.no_inherit,
                ..one(check.name.clone(), "check")
            })?;
        }
        if let Some(references) = &column.references {
            self.constraint_steps(&CreateConstraint {
                references: Some(references.into()),
                deferrable: references.deferrable,
                initially_deferred: references.initially_deferred,
                ..one(references.name.clone(), "foreign_key")
            })?;
        }
        Ok(())
    }
}
