//! add_column of serial and identity columns on tables with rows: PostgreSQL would rewrite the
//! table to give each row a number. Here the rows are numbered by a backfill, and the column ends
//! as the plain statement leaves it.

use super::added;
use crate::document::model::{AddColumn, Column, DropColumn, Identity, Operation};
use crate::fault::{Fault, Result, state};
use crate::recipe::column::backfill_step;
use crate::recipe::facts::{self, Table};
use crate::recipe::names;
use crate::recipe::plan::{Planner, ddl};
use crate::recipe::quote::{ident, literal, qualified};
use crate::recipe::step::{Lock, Phase};
use serde_json::json;

/// The integer type that a serial type stands for.
fn integer_of(data_type: &str) -> Option<&'static str> {
    match data_type.to_lowercase().as_str() {
        "serial" | "serial4" => Some("integer"),
        "bigserial" | "serial8" => Some("bigint"),
        "smallserial" | "serial2" => Some("smallint"),
        _ => None,
    }
}

fn identity(column: &Column) -> Option<&Identity> {
    column.generated.as_ref()?.identity.as_ref()
}

/// Whether the column takes its values from a sequence of its own.
pub fn is_counted(column: &Column) -> bool {
    integer_of(&column.data_type).is_some() || identity(column).is_some()
}

