//! One seed from the first row to the verdict.

use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use postgres::Client;

mod fault;
mod finish;

use super::crowd::Crowd;
use super::driver::{self, Others};
use super::scenario::{Fault, Flavor, Scenario};
use super::strike::{self, SmallDisk};
use super::table::{self, Columns};
use crate::{Cluster, Db, Failure, Standby};

/// The advisory locks at which sessions are stopped.
const STOP: i64 = 7001;
const FIRST_STOP: i64 = 7002;

/// Of the disk that is made full: room for what the writers of a slow machine leave behind.
const MEGABYTES: u32 = 300;

/// What a seed came to.
#[derive(Debug)]
pub struct Outcome {
    /// The point was reached; otherwise the work was done before.
    pub reached: bool,
    /// The fault could be done there.
    pub happened: bool,
    /// Why the scenario could not be had here.
    pub skipped: Option<String>,
    pub transactions: u64,
    /// Connections of clients that broke.
    pub broken: u64,
    /// Everything that is wrong.
    pub wrong: Vec<String>,
}

/// Runs scenarios one after the other, on a cluster that it makes anew when one is used up.
#[derive(Default)]
pub struct Torturer {
    cluster: Option<Cluster>,
}

impl Torturer {
    pub fn new() -> Self {
        Self::default()
    }

    /// Runs the scenario with, if any, a mistake in the engine.
    pub fn run(&mut self, scenario: &Scenario, mutant: Option<&str>) -> Outcome {
        let cluster = self.cluster.take().unwrap_or_else(|| {
            Cluster::with(&[("deadlock_timeout", "200ms"), ("checkpoint_timeout", "30s")])
        });
        let promoted = scenario.fault == Fault::Promote;
        let mut outcome = Outcome {
            reached: false,
            happened: false,
            skipped: None,
            transactions: 0,
            broken: 0,
            wrong: Vec::new(),
        };
        let mut run = Run::new(&cluster, *scenario, mutant);
        if let Err(text) = run.all(&mut outcome) {
            outcome.wrong.push(text);
        }
        run.crowd.stop();
        outcome.wrong.extend(run.crowd.errors());
        outcome.transactions = run.crowd.shared.transactions.load(Ordering::Relaxed);
        outcome.broken = run.crowd.shared.broken.load(Ordering::Relaxed);
        let name = run.db.name().to_owned();
        drop(run);
        // Nothing of it is needed any more, unless somebody wants to look at what is wrong.
        if !promoted && outcome.wrong.is_empty() {
            cluster
                .db("postgres")
                .run(&format!("DROP DATABASE {name} WITH (FORCE)"));
            let _ = cluster
                .db("postgres")
                .connect()
                .batch_execute("DROP TABLESPACE IF EXISTS small");
        }
        if !promoted && outcome.wrong.is_empty() {
            self.cluster = Some(cluster);
        }
        outcome
    }
}

struct Run<'a> {
    cluster: &'a Cluster,
    standby: Option<Standby>,
    scenario: Scenario,
    db: Db,
    crowd: Crowd,
    disk: Option<SmallDisk>,
    columns: Columns,
    /// The job was done before unfilled rows came.
    late: bool,
}

type Victim = JoinHandle<Result<(), Failure>>;

/// Where the victim stands.
struct Stopped {
    pid: i32,
}

impl<'a> Run<'a> {
    fn new(cluster: &'a Cluster, scenario: Scenario, mutant: Option<&str>) -> Self {
        let db = cluster.database();
        if let Some(mutant) = mutant {
            db.run(&format!(
                "ALTER DATABASE {} SET migrate.mutant = '{mutant}'",
                db.name()
            ));
        }
        let crowd = Crowd::new(
            &db,
            scenario.seed,
            scenario.map,
            scenario.parts(),
            table::ROWS + table::ROWS / 4,
        );
        Run {
            cluster,
            standby: None,
            scenario,
            db,
            crowd,
            disk: None,
            columns: Columns {
                old: true,
                new: false,
                finished: false,
                rewritten: false,
            },
            late: false,
        }
    }

    fn whole(&self) -> bool {
        self.scenario.point == "verify"
    }

