//! CREATE TABLE and ALTER TABLE as operations.

use super::{no_cascade, sql, written};
use crate::document::model::{
    AddColumn, AddForeignKey, AlterColumn, AttachPartition, Check, Column, ColumnOf,
    CreateConstraint, DetachPartition, DropColumn, DropConstraint, Generated, Identity, Operation,
    References, Sql, TableReferences,
};
use crate::fault::Result;
use crate::pg::parser::tree::{
    self, AlterTable, Command, CommandKind, Constraint, ConstraintKind, CreateTable, Name,
    Statement,
};
use crate::recipe::names;
use crate::recipe::quote::ident;
use crate::recipe::written::label;

/// As written, but for its foreign keys to other tables, which lock those.
pub fn create(statement: &Statement, table: &CreateTable) -> Result<Option<Vec<Operation>>> {
    if let Some((parent, bounds)) = &table.partition_of {
        return Ok(Some(vec![Operation::CreatePartition(AttachPartition {
            table: sql(parent),
            partition: sql(&table.name),
            bounds: bounds.clone(),
        })]));
    }
    let Some(rest) = &table.without_foreign_keys else {
        return Ok(None);
    };
    let mut made = written(statement, true);
    if let Some(Operation::Sql(sql)) = made.first_mut() {
        sql.up.clone_from(rest);
    }
    let mut taken = Vec::new();
    for key in &table.foreign_keys {
        let name = free_name(&table.name, key, &mut taken);
        made.push(constraint(&table.name, key, name)?);
    }
    Ok(Some(made))
}

/// One operation per command, in order. `None`: as written.
pub fn alter(change: &AlterTable, immediately: bool) -> Result<Option<Vec<Operation>>> {
    let mut made: Vec<Operation> = Vec::new();
    let mut walk = Walk {
        table: &change.table.name,
        immediately,
        taken: Vec::new(),
        retyped: change
            .commands
            .iter()
            .filter_map(|command| match &command.kind {
                CommandKind::SetType { column, .. } => Some(column.as_str()),
                _ => None,
            })
            .collect(),
    };
    for command in &change.commands {
        for operation in walk.operations(command)? {
            if !merge(&mut made, &operation) {
                made.push(operation);
            }
        }
    }
    Ok(Some(made))
}

/// On the way through the commands of one statement.
struct Walk<'a> {
    table: &'a Name,
    immediately: bool,
    /// Names of constraints given so far.
    taken: Vec<String>,
    /// Columns whose type the statement changes.
    retyped: Vec<&'a str>,
}

