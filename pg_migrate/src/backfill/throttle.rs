//! What holds a backfill back: limits on what the server and its standbys bear, read before each
//! batch, and those who wait for a lock of ours, looked for within it.

use super::work::{Company, within};
use crate::fault::{Fault, Result};
use crate::ledger::{self, Job};
use crate::pg::spi::{self, Arg};
use crate::pg::{settings, subtransaction, usage};
use serde::Deserialize;
use std::cell::Cell;
use std::time::{Duration, Instant};

/// What a limit is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Interval,
    Bytes,
    Count,
    Switch,
    Condition,
}

struct Throttle {
    name: &'static str,
    unit: Unit,
    /// Holds unless something else was set.
    default: Option<&'static str>,
    /// Gives a row with why there is to be no batch now, if there is to be none. `$1`: the limit.
    /// Empty: it is measured here.
    sql: &'static str,
    example: &'static str,
}

/// Every throttle there is, in the order in which they are asked.
const THROTTLES: [Throttle; 9] = [
    Throttle {
        name: "lock_waiters",
        unit: Unit::Switch,
        default: Some("on"),
        sql: "",
        example: "on",
    },
    Throttle {
        name: "replica_lag",
        unit: Unit::Interval,
        default: Some("10s"),
        // A row whose columns are hidden from us says nothing of the lag: that counts as too much.
        sql: "SELECT CASE WHEN replay_lsn IS NULL THEN format('the lag of standby %s cannot be read', application_name) \
                     ELSE format('standby %s is %s behind (replica_lag %s)', application_name, \
                                 justify_interval(date_trunc('milliseconds', replay_lag)), $1) END AS why \
              FROM pg_stat_replication \
              WHERE state IS DISTINCT FROM 'backup' AND state IS DISTINCT FROM 'startup' \
                AND (replay_lag > $1::interval OR replay_lsn IS NULL) \
                AND NOT EXISTS (SELECT 1 FROM pg_replication_slots s WHERE s.active_pid = pid AND s.slot_type = 'logical')",
        example: "10s",
    },
    Throttle {
        name: "replica_bytes",
        unit: Unit::Bytes,
        default: None,
        sql: "SELECT format('standby %s is %s behind (replica_bytes %s)', application_name, \
                     coalesce(pg_size_pretty(pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn)), 'an unknown amount'), $1) AS why \
              FROM pg_stat_replication \
              WHERE state IS DISTINCT FROM 'backup' AND state IS DISTINCT FROM 'startup' \
                AND (pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn) > pg_size_bytes($1) OR replay_lsn IS NULL)",
        example: "256MB",
    },
    Throttle {
        name: "wal_rate",
        unit: Unit::Bytes,
        default: None,
        sql: "",
        example: "50MB (a second, of the whole server)",
    },
    Throttle {
        name: "archiver_backlog",
        unit: Unit::Count,
        default: None,
        sql: "SELECT format('%s WAL files wait to be archived (archiver_backlog %s)', count(*), $1) AS why \
              FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready' HAVING count(*) > $1::int8",
        example: "20",
    },
    Throttle {
        name: "long_transactions",
        unit: Unit::Interval,
        default: None,
        sql: "SELECT format('%s has been in its transaction for %s (long_transactions %s)', who, \
                     date_trunc('second', clock_timestamp() - since), $1) AS why \
              FROM (SELECT 'session ' || pid AS who, xact_start AS since FROM pg_stat_activity \
                    WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() \
                    UNION ALL SELECT 'prepared transaction ' || quote_literal(gid), prepared FROM pg_prepared_xacts) q \
              WHERE clock_timestamp() - since > $1::interval ORDER BY since",
        example: "5min",
    },
    Throttle {
        name: "commit_latency",
        unit: Unit::Interval,
        default: None,
        sql: "",
        example: "20ms",
    },
    Throttle {
        name: "active_sessions",
        unit: Unit::Count,
        default: None,
        sql: "SELECT format('%s other sessions are active (active_sessions %s)', count(*), $1) AS why FROM pg_stat_activity \
              WHERE backend_type = 'client backend' AND state = 'active' AND pid <> pg_backend_pid() \
              HAVING count(*) > $1::int8",
        example: "50",
    },
    Throttle {
        name: "condition",
        unit: Unit::Condition,
        default: None,
        sql: "",
        example: "(SELECT paused FROM ops) IS FALSE",
    },
];

fn named(name: &str) -> Result<&'static Throttle> {
    THROTTLES
        .iter()
        .find(|throttle| throttle.name == name)
        .ok_or_else(|| {
            let names: Vec<_> = THROTTLES.iter().map(|throttle| throttle.name).collect();
            Fault::invalid(format!("there is no throttle \"{name}\""))
                .hint(format!("There are: {}.", names.join(", ")))
        })
}

