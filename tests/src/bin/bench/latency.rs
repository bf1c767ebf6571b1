//! What an application notices while a column of its table is filled: pgbench at a fixed rate beside
//! each method, against the same alone.

use crate::method::{self, Method};
use crate::report::{Report, grouped, ratio};
use crate::table::{Shape, prepare};
use pg_migrate_tests::{Cluster, Db};
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Transactions a second, over so many connections.
const RATE: u32 = 200;
const CLIENTS: u32 = 4;

/// Reads a row and writes another.
const SCRIPT: &str = "\\set one random(1, :rows)
\\set other random(1, :rows)
SELECT username, email FROM t WHERE id = :one;
UPDATE t SET filler = md5(:one::text) || substr(filler, 33) WHERE id = :other;
";

/// Seconds that pgbench runs: only what was due while the method ran counts.
const LONGEST: u64 = 30;

/// p99 beside us to that beside nobody, and to that beside a session that only computes: what the
/// processor alone makes the application wait on this machine.
pub struct Waits {
    pub alone: f64,
    pub busy: f64,
}

const NOBODY: &str = "nobody";
const BUSY_PROCESSOR: &str = "a busy processor";

/// Seconds that the session computes for.
const BUSY: u64 = 15;

pub fn run(cluster: &Cluster, report: &mut Report, shape: &Shape) -> Option<Waits> {
    report.say(&format!(
        "**{shape}**; {RATE} transactions a second from {CLIENTS} connections, each a read and a write of one row; \
         milliseconds from the moment a transaction was due. A busy processor: a session that computes and reads \
         no table."
    ));
    let none = Method {
        name: NOBODY,
        run: |_| {},
    };
    let busy = Method {
        name: BUSY_PROCESSOR,
        run: |db| {
            db.run(&format!(
                "DO $$ BEGIN WHILE clock_timestamp() < now() + interval '{BUSY} s' LOOP END LOOP; END $$"
            ));
        },
    };
    let mut alone: Option<Latencies> = None;
    let mut beside_busy = None;
    let mut ours = None;
    let mut rows = Vec::new();
    for method in [none, busy, method::OURS, method::ONE_UPDATE] {
        let found = beside(&cluster.database(), shape, &method);
        let base = alone.get_or_insert_with(|| found.clone());
        match method.name {
            BUSY_PROCESSOR => beside_busy = Some(found.at(0.99)),
            name if name == method::OURS.name => {
                ours = beside_busy.map(|busy| Waits {
                    alone: found.at(0.99) / base.at(0.99),
                    busy: found.at(0.99) / busy,
                });
            }
            _ => {}
        }
        rows.push(vec![
            method.name.to_owned(),
            format!("{:.1}", found.seconds),
            grouped(found.ms.len() as i64),
            format!("{:.2}", found.at(0.5)),
            format!("{:.2}", found.at(0.99)),
            ratio(found.at(0.99), base.at(0.99)),
            format!("{:.1}", found.at(1.0)),
        ]);
    }
    let header = [
        "beside",
        "seconds",
        "transactions",
        "p50",
        "p99",
        "ratio",
        "max",
    ];
    report.table(&header, &rows);
    ours
}

#[derive(Clone)]
struct Latencies {
    /// Sorted.
    ms: Vec<f64>,
    seconds: f64,
}

impl Latencies {
    fn at(&self, share: f64) -> f64 {
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss
        )]
        let place = ((self.ms.len() as f64) * share) as usize;
        self.ms
            .get(place.min(self.ms.len().saturating_sub(1)))
            .copied()
            .unwrap_or(0.0)
    }
}

fn now() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0.0, |time| time.as_secs_f64())
}

fn beside(db: &Db, shape: &Shape, method: &Method) -> Latencies {
    prepare(&mut db.connect(), shape);
    db.run("SELECT migrate.sync_column_trigger('t', 'username', 'email')");
    let folder = tempfile::tempdir().unwrap();
    let mut bench = pgbench(db, shape, folder.path());
    // Its connections and caches are not what is measured.
    std::thread::sleep(Duration::from_secs(2));
    let first = now();
    let begun = Instant::now();
    (method.run)(db);
    if method.name == NOBODY {
        std::thread::sleep(Duration::from_secs(BUSY));
    }
    let (last, seconds) = (now(), begun.elapsed().as_secs_f64());
    // It writes its log down at its end.
    let _ = bench.wait();
    let wrong: i64 = db.one("SELECT count(*) FROM t WHERE email IS DISTINCT FROM username");
    assert!(
        wrong == 0 || [NOBODY, BUSY_PROCESSOR].contains(&method.name),
        "{wrong} rows unfilled"
    );
    db.run("DROP TABLE t");
    let mut ms: Vec<f64> = fs::read_dir(folder.path())
        .unwrap()
        .flatten()
        .filter_map(|entry| fs::read_to_string(entry.path()).ok())
        .flat_map(|text| due_between(&text, first, last))
        .collect();
    ms.sort_by(f64::total_cmp);
    Latencies { ms, seconds }
}

/// From pgbench's log: client, number, microseconds, script, seconds, microseconds, lag.
fn due_between(log: &str, first: f64, last: f64) -> Vec<f64> {
    log.lines()
        .filter_map(|line| {
            let words: Vec<f64> = line
                .split_whitespace()
                .map_while(|word| word.parse().ok())
                .collect();
            let (took, end) = (words.get(2)?, words.get(4)? + words.get(5)? / 1e6);
            let due = end - took / 1e6;
            (due >= first && due <= last).then_some(took / 1000.0)
        })
        .collect()
}

fn pgbench(db: &Db, shape: &Shape, folder: &Path) -> Child {
    let script = folder.join("script.sql");
    fs::write(&script, SCRIPT).unwrap();
    Command::new(db.cluster().bin().join("pgbench"))
        .args(["-n", "-M", "prepared", "-l", "-U", "postgres"])
        .args(["-c", &CLIENTS.to_string(), "-R", &RATE.to_string()])
        .args(["-T", &LONGEST.to_string()])
        .args(["-D", &format!("rows={}", shape.rows)])
        .arg("--log-prefix=log")
        .arg("-h")
        .arg(db.cluster().socket())
        .args(["-p", &db.cluster().port().to_string()])
        .arg("-f")
        .arg(&script)
        .arg(db.name())
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}
