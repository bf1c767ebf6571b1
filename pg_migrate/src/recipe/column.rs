//! add_column, drop_column, set_not_null, drop_not_null, touch_column, restore of a column.

use crate::document::model::{
    AddColumn, Column, ColumnOf, CreateConstraint, CreateIndex, DropColumn, Operation, Restore,
};
use crate::fault::{Fault, Result, state};
use crate::recipe::constraint::clause_of;
use crate::recipe::facts::{self, Table};
use crate::recipe::plan::{Planner, ddl, unlocked, validate};
use crate::recipe::quote::{ident, literal, literal_or_null, name_with_suffix};
use crate::recipe::step::{Kind, Lock, Phase, Step};
use crate::recipe::table::{column_clause, drop_index_concurrently};
use serde_json::json;

pub fn sync_trigger(
    key: &str,
    old: &str,
    new: &str,
    up: Option<&str>,
    down: Option<&str>,
) -> String {
    let (key, old, new) = (literal(key), literal(old), literal(new));
    if up.is_none() && down.is_none() {
        return format!("SELECT migrate.sync_column_trigger({key}, {old}, {new})");
    }
    format!(
        "SELECT migrate.sync_column_trigger({key}, {old}, {new}, {}, {})",
        literal_or_null(up),
        literal_or_null(down)
    )
}

pub fn drop_sync_trigger(key: &str, old: &str, new: &str) -> String {
    format!(
        "SELECT migrate.drop_sync_trigger({}, {}, {})",
        literal(key),
        literal(old),
        literal(new)
    )
}

/// A backfill of `column` that keeps up with the sync trigger `old` → `column`.
pub fn sync_backfill(key: &str, old: &str, column: &str, value: &str, predicate: &str) -> Step {
    backfill_step(
        key,
        json!({ column: value }),
        Some(predicate),
        json!({ "old": old, "new": column }),
    )
}

/// A backfill step; `sync` names the columns of the trigger that keeps up with writers, or is null.
pub fn backfill_step(
    key: &str,
    set: serde_json::Value,
    predicate: Option<&str>,
    sync: serde_json::Value,
) -> Step {
    let sql = format!(
        "SELECT migrate.backfill({}, {}{})",
        literal(key),
        literal(&set.to_string()),
        predicate
            .map(|text| format!(", {}", literal(text)))
            .unwrap_or_default()
    );
    Step {
        kind: Kind::Backfill,
        scans: true,
        args: json!({ "table": key, "set": set, "where": predicate, "sync": sync }),
        ..ddl(Phase::Migrate, key, Lock::RowExclusive, sql)
    }
}

/// Statements that give the new column the old one's column privileges and comment.
pub fn carry_attributes(key: &str, from: &facts::Column, to: &str) -> Vec<String> {
    let mut sql = Vec::new();
    for grant in &from.grants {
        sql.push(format!(
            "GRANT {} ({}) ON {key} TO {}{}",
            grant.privilege,
            ident(to),
            grant.grantee,
            if grant.grantable {
                " WITH GRANT OPTION"
            } else {
                ""
            }
        ));
    }
    if let Some(comment) = &from.comment {
        sql.push(format!(
            "COMMENT ON COLUMN {key}.{} IS {}",
            ident(to),
            literal(comment)
        ));
    }
    sql
}

