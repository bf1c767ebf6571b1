//! `migrate.backfill`: jobs. Their rows are locked for moments only, between two states; batches
//! write to their ranges.

use super::owned;
use crate::fault::{Fault, Result, state};
use crate::ledger::StepRow;
use crate::pg::spi::{self, Arg};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::time::Duration;

/// A job as it is stored.
#[derive(Debug, Clone, Deserialize)]
pub struct Job {
    pub job: i64,
    pub revision: Option<String>,
    pub relation: u32,
    pub relation_name: String,
    /// Column (unquoted) to expression.
    pub assignments: Map<String, Value>,
    /// Rows are copied instead of written.
    pub copy: Option<Copying>,
    /// A row is locked before its values are computed: they come from other tables.
    pub locks_first: bool,
    /// The rows still to be done, as SQL over one row.
    pub condition: String,
    pub self_ending: bool,
    /// The triggers that keep up with writers; `None`: passes repeat.
    pub sync_trigger: Option<String>,
    pub owner: u32,
    pub search_path: String,
    pub state: String,
    pub pass: i32,
    pub previous_rows: i64,
    pub target_ms: i32,
    /// Visits of a window; 0: as is best, 1: one.
    pub stripes: i32,
    pub error: Option<Fault>,
    /// The next pass is not to begin yet.
    pub resting: bool,
    /// For now windows are not divided: an old snapshot would keep their room.
    pub unstriped: bool,
    /// Batches are waited for until they are on disk (and on standbys, where commits wait for them).
    pub synchronous: bool,
    pub throttle: Option<String>,
}

impl Job {
    /// How long a batch is to last.
    pub fn target(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.target_ms).unwrap_or(50))
    }
}

/// Where rows are copied to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Copying {
    /// Schema-qualified and quoted.
    pub into: String,
    /// Unquoted; both tables have them.
    pub columns: Vec<String>,
}

pub struct NewJob<'a> {
    /// Revision, direction, step.
    pub step: Option<(&'a str, &'a str, i32)>,
    pub relation: u32,
    pub relation_name: &'a str,
    pub assignments: &'a Value,
    pub predicate: Option<&'a str>,
    pub copy: Option<&'a Value>,
    pub locks_first: bool,
    pub condition: &'a str,
    pub self_ending: bool,
    pub owner: u32,
    pub login: u32,
    pub search_path: &'a str,
    pub target_ms: i32,
    pub stripes: i32,
    pub synchronous: bool,
}

const COLUMNS: &str = "job, revision, relation::oid::int8 AS relation, relation_name, assignments, copy, locks_first, condition, self_ending, \
     sync_trigger, owner::oid::int8 AS owner, search_path, state, pass, previous_rows, target_ms, stripes, \
     error, coalesce(next_pass_at > pg_catalog.clock_timestamp(), false) AS resting, \
     coalesce(unstriped_until > pg_catalog.clock_timestamp(), false) AS unstriped, synchronous, throttle";

#[derive(Deserialize)]
struct Number {
    job: i64,
}

pub fn insert_job(new: &NewJob) -> Result<i64> {
    let rows: Vec<Number> = owned(|| {
        spi::write(
            "INSERT INTO migrate.backfill (revision, direction, step, relation, relation_name, assignments, predicate, \
                    condition, self_ending, owner, login, search_path, target_ms, stripes, copy, locks_first, synchronous) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17) RETURNING job",
            &[
                Arg::OptText(new.step.map(|step| step.0)),
                Arg::OptText(new.step.map(|step| step.1)),
                Arg::OptInt(new.step.map(|step| step.2.into())),
                Arg::Oid(new.relation),
                Arg::Text(new.relation_name),
                Arg::Json(new.assignments),
                Arg::OptText(new.predicate),
                Arg::Text(new.condition),
                Arg::Bool(new.self_ending),
                Arg::Oid(new.owner),
                Arg::Oid(new.login),
                Arg::Text(new.search_path),
                Arg::Int(new.target_ms.into()),
                Arg::Int(new.stripes.into()),
                Arg::OptJson(new.copy),
                Arg::Bool(new.locks_first),
                Arg::Bool(new.synchronous),
            ],
        )
    })?;
    rows.first()
        .map(|row| row.job)
        .ok_or_else(|| Fault::internal("no backfill job was made"))
}

