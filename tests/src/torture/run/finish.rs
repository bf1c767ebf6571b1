//! After the fault: the work is done by whoever comes next, or refused by name.

use std::time::{Duration, Instant};

use super::{Outcome, Run};
use crate::Failure;
use crate::torture::driver::{self, PASSING};
use crate::torture::scenario::{Fault, Flavor};
use crate::torture::strike;
use crate::torture::table::Columns;

impl Run<'_> {
    /// Whoever comes next has it done.
    pub(super) fn finish(&mut self, outcome: &mut Outcome) -> Result<(), String> {
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
            return self.contract();
        }
        done().map_err(|failure| format!("the backfill cannot be finished: {failure}"))?;
        self.learn_new();
        if self.crowd.shared.book.peek(-1).is_some() {
            self.quarantined(outcome)?;
        }
        if self.late {
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
            // Every row had been filled before.
            Ok(()) if matches!(self.scenario.point, "settle" | "job.done") => {}
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
    fn contract(&mut self) -> Result<(), String> {
        self.crowd.pulse(80);
        self.crowd.stop();
        let applied = "SELECT EXISTS (SELECT FROM migrate.revision WHERE state = 'applied')";
        let end = Instant::now() + Duration::from_secs(120);
        while !self.db.one::<bool>(applied) {
            let mut client = driver::session(&self.db).map_err(|failure| failure.to_string())?;
            match client.batch_execute("CALL migrate.contract('1')") {
                Ok(()) => break,
                Err(error) => {
                    let failure = Failure::from(&error);
                    // Rows were written past the trigger when no backfill looked for them any more.
                    if self.late && failure.message.contains("disagree") {
                        self.late = false;
                        self.db
                            .run("UPDATE t SET new = old WHERE new IS NULL AND old IS NOT NULL");
                        continue;
                    }
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
        Ok(())
    }
}
