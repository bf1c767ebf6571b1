//! create_table, drop_table, rename_table, restore of a table, sql as written.

use crate::document::model::{
    Check, Column, CreateTable, DropTable, Generated, Operation, References, RenameTable, Restore,
    Sql, TableConstraint, TableReferences,
};
use crate::fault::{Fault, Result, state};
use crate::recipe::constraint::clause_of;
use crate::recipe::facts::{self, Table};
use crate::recipe::plan::{Planner, concurrent, ddl, unlocked};
use crate::recipe::quote::{ident, idents, literal, qualified};
use crate::recipe::step::{Kind, Lock, Phase, Step};

/// ` ON DELETE … ON UPDATE …`.
pub fn referential_actions(on_delete: Option<&str>, on_update: Option<&str>) -> String {
    let mut text = String::new();
    if let Some(action) = on_delete {
        text.push_str(&format!(" ON DELETE {}", action.to_uppercase()));
    }
    if let Some(action) = on_update {
        text.push_str(&format!(" ON UPDATE {}", action.to_uppercase()));
    }
    text
}

pub fn deferral(deferrable: bool, deferred: bool) -> &'static str {
    match (deferrable, deferred) {
        (_, true) => " DEFERRABLE INITIALLY DEFERRED",
        (true, false) => " DEFERRABLE",
        _ => "",
    }
}

pub fn foreign_key(columns: &[String], references: &TableReferences) -> String {
    let target = if references.columns.is_empty() {
        String::new()
    } else {
        format!(" ({})", idents(&references.columns))
    };
    format!(
        "FOREIGN KEY ({}) REFERENCES {}{target}{}",
        idents(columns),
        references.table,
        referential_actions(
            references.on_delete.as_deref(),
            references.on_update.as_deref()
        )
    )
}

impl From<&References> for TableReferences {
    fn from(one: &References) -> Self {
        TableReferences {
            table: one.table.clone(),
            columns: vec![one.column.clone()],
            on_delete: one.on_delete.clone(),
            on_update: one.on_update.clone(),
        }
    }
}

pub fn check_clause(check: &Check) -> String {
    format!(
        "CONSTRAINT {} CHECK ({})",
        ident(&check.name),
        check.constraint
    )
}

fn generated_clause(generated: &Generated) -> Result<String> {
    if let Some(expression) = &generated.expression {
        return Ok(format!(" GENERATED ALWAYS AS ({expression}) STORED"));
    }
    let Some(identity) = &generated.identity else {
        return Err(Fault::invalid("generated needs expression or identity"));
    };
    let options = identity
        .sequence_options
        .as_ref()
        .map(|options| format!(" ({options})"))
        .unwrap_or_default();
    let when = identity
        .user_specified_values
        .as_deref()
        .unwrap_or("BY DEFAULT")
        .to_uppercase();
    Ok(format!(" GENERATED {when} AS IDENTITY{options}"))
}

/// A column as it stands in CREATE TABLE or, on a table without rows, ADD COLUMN.
pub fn column_clause(column: &Column, inline_pk: bool) -> Result<String> {
    let mut sql = format!("{} {}", ident(&column.name), column.data_type);
    if let Some(generated) = &column.generated {
        sql.push_str(&generated_clause(generated)?);
    }
    if let Some(default) = &column.default {
        sql.push_str(&format!(" DEFAULT {default}"));
    }
    if !column.nullable {
        sql.push_str(" NOT NULL");
    }
    if column.pk && inline_pk {
        sql.push_str(" PRIMARY KEY");
    }
    if column.unique {
        sql.push_str(" UNIQUE");
    }
    if let Some(check) = &column.check {
        sql.push_str(&format!(" {}", check_clause(check)));
    }
    if let Some(references) = &column.references {
        sql.push_str(&format!(
            " CONSTRAINT {} REFERENCES {} ({}){}",
            ident(&references.name),
            references.table,
            ident(&references.column),
            referential_actions(
                references.on_delete.as_deref(),
                references.on_update.as_deref()
            )
        ));
    }
    Ok(sql)
}

