//! Whether a table can become a partition of another: ATTACH asks for the same columns.

use crate::fault::{Fault, Result, state};
use crate::recipe::facts::Table;
use crate::recipe::quote::ident;

/// An error that names every column that is missing, of another kind or too much.
pub fn misfits(key: &str, table: &Table, part_key: &str, part: &Table) -> Result<()> {
    let mut wrong = Vec::new();
    let mut add = Vec::new();
    for column in &table.columns {
        let Some(own) = part.column(&column.name) else {
            wrong.push(format!("column \"{}\" is missing", column.name));
            add.push(format!(
                "ADD COLUMN {} {}",
                ident(&column.name),
                column.data_type
            ));
            continue;
        };
        if own.data_type != column.data_type {
            wrong.push(format!(
                "column \"{}\" is {}, not {}",
                column.name, own.data_type, column.data_type
            ));
        } else if own.collation != column.collation {
            wrong.push(format!(
                "column \"{}\" has collation {}, not {}",
                column.name,
                own.collation.as_deref().unwrap_or("default"),
                column.collation.as_deref().unwrap_or("default")
            ));
        } else if own.generated.is_some() != column.generated.is_some() {
            wrong.push(format!(
                "column \"{}\" is {}generated",
                column.name,
                if own.generated.is_some() { "" } else { "not " }
            ));
        }
    }
    for own in &part.columns {
        if table.column(&own.name).is_none() {
            wrong.push(format!("column \"{}\" is not in {key}", own.name));
        }
    }
    for constraint in table.constraints.iter().filter(|c| c.kind == "c") {
        let own = part
            .constraints
            .iter()
            .find(|own| own.name == constraint.name);
        if let Some(own) = own
            && own.definition != constraint.definition
        {
            wrong.push(format!(
                "constraint \"{}\" is {}, not {}",
                own.name, own.definition, constraint.definition
            ));
        }
    }
    if wrong.is_empty() {
        return Ok(());
    }
    let fault = Fault::new(
        state::DATATYPE_MISMATCH,
        format!("table {part_key} does not fit partitioned table {key}"),
    )
    .detail(wrong.join("; "));
    Err(match add.is_empty() {
        true => {
            fault.hint("Change it in an earlier migration, so that both have the same columns.")
        }
        false => fault.hint(format!("ALTER TABLE {part_key} {};", add.join(", "))),
    })
}
