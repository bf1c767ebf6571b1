//! `make demo`: renames a column of a million rows on a throw-away cluster while real connections
//! insert, update, delete and read, half of them of the old release and half of the new one; then
//! compares every row with what the applications themselves remember to have written.
//!
//! Ends by itself and leaves nothing running. Exit code 1 when an application saw an error or a row
//! disagrees. DEMO_ROWS and DEMO_WRITERS change its size.

mod progress;
mod words;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use pg_migrate_tests::{
    Cluster, Db, Failure, LockWatcher, Locks, Report, Role, Traffic, TrafficSpec,
};
use postgres::Client;
use words::{grouped, ms, say};

const DOCUMENT: &str = "\
-- migrate:revision 0001
-- migrate:message rename username to email
-- migrate:up
ALTER TABLE users RENAME COLUMN username TO email;
";

const CALM: Duration = Duration::from_secs(3);

fn main() -> ExitCode {
    println!("\npg_migrate: a column is renamed while applications read and write it\n");
    let cluster = match Cluster::try_with(&[("fsync", "on"), ("log_checkpoints", "off")]) {
        Ok(cluster) => cluster,
        Err(error) => {
            eprintln!("no cluster: {error}");
            return ExitCode::FAILURE;
        }
    };
    let outcome = run(&cluster);
    if outcome.is_err() {
        words::last_lines(&cluster.log());
    }
    cluster.end();
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("\nfailed: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether everything agreed.
fn run(cluster: &Cluster) -> Result<bool, String> {
    let db = cluster.database();
    let rows = number("DEMO_ROWS", 1_000_000)?;
    let writers = number("DEMO_WRITERS", 8)?.max(2) as usize;
    let version: String = db.one("SELECT current_setting('server_version')");
    say(
        "cluster",
        &format!("PostgreSQL {version}, thrown away at the end"),
    );
    fill(&db, rows);
    say(
        "table",
        &format!("users, {} rows, {}", grouped(rows), db.one::<String>(SIZE)),
    );

    let mut spec = TrafficSpec::new(
        "users",
        "id",
        &[("username", Role::Old), ("email", Role::New)],
    );
    spec.also = vec![("seen".to_owned(), "now()".to_owned())];
    spec.pause = Duration::from_millis(2);
    let traffic = Traffic::start(&db, spec.threads(writers));
    say(
        "traffic",
        &format!("{writers} connections of the old release, which knows username"),
    );
    traffic.run_for(CALM);

    let watcher = LockWatcher::start(&db, "users");
    let mut session = session(&db)?;
    println!("\n{}", indented(DOCUMENT));
    traffic.mark("during");
    let started = Instant::now();
    apply(&mut session)?;
    traffic.new_writers(writers / 2);
    say(
        "deploy",
        &format!(
            "{} of the {writers} connections are now of the new release, which knows email",
            writers / 2
        ),
    );

    println!("\n  CALL migrate.upgrade();");
    let mut session = progress::follow(&db, session, "CALL migrate.upgrade()", &traffic)?;
    traffic.new_writers(writers);
    say("deploy", "all connections are of the new release");

    println!("\n  CALL migrate.contract('0001');");
    execute(&mut session, "CALL migrate.contract('0001')")?;
    let took = started.elapsed();
    traffic.mark("after");
    traffic.run_for(Duration::from_secs(1));
    let locks = watcher.stop();
    let report = traffic.stop();
    let agreed = judge(&db, &report);
    say(
        "migration",
        &format!(
            "{:.1} s from apply to the end of contract",
            took.as_secs_f64()
        ),
    );
    tell_locks(&locks);
    for phase in ["before", "during", "after"] {
        say(
            &format!("latency {phase}"),
            &report.latency(phase).to_string(),
        );
    }
    println!(
        "\n{}\n",
        if agreed {
            "Nothing was lost, nobody saw an error."
        } else {
            "THIS WAS NOT RIGHT."
        }
    );
    Ok(agreed)
}

const SIZE: &str = "SELECT pg_size_pretty(pg_total_relation_size('users'))";

fn fill(db: &Db, rows: u64) {
    db.run(&format!(
        "CREATE TABLE users (id bigint PRIMARY KEY, username text NOT NULL, seen timestamptz NOT NULL DEFAULT now(), note text);
         INSERT INTO users SELECT g, 'user-' || g || '@example.org', now(), repeat('n', 60) FROM generate_series(1, {rows}) g;
         CREATE INDEX users_username_idx ON users (username)"
    ));
    db.run("VACUUM ANALYZE users");
    db.run("CHECKPOINT");
}

fn session(db: &Db) -> Result<Client, String> {
    let mut config = db.config();
    config.application_name("pg_migrate demo");
    config
        .connect(postgres::NoTls)
        .map_err(|error| Failure::from(&error).to_string())
}

fn execute(session: &mut Client, sql: &str) -> Result<(), String> {
    session
        .batch_execute(sql)
        .map_err(|error| format!("{}\nin: {sql}", Failure::from(&error)))
}

fn apply(session: &mut Client) -> Result<(), String> {
    println!("  SELECT * FROM migrate.apply(…);");
    let sql = "SELECT phase, kind, state, sql FROM migrate.apply($1::text)";
    let rows = session
        .query(sql, &[&DOCUMENT])
        .map_err(|error| format!("{}\nin: {sql}", Failure::from(&error)))?;
    for row in rows {
        let [phase, kind, state, sql]: [Option<String>; 4] = [0, 1, 2, 3].map(|i| row.get(i));
        let [phase, kind, state, sql] = [phase, kind, state, sql].map(Option::unwrap_or_default);
        println!(
            "    {phase:<9} {kind:<11} {state:<8} {}",
            words::shortened(&sql, 90)
        );
    }
    Ok(())
}

fn judge(db: &Db, report: &Report) -> bool {
    let (disagree, wrong) = report.compare(db, "users", "id", &[("email", Role::New)]);
    let columns: String = db.one(
        "SELECT string_agg(attname, ', ' ORDER BY attnum) FROM pg_attribute
         WHERE attrelid = 'users'::regclass AND attnum > 0 AND NOT attisdropped",
    );
    println!();
    say("columns", &columns);
    say(
        "operations",
        &format!("{} by the applications", grouped(report.operations)),
    );
    say(
        "errors",
        &format!("{} seen by the applications", grouped(report.failed)),
    );
    report
        .errors
        .iter()
        .take(10)
        .for_each(|error| println!("      {}", error.replace('\n', "\n      ")));
    say(
        "rows",
        &format!(
            "{} compared with what the applications wrote, {} disagree",
            grouped(report.rows() as u64),
            grouped(disagree as u64)
        ),
    );
    wrong
        .iter()
        .take(10)
        .for_each(|row| println!("      {row}"));
    let renamed = columns.contains("email") && !columns.contains("username");
    report.failed == 0 && disagree == 0 && renamed
}

fn tell_locks(locks: &Locks) {
    let looked = format!("looked every {} ms", ms(locks.interval()));
    match &locks.longest_hold {
        Some(hold) => say(
            "longest lock",
            &format!("at most {} ms ({}; {looked})", ms(hold.held), hold.mode),
        ),
        None => say("longest lock", &format!("too short to be seen ({looked})")),
    }
    match &locks.longest_wait {
        Some(wait) => say(
            "longest wait",
            &format!(
                "{} ms of an application for another session ({})",
                ms(wait.waited),
                wait.what
            ),
        ),
        None => say(
            "longest wait",
            "no application was seen waiting for another session",
        ),
    }
}

fn number(name: &str, default: u64) -> Result<u64, String> {
    match std::env::var(name) {
        Ok(text) if !text.is_empty() => text
            .replace('_', "")
            .parse()
            .map_err(|_| format!("{name}: not a number: {text}")),
        _ => Ok(default),
    }
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect()
}
