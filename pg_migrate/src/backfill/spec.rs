//! What a backfill is to do, and whether it can be done.

use super::condition::{Assignment, condition, copying, cut, differs, operand, set_list};
use super::passes::unsupported;
use super::storage::{self, Column, Table};
use crate::fault::{Fault, Result, state};
use crate::ledger::{self, Copying, Event, NewJob, StepRow};
use crate::pg::{analyze, assign, error, identity, settings, spi};
use serde::Deserialize;
use serde_json::{Map, Value};

/// A backfill as it was asked for.
#[derive(Debug, Clone)]
pub struct Spec {
    pub table: TableRef,
    /// Column (unquoted) to expression over the row.
    pub set: Map<String, Value>,
    /// Which rows are still to be done; `None`: those that do not have the values yet.
    pub predicate: Option<String>,
    /// Length of a batch, in milliseconds.
    pub target_ms: i32,
    /// Visits of a window of blocks, 2 to 64; 1: one statement takes all of it, 0: as is best.
    pub stripes: i32,
    /// The rows are copied there; `set` is empty.
    pub copy: Option<Copying>,
    /// A row is locked before its expressions are evaluated: they read other tables, which triggers
    /// keep in step with this one.
    pub locks_first: bool,
    /// Each batch is waited for until it is on disk; otherwise a crash may lose the last ones, which
    /// are then done again.
    pub synchronous: bool,
    /// Revision, direction and step of the migration it belongs to.
    pub step: Option<(String, String, i32)>,
}

#[derive(Debug, Clone)]
pub enum TableRef {
    Oid(u32),
    /// SQL text, to be resolved in the search path of now.
    Name(String),
}

/// Milliseconds that a batch aims at, unless said otherwise: its rows are locked so long, and of those
/// that write to the table one in a few hundred meets one of them.
pub const TARGET_MS: i32 = 50;

impl Spec {
    /// From the arguments of a step.
    pub fn of_step(step: &StepRow) -> Result<Spec> {
        #[derive(Deserialize)]
        struct Args {
            table: String,
            set: Map<String, Value>,
            r#where: Option<String>,
            #[serde(default)]
            copy: Option<Copying>,
            #[serde(default)]
            locks_first: bool,
        }
        let args: Args = serde_json::from_value(step.args.clone())
            .map_err(|err| Fault::internal(format!("the arguments of a backfill step: {err}")))?;
        Ok(Spec {
            table: TableRef::Name(args.table),
            set: args.set,
            predicate: args.r#where,
            target_ms: TARGET_MS,
            stripes: 0,
            copy: args.copy,
            locks_first: args.locks_first,
            synchronous: false,
            step: Some((step.revision.clone(), step.direction.clone(), step.step)),
        })
    }
}

/// The assignments of a text: a JSON object, or what stands after SET in an UPDATE.
pub fn assignments(text: &str) -> Result<Map<String, Value>> {
    if text.trim_start().starts_with('{') {
        return serde_json::from_str(text).map_err(|err| {
            Fault::invalid("the assignments are not a JSON object")
                .detail(err.to_string())
                .hint("{\"column\": \"expression\"}")
        });
    }
    let targets = assign::targets(text)?;
    let cut = cut(text, &targets).ok_or_else(|| {
        Fault::new(state::SYNTAX, "the assignments could not be taken apart")
            .detail(format!("In the assignments: {text}"))
            .hint("Write them as a JSON object: {\"column\": \"expression\"}")
    })?;
    let mut set = Map::new();
    for (column, expression) in cut {
        if set
            .insert(column.clone(), Value::String(expression))
            .is_some()
        {
            return Err(Fault::new(
                state::SYNTAX,
                format!("column \"{column}\" is assigned twice"),
            ));
        }
    }
    Ok(set)
}

