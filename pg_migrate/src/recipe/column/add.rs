//! add_column: nullable and plain first, then its values, then what constrains it.

use super::{backfill_step, drop_sync_trigger, sync_backfill, sync_trigger};
use crate::document::model::{AddColumn, Column, CreateConstraint, DropColumn, Operation};
use crate::fault::{Fault, Result, state};
use crate::recipe::facts;
use crate::recipe::plan::{Planner, ddl, unlocked};
use crate::recipe::quote::{ident, literal, name_with_suffix};
use crate::recipe::step::{Lock, Phase};
use crate::recipe::table::column_clause;
use serde_json::json;

impl Planner<'_> {
    pub fn add_column(&mut self, op: &AddColumn) -> Result<()> {
        let (key, table) = self.table(&op.table)?;
        let column = &op.column;
        let name = ident(&column.name);
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
        self.facts
            .canonical_type(&column.data_type)
            .or_else(|fault| {
                // serial and its kin are spellings of the parser, not types.
                if column.data_type.to_lowercase().contains("serial") {
                    Ok(String::new())
                } else {
                    Err(fault)
                }
            })?;
        let remembered = facts::Column {
            name: column.name.clone(),
            data_type: column.data_type.clone(),
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
        if table.fresh || table.empty {
            let sql = format!(
                "ALTER TABLE {key} ADD COLUMN {}",
                column_clause(column, true)?
            );
            let step = if table.fresh {
                unlocked(self.now(), sql)
            } else {
                ddl(self.now(), &key, Lock::AccessExclusive, sql)
            };
            self.push(step.undo(undo));
            self.comment(&key, column);
            self.change(&key, |table| table.columns.push(remembered));
            return Ok(());
        }
        self.refuse_rewriting(&key, column)?;
        let volatile = match &column.default {
            Some(default) => self
                .facts
                .expression("", default, Some(&column.data_type))?,
            None => false,
        };
        if let Some(up) = &op.up {
            self.facts.expression(&key, up, Some(&column.data_type))?;
        }
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
        let mut sql = format!("ALTER TABLE {key} ADD COLUMN {name} {}", column.data_type);
        if let (true, Some(default)) = (inline_default, &column.default) {
            sql.push_str(&format!(" DEFAULT {default}"));
            if !column.nullable {
                sql.push_str(" NOT NULL");
            }
        }
        self.push(ddl(Phase::Expand, &key, Lock::AccessExclusive, sql).undo(undo));
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
        }
        self.column_constraints(&key, column)?;
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
        self.touch(&key, &column.name);
        Ok(())
    }

    fn comment(&mut self, key: &str, column: &Column) {
        if let Some(comment) = &column.comment {
            let sql = format!(
                "COMMENT ON COLUMN {key}.{} IS {}",
                ident(&column.name),
                literal(comment)
            );
            self.push(ddl(Phase::Expand, key, Lock::ShareUpdateExclusive, sql));
        }
    }

    /// Column forms that PostgreSQL can only make by rewriting the table.
    fn refuse_rewriting(&self, key: &str, column: &Column) -> Result<()> {
        let what = match &column.generated {
            Some(generated) if generated.expression.is_some() => "a stored generated column",
            Some(_) => "an identity column",
            None if column.data_type.to_lowercase().contains("serial") => "a serial column",
            None => return Ok(()),
        };
        Err(Fault::new(
            state::FEATURE_NOT_SUPPORTED,
            format!("adding {what} would rewrite table {key}, which has rows"),
        )
        .detail("PostgreSQL holds ACCESS EXCLUSIVE for the length of the rewrite.")
        .hint(
            "Add a plain column with up (the value for existing rows), and give it a default; or \
             write the statement with -- migrate:as-written to accept the rewrite.",
        ))
    }

    /// unique, pk, check and references of a column that now exists.
    fn column_constraints(&mut self, key: &str, column: &Column) -> Result<()> {
        let one = |name: String, kind: &str| CreateConstraint {
            name,
            table: key.to_owned(),
            kind: kind.to_owned(),
            columns: vec![column.name.clone()],
            ..CreateConstraint::default()
        };
        let bare = self.table(key)?.1.name;
        if column.unique {
            let name = name_with_suffix(&format!("{bare}_{}", column.name), "_key");
            self.constraint_steps(&one(name, "unique"))?;
        }
        if column.pk {
            self.constraint_steps(&one(name_with_suffix(&bare, "_pkey"), "primary_key"))?;
        }
        if let Some(check) = &column.check {
            self.constraint_steps(&CreateConstraint {
                check: Some(check.constraint.clone()),
                ..one(check.name.clone(), "check")
            })?;
        }
        if let Some(references) = &column.references {
            self.constraint_steps(&CreateConstraint {
                references: Some(references.into()),
                ..one(references.name.clone(), "foreign_key")
            })?;
        }
        Ok(())
    }
}
