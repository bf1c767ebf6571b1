//! Who is in the way of a lock.

use crate::fault::Result;
use crate::pg::spi::{self, Arg};
use crate::recipe::facts::Table;
use serde::Deserialize;

/// A session that holds, or waits before us for, a lock on a table.
#[derive(Debug, Clone, Deserialize)]
pub struct Blocker {
    pub pid: Option<i64>,
    pub mode: String,
    pub age: Option<String>,
    pub state: Option<String>,
    pub query: Option<String>,
    pub gid: Option<String>,
}

impl Blocker {
    /// One line for a message: pid, lock, age, and the query as far as we may see it.
    pub fn describe(&self) -> String {
        if let Some(gid) = &self.gid {
            return format!("prepared transaction '{gid}' holds {}", self.mode);
        }
        let mut text = format!("pid {} holds {}", self.pid.unwrap_or(0), self.mode);
        if let Some(age) = &self.age {
            text.push_str(&format!(", transaction age {age}"));
        }
        if let Some(state) = &self.state {
            text.push_str(&format!(", {state}"));
        }
        if let Some(query) = &self.query {
            text.push_str(&format!(": {query}"));
        }
        text
    }
}

/// Sessions whose granted lock on one of the relations conflicts with almost any DDL.
/// `exclusive`: a plain reader is in the way too.
pub fn blockers(relations: &[u32], exclusive: bool) -> Result<Vec<Blocker>> {
    spi::select(
        "SELECT l.pid, l.mode, \
                (pg_catalog.date_trunc('second', pg_catalog.clock_timestamp() - a.xact_start))::text AS age, \
                a.state, pg_catalog.left(a.query, 120) AS query, p.gid \
         FROM pg_catalog.pg_locks l \
         LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid \
         LEFT JOIN pg_catalog.pg_locks x ON l.pid IS NULL AND x.pid IS NULL \
               AND x.virtualtransaction = l.virtualtransaction AND x.locktype = 'transactionid' \
         LEFT JOIN pg_catalog.pg_prepared_xacts p ON p.transaction = x.transactionid \
         WHERE l.locktype = 'relation' AND l.granted \
           AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()) \
           AND l.relation::int8 = ANY ($1) \
           AND l.pid IS DISTINCT FROM pg_catalog.pg_backend_pid() \
           AND ($2 OR l.mode NOT IN ('AccessShareLock', 'RowShareLock')) \
         ORDER BY a.xact_start NULLS FIRST LIMIT 5",
        &[
            Arg::Ints(relations.iter().map(|&oid| i64::from(oid)).collect()),
            Arg::Bool(exclusive),
        ],
    )
}

/// Whether the relation can be looked at now: no other session holds or awaits a lock on it that
/// would make a reader wait.
pub fn is_free(relation: u32) -> Result<bool> {
    #[derive(Deserialize)]
    struct Found {
        found: bool,
    }
    let row: Option<Found> = spi::first(
        "SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_locks l \
         WHERE l.locktype = 'relation' AND l.relation = $1::oid AND l.mode = 'AccessExclusiveLock' \
           AND l.pid IS DISTINCT FROM pg_catalog.pg_backend_pid() \
           AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())) AS found",
        &[Arg::Oid(relation)],
    )?;
    Ok(!row.is_some_and(|row| row.found))
}

/// Name and kind of a relation: what can be told without a lock on it.
pub fn outline(relation: u32) -> Result<Option<Table>> {
    spi::first(
        "SELECT c.oid::int8 AS oid, n.nspname AS schema, c.relname AS name, c.relkind AS kind, true AS unlisted, \
                c.relispopulated AS populated, c.relpersistence = 'u' AS unlogged \
         FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE c.oid = $1::oid",
        &[Arg::Oid(relation)],
    )
}

/// A transaction that has been open for long.
#[derive(Debug, Clone, Deserialize)]
pub struct Old {
    pub who: String,
    /// In seconds.
    pub age: f64,
}

/// The oldest open transaction in this database, of a session or prepared.
pub fn oldest_transaction() -> Result<Option<Old>> {
    spi::first(
        "SELECT q.who, q.age FROM ( \
             SELECT 'pid ' || a.pid || coalesce(', ' || nullif(a.state, ''), '') AS who, \
                    extract(epoch FROM pg_catalog.clock_timestamp() - a.xact_start)::float8 AS age \
             FROM pg_catalog.pg_stat_activity a \
             WHERE a.xact_start IS NOT NULL AND a.pid <> pg_catalog.pg_backend_pid() \
               AND a.datname = pg_catalog.current_database() AND a.backend_type <> 'autovacuum worker' \
             UNION ALL \
             SELECT 'prepared transaction ' || pg_catalog.quote_literal(p.gid), \
                    extract(epoch FROM pg_catalog.clock_timestamp() - p.prepared)::float8 \
             FROM pg_catalog.pg_prepared_xacts p WHERE p.database = pg_catalog.current_database() \
         ) q ORDER BY q.age DESC LIMIT 1",
        &[],
    )
}

/// Standbys and replication slots, in words: all that has to take in what is written here.
pub fn followers() -> Result<Vec<String>> {
    #[derive(Deserialize)]
    struct Row {
        text: String,
    }
    let rows: Vec<Row> = spi::select(
        "SELECT 'standby ' || coalesce(nullif(r.application_name, ''), r.pid::text) \
                || coalesce(', ' || pg_catalog.date_trunc('milliseconds', r.replay_lag) || ' behind', '') AS text \
         FROM pg_catalog.pg_stat_replication r \
         UNION ALL \
         SELECT CASE WHEN s.active THEN 'active' ELSE 'inactive' END || ' slot ' || s.slot_name \
                || CASE WHEN pg_catalog.pg_is_in_recovery() THEN '' ELSE coalesce(', which keeps ' || pg_catalog.pg_size_pretty( \
                       pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), s.restart_lsn)) || ' of WAL', '') END \
         FROM pg_catalog.pg_replication_slots s WHERE NOT s.temporary \
         ORDER BY 1 LIMIT 20",
        &[],
    )?;
    Ok(rows.into_iter().map(|row| row.text).collect())
}
