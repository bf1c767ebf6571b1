//! Watches from outside who waits for whom: how long an application's statement waited for a lock,
//! and how long the migration held a lock that others must wait for.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use postgres::{Client, Row, Statement};

use crate::{Db, Failure};

/// Between two looks. A hold shorter than this may go unseen; a wait is timed by the server.
const INTERVAL: Duration = Duration::from_millis(2);

/// Locks on `$1` and its partitions. A session belongs to the migration when its application name
/// or its worker type says so, or when it was named to the watcher.
const LOOK: &str = "
SELECT l.pid, l.locktype, l.mode, l.granted,
       coalesce(extract(epoch FROM pg_catalog.clock_timestamp() - l.waitstart), 0)::float8 AS waited,
       extract(epoch FROM pg_catalog.clock_timestamp())::float8 AS now,
       pg_catalog.left(a.query, 200) AS query,
       CASE WHEN l.granted THEN NULL
            ELSE (SELECT pg_catalog.string_agg(coalesce(b.application_name, '') || ': ' || pg_catalog.left(b.query, 120), '; ')
                  FROM pg_catalog.pg_stat_activity b
                  WHERE b.pid = ANY (pg_catalog.pg_blocking_pids(l.pid))) END AS behind
FROM pg_catalog.pg_locks l
JOIN (SELECT pid, query, backend_type,
             application_name LIKE 'pg_migrate%' OR backend_type LIKE 'pg_migrate%' OR pid = ANY ($2) AS migrates
      FROM pg_catalog.pg_stat_activity
      WHERE datname = pg_catalog.current_database() AND pid <> pg_catalog.pg_backend_pid()) a ON a.pid = l.pid
WHERE (NOT l.granted AND NOT a.migrates AND a.backend_type = 'client backend')
   OR (l.granted AND a.migrates AND l.locktype = 'relation' AND l.relation = ANY ($1)
       AND l.mode IN ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock'))";

/// An application's statement that waited.
#[derive(Debug, Clone)]
pub struct Wait {
    pub waited: Duration,
    /// `relation`, `transactionid`, `tuple` …
    pub what: String,
    pub mode: String,
    pub statement: String,
    /// Application names and statements of those it waited for.
    pub behind: String,
}

/// A lock of the migration that writers wait for.
#[derive(Debug, Clone)]
pub struct Hold {
    /// From the last look before it was seen to the first look at which it was gone: at most this.
    pub held: Duration,
    pub mode: String,
    pub statement: String,
}

#[derive(Debug, Clone, Default)]
pub struct Locks {
    pub looks: u64,
    pub watched: Duration,
    /// The longest time in which nobody looked.
    pub longest_gap: Duration,
    /// Of all, also for rows of other transactions.
    pub longest_wait: Option<Wait>,
    /// Of those for a lock on a table.
    pub longest_table_wait: Option<Wait>,
    pub longest_hold: Option<Hold>,
}

impl Locks {
    /// Mean time between two looks: what is shorter may go unseen.
    pub fn interval(&self) -> Duration {
        self.watched / u32::try_from(self.looks.max(1)).unwrap_or(u32::MAX)
    }
}

pub struct LockWatcher {
    stop: Arc<AtomicBool>,
    pids: Arc<Mutex<Vec<i32>>>,
    thread: Option<JoinHandle<Locks>>,
}

impl LockWatcher {
    /// Watches `table` (as written in SQL) and the partitions it has now.
    #[track_caller]
    pub fn start(db: &Db, table: &str) -> Self {
        Self::every(db, table, INTERVAL)
    }

    /// With another time between two looks, where many watch at once.
    #[track_caller]
    pub fn every(db: &Db, table: &str, interval: Duration) -> Self {
        let mut config = db.config();
        config.application_name("lock watcher");
        let client = crate::db::connect(&config);
        let mut client = client.unwrap_or_else(|failure| panic!("{failure}"));
        let relations = "SELECT array_agg(oid) FROM (SELECT $1::text::regclass::oid AS oid
                         UNION SELECT relid FROM pg_catalog.pg_partition_tree($1::text::regclass)) t";
        let ready = client
            .query_one(relations, &[&table])
            .and_then(|row| Ok((row.get::<_, Vec<u32>>(0), client.prepare(LOOK)?)));
        let (relations, look) = ready.unwrap_or_else(|error| panic!("{}", Failure::from(&error)));
        let (stop, pids) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(Mutex::new(Vec::new())),
        );
        let watch = Watch {
            client,
            look,
            relations,
            interval,
            held: HashMap::new(),
            before: None,
            locks: Locks::default(),
        };
        let (ends, named) = (Arc::clone(&stop), Arc::clone(&pids));
        let thread = Some(std::thread::spawn(move || watch.run(&ends, &named)));
        Self { stop, pids, thread }
    }

    /// Names a session of the migration whose application name does not tell.
    pub fn also(&self, pid: i32) {
        self.pids.lock().unwrap().push(pid);
    }

    #[track_caller]
    pub fn stop(mut self) -> Locks {
        self.stop.store(true, Ordering::SeqCst);
        self.thread
            .take()
            .and_then(|thread| thread.join().ok())
            .expect("the lock watcher died")
    }
}

