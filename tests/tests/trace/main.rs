//! `migrate.trace`: what it sees, that it leaves nothing behind, that what is foretold of a statement
//! is what the server does; and that no input brings a backend down.

mod fuzz;
mod honesty;
mod leaves;
mod random;
mod sees;

use pg_migrate_tests::Db;
use pg_migrate_tests::facts::rank;
use postgres::{Client, Row};
use serde_json::Value;

/// From 1, weakest first; 0: none.
fn strength(mode: Option<&str>) -> usize {
    mode.and_then(rank).map_or(0, |at| at + 1)
}

/// One row of a trace.
#[derive(Debug, Default)]
struct Traced {
    kind: String,
    state: String,
    lock: Option<String>,
    locks: Value,
    rewrites: Vec<String>,
    scans: Vec<String>,
    builds: Vec<String>,
    validates: Vec<String>,
    blocked: Vec<String>,
    inside: Vec<String>,
    evidence: Vec<String>,
    remains: Vec<String>,
    detail: String,
    sql: String,
}

impl From<&Row> for Traced {
    fn from(row: &Row) -> Self {
        Traced {
            kind: row.get("kind"),
            state: row.get("state"),
            lock: row.get("lock"),
            locks: row.get("locks"),
            rewrites: row.get("rewrites"),
            scans: row.get("scans"),
            builds: row.get("builds"),
            validates: row.get("validates"),
            blocked: row.get("blocked"),
            inside: row.get("inside"),
            evidence: row.get("evidence"),
            remains: row.get("remains"),
            detail: row.get::<_, Option<String>>("detail").unwrap_or_default(),
            sql: row.get("sql"),
        }
    }
}

fn traced(
    client: &mut impl postgres::GenericClient,
    sql: &str,
) -> Result<Vec<Traced>, postgres::Error> {
    let rows = client.query("SELECT * FROM migrate.trace($1)", &[&sql])?;
    Ok(rows.iter().map(Traced::from).collect())
}

#[track_caller]
fn trace(client: &mut Client, sql: &str) -> Vec<Traced> {
    match traced(client, sql) {
        Ok(rows) => rows,
        Err(error) => panic!("{}\nin: {sql}", pg_migrate_tests::Failure::from(&error)),
    }
}

/// The one row of a script of one statement.
#[track_caller]
fn only(client: &mut Client, sql: &str) -> Traced {
    let mut rows = trace(client, sql);
    assert_eq!(rows.len(), 1, "{rows:#?}");
    rows.remove(0)
}

/// A table with an index, rows, and a table that refers to it.
const TABLES: &str = "
    CREATE TABLE t (id int PRIMARY KEY, a int, b text, c int CHECK (c > 0));
    CREATE INDEX t_a ON t (a);
    CREATE TABLE child (id int PRIMARY KEY, t_id int REFERENCES t (id));
    INSERT INTO t SELECT g, g, 'b' || g, g FROM generate_series(1, 200) g;
    INSERT INTO child SELECT g, g FROM generate_series(1, 200) g;";

fn tables() -> Db {
    let db = pg_migrate_tests::cluster().database();
    db.run(TABLES);
    db
}

/// What is said of a statement before it runs.
#[derive(Debug, PartialEq, Eq)]
struct Facts {
    /// The strongest lock on a relation that was there before: see `strength`. ACCESS SHARE, which
    /// keeps nobody out but ACCESS EXCLUSIVE, counts as none.
    lock: usize,
    rewrites: bool,
    scans: bool,
}

fn foretold(
    client: &mut impl postgres::GenericClient,
    sql: &str,
) -> Result<Facts, postgres::Error> {
    let rows = client.query(
        "SELECT lock, locks, rewrites, scans FROM migrate.lint($1)",
        &[&sql],
    )?;
    let mut told = Facts {
        lock: 0,
        rewrites: false,
        scans: false,
    };
    for row in &rows {
        let locks: Value = row.get("locks");
        let all = locks.as_object().into_iter().flat_map(|all| all.values());
        told.lock = all
            .map(|lock| strength(lock.as_str()))
            .chain([strength(row.get::<_, Option<&str>>("lock")), told.lock])
            .max()
            .unwrap_or(0);
        told.rewrites |= row.get::<_, bool>("rewrites");
        told.scans |= row.get::<_, bool>("scans");
    }
    if told.lock == 1 {
        told.lock = 0;
    }
    Ok(told)
}