/// Checks a backfill and files it, as the current user; nothing is read or written yet.
/// Gives the job's number.
/// Errors: what PostgreSQL says of the expressions; a kind of table or column that cannot be done
/// so; a backfill that could not tell its end.
pub fn define(spec: &Spec) -> Result<i64> {
    let relation = match &spec.table {
        TableRef::Oid(oid) => *oid,
        TableRef::Name(name) => storage::resolve(name)?.ok_or_else(|| {
            Fault::new(
                state::UNDEFINED_TABLE,
                format!("relation {name} does not exist"),
            )
        })?,
    };
    let table = storage::table(relation)?
        .ok_or_else(|| Fault::new(state::UNDEFINED_TABLE, "the table does not exist"))?;
    check_table(relation, &table)?;
    if !(1..=60_000).contains(&spec.target_ms) {
        return Err(Fault::invalid(format!("target_ms is {}", spec.target_ms))
            .hint("Milliseconds, 1 to 60000; 50 is a good value."));
    }
    if !(0..=64).contains(&spec.stripes) {
        return Err(Fault::invalid(format!("stripes is {}", spec.stripes))
            .hint("0 to 64: 0 finds what is best, 1 takes every row at its first visit."));
    }
    let (text, self_ending) = match &spec.copy {
        Some(copy) => (copied(&table, copy, spec.predicate.as_deref())?, true),
        None => {
            let checked = check(relation, &table, spec)?;
            let text = condition(spec.predicate.as_deref(), checked.derived.as_deref());
            dry_run(&table, &checked.assignments, &text)?;
            tell(&table, &checked.columns);
            (text, checked.derived.is_some())
        }
    };
    let copy = spec
        .copy
        .as_ref()
        .and_then(|copy| serde_json::to_value(copy).ok());
    let job = ledger::insert_job(&NewJob {
        step: spec
            .step
            .as_ref()
            .map(|(revision, direction, step)| (revision.as_str(), direction.as_str(), *step)),
        relation,
        relation_name: &table.name,
        assignments: &Value::Object(spec.set.clone()),
        predicate: spec.predicate.as_deref(),
        copy: copy.as_ref(),
        locks_first: spec.locks_first || copy.is_some(),
        condition: &text,
        self_ending,
        owner: identity::current(),
        login: identity::session(),
        search_path: &search_path()?,
        target_ms: spec.target_ms,
        stripes: spec.stripes,
        synchronous: spec.synchronous,
    })?;
    ledger::event(&Event {
        revision: spec.step.as_ref().map(|step| step.0.as_str()),
        what: "backfill defined",
        detail: Some(&format!("job {job} on {}", table.name)),
        ..Event::default()
    })?;
    Ok(job)
}

/// The schema-qualified name of a table.
pub fn name_of(relation: u32) -> Result<String> {
    storage::table(relation)?
        .map(|table| table.name)
        .ok_or_else(|| Fault::new(state::UNDEFINED_TABLE, "the table does not exist"))
}

fn search_path() -> Result<String> {
    #[derive(Deserialize)]
    struct Path {
        path: String,
    }
    let rows: Vec<Path> = spi::write(
        "SELECT pg_catalog.current_setting('search_path') AS path",
        &[],
    )?;
    Ok(rows
        .into_iter()
        .next()
        .map(|row| row.path)
        .unwrap_or_default())
}

fn check_table(relation: u32, table: &Table) -> Result<()> {
    let wrong = |why: &str| {
        Fault::new(
            state::WRONG_OBJECT_TYPE,
            format!("{} cannot be backfilled: {why}", table.name),
        )
    };
    if table.temporary {
        return Err(wrong("it is a temporary table")
            .hint("Nobody else can see it: a plain UPDATE blocks nobody."));
    }
    if !matches!(table.kind.as_str(), "r" | "p") {
        return Err(wrong("it is not a table").hint("Name the table that stores the rows."));
    }
    match storage::leaves(relation)?
        .iter()
        .find(|leaf| !leaf.heap && !leaf.keyed)
    {
        Some(leaf) => Err(unsupported(leaf)),
        None => Ok(()),
    }
}

/// The condition under which rows are copied, after PostgreSQL's own checks of the statement.
fn copied(table: &Table, copy: &Copying, predicate: Option<&str>) -> Result<String> {
    let Some(predicate) = predicate else {
        return Err(
            Fault::invalid("the backfill cannot tell which rows are copied").hint(
                "Give a \"where\" that is true for rows still to be copied, such as NOT EXISTS (SELECT FROM copies c WHERE c.id = t.id).",
            ),
        );
    };
    let text = condition(Some(predicate), None);
    let scope = settings::Scope::new();
    scope.set("row_security", "off");
    let insert = copying(
        copy,
        &format!("ONLY {}", table.name),
        &table.alias,
        &operand(&text),
    );
    let outcome = spi::run(&format!("EXPLAIN (COSTS OFF) {insert}"), &[]);
    drop(scope);
    outcome.map(|_| text)
}

struct Checked<'a> {
    columns: Vec<&'a Column>,
    assignments: Vec<Assignment>,
    /// The condition that filling a row makes false; `None` where none can be derived.
    derived: Option<String>,
}

