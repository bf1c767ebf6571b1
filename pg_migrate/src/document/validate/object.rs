//! Operations on objects other than tables, and merge_columns.

use super::{Place, column};
use crate::document::model::{
    CreateFunction, CreateTrigger, CreateType, CreateView, MergeColumns, Operation, Privileges,
    Reindex,
};
use crate::fault::Result;
use std::collections::HashSet;

pub fn object(place: &Place, operation: &Operation) -> Result<()> {
    match operation {
        Operation::AddEnumValue(op) => {
            place.sql_name("type", &op.data_type)?;
            label(place, "value", &op.value)?;
            if op.before.is_some() && op.after.is_some() {
                return Err(place
                    .wrong("before and after are both given")
                    .hint("Give one of them, or none to add the value at the end."));
            }
            Ok(())
        }
        Operation::RenameEnumValue(op) => {
            place.sql_name("type", &op.data_type)?;
            label(place, "to", &op.to)?;
            place.renamed("value", &op.from, &op.to)
        }
        Operation::SetSchema(op) => {
            place.word("kind", Some(&op.kind), &["table", "type", "function"])?;
            if op.kind != "function" {
                place.sql_name("name", &op.name)?;
            }
            place.name("schema", &op.schema)
        }
        Operation::CreateView(op) => view(place, op),
        Operation::ReplaceView(op) => view(place, op),
        Operation::DropView(op) => place.sql_name("name", &op.name),
        Operation::CreateMaterializedView(op) => {
            place.sql_name("name", &op.name)?;
            place.names("columns", &op.columns)?;
            place.text("definition", Some(&op.definition))
        }
        Operation::RefreshMaterializedView(op) => place.sql_name("name", &op.name),
        Operation::CreateType(op) => create_type(place, op),
        Operation::CreateFunction(op) => function(place, op),
        Operation::CreateTrigger(op) => trigger(place, op),
        Operation::DropTrigger(op) => {
            place.name("name", &op.name)?;
            place.sql_name("table", &op.table)
        }
        Operation::Grant(op) | Operation::Revoke(op) => privileges(place, op),
        Operation::Reindex(op) => reindex(place, op),
        Operation::MergeColumns(op) => merge(place, op),
        _ => Ok(()),
    }
}

fn label(place: &Place, field: &str, label: &str) -> Result<()> {
    match label.len() {
        1..=63 => Ok(()),
        _ => Err(place
            .field(field)
            .wrong("a value of an enum has 1 to 63 bytes")),
    }
}

fn view(place: &Place, op: &CreateView) -> Result<()> {
    place.sql_name("name", &op.name)?;
    place.names("columns", &op.columns)?;
    place.text("definition", Some(&op.definition))
}

fn create_type(place: &Place, op: &CreateType) -> Result<()> {
    place.sql_name("name", &op.name)?;
    let given = [
        op.labels.is_some(),
        op.composite.is_some(),
        op.domain.is_some(),
        op.range.is_some(),
    ];
    if given.iter().filter(|given| **given).count() != 1 {
        return Err(place
            .wrong("a type is exactly one of enum, composite, domain and range")
            .hint(
                "Write {\"create_type\": {\"name\": \"mood\", \"enum\": [\"sad\", \"glad\"]}}.",
            ));
    }
    for value in op.labels.iter().flatten() {
        label(place, "enum", value)?;
    }
    for (number, attribute) in op.composite.iter().flatten().enumerate() {
        let place = place.item("composite", number);
        place.name("name", &attribute.name)?;
        place.text("type", Some(&attribute.data_type))?;
    }
    if let Some(domain) = &op.domain {
        let place = place.field("domain");
        place.text("type", Some(&domain.data_type))?;
        for (number, check) in domain.checks.iter().enumerate() {
            let place = place.item("checks", number);
            place.name("name", &check.name)?;
            place.text("constraint", Some(&check.constraint))?;
        }
    }
    match &op.range {
        Some(range) => place.field("range").text("subtype", Some(&range.subtype)),
        None => Ok(()),
    }
}

