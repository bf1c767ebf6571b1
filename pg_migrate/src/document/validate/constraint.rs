//! Constraints: of a column, of a new table, and by themselves.

use super::Place;
use crate::document::model::{
    Check, CreateConstraint, References, TableConstraint, TableReferences,
};
use crate::document::text::did_you_mean;
use crate::fault::Result;

const ACTIONS: [&str; 5] = [
    "NO ACTION",
    "RESTRICT",
    "CASCADE",
    "SET NULL",
    "SET DEFAULT",
];

pub(super) fn column_check(place: &Place, check: &Check) -> Result<()> {
    place.name("name", &check.name)?;
    place.text("constraint", Some(&check.constraint))
}

pub(super) fn references(place: &Place, references: &References) -> Result<()> {
    place.name("name", &references.name)?;
    place.sql_name("table", &references.table)?;
    place.name("column", &references.column)?;
    place.word("on_delete", references.on_delete.as_deref(), &ACTIONS)?;
    place.word("on_update", references.on_update.as_deref(), &ACTIONS)
}

/// What the two spellings of a table's constraint have in common.
pub(super) struct Parts<'a> {
    kind: &'a str,
    columns: &'a [String],
    check: Option<&'a str>,
    references: Option<&'a TableReferences>,
    nulls_not_distinct: bool,
    deferrable: bool,
    initially_deferred: bool,
    definition: Option<&'a str>,
}

impl<'a> Parts<'a> {
    pub(super) fn of_table(of: &'a TableConstraint) -> Self {
        Parts {
            kind: &of.kind,
            columns: &of.columns,
            check: of.check.as_deref(),
            references: of.references.as_ref(),
            nulls_not_distinct: of.nulls_not_distinct,
            deferrable: of.deferrable,
            initially_deferred: of.initially_deferred,
            definition: None,
        }
    }
}

pub(super) fn create_constraint(place: &Place, op: &CreateConstraint) -> Result<()> {
    place.sql_name("table", &op.table)?;
    place.name("name", &op.name)?;
    place.text("definition", op.definition.as_deref())?;
    constraint(
        place,
        &Parts {
            kind: &op.kind,
            columns: &op.columns,
            check: op.check.as_deref(),
            references: op.references.as_ref(),
            nulls_not_distinct: op.nulls_not_distinct,
            deferrable: op.deferrable,
            initially_deferred: op.initially_deferred,
            definition: op.definition.as_deref(),
        },
    )
}

const KINDS: [&str; 5] = ["unique", "check", "primary_key", "foreign_key", "exclude"];

pub(super) fn constraint(place: &Place, parts: &Parts) -> Result<()> {
    if !KINDS.contains(&parts.kind) {
        let message = format!("there is no constraint of type \"{}\"", parts.kind);
        return Err(place
            .field("type")
            .wrong(message)
            .hint(did_you_mean(parts.kind, &KINDS)));
    }
    let kind = parts.kind;
    place.names("columns", parts.columns)?;
    place.text("check", parts.check)?;
    let belongs = |field: &str, given: bool, to: &[&str]| {
        if given && !to.contains(&kind) {
            return Err(place
                .field(field)
                .wrong(format!("a constraint of type \"{kind}\" has no {field}")));
        }
        Ok(())
    };
    belongs("check", parts.check.is_some(), &["check"])?;
    belongs("references", parts.references.is_some(), &["foreign_key"])?;
    belongs("nulls_not_distinct", parts.nulls_not_distinct, &["unique"])?;
    let deferred = parts.deferrable || parts.initially_deferred;
    belongs(
        "deferrable",
        deferred,
        &["unique", "primary_key", "foreign_key", "exclude"],
    )?;
    if parts.definition.is_some() && (!indexed(kind) || !parts.columns.is_empty()) {
        return Ok(());
    }
    deferral(place, parts.deferrable, parts.initially_deferred)?;
    let missing =
        |field: &str| place.wrong(format!("a constraint of type \"{kind}\" needs {field}"));
    match (kind, parts.check, parts.references) {
        ("unique" | "primary_key", ..) if parts.columns.is_empty() => Err(missing("columns")),
        ("check", None, _) => Err(missing("check")),
        ("foreign_key", _, None) => Err(missing("references")),
        ("foreign_key", _, Some(references)) => foreign_key(place, parts.columns, references),
        ("exclude", ..) => Err(missing("definition")
            .hint("Write \"definition\": \"EXCLUDE USING gist (room WITH =, during WITH &&)\".")),
        _ => Ok(()),
    }
}

/// Whether the constraint stands on an index that is built first, and so needs its columns.
fn indexed(kind: &str) -> bool {
    matches!(kind, "unique" | "primary_key")
}

pub(super) fn deferral(place: &Place, deferrable: bool, initially_deferred: bool) -> Result<()> {
    if initially_deferred && !deferrable {
        return Err(place
            .field("initially_deferred")
            .wrong("a constraint that is initially deferred must be deferrable")
            .hint("Write \"deferrable\": true with it."));
    }
    Ok(())
}

pub(super) fn foreign_key(place: &Place, columns: &[String], to: &TableReferences) -> Result<()> {
    place.names("columns", columns)?;
    if columns.is_empty() {
        return Err(place.field("columns").wrong("a foreign key needs columns"));
    }
    let target = place.field("references");
    target.sql_name("table", &to.table)?;
    target.names("columns", &to.columns)?;
    target.word("on_delete", to.on_delete.as_deref(), &ACTIONS)?;
    target.word("on_update", to.on_update.as_deref(), &ACTIONS)?;
    // Without columns the primary key is meant.
    if !to.columns.is_empty() && to.columns.len() != columns.len() {
        return Err(target
            .field("columns")
            .wrong("a foreign key has as many columns as it references")
            .detail(format!(
                "At {}.columns: {} and {}.",
                target.0,
                columns.len(),
                to.columns.len()
            )));
    }
    Ok(())
}
