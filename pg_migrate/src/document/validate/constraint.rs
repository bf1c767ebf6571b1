//! Constraints: of a column, of a new table, and by themselves.

use super::{Place, values};
use crate::document::model::{
    Check, CreateConstraint, Exclude, IndexParameters, References, TableConstraint, TableReferences,
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
    match_type(place, references.match_type.as_deref())?;
    place.word("on_delete", references.on_delete.as_deref(), &ACTIONS)?;
    place.word("on_update", references.on_update.as_deref(), &ACTIONS)?;
    deferral(place, references.deferrable, references.initially_deferred)
}

fn match_type(place: &Place, word: Option<&str>) -> Result<()> {
    if word.is_some_and(|word| word.eq_ignore_ascii_case("partial")) {
        return Err(place
            .field("match_type")
            .wrong("PostgreSQL does not have MATCH PARTIAL")
            .hint("Possible here: SIMPLE, FULL."));
    }
    place.word("match_type", word, &["SIMPLE", "FULL"])
}

/// What the two spellings of a table's constraint have in common.
pub(super) struct Parts<'a> {
    kind: &'a str,
    columns: &'a [String],
    check: Option<&'a str>,
    no_inherit: bool,
    references: Option<&'a TableReferences>,
    exclude: Option<&'a Exclude>,
    index_parameters: Option<&'a IndexParameters>,
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
            no_inherit: of.no_inherit,
            references: of.references.as_ref(),
            exclude: of.exclude.as_ref(),
            index_parameters: of.index_parameters.as_ref(),
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
    values(place, "up", &op.up, &op.columns)?;
    values(place, "down", &op.down, &op.columns)?;
    constraint(
        place,
        &Parts {
            kind: &op.kind,
            columns: &op.columns,
            check: op.check.as_deref(),
            no_inherit: op.no_inherit,
            references: op.references.as_ref(),
            exclude: op.exclude.as_ref(),
            index_parameters: op.index_parameters.as_ref(),
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
    belongs("no_inherit", parts.no_inherit, &["check"])?;
    belongs("exclude", parts.exclude.is_some(), &["exclude"])?;
    belongs(
        "index_parameters",
        parts.index_parameters.is_some(),
        &["unique", "primary_key", "exclude"],
    )?;
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
        ("exclude", ..) => exclusion(place, parts),
        _ => match parts.index_parameters {
            Some(parameters) => index_parameters(place, parameters),
            None => Ok(()),
        },
    }
}

fn exclusion(place: &Place, parts: &Parts) -> Result<()> {
    if let Some(column) = parts.columns.first() {
        return Err(place
            .field("columns")
            .wrong("an exclusion constraint has no columns")
            .hint(format!(
                "Write \"exclude\": {{\"elements\": \"{column} WITH =\"}}."
            )));
    }
    let example = "Write \"exclude\": {\"index_method\": \"gist\", \"elements\": \"room WITH =, during WITH &&\"}.";
    let Some(exclude) = parts.exclude else {
        return Err(place
            .wrong("a constraint of type \"exclude\" needs exclude")
            .hint(example));
    };
    let inner = place.field("exclude");
    if exclude
        .elements
        .as_deref()
        .is_none_or(|text| text.trim().is_empty())
    {
        return Err(inner
            .field("elements")
            .wrong("elements are missing")
            .hint(example));
    }
    if let Some(method) = &exclude.index_method {
        inner.name("index_method", method)?;
    }
    inner.text("predicate", exclude.predicate.as_deref())?;
    match parts.index_parameters {
        Some(parameters) => index_parameters(place, parameters),
        None => Ok(()),
    }
}

fn index_parameters(place: &Place, parameters: &IndexParameters) -> Result<()> {
    let place = place.field("index_parameters");
    if let Some(space) = &parameters.tablespace {
        place.name("tablespace", space)?;
    }
    place.text(
        "storage_parameters",
        parameters.storage_parameters.as_deref(),
    )?;
    place.names("include_columns", &parameters.include_columns)
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
    match_type(&target, to.match_type.as_deref())?;
    let set = |word: &str| {
        let set = ["SET NULL", "SET DEFAULT"];
        set.iter().any(|known| known.eq_ignore_ascii_case(word))
    };
    if !to.on_delete_set_columns.is_empty() && !to.on_delete.as_deref().is_some_and(set) {
        return Err(target
            .field("on_delete_set_columns")
            .wrong("on_delete_set_columns goes with on_delete SET NULL or SET DEFAULT alone"));
    }
    target.names("on_delete_set_columns", &to.on_delete_set_columns)?;
    for (number, column) in to.on_delete_set_columns.iter().enumerate() {
        if !columns.contains(column) {
            let known: Vec<&str> = columns.iter().map(String::as_str).collect();
            return Err(target
                .item("on_delete_set_columns", number)
                .wrong(format!(
                    "\"{column}\" is not among the foreign key's columns"
                ))
                .hint(did_you_mean(column, &known)));
        }
    }
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
