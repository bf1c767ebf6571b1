//! One seed from the first row to the verdict.

use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use postgres::Client;

use super::crowd::Crowd;
use super::driver::{self, Others, PASSING};
use super::scenario::{Fault, Flavor, Scenario};
use super::strike::{self, SmallDisk};
use super::table::{self, Columns};
use crate::{Cluster, Db, Failure, Standby};

/// The advisory locks at which sessions are stopped.
const STOP: i64 = 7001;
const FIRST_STOP: i64 = 7002;

/// What a seed came to.
#[derive(Debug)]
pub struct Outcome {
    /// The point was reached; otherwise the work was done before.
    pub reached: bool,
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
        let size = if self.scenario.shape == super::Shape::Wide {
            80
        } else {
            40
        };
        match SmallDisk::mount(self.cluster.socket(), size) {
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
        outcome.reached = true;
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
        outcome.reached = stopped.is_some() || matches!(scenario.fault, Fault::Error(_));
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
        let after = self.strike(stopped.as_ref(), keeper)?;
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
            Fault::Error(sqlstate) => format!("error {sqlstate}"),
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
            statements.push("SELECT pg_sleep(0.3)".to_owned());
            statements.push(format!("ALTER DATABASE {name} RESET migrate.fault_point"));
            // The session that asked for it is not the victim; its end says nothing.
            statements.push(
                "DO $$ BEGIN WHILE EXISTS (SELECT FROM pg_stat_activity WHERE backend_type LIKE 'pg_migrate%'
                    AND datname = current_database()) LOOP PERFORM pg_sleep(0.02); PERFORM pg_stat_clear_snapshot(); END LOOP; END $$"
                    .to_owned(),
            );
        } else {
            statements.push(format!("SET migrate.fault_point = '{order}'"));
            if scenario.fault == Fault::StatementTimeout {
                statements.push("SET statement_timeout = '700ms'".to_owned());
            }
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
        let end = Instant::now() + Duration::from_secs(60);
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

    /// Does the fault and lets the victim go on, if it still can.
    fn strike(
        &mut self,
        stopped: Option<&Stopped>,
        mut keeper: Client,
    ) -> Result<Vec<After>, String> {
        let mut after: Vec<After> = Vec::new();
        let release = |keeper: &mut Client| {
            let _ = keeper.batch_execute("SELECT pg_advisory_unlock_all()");
        };
        let pid = stopped.map(|stopped| stopped.pid);
        if matches!(self.scenario.fault, Fault::Attach | Fault::Burst) && self.shuts_out(pid) {
            release(&mut keeper);
        }
        match self.scenario.fault {
            Fault::Nothing | Fault::Error(_) => {}
            Fault::StatementTimeout => {
                std::thread::sleep(Duration::from_millis(800));
            }
            Fault::Cancel | Fault::Terminate => {
                let how = if self.scenario.fault == Fault::Cancel {
                    "cancel"
                } else {
                    "terminate"
                };
                if let Some(pid) = pid {
                    self.db.rows(&format!("SELECT pg_{how}_backend({pid})"));
                    self.db.wait_for(
                        "the victim leaves its point",
                        30,
                        &format!("SELECT NOT EXISTS (SELECT FROM pg_locks WHERE pid = {pid} AND locktype = 'advisory' AND NOT granted)"),
                    );
                }
            }
            Fault::Kill9 => {
                if let Some(pid) = pid {
                    strike::kill_9(pid);
                    // Every backend is started anew after this.
                    std::thread::sleep(Duration::from_millis(100));
                    driver::session(&self.db).map_err(|failure| failure.to_string())?;
                }
            }
            Fault::KillPostmaster => strike::kill_postmaster(self.cluster)?,
            Fault::ImmediateStop => self.cluster.restart_immediate(),
            Fault::Promote => self.promote()?,
            Fault::DiskFull => {
                self.crowd.excuse(&["53100"]);
                if let Some(disk) = &self.disk {
                    disk.fill();
                }
                release(&mut keeper);
                self.crowd.pulse(60);
                after.push(Box::new(|run| {
                    if let Some(disk) = &run.disk {
                        disk.empty();
                    }
                    run.crowd.learn(|_| {});
                    run.crowd.excuse(&[]);
                    Ok(())
                }));
            }
            Fault::VacuumFull => self.with_ddl(&mut keeper, "VACUUM FULL t")?,
            Fault::Cluster if self.scenario.parts() > 1 => {
                self.with_ddl(&mut keeper, "CLUSTER t_1 USING t_1_pkey")?;
            }
            Fault::Cluster => self.with_ddl(&mut keeper, "CLUSTER t USING t_old_for_cluster")?,
            Fault::Rewrite => {
                self.columns.rewritten = true;
                if !self.crowd.pause(Duration::from_secs(1)) {
                    release(&mut keeper);
                }
                self.crowd.learn(|knows| knows.rewritten = true);
                self.with_ddl(&mut keeper, "ALTER TABLE t ALTER other TYPE bigint")?;
            }
            Fault::Truncate => {
                if !self.crowd.pause(Duration::from_secs(1)) {
                    release(&mut keeper);
                    self.crowd.pause(Duration::from_secs(60));
                }
                self.with_ddl(&mut keeper, "TRUNCATE t")?;
                self.crowd.shared.book.clear();
                self.crowd.resume();
            }
            Fault::Attach => {
                let (sql, rows) = strike::attach(&self.db, &self.crowd.shared.book);
                self.with_ddl(&mut keeper, &sql)?;
                self.crowd.shared.book.add(rows);
            }
            Fault::DisableTrigger => self.without_trigger(&mut keeper)?,
            Fault::RenameColumn => {
                self.crowd.excuse(&["42703"]);
                self.with_ddl(&mut keeper, "ALTER TABLE t RENAME new TO elsewhere")?;
                after.push(Box::new(|run| {
                    let back = strike::ddl(&run.db, "ALTER TABLE t RENAME elsewhere TO new");
                    let _ = back.join();
                    run.crowd.learn(|_| {});
                    run.crowd.excuse(&[]);
                    Ok(())
                }));
            }
            Fault::DropColumn => {
                self.crowd.excuse(&["42703"]);
                self.with_ddl(&mut keeper, "ALTER TABLE t DROP COLUMN new")?;
            }
            Fault::Burst => strike::burst(&self.db, &self.crowd.shared.book, 1500),
        }
        release(&mut keeper);
        self.crowd.pulse(60);
        Ok(after)
    }

    /// Whether the session keeps every writer out of the table.
    fn shuts_out(&self, pid: Option<i32>) -> bool {
        pid.is_some_and(|pid| {
            self.db.one(&format!(
                "SELECT EXISTS (SELECT FROM pg_locks WHERE pid = {pid} AND granted AND relation = 't'::regclass
                 AND mode IN ('ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock'))"
            ))
        })
    }

    /// Runs DDL, which may have to wait for the victim. What cannot be run at this point is no fault.
    fn with_ddl(&self, keeper: &mut Client, sql: &str) -> Result<(), String> {
        let sql = sql.replace("t_old_for_cluster", "t_pkey");
        let ddl = strike::ddl(&self.db, &sql);
        let _ = keeper.batch_execute("SELECT pg_advisory_unlock_all()");
        match ddl.join() {
            Ok(Err(failure)) if !matches!(failure.sqlstate.as_str(), "42703" | "") => {
                Err(format!("{sql}: {failure}"))
            }
            _ => Ok(()),
        }
    }

    /// The trigger is off for a while, and what is written then is not derived.
    fn without_trigger(&mut self, keeper: &mut Client) -> Result<(), String> {
        let name = self.db.rows("SELECT quote_ident(tgname) FROM pg_trigger WHERE tgname LIKE '~~pg_migrate%' AND tgrelid = 't'::regclass");
        let Some(name) = name.first().map(|row| row[0].clone()) else {
            return Ok(());
        };
        if !self.crowd.pause(Duration::from_secs(1)) {
            let _ = keeper.batch_execute("SELECT pg_advisory_unlock_all()");
            self.crowd.pause(Duration::from_secs(60));
        }
        self.with_ddl(keeper, &format!("ALTER TABLE t DISABLE TRIGGER {name}"))?;
        self.crowd.learn(|knows| knows.synced = false);
        self.crowd.pulse(100);
        self.crowd.pause(Duration::from_secs(60));
        self.with_ddl(
            keeper,
            &format!("ALTER TABLE t ENABLE ALWAYS TRIGGER {name}"),
        )?;
        self.crowd.learn(|knows| knows.synced = true);
        Ok(())
    }

    fn promote(&mut self) -> Result<(), String> {
        let standby = self.standby.take().ok_or("no standby")?;
        self.cluster.stop_immediate();
        standby.promote();
        let db = standby.db(self.db.name());
        db.wait_for("the promotion", 60, "SELECT NOT pg_is_in_recovery()");
        db.run("ALTER SYSTEM SET synchronous_standby_names = ''; ");
        db.run("SELECT pg_reload_conf()");
        self.db = db;
        self.crowd.redirect(&self.db);
        self.standby = Some(standby);
        Ok(())
    }

    /// Whoever comes next has it done.
    fn finish(&mut self, outcome: &mut Outcome) -> Result<(), String> {
        let scenario = self.scenario;
        if scenario.worker {
            self.db.run(&format!(
                "ALTER DATABASE {} RESET migrate.fault_point",
                self.db.name()
            ));
        }
        let done = || {
            driver::finish(
                &self.db,
                scenario.flavor,
                scenario.map,
                self.whole(),
                scenario.stripes,
            )
        };
        let gone = "SELECT NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = 't'::regclass AND attname = 'new' AND NOT attisdropped)";
        if scenario.fault == Fault::DropColumn && self.db.one::<bool>(gone) {
            let refused = done().and_then(|()| match scenario.flavor {
                Flavor::Migration => driver::session(&self.db)?
                    .batch_execute("CALL migrate.contract('1')")
                    .map_err(|error| Failure::from(&error)),
                _ => Ok(()),
            });
            return self.refused(refused);
        }
        if scenario.flavor == Flavor::Migration {
            let applied = "SELECT EXISTS (SELECT FROM migrate.revision WHERE state IN ('contracting', 'applied'))";
            if !self.db.one::<bool>(applied) {
                done().map_err(|failure| format!("upgrade: {failure}"))?;
                self.learn_new();
                self.crowd.pulse(80);
            }
            return self.contract(outcome);
        }
        done().map_err(|failure| format!("the backfill cannot be finished: {failure}"))?;
        self.learn_new();
        if self.crowd.shared.book.peek(-1).is_some() {
            self.quarantined(outcome)?;
        }
        // The job was done before the partition came.
        if scenario.fault == Fault::Attach {
            self.db.run(&driver::job_sql(
                scenario.map,
                self.whole(),
                scenario.stripes,
            ));
            driver::finish(&self.db, scenario.flavor, scenario.map, self.whole(), 1)
                .map_err(|failure| failure.to_string())?;
        }
        self.crowd.pulse(80);
        self.db.run("SELECT migrate.sync_filled('t', 'old', 'new')");
        self.columns.finished = true;
        Ok(())
    }

    /// The three bad rows are named, and filled once they can be.
    fn quarantined(&self, outcome: &mut Outcome) -> Result<(), String> {
        let named = self
            .db
            .rows("SELECT key ->> 'id' FROM migrate.quarantine ORDER BY 1");
        if named != [["-1"], ["-2"], ["-3"]] {
            outcome
                .wrong
                .push(format!("the quarantine names {named:?}"));
        }
        self.db.run("ALTER TABLE t DROP CONSTRAINT good");
        self.db
            .run("SELECT migrate.resume(max(job)) FROM migrate.backfill");
        driver::finish(
            &self.db,
            self.scenario.flavor,
            self.scenario.map,
            self.whole(),
            1,
        )
        .map_err(|failure| failure.to_string())
    }

    /// The column is gone: the work must have been refused by name, and nothing else be lost.
    fn refused(&mut self, done: Result<(), Failure>) -> Result<(), String> {
        match done {
            Err(failure) if failure.message.contains("new") => {}
            Err(failure) => return Err(format!("the lost column is not named: {failure}")),
            Ok(()) => return Err("the backfill of a dropped column was done".to_owned()),
        }
        self.crowd.learn(|knows| {
            knows.both = false;
            knows.synced = true;
        });
        let dropped = self.db.rows("SELECT quote_ident(tgname) FROM pg_trigger WHERE tgname LIKE '~~pg_migrate%' AND tgrelid = 't'::regclass");
        for row in dropped {
            let ddl = strike::ddl(&self.db, &format!("DROP TRIGGER {} ON t", row[0]));
            let _ = ddl.join();
        }
        self.crowd.learn(|_| {});
        self.crowd.excuse(&[]);
        self.columns.new = false;
        Ok(())
    }

    /// The old column goes: nobody writes meanwhile, for the clients know it.
    fn contract(&mut self, outcome: &mut Outcome) -> Result<(), String> {
        self.crowd.pulse(80);
        self.crowd.stop();
        let book = self.crowd.shared.book.rows();
        let applied = "SELECT EXISTS (SELECT FROM migrate.revision WHERE state = 'applied')";
        let end = Instant::now() + Duration::from_secs(60);
        while !self.db.one::<bool>(applied) {
            let mut client = driver::session(&self.db).map_err(|failure| failure.to_string())?;
            match client.batch_execute("CALL migrate.contract('1')") {
                Ok(()) => break,
                Err(error) => {
                    let failure = Failure::from(&error);
                    if !PASSING.contains(&failure.sqlstate.as_str()) || Instant::now() > end {
                        return Err(format!("contract: {failure}"));
                    }
                }
            }
        }
        self.columns = Columns {
            old: false,
            new: true,
            finished: true,
            rewritten: self.columns.rewritten,
        };
        drop(book);
        let _ = outcome;
        Ok(())
    }
}

type After = Box<dyn FnOnce(&mut Run) -> Result<(), String>>;