impl Planner<'_> {
    pub fn add_column(&mut self, op: &AddColumn) -> Result<()> {
        let (key, table) = self.table(&op.table)?;
        let column = &op.column;
        let name = ident(&column.name);
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
            self.not_null_steps(Phase::Migrate, &key, &column.name)?;
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

    pub fn drop_column(&mut self, op: &DropColumn) -> Result<()> {
        let (key, table) = self.table(&op.table)?;
        if op.if_exists && table.column(&op.column).is_none() && !table.fresh {
            return Ok(());
        }
        let column = self.column(&key, &table, &op.column)?;
        self.settled(&key, &op.column)?;
        let name = ident(&op.column);
        if !table.fresh {
            let dependents = self.dependents(&key, Some(&op.column))?;
            if !dependents.is_empty() {
                let list: Vec<_> = dependents.iter().map(|d| d.what.as_str()).collect();
                return Err(Fault::new(
                    state::DEPENDENT_OBJECTS,
                    format!("column \"{}\" of {key} cannot be dropped because other objects depend on it", op.column),
                )
                .detail(list.join("; "))
                .hint("Drop or change them first, in this migration or an earlier one; nothing is dropped by CASCADE."));
            }
        }
        let mut contract = Vec::new();
        if let Some(down) = &op.down {
            self.facts.expression(&key, down, Some(&column.data_type))?;
            self.push(
                ddl(
                    Phase::Expand,
                    &key,
                    Lock::ShareRowExclusive,
                    sync_trigger(&key, "", &op.column, Some(down), None),
                )
                .undo(drop_sync_trigger(&key, "", &op.column)),
            );
            contract.push(drop_sync_trigger(&key, "", &op.column));
        } else if column.not_null && column.default.is_none() && column.identity.is_none() {
            // The new application no longer gives a value.
            let step = ddl(
                Phase::Expand,
                &key,
                Lock::AccessExclusive,
                format!("ALTER TABLE {key} ALTER COLUMN {name} DROP NOT NULL"),
            );
            self.push(
                step.undo(format!("ALTER TABLE {key} ALTER COLUMN {name} SET NOT NULL"))
                    .warn("rows written meanwhile without the column hold null: give down to keep NOT NULL restorable"),
            );
        }
        let indexes: Vec<_> = table
            .indexes
            .iter()
            .filter(|index| index.columns.contains(&op.column) && index.constraint.is_none())
            .cloned()
            .collect();
        for index in &indexes {
            self.push(drop_index_concurrently(
                Phase::Contract,
                &key,
                &crate::recipe::quote::qualified(&table.schema, &index.name),
            ));
        }
        let constraints: Vec<_> = table
            .constraints
            .iter()
            .filter(|constraint| constraint.columns.contains(&op.column))
            .cloned()
            .collect();
        for constraint in &constraints {
            contract.push(format!(
                "ALTER TABLE {key} DROP CONSTRAINT {}",
                ident(&constraint.name)
            ));
        }
        if op.immediately {
            self.irreversible(format!(
                "column \"{}\" of {key} is dropped for good",
                op.column
            ));
            contract.push(format!("ALTER TABLE {key} DROP COLUMN {name}"));
        } else {
            contract.push(format!(
                "SELECT migrate.set_aside_column({}, {}, {})",
                literal(&key),
                literal(&op.column),
                literal(self.revision)
            ));
            self.plan.inverse.push(Operation::Restore(restoration(
                &key,
                &column,
                op.down.clone(),
                &indexes,
                &constraints,
            )));
        }
        for sql in contract {
            let mut step = ddl(Phase::Contract, &key, Lock::AccessExclusive, sql);
            if step.sql.contains("set_aside_column") {
                step = step.warn("hides the column and its data; restorable until migrate.purge");
            } else if step.sql.contains("DROP COLUMN") {
                step = step.warn("destroys the column's data for good");
            }
            for target in constraints.iter().filter_map(|c| c.references.as_deref()) {
                step = step.also_locks(target, Lock::AccessExclusive);
            }
            self.push(step);
        }
        self.touch(&key, &op.column);
        Ok(())
    }

    pub fn restore_column(&mut self, op: &Restore, column: &str) -> Result<()> {
        let (key, _) = self.table(&op.table)?;
        let name = ident(column);
        let undo = format!(
            "SELECT migrate.set_aside_column({}, {}, {})",
            literal(&key),
            literal(column),
            literal(self.revision)
        );
        self.push(
            ddl(
                Phase::Expand,
                &key,
                Lock::AccessExclusive,
                format!(
                    "SELECT migrate.restore_column({}, {})",
                    literal(&key),
                    literal(column)
                ),
            )
            .undo(undo),
        );
        for sql in &op.attributes {
            self.push(ddl(Phase::Expand, &key, Lock::AccessExclusive, sql));
        }
        self.change(&key, |table| {
            table.columns.push(facts::Column {
                name: column.to_owned(),
                ..facts::Column::default()
            });
        });
        if let Some(fill) = &op.fill {
            self.push(
                ddl(
                    Phase::Expand,
                    &key,
                    Lock::ShareRowExclusive,
                    sync_trigger(&key, "", column, Some(fill), None),
                )
                .undo(drop_sync_trigger(&key, "", column)),
            );
            self.push(sync_backfill(
                &key,
                "",
                column,
                fill,
                &format!("{name} IS NULL"),
            ));
        }
        for operation in &op.operations {
            match operation {
                Operation::CreateIndex(index) => self.create_index(index)?,
                Operation::SetNotNull(column) => self.set_not_null(column)?,
                Operation::CreateConstraint(constraint) => self.constraint_steps(constraint)?,
                Operation::Sql(sql) => self.sql(sql)?,
                other => {
                    return Err(Fault::invalid(format!(
                        "restore cannot carry {}",
                        other.kind()
                    )));
                }
            }
        }
        if op.fill.is_some() {
            self.push(ddl(
                Phase::Contract,
                &key,
                Lock::AccessExclusive,
                drop_sync_trigger(&key, "", column),
            ));
        }
        Ok(())
    }

    pub fn set_not_null(&mut self, op: &ColumnOf) -> Result<()> {
        let (key, table) = self.table(&op.table)?;
        let physical = self.physical(&key, &op.column);
        let column = self.column(&key, &table, &physical)?;
        if column.not_null {
            return Ok(());
        }
        let phase = if table.fresh {
            self.now()
        } else {
            Phase::Migrate
        };
        self.plan.inverse.push(Operation::DropNotNull(op.clone()));
        if table.fresh || table.empty || proven(&table, &physical) {
            let step = ddl(
                phase,
                &key,
                Lock::AccessExclusive,
                format!(
                    "ALTER TABLE {key} ALTER COLUMN {} SET NOT NULL",
                    ident(&physical)
                ),
            );
            self.push(step.undo(format!(
                "ALTER TABLE {key} ALTER COLUMN {} DROP NOT NULL",
                ident(&physical)
            )));
        } else {
            self.not_null_steps(phase, &key, &physical)?;
        }
        self.change(&key, |table| {
            if let Some(column) = table.columns.iter_mut().find(|c| c.name == physical) {
                column.not_null = true;
            }
        });
        Ok(())
    }

    /// CHECK NOT VALID → VALIDATE → SET NOT NULL, proven by the CHECK and so without a scan.
    pub fn not_null_steps(&mut self, phase: Phase, key: &str, column: &str) -> Result<()> {
        let (key, table) = self.table(key)?;
        let check = ident(&name_with_suffix(
            &format!("{}_{column}", table.name),
            "_pgm_not_null",
        ));
        let name = ident(column);
        self.push(
            ddl(
                phase,
                &key,
                Lock::AccessExclusive,
                format!(
                    "ALTER TABLE {key} ADD CONSTRAINT {check} CHECK ({name} IS NOT NULL) NOT VALID"
                ),
            )
            .undo(format!(
                "ALTER TABLE {key} DROP CONSTRAINT IF EXISTS {check}"
            )),
        );
        self.push(validate(
            phase,
            &key,
            format!("ALTER TABLE {key} VALIDATE CONSTRAINT {check}"),
        ));
        self.push(
            ddl(
                phase,
                &key,
                Lock::AccessExclusive,
                format!("ALTER TABLE {key} ALTER COLUMN {name} SET NOT NULL;\nALTER TABLE {key} DROP CONSTRAINT {check}"),
            )
            .undo(format!("ALTER TABLE {key} ALTER COLUMN {name} DROP NOT NULL")),
        );
        Ok(())
    }

    pub fn drop_not_null(&mut self, op: &ColumnOf) -> Result<()> {
        let (key, table) = self.table(&op.table)?;
        let column = self.physical(&key, &op.column);
        if !self.column(&key, &table, &column)?.not_null && !table.fresh {
            return Ok(());
        }
        let name = ident(&column);
        self.plan.inverse.push(Operation::SetNotNull(op.clone()));
        let phase = self.now();
        self.push(
            ddl(
                phase,
                &key,
                Lock::AccessExclusive,
                format!("ALTER TABLE {key} ALTER COLUMN {name} DROP NOT NULL"),
            )
            .undo(format!(
                "ALTER TABLE {key} ALTER COLUMN {name} SET NOT NULL"
            )),
        );
        self.change(&key, |table| {
            if let Some(found) = table.columns.iter_mut().find(|c| c.name == column) {
                found.not_null = false;
            }
        });
        Ok(())
    }

    pub fn touch_column(&mut self, op: &ColumnOf) -> Result<()> {
        let (key, table) = self.table(&op.table)?;
        self.column(&key, &table, &op.column)?;
        let trigger = ident(&name_with_suffix(
            &format!("~pg_migrate_touch_{}", op.column),
            "",
        ));
        self.plan.inverse.push(Operation::UntouchColumn(op.clone()));
        let phase = self.now();
        self.push(
            ddl(
                phase,
                &key,
                Lock::ShareRowExclusive,
                format!(
                    "CREATE TRIGGER {trigger} BEFORE UPDATE ON {key} FOR EACH ROW EXECUTE FUNCTION migrate.touch_column({})",
                    literal(&op.column)
                ),
            )
            .undo(format!("DROP TRIGGER IF EXISTS {trigger} ON {key}")),
        );
        Ok(())
    }

    pub fn untouch_column(&mut self, op: &ColumnOf) -> Result<()> {
        let (key, _) = self.table(&op.table)?;
        let trigger = ident(&name_with_suffix(
            &format!("~pg_migrate_touch_{}", op.column),
            "",
        ));
        let phase = self.now();
        self.push(ddl(
            phase,
            &key,
            Lock::AccessExclusive,
            format!("DROP TRIGGER IF EXISTS {trigger} ON {key}"),
        ));
        self.plan.inverse.push(Operation::TouchColumn(op.clone()));
        Ok(())
    }
}

