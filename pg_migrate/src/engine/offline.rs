//! What a migration would do: the plan, the plan as plain SQL for review or to run by hand, and what
//! its steps will cost. Writes nothing, but for the record that a step was run by hand.

use super::context::may_drive;
use super::{register, settings, start};
use crate::catalog::{self, Live};
use crate::document::{self, Defaults, Document, nearest};
use crate::fault::{Fault, Result};
use crate::ledger::{self, Event};
use crate::pg::settings::Scope;
use crate::pg::spi::literal;
use crate::recipe;
use crate::recipe::step::{Kind, Phase, Step};

/// The steps that are left of a migration.
pub struct Preview {
    pub revision: String,
    /// With the number under which a registered migration knows the step.
    pub steps: Vec<(i32, Step)>,
    pub irreversible: Option<String>,
    /// Its steps are recorded: what is run by hand must be recorded too.
    pub begun: bool,
    /// Settings of the script that its steps do not follow.
    pub passed_over: Vec<String>,
    /// The search path that the script brings with it.
    pub search_path: Option<String>,
}

/// A document, or a word that names a registered revision; a document that names no revision is
/// a draft.
pub fn named_or_read(text: &str) -> Result<Document> {
    let trimmed = text.trim();
    let word = !trimmed.is_empty()
        && !trimmed.contains(|c: char| c.is_whitespace() || c == ';' || c == '{');
    let read = |text: &str, revision: Option<String>, down_revision: Option<Vec<String>>| {
        document::parse_with(
            text,
            &Defaults {
                revision,
                down_revision,
            },
        )
    };
    if word {
        let row = register::find(trimmed)?;
        return read(&row.document, Some(row.revision), None);
    }
    // A draft comes after everything that is there.
    read(text, None, None).or_else(|fault| {
        let heads = register::graph()?
            .heads()
            .iter()
            .map(|node| node.revision.clone())
            .collect();
        read(text, Some("draft".to_owned()), Some(heads)).map_err(|_| fault)
    })
}

/// What is left to do: the recorded steps of a migration that was begun, else a plan made now.
pub fn preview(text: &str) -> Result<Preview> {
    let document = named_or_read(text)?;
    let known =
        ledger::revision(&document.revision)?.filter(|row| row.checksum == document.checksum);
    if let Some(row) = known {
        let steps = ledger::steps(&row.revision, "up")?;
        if !steps.is_empty() {
            return Ok(Preview {
                revision: row.revision,
                steps: steps
                    .iter()
                    .filter(|step| !step.is_over())
                    .map(|step| (step.step, step.planned()))
                    .collect(),
                irreversible: row.irreversible,
                begun: true,
                passed_over: Vec::new(),
                search_path: start::search_path(&document)?,
            });
        }
    }
    let (up, _) = start::operations_of(&document)?;
    let search_path = start::search_path(&document)?;
    let scope = Scope::new();
    if let Some(path) = &search_path {
        scope.set("search_path", path);
    }
    let mut plan = recipe::plan(&up, &Live, &document.revision)?;
    drop(scope);
    if let (Some(message), Some(first)) = (document.no_version_schema(), plan.steps.first_mut()) {
        first.warning = Some(match first.warning.take() {
            Some(warning) => format!("{message}; {warning}"),
            None => message,
        });
    }
    Ok(Preview {
        revision: document.revision.clone(),
        steps: (1..).zip(plan.steps).collect(),
        irreversible: plan.irreversible,
        begun: false,
        passed_over: start::passed_over(&document)?,
        search_path,
    })
}

/// Records that a step was run by hand.
pub fn record_step(word: &str, number: i32) -> Result<String> {
    let revision = register::find(word)?;
    may_drive(&revision)?;
    let id = revision.revision.as_str();
    let Some(step) = ledger::steps(id, "up")?
        .into_iter()
        .find(|step| step.step == number)
    else {
        return Err(
            Fault::invalid(format!("migration \"{id}\" has no step {number}"))
                .hint("SELECT * FROM migrate.steps; shows them."),
        );
    };
    if !step.is_over() {
        ledger::set_step(&step, "done", None)?;
        ledger::event(&Event {
            revision: Some(id),
            direction: Some("up"),
            step: Some(number),
            what: "step done",
            sql: Some(&step.sql),
            detail: Some("recorded by hand"),
            ..Event::default()
        })?;
    }
    start::settle(id).map(|state| state.as_str().to_owned())
}

/// How much a step has to read.
#[derive(Debug)]
pub struct Size {
    pub rows: i64,
    /// In words.
    pub estimate: String,
}