impl Walk<'_> {
    fn operations(&mut self, command: &Command) -> Result<Vec<Operation>> {
        let table = self.table;
        let one = match &command.kind {
            CommandKind::AddColumn {
                column,
                if_not_exists,
            } => return self.add_column(command, column, *if_not_exists),
            CommandKind::DropColumn { cascade: true, .. } => return Err(no_cascade("DROP COLUMN")),
            CommandKind::DropColumn {
                column, if_exists, ..
            } => Operation::DropColumn(DropColumn {
                table: sql(table),
                column: column.clone(),
                down: None,
                immediately: self.immediately,
                if_exists: *if_exists,
            }),
            CommandKind::SetType {
                column,
                data_type,
                using,
            } => Operation::AlterColumn(AlterColumn {
                table: sql(table),
                column: column.clone(),
                data_type: Some(data_type.clone()),
                up: using.clone(),
                ..AlterColumn::default()
            }),
            CommandKind::SetDefault { column, default } => Operation::AlterColumn(AlterColumn {
                table: sql(table),
                column: column.clone(),
                default: Some(default.clone()),
                ..AlterColumn::default()
            }),
            CommandKind::SetNotNull(column) => self.nullable(column, false),
            CommandKind::DropNotNull(column) => self.nullable(column, true),
            CommandKind::AddConstraint(added) if added.using_index => as_written(table, command),
            CommandKind::AddConstraint(added) => {
                let name = free_name(table, added, &mut self.taken);
                if added.not_valid {
                    not_valid(table, added, &name)
                } else {
                    constraint(table, added, name)?
                }
            }
            CommandKind::DropConstraint { cascade: true, .. } => {
                return Err(no_cascade("DROP CONSTRAINT"));
            }
            CommandKind::DropConstraint {
                name, if_exists, ..
            } => Operation::DropConstraint(DropConstraint {
                table: sql(table),
                name: name.clone(),
                if_exists: *if_exists,
                ..DropConstraint::default()
            }),
            CommandKind::AttachPartition { partition, bounds } => {
                Operation::AttachPartition(AttachPartition {
                    table: sql(table),
                    partition: sql(partition),
                    bounds: bounds.clone(),
                })
            }
            CommandKind::DetachPartition(partition) => {
                Operation::DetachPartition(DetachPartition {
                    table: sql(table),
                    partition: sql(partition),
                })
            }
            CommandKind::ValidateConstraint | CommandKind::Other => as_written(table, command),
        };
        Ok(vec![one])
    }

    fn nullable(&self, column: &str, nullable: bool) -> Operation {
        let of = ColumnOf {
            table: sql(self.table),
            column: column.to_owned(),
        };
        match nullable {
            // Together with its type, for `merge`.
            _ if self.retyped.contains(&column) => Operation::AlterColumn(AlterColumn {
                table: of.table,
                column: of.column,
                nullable: Some(nullable),
                ..AlterColumn::default()
            }),
            true => Operation::DropNotNull(of),
            false => Operation::SetNotNull(of),
        }
    }

    fn add_column(
        &mut self,
        command: &Command,
        column: &tree::Column,
        if_not_exists: bool,
    ) -> Result<Vec<Operation>> {
        let table = self.table;
        if column.more {
            return Ok(vec![as_written(table, command)]);
        }
        let mut made = plain_column(column);
        let mut after = Vec::new();
        for added in &column.constraints {
            let name = free_name(table, added, &mut self.taken);
            if !inline(&mut made, added, &name) {
                after.push(constraint(table, added, name)?);
            }
        }
        let mut operations = vec![Operation::AddColumn(AddColumn {
            table: sql(table),
            column: made,
            up: None,
            if_not_exists,
        })];
        operations.extend(after);
        Ok(operations)
    }
}

/// The command as a statement of its own.
fn alone(table: &Name, command: &Command) -> String {
    format!("ALTER TABLE {} {}", sql(table), command.text)
}

fn as_written(table: &Name, command: &Command) -> Operation {
    Operation::Sql(Sql {
        up: alone(table, command),
        online: true,
        ..Sql::default()
    })
}

fn not_valid(table: &Name, added: &Constraint, name: &str) -> Operation {
    let (table, name) = (sql(table), ident(name));
    Operation::Sql(Sql {
        up: format!(
            "ALTER TABLE {table} ADD CONSTRAINT {name} {}",
            added.definition
        ),
        down: Some(format!("ALTER TABLE {table} DROP CONSTRAINT {name}")),
        ..Sql::default()
    })
}

/// Changes of one column in one statement are one operation, which the planner can carry out
/// together: `DROP DEFAULT, TYPE integer USING …, SET DEFAULT 0`.
fn merge(made: &mut [Operation], next: &Operation) -> bool {
    let Operation::AlterColumn(two) = next else {
        return false;
    };
    let same = made.iter_mut().find_map(|earlier| match earlier {
        Operation::AlterColumn(one) if one.column == two.column => Some(one),
        _ => None,
    });
    let Some(one) = same else { return false };
    if one.data_type.is_some() && two.data_type.is_some() {
        return false;
    }
    if two.data_type.is_some() {
        one.data_type.clone_from(&two.data_type);
        one.up.clone_from(&two.up);
    }
    if two.default.is_some() {
        one.default.clone_from(&two.default);
    }
    one.nullable = two.nullable.or(one.nullable);
    true
}

/// The constraint's own name, or the one PostgreSQL would give it; numbered where the statement
/// has used that already.
pub fn free_name(table: &Name, constraint: &Constraint, taken: &mut Vec<String>) -> String {
    let name = constraint.name.clone().unwrap_or_else(|| {
        let label = label(constraint.kind);
        let columns = [&constraint.columns[..], &constraint.including].concat();
        (0..)
            .map(|pass| names::constraint(&table.name, &columns, label, pass))
            .find(|name| !taken.contains(name))
            .unwrap_or_default()
    });
    taken.push(name.clone());
    name
}

