//! `migrate.event`: append-only.

use super::owned;
use crate::fault::{Fault, Result};
use crate::pg::identity;
use crate::pg::spi::{self, Arg};
use std::time::Duration;

/// Something that happened.
#[derive(Debug, Default)]
pub struct Event<'a> {
    pub revision: Option<&'a str>,
    pub direction: Option<&'a str>,
    pub step: Option<i32>,
    /// `registered`, `started`, `step done`, `step failed`, `expanded`, `applied`, …
    pub what: &'a str,
    pub duration: Option<Duration>,
    pub sql: Option<&'a str>,
    pub error: Option<&'a Fault>,
    pub detail: Option<&'a str>,
}

/// Writes the event with who, from where and which backend.
pub fn event(event: &Event) -> Result<()> {
    let role = identity::role_name(identity::current());
    let session = identity::role_name(identity::session());
    let error = event
        .error
        .and_then(|fault| serde_json::to_value(fault).ok());
    owned(|| {
        spi::run(
            "INSERT INTO migrate.event (revision, direction, step, what, role, session_role, application, client_addr, duration, sql, error, detail) \
             VALUES ($1, $2, $3, $4, $5, $6, pg_catalog.current_setting('application_name'), pg_catalog.inet_client_addr(), \
                     $7 * interval '1 microsecond', $8, $9, $10)",
            &[
                Arg::OptText(event.revision),
                Arg::OptText(event.direction),
                Arg::OptInt(event.step.map(i64::from)),
                Arg::Text(event.what),
                Arg::Text(&role),
                Arg::Text(&session),
                Arg::OptInt(event.duration.and_then(|time| i64::try_from(time.as_micros()).ok())),
                Arg::OptText(event.sql),
                Arg::OptJson(error.as_ref()),
                Arg::OptText(event.detail),
            ],
        )
        .map(drop)
    })
}

/// Whether the migration was once taken back.
pub fn taken_back(revision: &str) -> Result<bool> {
    #[derive(serde::Deserialize)]
    struct Found {
        value: bool,
    }
    let rows: Vec<Found> = owned(|| {
        spi::select(
            "SELECT EXISTS (SELECT 1 FROM migrate.event WHERE revision = $1 AND what = 'taken back') AS value",
            &[Arg::Text(revision)],
        )
    })?;
    Ok(rows.first().is_some_and(|row| row.value))
}