fn function(place: &Place, op: &CreateFunction) -> Result<()> {
    place.sql_name("name", &op.name)?;
    place.word("kind", op.kind.as_deref(), &["function", "procedure"])?;
    if op.definition.is_some() {
        return place.text("definition", op.definition.as_deref());
    }
    for (field, text) in [("language", &op.language), ("body", &op.body)] {
        if text.is_none() {
            return Err(place.wrong(format!("field \"{field}\" is missing")).hint(
                "Give language and body, or definition: the whole CREATE FUNCTION statement.",
            ));
        }
        place.text(field, text.as_deref())?;
    }
    let procedure = op
        .kind
        .as_deref()
        .is_some_and(|kind| kind.eq_ignore_ascii_case("procedure"));
    if procedure == op.returns.is_some() {
        return Err(place.wrong(if procedure {
            "a procedure returns nothing"
        } else {
            "a function needs returns"
        }));
    }
    Ok(())
}

fn trigger(place: &Place, op: &CreateTrigger) -> Result<()> {
    place.name("name", &op.name)?;
    place.sql_name("table", &op.table)?;
    if op.definition.is_some() {
        return place.text("definition", op.definition.as_deref());
    }
    place.text("events", Some(&op.events))?;
    place.text("action", Some(&op.action))
}

fn privileges(place: &Place, op: &Privileges) -> Result<()> {
    const KINDS: [&str; 8] = [
        "table",
        "sequence",
        "function",
        "procedure",
        "routine",
        "schema",
        "type",
        "domain",
    ];
    place.word("kind", Some(&op.kind), &KINDS)?;
    place.names("columns", &op.columns)?;
    for (field, empty) in [
        ("privileges", op.privileges.is_empty()),
        ("on", op.on.is_empty()),
        ("roles", op.roles.is_empty()),
    ] {
        if empty {
            return Err(place.field(field).wrong(format!("{field} is empty")));
        }
    }
    let word = |text: &String| text.chars().all(|c| c.is_ascii_alphabetic() || c == ' ');
    if let Some(wrong) = op.privileges.iter().find(|text| !word(text)) {
        return Err(place
            .field("privileges")
            .wrong(format!("\"{wrong}\" is not a privilege"))
            .hint("Write [\"SELECT\", \"INSERT\"] or [\"ALL\"]; columns go into columns."));
    }
    if !op.columns.is_empty() && !op.kind.eq_ignore_ascii_case("table") {
        return Err(place.wrong("only tables have columns"));
    }
    Ok(())
}

fn reindex(place: &Place, op: &Reindex) -> Result<()> {
    match (&op.index, &op.table) {
        (Some(index), None) => place.sql_name("index", index),
        (None, Some(table)) => place.sql_name("table", table),
        _ => Err(place.wrong("reindex needs exactly one of index and table")),
    }
}

fn merge(place: &Place, op: &MergeColumns) -> Result<()> {
    place.sql_name("table", &op.table)?;
    column(&place.field("into"), &op.into)?;
    place.text("up", Some(&op.up))?;
    if op.columns.len() < 2 || op.columns.len() > 16 {
        return Err(place
            .field("columns")
            .wrong("2 to 16 columns can be merged"));
    }
    if op.into.pk || op.into.generated.is_some() {
        return Err(place
            .field("into")
            .wrong("the new column takes its value from up: it can be neither pk nor generated"));
    }
    let mut seen = HashSet::new();
    for (number, one) in op.columns.iter().enumerate() {
        let place = place.item("columns", number);
        place.name("column", &one.column)?;
        place.text("down", Some(&one.down))?;
        if !seen.insert(&one.column) || one.column == op.into.name {
            return Err(place.wrong(format!("column \"{}\" is named twice", one.column)));
        }
    }
    Ok(())
}
