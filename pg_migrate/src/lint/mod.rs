//! Hazards of a script, told before it runs: what each statement locks, rewrites and scans here,
//! whom that blocks, and the safe way. Knows: recipes, the catalog and the parser. Must not: change
//! anything, need more rights than its caller has, or run what it judges, but for `trace`, which
//! runs it and rolls it back.
//!
//! PostgreSQL evaluates immutable functions while it plans, those of users among them: wherever lint
//! has something planned, they run with the rights of its caller, in a subtransaction that can write
//! nothing and is rolled back. Bounds of partitions that call functions are not computed at all.

mod deed;
mod document;
mod finding;
pub mod guard;
mod journal;
mod judge;
mod look;
mod picture;
mod report;
mod rule;
mod rules;
mod search_path;
mod server;
mod session;
mod settings;
mod simulate;
mod suppress;
pub mod trace;
mod world;

pub use document::of_document;
pub use finding::{Finding, blocks};
pub use report::{first_line, locks, report};
pub use rule::all as rules;
pub use settings::register as register_settings;

use crate::fault::{Fault, Result, state};
use crate::pg::parser;
use judge::{Judge, Runner};
use settings::Settings;
use suppress::Remarks;

/// Judges an SQL script as it would run here, now: at least one finding for each statement, in
/// their order.
/// Errors: what PostgreSQL's parser says of it; settings that name no rule.
pub fn lint(sql: &str) -> Result<Vec<Finding>> {
    let settings = Settings::read()?;
    if crate::document::is_json(sql) {
        return Err(Fault::new(
            state::INVALID_PARAMETER,
            "lint reads SQL, and this is a document in JSON",
        )
        .hint("SELECT * FROM migrate.plan(…) shows what its operations do."));
    }
    let statements = parser::split(sql, 1)?;
    let remarks = Remarks::read(sql, &statements);
    if let Some(since) = &settings.since
        && let Some(revision) = &remarks.revision
        && document::is_before(revision, since)?
    {
        return Ok(document::not_judged(&statements, revision, since));
    }
    Judge::new(&settings, Runner::Client, remarks).script(&statements)
}

/// Judges statements that are about to run by themselves: what sees to timeouts and transactions is
/// somebody else's business.
fn of_own(sql: &str) -> Result<Vec<Finding>> {
    let settings = Settings::read()?;
    let statements = parser::split(sql, 1)?;
    let remarks = Remarks::read(sql, &statements);
    Judge::new(&settings, Runner::Engine, remarks).script(&statements)
}