/// Sets the limit of a throttle for one job, or for all that have none of their own; `None` turns it
/// off. Obeyed by the next batch.
/// Errors: an unknown name, a limit that does not read as one, a job of somebody else.
pub fn set(name: &str, limit: Option<&str>, job: Option<i64>) -> Result<()> {
    let throttle = named(name)?;
    match job {
        Some(job) => super::work::may_drive(&ledger::job(job)?)?,
        None => ledger::may_set_throttles()?,
    }
    if let Some(limit) = limit {
        check(throttle, limit)?;
    }
    ledger::set_limit(name, limit, job)
}

fn check(throttle: &Throttle, limit: &str) -> Result<()> {
    let reads = match throttle.unit {
        Unit::Interval => "SELECT $1::pg_catalog.interval > '0'::pg_catalog.interval AS ok",
        Unit::Bytes => "SELECT pg_catalog.pg_size_bytes($1) > 0 AS ok",
        Unit::Count => "SELECT $1::pg_catalog.int8 >= 0 AS ok",
        Unit::Switch => "SELECT $1::pg_catalog.bool IS NOT NULL AS ok",
        Unit::Condition => {
            return spi_check(&format!("EXPLAIN SELECT 1 WHERE (\n{limit}\n)"));
        }
    };
    #[derive(Deserialize)]
    struct Answer {
        ok: bool,
    }
    let example = format!(
        "SELECT migrate.set_throttle('{}', '{}');",
        throttle.name, throttle.example
    );
    let answer: Result<Option<Answer>> =
        subtransaction::attempt(|| spi::first(reads, &[Arg::Text(limit)]));
    match answer {
        Ok(Some(Answer { ok: true })) => Ok(()),
        Err(fault) if fault.is_interruption() => Err(fault),
        found => {
            let fault = Fault::invalid(format!("\"{limit}\" is no limit for {}", throttle.name))
                .hint(example);
            Err(match found {
                Err(why) => fault.detail(why.message),
                Ok(_) => fault,
            })
        }
    }
}

fn spi_check(sql: &str) -> Result<()> {
    subtransaction::attempt(|| spi::run(sql, &[])).map(drop)
}

/// The limits in force for a job: what was set for it, else for all, else the default.
fn limits(job: i64) -> Result<Vec<(&'static Throttle, String)>> {
    let set = ledger::limits(job)?;
    Ok(THROTTLES
        .iter()
        .filter_map(|throttle| {
            let limit = match set.iter().find(|limit| limit.throttle == throttle.name) {
                Some(found) => found.limit.clone(),
                None => throttle.default.map(str::to_owned),
            };
            Some((throttle, limit?))
        })
        .collect())
}

/// Why there is to be no batch of the job now, in words; and how the batch is to behave.
pub fn ask(job: &Job) -> Result<Gate> {
    let mut gate = Gate::default();
    for (throttle, limit) in limits(job.job)? {
        gate.held = match (throttle.name, throttle.sql) {
            ("lock_waiters", _) => {
                gate.yields = is_on(&limit);
                None
            }
            ("wal_rate", _) => wal_rate(&limit)?,
            ("commit_latency", _) => commit_latency(&limit)?,
            ("condition", _) => condition(job, &limit)?,
            (name, sql) => reason(name, sql, &limit)?,
        };
        if gate.held.is_some() {
            break;
        }
    }
    Ok(gate)
}

/// The answer of the throttles.
#[derive(Debug, Default)]
pub struct Gate {
    /// Why not now.
    pub held: Option<String>,
    /// The batch ends where somebody waits for it.
    pub yields: bool,
}

#[derive(Deserialize)]
struct Why {
    why: Option<String>,
}

/// What cannot be measured counts as too much.
fn reason(name: &str, sql: &str, limit: &str) -> Result<Option<String>> {
    let rows: Result<Vec<Why>> = subtransaction::attempt(|| ledger::measure(sql, limit));
    match rows {
        Ok(rows) => Ok(rows.into_iter().find_map(|row| row.why)),
        Err(fault) if fault.is_interruption() => Err(fault),
        Err(fault) => Ok(Some(format!("{name} cannot be read: {}", fault.message))),
    }
}

/// The disk as this session meets it, and commits that wait for a standby.
fn commit_latency(limit: &str) -> Result<Option<String>> {
    #[derive(Deserialize)]
    struct Most {
        seconds: f64,
    }
    let most: Option<Most> = spi::first(
        "SELECT EXTRACT(epoch FROM $1::pg_catalog.interval)::float8 AS seconds",
        &[Arg::Text(limit)],
    )?;
    let took = usage::flush_time();
    if most.is_some_and(|most| took.as_secs_f64() > most.seconds) {
        return Ok(Some(format!(
            "a commit takes {:.1} ms to reach the disk (commit_latency {limit})",
            took.as_secs_f64() * 1000.0
        )));
    }
    reason(
        "commit_latency",
        "SELECT format('a commit has been waiting for a standby for %s (commit_latency %s)', \
                date_trunc('milliseconds', clock_timestamp() - query_start), $1) AS why \
         FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND clock_timestamp() - query_start > $1::interval \
         ORDER BY query_start",
        limit,
    )
}

