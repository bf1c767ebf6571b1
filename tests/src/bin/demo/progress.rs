//! Runs a statement on one connection while another one watches `migrate.progress`.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use pg_migrate_tests::{Db, Failure, Traffic};
use postgres::Client;

use super::words::{self, grouped};

const LOOK: &str = "
SELECT p.bar, p.percent::float8 AS percent, p.rows_done::bigint AS rows_done, p.rows_total::bigint AS rows_total,
       p.rows_per_second::float8 AS rows_per_second, p.eta::text AS eta, p.throttle
FROM migrate.progress p WHERE p.revision = '0001' AND p.state IN ('queued', 'running') ORDER BY p.job LIMIT 1";

const STEP: &str = "
SELECT kind, sql FROM migrate.steps
WHERE revision = '0001' AND state IN ('running', 'queued') AND phase <> 'contract' ORDER BY step LIMIT 1";

/// Gives the session back when the statement has ended.
pub fn follow(db: &Db, session: Client, sql: &str, traffic: &Traffic) -> Result<Client, String> {
    let mut eye = db.connect();
    let mut line = Line::new();
    let statement = sql.to_owned();
    let work = std::thread::spawn(move || {
        let mut session = session;
        let result = super::execute(&mut session, &statement);
        (session, result)
    });
    let (mut then, mut before) = (Instant::now(), traffic.operations());
    let mut rate = None;
    while !work.is_finished() {
        let now = Instant::now();
        if now - then > Duration::from_millis(500) {
            let operations = traffic.operations();
            rate = Some((operations - before) as f64 / (now - then).as_secs_f64());
            (then, before) = (now, operations);
        }
        match look(&mut eye) {
            Ok(what) => line.draw(&format!(
                "{what}   applications: {} operations/s, {} errors",
                rate.map_or("…".to_owned(), |rate| grouped(rate as u64)),
                traffic.errors()
            )),
            Err(failure) => line.draw(&format!("progress cannot be read: {failure}")),
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    line.end();
    let (session, result) = work.join().map_err(|_| "the session died".to_owned())?;
    result.map(|()| session)
}

fn look(eye: &mut Client) -> Result<String, Failure> {
    let ask = |eye: &mut Client, sql: &str| {
        eye.query_opt(sql, &[])
            .map_err(|error| Failure::from(&error))
    };
    if let Some(row) = ask(eye, LOOK)? {
        let bar: Option<String> = row.get("bar");
        let percent: Option<f64> = row.get("percent");
        let [done, total]: [Option<i64>; 2] = ["rows_done", "rows_total"].map(|name| row.get(name));
        let rate: Option<f64> = row.get("rows_per_second");
        let [eta, throttle]: [Option<String>; 2] = ["eta", "throttle"].map(|name| row.get(name));
        let count = |n: Option<i64>| n.map_or("?".to_owned(), |n| grouped(n.max(0) as u64));
        return Ok(format!(
            "backfill {} {:>5.1} %  {} of {} rows  {} rows/s  ETA {}{}",
            bar.unwrap_or_default(),
            percent.unwrap_or(0.0),
            count(done),
            count(total),
            rate.map_or("?".to_owned(), |rate| grouped(rate as u64)),
            eta.as_deref().unwrap_or("?"),
            throttle
                .map(|text| format!("  ({text})"))
                .unwrap_or_default(),
        ));
    }
    Ok(match ask(eye, STEP)? {
        Some(row) => {
            let [kind, sql]: [Option<String>; 2] = [0, 1].map(|i| row.get(i));
            let sql = words::shortened(&sql.unwrap_or_default(), 60);
            format!("{} {sql}", kind.unwrap_or_default())
        }
        None => "finishing".to_owned(),
    })
}

/// One line that is drawn over on a terminal; elsewhere a line each second.
struct Line {
    terminal: bool,
    printed: Option<Instant>,
    last: String,
}

impl Line {
    fn new() -> Self {
        Self {
            terminal: std::io::stdout().is_terminal(),
            printed: None,
            last: String::new(),
        }
    }

    fn draw(&mut self, text: &str) {
        if self.terminal {
            // Without wrapping, or a line longer than the window would be drawn once per look.
            print!("\r\x1b[?7l\x1b[K  {text}\x1b[?7h");
            let _ = std::io::stdout().flush();
        } else if self
            .printed
            .is_none_or(|then| then.elapsed() >= Duration::from_secs(1))
        {
            println!("  {text}");
            self.printed = Some(Instant::now());
        }
        text.clone_into(&mut self.last);
    }

    fn end(&mut self) {
        if self.terminal && !self.last.is_empty() {
            println!();
        }
    }
}