fn one(clause: &str, args: &[Arg]) -> Result<Option<Job>> {
    let rows: Vec<Job> = owned(|| {
        spi::write(
            &format!("SELECT {COLUMNS} FROM migrate.backfill WHERE {clause}"),
            args,
        )
    })?;
    Ok(rows.into_iter().next())
}

/// The job as it is committed now. Errors: there is none of that number.
pub fn job(job: i64) -> Result<Job> {
    one("job = $1", &[Arg::Int(job)])?.ok_or_else(|| {
        Fault::new(
            state::UNDEFINED_OBJECT,
            format!("backfill job {job} does not exist"),
        )
        .hint("SELECT * FROM migrate.progress; lists the jobs.")
    })
}

/// Locks the job's row until the transaction ends, without waiting; `None`: another session has it.
pub fn lock_job(job: i64) -> Result<Option<Job>> {
    one("job = $1 FOR NO KEY UPDATE SKIP LOCKED", &[Arg::Int(job)])
}

/// Jobs that may have work, those with something to claim first, else in random order so that
/// several callers spread over them.
pub fn open_jobs(standalone_only: bool) -> Result<Vec<Job>> {
    owned(|| {
        spi::write(
            &format!(
                "SELECT {COLUMNS} FROM migrate.backfill b \
                 WHERE state IN ('queued', 'running') AND (revision IS NULL OR NOT $1) \
                 ORDER BY EXISTS (SELECT 1 FROM migrate.backfill_range r \
                                  WHERE r.job = b.job AND NOT r.done AND r.retry_at IS NULL) DESC, pg_catalog.random()"
            ),
            &[Arg::Bool(standalone_only)],
        )
    })
}

/// The newest job of a step; a cancelled one counts as none.
pub fn job_of(revision: &str, direction: &str, step: i32) -> Result<Option<i64>> {
    Ok(one(
        "revision = $1 AND direction = $2 AND step = $3 AND state <> 'cancelled' ORDER BY job DESC LIMIT 1",
        &[
            Arg::Text(revision),
            Arg::Text(direction),
            Arg::Int(step.into()),
        ],
    )?
    .map(|row| row.job))
}

/// Whether the job has come to its end with every row filled.
/// Errors: it has failed, or it has ended with rows that could not be filled.
pub fn job_done(job: i64) -> Result<bool> {
    let row = self::job(job)?;
    match row.state.as_str() {
        "failed" => Err(failure(&row)),
        "done" => match unfilled(&row)? {
            Some(fault) => Err(fault),
            None => Ok(true),
        },
        _ => Ok(false),
    }
}

/// Why a failed job failed.
pub fn failure(job: &Job) -> Fault {
    let fault = job
        .error
        .clone()
        .unwrap_or_else(|| Fault::wrong_state(format!("backfill job {} has failed", job.job)));
    let again = format!("SELECT migrate.resume({}); begins again.", job.job);
    Fault {
        hint: Some(match fault.hint {
            Some(hint) if hint.contains("migrate.resume") => hint,
            Some(hint) => format!("{hint}\n{again}"),
            None => again,
        }),
        ..fault
    }
}

/// The error that a job with quarantined rows stands for; `None`: there are none.
pub fn unfilled(job: &Job) -> Result<Option<Fault>> {
    let count = super::quarantined(job.job)?;
    if count == 0 {
        return Ok(None);
    }
    let first = super::first_quarantined(job.job)?;
    let retry = match &job.revision {
        Some(revision) => format!("SELECT migrate.repair('{revision}', 'retry');"),
        None => format!("SELECT migrate.resume({});", job.job),
    };
    let fault = Fault::new(
        state::CHECK_VIOLATION,
        format!("{count} rows of {} could not be filled", job.relation_name),
    )
    .hint(format!(
        "SELECT * FROM migrate.quarantine WHERE job = {}; shows them. Correct them, then {retry}",
        job.job
    ));
    Ok(Some(match first {
        Some(text) => fault.detail(text),
        None => fault,
    }))
}