impl Planner<'_> {
    /// Nullable, with a sequence as its default for new rows; numbered by a backfill; NOT NULL in
    /// steps; and for identity, the default is exchanged for it in one brief step. `first`: the name with
    /// which it is added.
    pub fn add_counted(
        &mut self,
        op: &AddColumn,
        first: &str,
        key: &str,
        table: &Table,
        undo: &str,
    ) -> Result<()> {
        let column = &op.column;
        if op.up.is_some() || column.default.is_some() {
            return Err(Fault::invalid(format!(
                "column \"{}\" takes its values from a sequence",
                column.name
            ))
            .hint("Leave up and default out, or add a plain integer column."));
        }
        let identity = identity(column);
        if identity.is_some() && table.kind == "p" {
            return Err(Fault::new(
                state::FEATURE_NOT_SUPPORTED,
                format!("an identity column cannot be added to partitioned table {key}"),
            )
            .detail("PostgreSQL has them on partitioned tables from version 17 on, and then only where no rows are yet.")
            .hint("Add a serial column."));
        }
        let data_type = match integer_of(&column.data_type) {
            Some(data_type) => data_type.to_owned(),
            None => self.facts.canonical_type(&column.data_type)?,
        };
        let options = identity
            .and_then(|identity| identity.sequence_options.clone())
            .unwrap_or_default();
        if options.to_uppercase().contains("SEQUENCE NAME") {
            return Err(Fault::new(
                state::FEATURE_NOT_SUPPORTED,
                "SEQUENCE NAME cannot be given for a column that is numbered online",
            )
            .hint("Leave it out, and rename the sequence afterwards."));
        }
        let bare = match identity {
            Some(_) => self.free_name(
                &table.schema,
                &format!("{}_{first}_seq", table.name),
                "_pgm_new",
            )?,
            None => self.sequence_name(table, first)?,
        };
        let sequence = qualified(&table.schema, &bare);
        self.objects.makes(sequence.clone());
        let name = ident(&column.name);
        let next = format!("pg_catalog.nextval({}::regclass)", literal(&sequence));
        let unlogged = if table.unlogged { "UNLOGGED " } else { "" };
        let mut sql = vec![
            format!("CREATE {unlogged}SEQUENCE {sequence} AS {data_type} {options}")
                .trim_end()
                .to_owned(),
            added(
                key,
                &format!("{} {data_type}", ident(first)),
                first,
                &column.name,
            ),
            format!("ALTER TABLE {key} ALTER COLUMN {name} SET DEFAULT {next}"),
            format!("ALTER SEQUENCE {sequence} OWNER TO {}", table.owner),
        ];
        let mut back = vec![undo.to_owned()];
        match identity {
            None => sql.push(format!("ALTER SEQUENCE {sequence} OWNED BY {key}.{name}")),
            Some(_) => back.push(format!("DROP SEQUENCE IF EXISTS {sequence}")),
        }
        self.push(
            ddl(Phase::Expand, key, Lock::AccessExclusive, sql.join(";\n")).undo(back.join(";\n")),
        );
        self.comment(key, column);
        self.change(key, |table| {
            table.columns.push(facts::Column {
                name: column.name.clone(),
                data_type,
                default: Some(next.clone()),
                ..facts::Column::default()
            });
        });
        self.push(backfill_step(
            key,
            json!({ column.name.as_str(): next }),
            Some(&format!("{name} IS NULL")),
            json!(null),
        ));
        self.not_null_steps(Phase::Migrate, key, &column.name, None)?;
        self.change_column(key, &column.name, |column| column.not_null = true);
        if let Some(identity) = identity {
            let when = identity
                .user_specified_values
                .as_deref()
                .unwrap_or("ALWAYS")
                .to_uppercase();
            let mut given = options.clone();
            if first != column.name {
                // PostgreSQL would name it after the name the column has by then.
                let sequence = qualified(&table.schema, &self.sequence_name(table, first)?);
                given = format!("SEQUENCE NAME {sequence} {given}");
            }
            if !given.is_empty() {
                given = format!(" ({})", given.trim_end());
            }
            let sql = [
                format!("ALTER TABLE {key} ALTER COLUMN {name} DROP DEFAULT"),
                format!(
                    "ALTER TABLE {key} ALTER COLUMN {name} ADD GENERATED {when} AS IDENTITY{given}"
                ),
                // Both still hold the numbers up to here.
                format!(
                    "SELECT pg_catalog.setval(pg_catalog.pg_get_serial_sequence({}, {}), last_value, is_called) FROM {sequence}",
                    literal(key),
                    literal(&column.name)
                ),
                format!("DROP SEQUENCE {sequence}"),
            ];
            self.push(
                ddl(Phase::Migrate, key, Lock::AccessExclusive, sql.join(";\n")).undo(format!(
                    "ALTER TABLE {key} ALTER COLUMN {name} DROP IDENTITY IF EXISTS"
                )),
            );
            self.change_column(key, &column.name, |column| {
                column.default = None;
                column.identity = Some(if when == "ALWAYS" { "a" } else { "d" }.to_owned());
            });
        }
        self.column_constraints(key, column, first)?;
        self.touch(key, &column.name);
        self.plan.inverse.push(Operation::DropColumn(DropColumn {
            table: key.to_owned(),
            column: column.name.clone(),
            down: None,
            immediately: false,
            if_exists: true,
        }));
        Ok(())
    }

    /// The name PostgreSQL gives to the sequence of a serial column.
    fn sequence_name(&self, table: &Table, column: &str) -> Result<String> {
        for pass in 0..1000 {
            let name = names::constraint(&table.name, &[column.to_owned()], "seq", pass);
            let taken = self.objects.is_made(&qualified(&table.schema, &name))
                || self.facts.relation_exists(&table.schema, &name)?;
            if !taken {
                return Ok(name);
            }
        }
        Err(Fault::internal(format!(
            "no free name for the sequence of \"{column}\""
        )))
    }

    /// A type whose values are checked one by one, which PostgreSQL does even where all are null.
    pub fn refuse_checked_domain(&self, key: &str, table: &Table, column: &Column) -> Result<()> {
        let Some((base, checks)) = self.facts.checked_domain(&column.data_type)? else {
            return Ok(());
        };
        Err(Fault::new(
            state::FEATURE_NOT_SUPPORTED,
            format!(
                "adding a column of domain {} would rewrite table {key}",
                column.data_type
            ),
        )
        .detail(format!(
            "PostgreSQL checks the domain's constraints for each of the {} rows, which it holds under ACCESS EXCLUSIVE for that long ({}). \
             A column of another type cannot become one of the domain later without the same rewrite.",
            table.row_count(), table.size()
        ))
        .hint(format!(
            "Add a column of type {base} and the domain's condition as a CHECK of the table ({checks}); or write the statement with -- migrate:as-written to accept the rewrite."
        )))
    }
}
