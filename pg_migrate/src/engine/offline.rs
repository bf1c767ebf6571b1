//! The plan as plain SQL for review, and what its steps will cost.

use super::{settings, start};
use crate::catalog;
use crate::document::{Document, nearest};
use crate::fault::{Fault, Result};
use crate::pg::spi::literal;
use crate::recipe::step::{Kind, Phase, Step};

/// How much a step has to read.
#[derive(Debug)]
pub struct Size {
    pub rows: i64,
    /// In words.
    pub estimate: String,
}

/// Rows a second that a backfill does on modest hardware, and bytes a second that a scan reads:
/// only for the order of magnitude that `plan` shows.
const BACKFILL_ROWS: f64 = 40_000.0;
const SCAN_BYTES: f64 = 250.0 * 1024.0 * 1024.0;

/// What a step that reads a whole table reads; `None` for a step of catalog speed.
pub fn size_of(step: &Step) -> Result<Option<Size>> {
    let long = step.scans || step.rewrites || step.kind == Kind::Backfill;
    let (Some(relation), true) = (&step.relation, long) else {
        return Ok(None);
    };
    let Some(size) = catalog::size(relation)? else {
        return Ok(None);
    };
    let seconds = if step.kind == Kind::Backfill {
        size.rows / BACKFILL_ROWS
    } else {
        size.bytes / SCAN_BYTES
    };
    let time = match seconds {
        s if s < 1.0 => "under a second".to_owned(),
        s if s < 90.0 => format!("about {s:.0} s"),
        s if s < 5400.0 => format!("about {:.0} min", s / 60.0),
        s => format!("about {:.1} h", s / 3600.0),
    };
    #[allow(clippy::cast_possible_truncation)] // reltuples is a float4 of whole rows
    let rows = size.rows as i64;
    Ok(Some(Size {
        rows,
        estimate: format!("{:.1} MB, {time}", size.bytes / 1024.0 / 1024.0),
    }))
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
pub fn script(document: &Document, phase: Option<&str>) -> Result<Vec<String>> {
    let only = phase.map(phase_named).transpose()?;
    let plan = start::plan_document(document)?;
    let mut lines = vec![format!(
        "-- migration {}",
        document.revision.replace('\n', " ")
    )];
    let brief = format!(
        "SET lock_timeout = '{}ms'",
        settings::lock_timeout().as_millis()
    );
    for phase in [Phase::Expand, Phase::Migrate, Phase::Contract] {
        let steps: Vec<&Step> = plan
            .steps
            .iter()
            .filter(|step| step.phase == phase)
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
        for step in steps {
            if let Some(warning) = &step.warning {
                lines.push(format!("-- warning: {}", warning.replace('\n', " ")));
            }
            let joins = together && matches!(step.kind, Kind::Ddl);
            if joins != open {
                lines.push(if joins { "BEGIN" } else { "COMMIT" }.to_owned());
                open = joins;
            }
            match step.kind {
                Kind::Concurrent => {
                    lines.push("SET lock_timeout = 0".to_owned());
                    lines.push(step.sql.clone());
                    lines.push(brief.clone());
                }
                Kind::Backfill => lines.push(as_call(&step.sql)),
                Kind::Verify => lines.push(as_check(step)),
                Kind::Ddl | Kind::Validate => lines.push(step.sql.clone()),
            }
        }
        if open {
            lines.push("COMMIT".to_owned());
        }
    }
    lines.push("RESET lock_timeout".to_owned());
    Ok(lines)
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