/// The step is at work.
pub fn begin_step(step: &StepRow) -> Result<()> {
    owned(|| {
        spi::run(
            "UPDATE migrate.step SET state = 'running', error = NULL, waiting = NULL, attempts = attempts + 1, \
                    started_at = coalesce(started_at, pg_catalog.clock_timestamp()), finished_at = NULL \
             WHERE revision = $1 AND direction = $2 AND step = $3",
            &[
                Arg::Text(&step.revision),
                Arg::Text(&step.direction),
                Arg::Int(step.step.into()),
            ],
        )
        .map(drop)
    })
}

pub fn cancel_job_of(revision: &str, direction: &str, step: i32) -> Result<()> {
    match job_of(revision, direction, step)? {
        Some(job) => set_job_state(job, "cancelled", None),
        None => Ok(()),
    }
}

/// Moves the job; time spent paused does not count as time of the pass.
pub fn set_job_state(job: i64, to: &str, error: Option<&Fault>) -> Result<()> {
    let error = error.and_then(|fault| serde_json::to_value(fault).ok());
    owned(|| {
        spi::run(
            "UPDATE migrate.backfill SET state = $2, error = $3, throttle = NULL, \
                    pass_started_at = CASE WHEN paused_at IS NOT NULL AND $2 <> 'paused' \
                                           THEN pass_started_at + (pg_catalog.clock_timestamp() - paused_at) \
                                           ELSE pass_started_at END, \
                    paused_at = CASE WHEN $2 = 'paused' THEN coalesce(paused_at, pg_catalog.clock_timestamp()) END, \
                    finished_at = CASE WHEN $2 IN ('done', 'failed', 'cancelled') THEN pg_catalog.clock_timestamp() END \
             WHERE job = $1",
            &[Arg::Int(job), Arg::Text(to), Arg::OptJson(error.as_ref())],
        )
        .map(drop)
    })
}

/// Why the job is not moving, in words; left as it is when another session has the row.
pub fn set_throttle(job: i64, why: Option<&str>) -> Result<()> {
    owned(|| {
        spi::run(
            "UPDATE migrate.backfill SET throttle = $2 WHERE job = (SELECT job FROM migrate.backfill \
             WHERE job = $1 AND throttle IS DISTINCT FROM $2 FOR NO KEY UPDATE SKIP LOCKED)",
            &[Arg::Int(job), Arg::OptText(why)],
        )
        .map(drop)
    })
}

/// An old snapshot keeps dead rows: for a while windows are not divided. Left as it is when another
/// session has the row.
pub fn set_unstriped(job: i64, why: &str) -> Result<()> {
    owned(|| {
        spi::run(
            "UPDATE migrate.backfill SET unstriped_until = pg_catalog.clock_timestamp() + interval '30 seconds', \
                    unstriped_why = $2 \
             WHERE job = (SELECT job FROM migrate.backfill WHERE job = $1 FOR NO KEY UPDATE SKIP LOCKED)",
            &[Arg::Int(job), Arg::Text(why)],
        )
        .map(drop)
    })
}