/// What a step that reads a whole table reads; `None` for a step of catalog speed.
pub fn size_of(step: &Step) -> Result<Option<Size>> {
    let long = step.scans || step.rewrites || step.kind == Kind::Backfill;
    let (Some(relation), true) = (&step.relation, long) else {
        return Ok(None);
    };
    let Some(size) = catalog::size(relation)? else {
        return Ok(None);
    };
    let estimate = match step.kind {
        Kind::Backfill => size.to_fill(),
        _ if step.rewrites => size.to_rewrite(),
        _ => size.to_read(),
    };
    #[allow(clippy::cast_possible_truncation)] // reltuples is a float4 of whole rows
    let rows = size.rows as i64;
    Ok(Some(Size { rows, estimate }))
}

fn phase_named(word: &str) -> Result<Phase> {
    match word {
        "expand" => Ok(Phase::Expand),
        "migrate" => Ok(Phase::Migrate),
        "contract" => Ok(Phase::Contract),
        other => {
            let fault = Fault::invalid(format!("unknown phase \"{other}\""));
            Err(match nearest(other, ["expand", "migrate", "contract"]) {
                Some(near) => fault.hint(format!("Did you mean \"{near}\"?")),
                None => fault.hint("Use expand, migrate or contract."),
            })
        }
    }
}

/// The plan as statements to run one after another outside a transaction block.
pub fn script(text: &str, phase: Option<&str>) -> Result<Vec<String>> {
    let only = phase.map(phase_named).transpose()?;
    let plan = preview(text)?;
    let mut lines = vec![format!("-- migration {}", plan.revision.replace('\n', " "))];
    if let Some(path) = &plan.search_path {
        lines.push(format!("SET search_path TO {path}"));
    }
    let brief = format!(
        "SET lock_timeout = '{}ms'",
        settings::lock_timeout().as_millis()
    );
    for phase in [Phase::Expand, Phase::Migrate, Phase::Contract] {
        let steps: Vec<&(i32, Step)> = plan
            .steps
            .iter()
            .filter(|(_, step)| step.phase == phase)
            .collect();
        if steps.is_empty() || only.is_some_and(|only| only != phase) {
            continue;
        }
        lines.push(
            match phase {
                Phase::Expand => {
                    "-- expand: one transaction; run it again when a lock is not to be had"
                }
                Phase::Migrate => "-- migrate: outside a transaction; may take long, blocks nobody",
                Phase::Contract => "-- contract: when no session uses the old shape any more",
            }
            .to_owned(),
        );
        lines.push(brief.clone());
        let together = phase != Phase::Migrate;
        let mut open = false;
        for (number, step) in steps {
            if let Some(warning) = &step.warning {
                lines.push(format!("-- warning: {}", warning.replace('\n', " ")));
            }
            let joins = together && matches!(step.kind, Kind::Ddl);
            if joins != open {
                lines.push(if joins { "BEGIN" } else { "COMMIT" }.to_owned());
                open = joins;
            }
            let settings: Vec<(&String, &str)> = step
                .args
                .get("settings")
                .and_then(serde_json::Value::as_object)
                .into_iter()
                .flatten()
                .filter_map(|(name, value)| Some((name, value.as_str()?)))
                .collect();
            for (name, value) in &settings {
                lines.push(set_config(name, value));
            }
            match step.kind {
                Kind::Concurrent => {
                    lines.push("SET lock_timeout = 0".to_owned());
                    lines.push(step.sql.clone());
                    lines.push(brief.clone());
                }
                Kind::Backfill => lines.push(as_call(&step.sql)),
                Kind::Verify | Kind::Partitions => lines.push(as_check(step)),
                Kind::Ddl | Kind::Validate => lines.push(step.sql.clone()),
            }
            for (name, _) in &settings {
                lines.push(format!("RESET {name}"));
            }
            if plan.begun {
                lines.push(format!(
                    "SELECT migrate.record_step({}, {number})",
                    literal(&plan.revision)
                ));
            }
        }
        if open {
            lines.push("COMMIT".to_owned());
        }
    }
    lines.push("RESET lock_timeout".to_owned());
    if plan.search_path.is_some() {
        lines.push("RESET search_path".to_owned());
    }
    Ok(lines)
}

fn set_config(name: &str, value: &str) -> String {
    format!(
        "SELECT pg_catalog.set_config({}, {}, false)",
        literal(name),
        literal(value)
    )
}

/// `SELECT migrate.backfill(…)` only defines a job: by hand it has to be run too.
fn as_call(sql: &str) -> String {
    match sql.strip_prefix("SELECT ") {
        Some(call) => format!("CALL migrate.run_backfill({call})"),
        None => sql.to_owned(),
    }
}

/// A verification that stops the script where the engine would stop.
fn as_check(step: &Step) -> String {
    let message = step
        .args
        .get("message")
        .and_then(serde_json::Value::as_str)
        .unwrap_or("verification failed");
    let body = format!(
        " BEGIN IF ({}) > 0 THEN RAISE EXCEPTION USING MESSAGE = {}; END IF; END ",
        step.sql,
        literal(message)
    );
    format!("DO {}", literal(&body))
}
