//! `migrate.throttle`: limits that were set.

use super::owned;
use crate::fault::{Fault, Result, state};
use crate::pg::spi::{self, Arg};
use crate::pg::{identity, settings};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// A limit as it was set; `None`: off.
#[derive(Debug, Deserialize)]
pub struct Limit {
    pub throttle: String,
    pub limit: Option<String>,
}

/// What was set for the job, or for all jobs where nothing was for it.
pub fn limits(job: i64) -> Result<Vec<Limit>> {
    owned(|| {
        spi::write(
            "SELECT DISTINCT ON (throttle) throttle, \"limit\" FROM migrate.throttle \
             WHERE job IS NULL OR job = $1 ORDER BY throttle, job NULLS LAST",
            &[Arg::Int(job)],
        )
    })
}

pub fn set_limit(throttle: &str, limit: Option<&str>, job: Option<i64>) -> Result<()> {
    owned(|| {
        spi::run(
            "INSERT INTO migrate.throttle (throttle, \"limit\", job) VALUES ($1, $2, $3) \
             ON CONFLICT (throttle, coalesce(job, 0)) DO UPDATE SET \"limit\" = excluded.\"limit\", set_at = excluded.set_at",
            &[
                Arg::Text(throttle),
                Arg::OptText(limit),
                Arg::OptInt(job),
            ],
        )
        .map(drop)
    })
}

/// Errors unless the current user may set limits for everybody's jobs.
pub fn may_set_throttles() -> Result<()> {
    if identity::has_rights_of(super::owner()?) {
        return Ok(());
    }
    Err(Fault::new(
        state::INSUFFICIENT_PRIVILEGE,
        "permission denied to set a throttle for every job",
    )
    .hint("Name a job of yours: SELECT migrate.set_throttle(name, \"limit\", job);"))
}

/// Asks about the server with the rights of the extension's owner: others may not see all of it.
/// `sql` is fixed text with the limit as `$1`.
pub fn measure<T: DeserializeOwned>(sql: &str, limit: &str) -> Result<Vec<T>> {
    owned(|| {
        let scope = settings::Scope::new();
        scope.set("search_path", "pg_catalog, pg_temp");
        let rows = spi::write(sql, &[Arg::Text(limit)]);
        drop(scope);
        rows
    })
}
