//! Those who drive the engine: the session that is struck, the others, and whoever finishes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use postgres::Client;

use super::model::Mapping;
use super::scenario::Flavor;
use crate::{Db, Failure, db};

/// Refusals after which one may simply try again.
pub const PASSING: &[&str] = &[
    "", "57P01", "57P02", "57P03", "57014", "55P03", "55006", "40P01", "40001", "53100",
];

pub const DOCUMENT: &str = r#"{"revision": "1", "operations": [{"rename_column": {"table": "t", "from": "old", "to": "new"}}]}"#;

pub fn trigger_sql(map: Mapping) -> String {
    match map {
        Mapping::Copy => "SELECT migrate.sync_column_trigger('t', 'old', 'new')".to_owned(),
        map => format!(
            "SELECT migrate.sync_column_trigger('t', 'old', 'new', $${}$$, $${}$$)",
            map.up_sql(),
            map.down_sql()
        ),
    }
}

/// `whole`: without a predicate of the user's, so that the table is looked at as a whole in the end.
pub fn job_sql(map: Mapping, whole: bool, stripes: i32) -> String {
    let predicate = if whole { "NULL" } else { "'new IS NULL'" };
    format!(
        "SELECT migrate.backfill('t', jsonb_build_object('new', $${}$$), {predicate}, 3, {stripes})",
        map.up_sql()
    )
}

pub fn session(db: &Db) -> Result<Client, Failure> {
    let mut config = db.config();
    config.application_name("torture driver");
    db::connect(&config)
}

/// Runs statements one after the other in a session of their own, in a thread.
pub fn in_background(client: Client, statements: Vec<String>) -> JoinHandle<Result<(), Failure>> {
    std::thread::spawn(move || {
        let mut client = client;
        for sql in statements {
            client
                .batch_execute(&sql)
                .map_err(|error| Failure::from(&error))?;
        }
        Ok(())
    })
}

/// Others at work on whatever there is: procedures as a user calls them, single batches as pg_cron
/// would, and workers. They stop when told; being refused or cut off means nothing to them.
pub struct Others {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Others {
    pub fn start(db: &Db, count: u32) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let threads = (0..count)
            .map(|n| {
                let (db, stop) = (db.clone(), Arc::clone(&stop));
                std::thread::spawn(move || {
                    while !stop.load(Ordering::SeqCst) {
                        let Ok(mut client) = session(&db) else {
                            std::thread::sleep(Duration::from_millis(50));
                            continue;
                        };
                        let sql = if n == 0 {
                            "CALL migrate.work(1)"
                        } else {
                            "SELECT * FROM migrate.backfill_batch()"
                        };
                        let _ = client.batch_execute(sql);
                        std::thread::sleep(Duration::from_millis(5));
                    }
                })
            })
            .collect();
        Self { stop, threads }
    }

    pub fn end(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Drop for Others {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
    }
}

/// Has the work done by whoever comes next, as a user would, however it was left. `Err`: it cannot
/// be done, and what was said.
pub fn finish(
    db: &Db,
    flavor: Flavor,
    map: Mapping,
    whole: bool,
    stripes: i32,
) -> Result<(), Failure> {
    let end = Instant::now() + Duration::from_secs(240);
    let mut last = None;
    let mut refused = 0;
    while Instant::now() < end {
        match attempt(db, flavor, map, whole, stripes) {
            Ok(()) => return Ok(()),
            Err(failure) if PASSING.contains(&failure.sqlstate.as_str()) => last = Some(failure),
            Err(failure) => {
                // A failure is recorded once and the next call begins anew.
                refused += 1;
                if refused > 2 {
                    return Err(failure);
                }
                last = Some(failure);
            }
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Err(last.unwrap_or(Failure {
        sqlstate: String::new(),
        message: "it was not done within four minutes".to_owned(),
        detail: String::new(),
        hint: String::new(),
        context: String::new(),
    }))
}

fn attempt(
    db: &Db,
    flavor: Flavor,
    map: Mapping,
    whole: bool,
    stripes: i32,
) -> Result<(), Failure> {
    let mut client = session(db)?;
    let mut run = |sql: &str| {
        client
            .simple_query(sql)
            .map_err(|error| Failure::from(&error))
    };
    if flavor == Flavor::Migration {
        let known = run("SELECT 1 FROM migrate.revision")?;
        if !known.iter().any(is_row) {
            run(&format!("SELECT migrate.add($${DOCUMENT}$$)"))?;
        }
        return run("CALL migrate.upgrade()").map(drop);
    }
    let trigger = run(
        "SELECT 1 FROM pg_trigger WHERE tgname LIKE '~~pg_migrate%' AND tgrelid = 't'::regclass",
    )?;
    if !trigger.iter().any(is_row) {
        run(&trigger_sql(map))?;
    }
    let job = run("SELECT 1 FROM migrate.backfill")?;
    if !job.iter().any(is_row) {
        run(&job_sql(map, whole, stripes))?;
    }
    run(
        "SELECT migrate.resume(job) FROM migrate.backfill WHERE state IN ('failed', 'cancelled') ORDER BY job DESC LIMIT 1",
    )?;
    let jobs = db.rows("SELECT job FROM migrate.backfill ORDER BY job DESC LIMIT 1");
    let job = jobs.first().map_or("0".to_owned(), |row| row[0].clone());
    run(&format!("CALL migrate.run_backfill({job})")).map(drop)
}

fn is_row(message: &postgres::SimpleQueryMessage) -> bool {
    matches!(message, postgres::SimpleQueryMessage::Row(_))
}