/// A validated CHECK proves that the column holds no null.
fn proven(table: &Table, column: &str) -> bool {
    let wanted = format!("CHECK (({} IS NOT NULL))", ident(column));
    table
        .constraints
        .iter()
        .any(|c| c.kind == "c" && c.validated && c.definition == wanted)
}

fn restoration(
    key: &str,
    column: &facts::Column,
    fill: Option<String>,
    indexes: &[facts::Index],
    constraints: &[facts::Constraint],
) -> Restore {
    let name = ident(&column.name);
    let mut attributes = Vec::new();
    if let Some(default) = &column.default {
        attributes.push(format!(
            "ALTER TABLE {key} ALTER COLUMN {name} SET DEFAULT {default}"
        ));
    }
    let mut operations: Vec<Operation> = Vec::new();
    if column.not_null && column.identity.is_none() {
        operations.push(Operation::SetNotNull(ColumnOf {
            table: key.to_owned(),
            column: column.name.clone(),
        }));
    }
    for index in indexes {
        operations.push(Operation::CreateIndex(CreateIndex {
            name: index.name.clone(),
            table: key.to_owned(),
            unique: index.unique,
            definition: Some(index.definition.clone()),
            ..CreateIndex::default()
        }));
    }
    for constraint in constraints {
        operations.push(Operation::CreateConstraint(clause_of(key, constraint)));
    }
    Restore {
        table: key.to_owned(),
        column: Some(column.name.clone()),
        attributes,
        operations,
        fill,
    }
}