/// Folds the pass that ended into the job's counters, forgets its ranges and begins the next after
/// `rest_ms`. The caller holds the job's lock, and no range is open.
pub fn begin_pass(job: i64, sync_trigger: Option<&str>, estimate: i64, rest_ms: i64) -> Result<()> {
    owned(|| {
        spi::run(
            "UPDATE migrate.backfill b SET state = 'running', pass = pass + 1, sync_trigger = $2, rows_estimate = $3, \
                    started_at = coalesce(started_at, pg_catalog.clock_timestamp()), \
                    pass_started_at = pg_catalog.clock_timestamp() + $4 * interval '1 millisecond', \
                    next_pass_at = CASE WHEN $4 > 0 THEN pg_catalog.clock_timestamp() + $4 * interval '1 millisecond' END, \
                    previous_rows = r.rows, rows_updated = b.rows_updated + r.rows \
             FROM (SELECT coalesce(pg_catalog.sum(rows_updated), 0)::int8 AS rows \
                   FROM migrate.backfill_range WHERE job = $1) r \
             WHERE b.job = $1",
            &[
                Arg::Int(job),
                Arg::OptText(sync_trigger),
                Arg::Int(estimate),
                Arg::Int(rest_ms),
            ],
        )?;
        spi::run(
            "DELETE FROM migrate.backfill_range WHERE job = $1",
            &[Arg::Int(job)],
        )
        .map(drop)
    })
}

/// Begins a job again from its first pass: its ranges and quarantined rows are forgotten, what was
/// filled stays so. The caller holds the job's lock.
pub fn reopen_job(job: i64) -> Result<()> {
    owned(|| {
        spi::run(
            "UPDATE migrate.backfill b SET state = 'queued', pass = 0, previous_rows = 0, error = NULL, throttle = NULL, \
                    next_pass_at = NULL, paused_at = NULL, finished_at = NULL, \
                    rows_updated = b.rows_updated + (SELECT coalesce(pg_catalog.sum(rows_updated), 0) \
                                                     FROM migrate.backfill_range WHERE job = $1) \
             WHERE b.job = $1",
            &[Arg::Int(job)],
        )?;
        spi::run(
            "DELETE FROM migrate.backfill_range WHERE job = $1",
            &[Arg::Int(job)],
        )?;
        spi::run(
            "DELETE FROM migrate.quarantine WHERE job = $1",
            &[Arg::Int(job)],
        )
        .map(drop)
    })
}

/// What a line about a job consists of: bar, percent, rows, speed, time left, what holds it back.
const LINE: &str = "pg_catalog.concat(relation, ': ', bar, ' ', percent, ' % ', rows_done, ' of ~', rows_total, ' rows, ', \
                    coalesce(rows_per_second, 0), ' rows/s', ', ETA ' || eta, \
                    CASE WHEN pass > 1 THEN ', pass ' || pass END, ', ' || throttle)";

#[derive(Deserialize)]
struct Line {
    line: String,
}

/// One line about the migration's backfill that is at work.
pub fn progress_line(revision: &str) -> Result<Option<String>> {
    let rows: Vec<Line> = owned(|| {
        spi::write(
            &format!(
                "SELECT {LINE} AS line \
                 FROM migrate.progress WHERE revision = $1 AND state IN ('running', 'paused') ORDER BY job DESC LIMIT 1"
            ),
            &[Arg::Text(revision)],
        )
    })?;
    Ok(rows.into_iter().next().map(|row| row.line))
}

/// Tells those who LISTEN on `migrate_progress` how far the job is, as a JSON object; gives the same
/// as a line.
pub fn notify_progress(job: i64) -> Result<Option<String>> {
    let rows: Vec<Line> = owned(|| {
        spi::write(
            &format!(
                "SELECT {LINE} AS line, pg_catalog.pg_notify('migrate_progress', pg_catalog.jsonb_build_object( \
                        'job', job, 'revision', revision, 'relation', relation, 'state', state, 'percent', percent, \
                        'rows_done', rows_done, 'rows_total', rows_total, 'rows_per_second', rows_per_second, \
                        'eta_seconds', EXTRACT(epoch FROM eta)::int8, 'throttle', throttle, \
                        'quarantined', quarantined)::text) \
                 FROM migrate.progress WHERE job = $1"
            ),
            &[Arg::Int(job)],
        )
    })?;
    Ok(rows.into_iter().next().map(|row| row.line))
}
