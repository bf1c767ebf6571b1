//! The fault that a run is about, done while a session of the engine stands at its point.

use std::time::{Duration, Instant};

use postgres::Client;

use super::{After, Run, Stopped};
use crate::torture::scenario::{Fault, Flavor};
use crate::torture::{driver, strike};

impl Run<'_> {
    /// Does the fault and lets the victim go on, if it still can. Gives whether it could be done, and
    /// what is to be done when the victim has come to its end.
    pub(super) fn strike(
        &mut self,
        stopped: Option<&Stopped>,
        mut keeper: Client,
    ) -> Result<(bool, Vec<After>), String> {
        let mut happened = true;
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
                // Nobody sets a limit to what a worker calls.
                happened = !self.scenario.worker;
                if let Some(pid) = pid.filter(|_| happened) {
                    self.leaves(pid)?;
                }
            }
            Fault::Cancel | Fault::Terminate => {
                let how = if self.scenario.fault == Fault::Cancel {
                    "cancel"
                } else {
                    "terminate"
                };
                if let Some(pid) = pid {
                    self.db.rows(&format!("SELECT pg_{how}_backend({pid})"));
                    self.leaves(pid)?;
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
            Fault::TableLock => {
                let hold = "BEGIN; LOCK TABLE t; SELECT pg_sleep(0.7); COMMIT";
                happened = self.with_ddl(&mut keeper, hold)?;
            }
            Fault::VacuumFull => happened = self.with_ddl(&mut keeper, "VACUUM FULL t")?,
            Fault::Cluster if self.scenario.parts() > 1 => {
                happened = self.with_ddl(&mut keeper, "CLUSTER t_1 USING t_1_pkey")?;
            }
            Fault::Cluster => happened = self.with_ddl(&mut keeper, "CLUSTER t USING t_pkey")?,
            Fault::Rewrite => {
                self.columns.rewritten = true;
                if !self.crowd.pause(Duration::from_secs(1)) {
                    release(&mut keeper);
                }
                self.crowd.learn(|knows| knows.rewritten = true);
                happened = self.with_ddl(&mut keeper, "ALTER TABLE t ALTER other TYPE bigint")?;
            }
            Fault::Truncate => {
                if !self.crowd.pause(Duration::from_secs(1)) {
                    release(&mut keeper);
                    self.crowd.pause(Duration::from_secs(120));
                }
                happened = self.with_ddl(&mut keeper, "TRUNCATE t")?;
                self.crowd.shared.book.clear();
                self.crowd.resume();
            }
            Fault::Attach => {
                let (sql, rows) = strike::attach(&self.db, &self.crowd.shared.book);
                happened = self.with_ddl(&mut keeper, &sql)?;
                self.crowd.shared.book.add(rows);
                self.late = self.is_done();
            }
            Fault::DisableTrigger => happened = self.without_trigger(&mut keeper)?,
            Fault::RenameColumn => {
                self.crowd.excuse(&["42703"]);
                happened = self.with_ddl(&mut keeper, "ALTER TABLE t RENAME new TO elsewhere")?;
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
                happened = self.with_ddl(&mut keeper, "ALTER TABLE t DROP COLUMN new")?;
            }
            Fault::Burst => strike::burst(&self.db, &self.crowd.shared.book, 1500),
        }
        release(&mut keeper);
        self.crowd.pulse(60);
        Ok((happened, after))
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

    /// Runs DDL, which may have to wait for the victim; whether it was done. What cannot be run at this
    /// point is no fault.
    fn with_ddl(&self, keeper: &mut Client, sql: &str) -> Result<bool, String> {
        let ddl = strike::ddl(&self.db, sql);
        let _ = keeper.batch_execute("SELECT pg_advisory_unlock_all()");
        match ddl.join() {
            Ok(Ok(())) => Ok(true),
            Ok(Err(failure)) if !matches!(failure.sqlstate.as_str(), "42703" | "") => {
                Err(format!("{sql}: {failure}"))
            }
            _ => Ok(false),
        }
    }

    /// Waits until the session stands at its point no more.
    fn leaves(&self, pid: i32) -> Result<(), String> {
        let stands = format!(
            "SELECT EXISTS (SELECT FROM pg_locks WHERE pid = {pid} AND locktype = 'advisory' AND NOT granted)"
        );
        let end = Instant::now() + Duration::from_secs(120);
        while self.db.one::<bool>(&stands) {
            if Instant::now() > end {
                return Err("the victim stays at its point".to_owned());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// Whether no job of the engine's looks at the table any more.
    fn is_done(&self) -> bool {
        self.scenario.point == "job.done"
            || self
                .db
                .one("SELECT EXISTS (SELECT FROM migrate.backfill WHERE state = 'done')")
    }

    /// The trigger is off for a while, and what is written then is not derived.
    fn without_trigger(&mut self, keeper: &mut Client) -> Result<bool, String> {
        let name = self.db.rows("SELECT quote_ident(tgname) FROM pg_trigger WHERE tgname LIKE '~~pg_migrate%' AND tgrelid = 't'::regclass");
        let Some(name) = name.first().map(|row| row[0].clone()) else {
            return Ok(false);
        };
        if !self.crowd.pause(Duration::from_secs(1)) {
            let _ = keeper.batch_execute("SELECT pg_advisory_unlock_all()");
            self.crowd.pause(Duration::from_secs(120));
        }
        self.with_ddl(keeper, &format!("ALTER TABLE t DISABLE TRIGGER {name}"))?;
        self.crowd.learn(|knows| knows.synced = false);
        self.crowd.pulse(100);
        self.crowd.pause(Duration::from_secs(120));
        self.with_ddl(
            keeper,
            &format!("ALTER TABLE t ENABLE ALWAYS TRIGGER {name}"),
        )?;
        // For the trigger every row is of the time before it.
        self.crowd.shared.book.forget_purposes();
        self.late = self.is_done();
        if self.late && self.scenario.flavor == Flavor::Migration {
            // A null counts as meant now, also where a client has just left one: the contract is to
            // find them as they are.
            self.crowd.stop();
        }
        self.crowd.learn(|knows| knows.synced = true);
        Ok(true)
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
}
