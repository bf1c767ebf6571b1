//! Who is in the way of a lock.

use crate::fault::Result;
use crate::pg::spi::{self, Arg};
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