fn references(found: &tree::References) -> TableReferences {
    TableReferences {
        table: sql(&found.table),
        columns: found.columns.clone(),
        on_delete: found.on_delete.map(str::to_owned),
        on_update: found.on_update.map(str::to_owned),
        ..TableReferences::default()
    }
}

/// A constraint on columns that exist.
fn constraint(table: &Name, added: &Constraint, name: String) -> Result<Operation> {
    let target = added.references.as_ref().map(references);
    if let (Some(references), false) = (&target, added.more) {
        return Ok(Operation::AddForeignKey(AddForeignKey {
            name,
            table: sql(table),
            columns: added.columns.clone(),
            references: references.clone(),
            deferrable: added.deferrable,
            initially_deferred: added.initially_deferred,
            index: false,
        }));
    }
    let kind = match added.kind {
        ConstraintKind::Check => "check",
        ConstraintKind::Unique => "unique",
        ConstraintKind::PrimaryKey => "primary_key",
        ConstraintKind::ForeignKey => "foreign_key",
        ConstraintKind::Exclude => "exclude",
    };
    let whole = added.more || added.kind == ConstraintKind::Exclude;
    let columns = match added.kind {
        ConstraintKind::Check => Vec::new(),
        _ => added.columns.clone(),
    };
    Ok(Operation::CreateConstraint(CreateConstraint {
        name,
        table: sql(table),
        kind: kind.to_owned(),
        columns,
        check: added.expression.clone().filter(|_| !whole),
        references: target,
        nulls_not_distinct: added.nulls_not_distinct,
        deferrable: added.deferrable,
        initially_deferred: added.initially_deferred,
        definition: whole.then(|| added.definition.clone()),
        ..CreateConstraint::default()
    }))
}

fn is_serial(data_type: &str) -> bool {
    matches!(
        data_type.to_lowercase().as_str(),
        "serial" | "bigserial" | "smallserial" | "serial2" | "serial4" | "serial8"
    )
}

/// The column without its constraints.
fn plain_column(column: &tree::Column) -> Column {
    let primary = column
        .constraints
        .iter()
        .any(|constraint| constraint.kind == ConstraintKind::PrimaryKey);
    let identity = column.identity.as_ref().map(|identity| Identity {
        user_specified_values: Some(
            if identity.always {
                "ALWAYS"
            } else {
                "BY DEFAULT"
            }
            .into(),
        ),
        sequence_options: identity.options.clone(),
    });
    Column {
        name: column.name.clone(),
        data_type: column.data_type.clone(),
        nullable: !column.not_null
            && !primary
            && identity.is_none()
            && !is_serial(&column.data_type),
        default: column.default.clone(),
        generated: (identity.is_some() || column.generated.is_some()).then(|| Generated {
            expression: column.generated.clone(),
            identity,
        }),
        ..Column::default()
    }
}

/// Says the constraint in the column's own fields, where they can hold all of it.
fn inline(column: &mut Column, added: &Constraint, name: &str) -> bool {
    if added.more || added.deferrable || added.nulls_not_distinct {
        return false;
    }
    match (added.kind, &added.expression, &added.references) {
        (ConstraintKind::Unique, ..) if added.name.is_none() => column.unique = true,
        (ConstraintKind::PrimaryKey, ..) if added.name.is_none() => column.pk = true,
        (ConstraintKind::Check, Some(expression), _) if column.check.is_none() => {
            column.check = Some(Check {
                name: name.to_owned(),
                constraint: expression.clone(),
                ..Check::default()
            });
        }
        (ConstraintKind::ForeignKey, _, Some(found))
            if column.references.is_none() && found.columns.len() == 1 =>
        {
            let whole = references(found);
            column.references = Some(References {
                name: name.to_owned(),
                table: whole.table,
                column: found.columns.concat(),
                on_delete: whole.on_delete,
                on_update: whole.on_update,
                ..References::default()
            });
        }
        _ => return false,
    }
    true
}