fn check<'a>(relation: u32, table: &'a Table, spec: &Spec) -> Result<Checked<'a>> {
    if spec.set.is_empty() {
        return Err(
            Fault::invalid("a backfill without assignments").hint("{\"column\": \"expression\"}")
        );
    }
    let fixed = storage::partition_keys(relation)?;
    let mut columns = Vec::new();
    let mut assignments = Vec::new();
    let mut volatile = None;
    let mut reads = Vec::new();
    for (name, value) in &spec.set {
        let column = column(table, name, &fixed)?;
        let Some(text) = value.as_str() else {
            return Err(Fault::invalid(format!(
                "the value of \"{name}\" is not an SQL expression"
            ))
            .hint("Write it as a string: {\"total_cents\": \"total * 100\"}."));
        };
        let found = analyze::expression(Some(&table.name), text, Some(&column.data_type))?;
        if found.volatile {
            volatile = Some(name);
        }
        reads.extend(found.columns);
        columns.push(column);
        assignments.push(Assignment {
            column: column.quoted.clone(),
            expression: text.to_owned(),
            data_type: column.data_type.clone(),
            composite: column.composite,
        });
    }
    if let Some(predicate) = &spec.predicate {
        let found = analyze::expression(Some(&table.name), predicate, Some("pg_catalog.bool"))?;
        if found.volatile {
            return Err(Fault::invalid("\"where\" calls a volatile function")
                .detail(format!("In the expression: {predicate}"))
                .hint("It must say the same of a row every time, or rows are missed."));
        }
    }
    let own = reads
        .iter()
        .find(|read| read.as_str() == "*" || spec.set.contains_key(read.as_str()));
    if spec.predicate.is_none() {
        let why = match (volatile, own) {
            (Some(column), _) => Some(format!(
                "The expression of \"{column}\" gives another value each time."
            )),
            (_, Some(column)) => Some(format!(
                "An expression reads \"{column}\", which the backfill itself changes: a row visited twice would be changed twice."
            )),
            _ => None,
        };
        if let Some(why) = why {
            return Err(Fault::invalid("the backfill cannot tell which rows are done")
                .detail(why)
                .hint("Give a \"where\" that is true for rows still to be done and false once they are, such as new_column IS NULL."));
        }
    }
    let derived = (volatile.is_none() && own.is_none()).then(|| differs(&assignments));
    Ok(Checked {
        columns,
        assignments,
        derived,
    })
}

fn column<'a>(table: &'a Table, name: &str, fixed: &[String]) -> Result<&'a Column> {
    let Some(column) = table.columns.iter().find(|column| column.name == name) else {
        return Err(Fault::new(
            state::UNDEFINED_COLUMN,
            format!("column \"{name}\" of table {} does not exist", table.name),
        ));
    };
    let why = if column.generated {
        "it is generated"
    } else if fixed.contains(&column.name) {
        "it is part of the partition key: rows would have to move between partitions"
    } else {
        return Ok(column);
    };
    Err(Fault::new(
        state::FEATURE_NOT_SUPPORTED,
        format!(
            "column \"{name}\" of table {} cannot be backfilled: {why}",
            table.name
        ),
    ))
}

/// PostgreSQL's own checks of the statement that the batches will run, privileges and row security
/// included.
fn dry_run(table: &Table, assignments: &[Assignment], condition: &str) -> Result<()> {
    let set = set_list(
        assignments
            .iter()
            .map(|a| (a.column.as_str(), a.expression.as_str())),
    );
    let scope = settings::Scope::new();
    scope.set("row_security", "off");
    let outcome = spi::run(
        &format!(
            "EXPLAIN (COSTS OFF) UPDATE ONLY {} AS {} SET {set} WHERE {}",
            table.name,
            table.alias,
            operand(condition)
        ),
        &[],
    );
    drop(scope);
    outcome.map(drop)
}

/// What the user should know before it runs.
fn tell(table: &Table, columns: &[&Column]) {
    for column in columns.iter().filter(|column| column.key) {
        error::notice(
            Fault::new(
                "00000",
                format!("column \"{}\" of {} is part of a key", column.name, table.name),
            )
            .detail("Changing it locks each row against foreign key checks of other sessions until the batch commits."),
        );
    }
    if !table.triggers.is_empty() {
        error::notice(Fault::new(
            "00000",
            format!(
                "the backfill fires these triggers of {} for every row: {}",
                table.name,
                table.triggers.join(", ")
            ),
        ));
    }
}