    fn all(&mut self, outcome: &mut Outcome) -> Result<(), String> {
        let scenario = self.scenario;
        let space = self.space(outcome);
        if outcome.skipped.is_some() {
            return Ok(());
        }
        let rows = table::create(&self.db, &scenario, space);
        self.crowd.shared.book.add(rows);
        self.crowd.shared.book.reserve_up_to(table::ROWS * 2);
        if scenario.flavor == Flavor::Job {
            self.db.run("ALTER TABLE t ADD COLUMN new text");
        }
        if scenario.point == "fill.quarantine" {
            self.bad_rows();
        }
        table::count_fillings(&self.db);
        if scenario.fault == Fault::Promote {
            let standby = self.cluster.standby();
            self.cluster
                .configure(&[("synchronous_standby_names", "*")]);
            standby.catch_up(self.cluster);
            self.standby = Some(standby);
        }
        self.crowd.start();
        self.crowd.pulse(150);
        match scenario.flavor {
            Flavor::None => self.bare(outcome)?,
            Flavor::Job | Flavor::Migration => self.migrated(outcome)?,
        }
        self.crowd.pulse(150);
        self.crowd.stop();
        let book = self.crowd.shared.book.rows();
        outcome
            .wrong
            .extend(table::check(&self.db, scenario.map, &book, self.columns));
        if self.columns.finished && scenario.flavor != Flavor::None {
            let counted = "SELECT (SELECT count(*) FROM filled), (SELECT coalesce(sum(rows_updated), 0) FROM migrate.progress)";
            let counts = self.db.rows(counted).remove(0);
            if counts[0] != counts[1] {
                outcome.wrong.push(format!(
                    "{} rows were filled and {} counted",
                    counts[0], counts[1]
                ));
            }
        }
        Ok(())
    }