/// As PostgreSQL reads a boolean, which the limit was checked to be.
fn is_on(limit: &str) -> bool {
    let text = limit.trim().to_ascii_lowercase();
    ["true", "yes"].iter().any(|word| word.starts_with(&text)) || text == "on" || text == "1"
}

/// The user's own condition, with the rights of the job's owner: anything but true holds.
fn condition(job: &Job, text: &str) -> Result<Option<String>> {
    #[derive(Deserialize)]
    struct Answer {
        ok: bool,
    }
    let answer: Result<Vec<Answer>> = subtransaction::attempt(|| {
        within(job, || {
            spi::write(&format!("SELECT coalesce((\n{text}\n), false) AS ok"), &[])
        })
    });
    match answer {
        Ok(rows) if rows.iter().any(|row| row.ok) => Ok(None),
        Ok(_) => Ok(Some(format!("the condition does not hold: {text}"))),
        Err(fault) if fault.is_interruption() => Err(fault),
        Err(fault) => Ok(Some(format!(
            "the condition cannot be read: {}",
            fault.message
        ))),
    }
}

thread_local! {
    /// When, and where the WAL was then.
    static SAMPLE: Cell<Option<(Instant, f64)>> = const { Cell::new(None) };
    static ASKED: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// A sample is replaced after so long: the rate is that of the last moments.
const SAMPLE_FOR: Duration = Duration::from_secs(2);

fn wal_rate(limit: &str) -> Result<Option<String>> {
    #[derive(Deserialize)]
    struct Wal {
        written: f64,
        most: f64,
    }
    let row: Option<Wal> = spi::first(
        "SELECT pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_insert_lsn(), '0/0')::float8 AS written, \
                pg_catalog.pg_size_bytes($1)::float8 AS most",
        &[Arg::Text(limit)],
    )?;
    let Some(wal) = row else { return Ok(None) };
    let now = Instant::now();
    let Some((then, before)) = SAMPLE.get() else {
        SAMPLE.set(Some((now, wal.written)));
        return Ok(None);
    };
    let seconds = (now - then).as_secs_f64().max(0.01);
    let rate = (wal.written - before) / seconds;
    if rate > wal.most {
        return Ok(Some(format!(
            "the server writes {:.0} MB of WAL a second (wal_rate {limit})",
            rate / 1e6
        )));
    }
    if now - then > SAMPLE_FOR {
        SAMPLE.set(Some((now, wal.written)));
    }
    Ok(None)
}

/// Whether a batch ends here for somebody who waits for it.
pub fn yields(company: Company) -> Result<bool> {
    Ok(company.yields && is_waited_for()?)
}

/// How often a batch looks behind itself.
const LOOK_EVERY: Duration = Duration::from_millis(40);

/// Whether a session waits for a lock that this one holds. Asks at most every 40 ms.
fn is_waited_for() -> Result<bool> {
    let now = Instant::now();
    if ASKED.get().is_some_and(|then| now - then < LOOK_EVERY) {
        return Ok(false);
    }
    ASKED.set(Some(now));
    #[derive(Deserialize)]
    struct Waiter {
        waits: bool,
    }
    let scope = settings::Scope::new();
    scope.set("search_path", "pg_catalog, pg_temp");
    let rows: Vec<Waiter> = spi::write(
        "SELECT EXISTS (SELECT 1 FROM pg_locks w WHERE NOT w.granted AND w.pid <> pg_backend_pid() \
                        AND pg_backend_pid() = ANY (pg_blocking_pids(w.pid))) AS waits",
        &[],
    )?;
    drop(scope);
    Ok(rows.first().is_some_and(|row| row.waits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn switches_are_read_as_postgresql_reads_them() {
        for on in ["on", "ON", "t", "true", "tr", "yes", "y", "1", " on "] {
            assert!(is_on(on), "{on}");
        }
        for off in ["off", "of", "f", "false", "no", "n", "0"] {
            assert!(!is_on(off), "{off}");
        }
    }

    #[test]
    fn names_are_known_or_listed() {
        assert!(named("replica_lag").is_ok());
        let fault = named("replica-lag").err().and_then(|fault| fault.hint);
        assert!(fault.is_some_and(|hint| hint.contains("wal_rate")));
    }
}
