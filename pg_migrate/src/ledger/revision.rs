//! `migrate.revision`.

use super::owned;
use crate::fault::Result;
use crate::history::Node;
use crate::pg::spi::{self, Arg};
use serde::Deserialize;
use serde_json::Value;

pub use crate::history::State;

/// A registered migration.
#[derive(Debug, Clone, Deserialize)]
pub struct Revision {
    pub revision: String,
    pub document: String,
    pub checksum: String,
    pub state: State,
    pub requested: bool,
    pub inverse: Option<Value>,
    pub irreversible: Option<String>,
    pub touches: Value,
    pub owner: u32,
    pub login: u32,
    pub search_path: String,
}

pub struct NewRevision<'a> {
    pub revision: &'a str,
    pub down_revision: &'a [String],
    pub depends_on: &'a [String],
    pub branch_labels: &'a [String],
    pub message: Option<&'a str>,
    pub document: &'a str,
    pub checksum: &'a str,
    pub state: State,
    pub owner: u32,
    pub login: u32,
    pub search_path: &'a str,
}

const COLUMNS: &str = "revision, document, checksum, state, requested, inverse, irreversible, touches, \
                       owner::oid::int8 AS owner, login::oid::int8 AS login, search_path";

pub fn insert_revision(new: &NewRevision) -> Result<()> {
    owned(|| {
        spi::run(
            "INSERT INTO migrate.revision (revision, down_revision, depends_on, branch_labels, message, document, checksum, state, owner, login, search_path, finished_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, CASE WHEN $8 = 'applied' THEN pg_catalog.clock_timestamp() END)",
            &[
                Arg::Text(new.revision),
                Arg::Texts(new.down_revision.to_vec()),
                Arg::Texts(new.depends_on.to_vec()),
                Arg::Texts(new.branch_labels.to_vec()),
                Arg::OptText(new.message),
                Arg::Text(new.document),
                Arg::Text(new.checksum),
                Arg::Text(new.state.as_str()),
                Arg::Oid(new.owner),
                Arg::Oid(new.login),
                Arg::Text(new.search_path),
            ],
        )
        .map(drop)
    })
}

pub fn delete_revision(revision: &str) -> Result<()> {
    owned(|| {
        spi::run(
            "DELETE FROM migrate.revision WHERE revision = $1",
            &[Arg::Text(revision)],
        )
        .map(drop)
    })
}

/// The revision with exactly this id.
pub fn revision(revision: &str) -> Result<Option<Revision>> {
    owned(|| {
        spi::first(
            &format!("SELECT {COLUMNS} FROM migrate.revision WHERE revision = $1"),
            &[Arg::Text(revision)],
        )
    })
}

/// Revisions that were begun and have not come to rest, and those asked for and not begun, oldest
/// first.
pub fn revisions_in_flight() -> Result<Vec<Revision>> {
    owned(|| {
        spi::select(
            &format!(
                "SELECT {COLUMNS} FROM migrate.revision \
                 WHERE state IN ('expanding', 'migrating', 'contracting', 'downgrading') \
                    OR (state = 'pending' AND requested) \
                    OR state = 'expanded' \
                 ORDER BY ordinal"
            ),
            &[],
        )
    })
}

/// The graph's nodes; abandoned revisions are out of history.
pub fn nodes() -> Result<Vec<Node>> {
    owned(|| {
        spi::select(
            "SELECT revision, ordinal, down_revision, depends_on, branch_labels, state, message \
             FROM migrate.revision WHERE state <> 'abandoned' ORDER BY ordinal",
            &[],
        )
    })
}

pub fn set_state(revision: &str, state: State) -> Result<()> {
    owned(|| {
        spi::run(
            "UPDATE migrate.revision SET state = $2, \
                    requested = requested AND $2 <> 'pending', \
                    started_at = CASE WHEN $2 IN ('expanding', 'downgrading') THEN pg_catalog.clock_timestamp() ELSE started_at END, \
                    finished_at = CASE WHEN $2 IN ('applied', 'pending') THEN pg_catalog.clock_timestamp() END \
             WHERE revision = $1",
            &[Arg::Text(revision), Arg::Text(state.as_str())],
        )
        .map(drop)
    })
}

/// Asks the drivers to run the revision.
pub fn request(revision: &str) -> Result<()> {
    owned(|| {
        spi::run(
            "UPDATE migrate.revision SET requested = true WHERE revision = $1",
            &[Arg::Text(revision)],
        )
        .map(drop)
    })
}

/// What planning found out: how to take it back, and the columns it touches.
pub fn store_plan(
    revision: &str,
    inverse: &Value,
    irreversible: Option<&str>,
    touches: &Value,
) -> Result<()> {
    owned(|| {
        spi::run(
            "UPDATE migrate.revision SET inverse = $2, irreversible = $3, touches = $4 WHERE revision = $1",
            &[
                Arg::Text(revision),
                Arg::Json(inverse),
                Arg::OptText(irreversible),
                Arg::Json(touches),
            ],
        )
        .map(drop)
    })
}

/// Locks the revision's row for this transaction without waiting; `false`: another session has it.
pub fn lock_revision(revision: &str) -> Result<bool> {
    let rows: Vec<serde_json::Value> = owned(|| {
        spi::write(
            "SELECT revision FROM migrate.revision WHERE revision = $1 FOR NO KEY UPDATE SKIP LOCKED",
            &[Arg::Text(revision)],
        )
    })?;
    Ok(!rows.is_empty())
}