    fn space(&mut self, outcome: &mut Outcome) -> Option<&'static str> {
        if self.scenario.fault != Fault::DiskFull {
            return None;
        }
        match SmallDisk::mount(self.cluster.socket(), MEGABYTES) {
            Ok(disk) => {
                let mut client = self.cluster.db("postgres").connect();
                let _ = client.batch_execute("DROP TABLESPACE IF EXISTS small");
                let made = client.batch_execute(&format!(
                    "CREATE TABLESPACE small LOCATION '{}'",
                    disk.tablespace().display()
                ));
                self.disk = Some(disk);
                match made {
                    Ok(()) => Some("small"),
                    Err(error) => {
                        outcome.skipped = Some(Failure::from(&error).to_string());
                        None
                    }
                }
            }
            Err(error) => {
                outcome.skipped = Some(format!("no small file system: {error}"));
                None
            }
        }
    }

    /// Rows, unknown to the clients, whose new value a constraint refuses.
    fn bad_rows(&self) {
        self.db.run(
            "INSERT INTO t (id, part, old, fat, kept) SELECT -n, 0, 'bad', '0-0-', 'k' || -n FROM generate_series(1, 3) n;
             ALTER TABLE t ADD CONSTRAINT good CHECK (lower(new) <> 'bad') NOT VALID",
        );
        let row = super::model::Row {
            part: 0,
            other: 0,
            fat: 0,
            old: Some("bad".to_owned()),
            new: super::model::New::Unfilled,
        };
        self.crowd
            .shared
            .book
            .add((1..=3).map(|n| (-n, row.clone())));
    }

    /// No migration: faults of the server alone.
    fn bare(&mut self, outcome: &mut Outcome) -> Result<(), String> {
        match self.scenario.fault {
            Fault::ImmediateStop => self.cluster.restart_immediate(),
            Fault::KillPostmaster => strike::kill_postmaster(self.cluster)?,
            Fault::VacuumFull => self.db.run("VACUUM FULL t"),
            _ => {}
        }
        (outcome.reached, outcome.happened) = (true, true);
        self.columns.finished = true;
        Ok(())
    }

    fn migrated(&mut self, outcome: &mut Outcome) -> Result<(), String> {
        let scenario = self.scenario;
        let held = self.hold_rows();
        let mut keeper = self.db.connect();
        let keep = |client: &mut Client, key: i64| {
            client
                .batch_execute(&format!("SELECT pg_advisory_lock({key})"))
                .map_err(|error| Failure::from(&error).to_string())
        };
        keep(&mut keeper, STOP)?;
        keep(&mut keeper, FIRST_STOP)?;
        let victim = self.victim(scenario)?;
        if scenario.point == "range.replaced" && self.stop_at(FIRST_STOP, &victim).is_some() {
            let ddl = strike::ddl(&self.db, "VACUUM FULL t");
            let _ = keeper.batch_execute(&format!("SELECT pg_advisory_unlock({FIRST_STOP})"));
            let _ = ddl.join();
        }
        let _ = keeper.batch_execute(&format!("SELECT pg_advisory_unlock({FIRST_STOP})"));
        let stopped = self.stop_at(STOP, &victim);
        outcome.reached = stopped.is_some();
        let mut others = Others::start(&self.db, scenario.others);
        drop(held);
        if self.db.one::<bool>("SELECT EXISTS (SELECT FROM pg_trigger WHERE tgname LIKE '~~pg_migrate%' AND tgrelid = 't'::regclass)") {
            self.learn_new();
        }
        self.crowd.pulse(80);
        if scenario.point == "contract.begin" && stopped.is_some() {
            // They know the old column, which is about to go.
            self.crowd.stop();
        }
        let (happened, after) = self.strike(stopped.as_ref(), keeper)?;
        outcome.happened = happened && outcome.reached;
        let _ = victim.join();
        others.end();
        for check in after {
            check(self)?;
        }
        self.finish(outcome)
    }

    fn learn_new(&mut self) {
        if !self.columns.new {
            self.columns.new = true;
            self.crowd.learn(|knows| knows.both = true);
        }
    }

    /// Rows that the engine must pass over, until the returned session ends.
    fn hold_rows(&self) -> Option<Client> {
        if !matches!(self.scenario.point, "revisit" | "fill.locked") {
            return None;
        }
        let mut client = self.db.connect();
        client
            .batch_execute("BEGIN; SELECT FROM t WHERE id % 37 = 0 FOR UPDATE")
            .ok()?;
        Some(client)
    }

    /// Starts the session that is to be struck.
    fn victim(&self, scenario: Scenario) -> Result<Victim, String> {
        let action = match scenario.fault {
            Fault::Error(sqlstate) => format!("wait {STOP} error {sqlstate}"),
            _ => format!("wait {STOP}"),
        };
        let mut order = format!("{} {} {action}", scenario.point, scenario.time);
        if scenario.point == "range.replaced" {
            order = format!("batch.begin 2 wait {FIRST_STOP}, {order}");
        }
        let mut statements = Vec::new();
        let by_hand = [
            driver::trigger_sql(scenario.map),
            driver::job_sql(scenario.map, self.whole(), scenario.stripes),
        ];
        if scenario.worker {
            let name = self.db.name();
            match scenario.flavor {
                Flavor::Migration => self.db.run(&format!(
                    "SELECT migrate.add($${}$$); SELECT migrate.apply('1')",
                    driver::DOCUMENT
                )),
                _ => by_hand.iter().for_each(|sql| self.db.run(sql)),
            }
            statements.push(format!(
                "ALTER DATABASE {name} SET migrate.fault_point = '{order}'"
            ));
            statements.push("SELECT migrate.start_worker()".to_owned());
            statements.push(
                "DO $$ BEGIN FOR i IN 1..500 LOOP
                    EXIT WHEN EXISTS (SELECT FROM pg_stat_activity WHERE backend_type LIKE 'pg_migrate%'
                        AND datname = current_database());
                    PERFORM pg_sleep(0.02); PERFORM pg_stat_clear_snapshot(); END LOOP; END $$"
                    .to_owned(),
            );
            statements.push(format!("ALTER DATABASE {name} RESET migrate.fault_point"));
            // The session that asked for it is not the victim; its end says nothing.
            statements.push(
                "DO $$ BEGIN WHILE EXISTS (SELECT FROM pg_stat_activity WHERE backend_type LIKE 'pg_migrate%'
                    AND datname = current_database()) LOOP PERFORM pg_sleep(0.02); PERFORM pg_stat_clear_snapshot(); END LOOP; END $$"
                    .to_owned(),
            );
        } else {
            statements.push(format!("SET migrate.fault_point = '{order}'"));
            if scenario.flavor == Flavor::Migration {
                statements.push(format!("SELECT migrate.add($${}$$)", driver::DOCUMENT));
                statements.push("CALL migrate.upgrade()".to_owned());
                if scenario.point == "contract.begin" {
                    statements.push("CALL migrate.contract('1')".to_owned());
                }
            } else {
                statements.extend(by_hand);
                statements.push(
                    // The first job of the database.
                    "CALL migrate.run_backfill(1)".to_owned(),
                );
            }
        }
        if scenario.fault == Fault::StatementTimeout && !scenario.worker {
            let limit = "SET statement_timeout = '3s'".to_owned();
            let early = matches!(scenario.point, "trigger.lock" | "trigger.made")
                && scenario.flavor == Flavor::Job;
            statements.insert(if early { 1 } else { statements.len() - 1 }, limit);
        }
        let client = driver::session(&self.db).map_err(|failure| failure.to_string())?;
        Ok(driver::in_background(client, statements))
    }

    /// Waits until somebody stands at the lock; `None`: the victim came to its end without it.
    fn stop_at(&self, key: i64, victim: &Victim) -> Option<Stopped> {
        let sql = format!(
            "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND objid = {key}
             AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        );
        let mut eye = self.db.connect();
        let end = Instant::now() + Duration::from_secs(120);
        loop {
            let over = victim.is_finished() || Instant::now() > end;
            if let Ok(rows) = eye.query(&sql, &[])
                && let Some(row) = rows.first()
            {
                return Some(Stopped { pid: row.get(0) });
            }
            if over {
                return None;
            }
            std::thread::sleep(Duration::from_millis(3));
        }
    }
}

type After = Box<dyn FnOnce(&mut Run) -> Result<(), String>>;