/// A table constraint's definition, after `CONSTRAINT name`.
pub fn constraint_clause(constraint: &TableConstraint) -> Result<String> {
    let nulls = if constraint.nulls_not_distinct {
        " NULLS NOT DISTINCT"
    } else {
        ""
    };
    let body = match constraint.kind.as_str() {
        "unique" => format!("UNIQUE{nulls} ({})", idents(&constraint.columns)),
        "primary_key" => format!("PRIMARY KEY ({})", idents(&constraint.columns)),
        "check" => format!(
            "CHECK ({})",
            constraint.check.as_deref().unwrap_or_default()
        ),
        "foreign_key" => match &constraint.references {
            Some(references) => foreign_key(&constraint.columns, references),
            None => return Err(Fault::invalid("a foreign key needs references")),
        },
        other => {
            return Err(Fault::new(
                state::FEATURE_NOT_SUPPORTED,
                format!("constraint type \"{other}\" is not supported here"),
            )
            .hint("Write it as SQL: {\"sql\": {\"up\": \"ALTER TABLE … ADD CONSTRAINT …\"}}."));
        }
    };
    Ok(format!(
        "{body}{}",
        deferral(constraint.deferrable, constraint.initially_deferred)
    ))
}

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
        Ok(())
    }

    pub fn rename_table(&mut self, op: &RenameTable) -> Result<()> {
        let (key, table) = self.table(&op.from)?;
        let (_, to) = self.facts.landing(&op.to)?;
        let new_key = qualified(&table.schema, &to);
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

    pub fn sql(&mut self, op: &Sql) -> Result<()> {
        let phase = if op.on_complete {
            Phase::Contract
        } else {
            self.now()
        };
        let mut step: Step = if op.no_transaction {
            Step {
                kind: Kind::Concurrent,
                ..unlocked(
                    if phase == Phase::Expand {
                        Phase::Migrate
                    } else {
                        phase
                    },
                    &op.up,
                )
            }
        } else {
            unlocked(phase, &op.up)
        };
        for name in &op.drops {
            let (schema, name) = self.facts.landing(name)?;
            self.gone.insert(qualified(&schema, &name));
        }
        let invents = op.creates.as_ref();
        let down = match (&op.down, invents) {
            (Some(down), _) => Some(down.clone()),
            // IF NOT EXISTS: what was there before is not taken away.
            (None, Some(made)) if made.kind == "table" && self.has_table(&made.name)? => None,
            (None, Some(made)) if made.kind == "table" => {
                let (schema, name) = self.facts.landing(&made.name)?;
                let key = qualified(&schema, &name);
                self.remember(
                    key.clone(),
                    Table {
                        schema,
                        name,
                        kind: "r".into(),
                        empty: true,
                        fresh: true,
                        ..Table::default()
                    },
                );
                Some(set_aside_table(&key, self.revision))
            }
            (None, Some(made)) => Some(format!(
                "DROP {} {}",
                made.kind.replace('_', " ").to_uppercase(),
                made.name
            )),
            (None, None) => None,
        };
        match down {
            Some(down) => {
                step = step.undo(down.clone());
                let drops = match &op.creates {
                    Some(made) if made.kind.ends_with("view") && op.down.is_none() => {
                        vec![made.name.clone()]
                    }
                    _ => Vec::new(),
                };
                self.plan.inverse.push(Operation::Sql(Sql {
                    up: down,
                    drops,
                    ..Sql::default()
                }));
            }
            None => {
                let first = op.up.lines().next().unwrap_or_default();
                self.irreversible(format!("no way back is given for: {first}"));
                step = step.warn("as written; give down to be able to take it back");
            }
        }
        self.push(step);
        Ok(())
    }
}

/// A concurrent drop, and how the index comes back.
pub fn drop_index_concurrently(phase: Phase, table: &str, index: &str) -> Step {
    concurrent(
        phase,
        table,
        None,
        format!("DROP INDEX CONCURRENTLY {index}"),
    )
}