impl Drop for LockWatcher {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
    }
}

struct Watch {
    client: Client,
    look: Statement,
    relations: Vec<u32>,
    interval: Duration,
    /// By session and mode: since when at the earliest, and its statement.
    held: HashMap<(i32, String), (f64, String)>,
    /// When the last look was, by the server's clock.
    before: Option<f64>,
    locks: Locks,
}

impl Watch {
    fn run(mut self, stop: &AtomicBool, pids: &Mutex<Vec<i32>>) -> Locks {
        while !stop.load(Ordering::SeqCst) {
            let named = pids.lock().unwrap().clone();
            // While the server is down there is nothing to see, and this session is gone with it.
            let Ok(rows) = self.client.query(&self.look, &[&self.relations, &named]) else {
                break;
            };
            let now = match rows.first() {
                Some(row) => row.get("now"),
                None => self.clock(),
            };
            self.see(&rows, now);
            std::thread::sleep(self.interval);
        }
        let end = self.clock();
        self.see(&[], end);
        self.locks
    }

    fn clock(&mut self) -> f64 {
        let now = "SELECT extract(epoch FROM pg_catalog.clock_timestamp())::float8";
        self.client
            .query_one(now, &[])
            .map_or(self.before.unwrap_or(0.0), |row| row.get(0))
    }

    fn see(&mut self, rows: &[Row], now: f64) {
        let before = self.before.unwrap_or(now);
        self.before = Some(now);
        self.locks.looks += 1;
        self.locks.watched += seconds(now - before);
        self.locks.longest_gap = self.locks.longest_gap.max(seconds(now - before));
        let mut gone = std::mem::take(&mut self.held);
        for row in rows {
            let (mode, statement): (String, String) = (row.get("mode"), row.get("query"));
            if row.get("granted") {
                let id = (row.get("pid"), mode);
                let since = gone.remove(&id).map_or(before, |(since, _)| since);
                self.held.insert(id, (since, statement));
                continue;
            }
            let behind: Option<String> = row.get("behind");
            let wait = Wait {
                waited: seconds(row.get("waited")),
                what: row.get("locktype"),
                mode,
                statement,
                behind: behind.unwrap_or_default(),
            };
            if wait.what == "relation" {
                keep(&mut self.locks.longest_table_wait, &wait);
            }
            keep(&mut self.locks.longest_wait, &wait);
        }
        for ((_, mode), (since, statement)) in gone {
            let held = seconds(now - since);
            if self
                .locks
                .longest_hold
                .as_ref()
                .is_none_or(|longest| longest.held < held)
            {
                self.locks.longest_hold = Some(Hold {
                    held,
                    mode,
                    statement,
                });
            }
        }
    }
}

/// Keeps the longer wait. Whoever stood in the way may be gone at the last look at it.
fn keep(longest: &mut Option<Wait>, wait: &Wait) {
    match longest {
        Some(known) if known.waited >= wait.waited => {}
        Some(known) if known.statement == wait.statement && wait.behind.is_empty() => {
            known.waited = wait.waited;
        }
        _ => *longest = Some(wait.clone()),
    }
}

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds.max(0.0))
}
