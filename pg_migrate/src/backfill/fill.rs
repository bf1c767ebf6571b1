//! Fills the rows of a few blocks of one heap: one UPDATE where nothing is in the way, and with
//! care around rows that others have locked or that cannot be filled.

use super::blocks::Blocks;
use super::condition::{block_of, copying, rows, set_list, window};
use super::storage::{self, Heap, Table};
use super::stripes::{self, Visit};
use super::work;
use crate::fault::{Fault, Result, state};
use crate::ledger::{self, Job};
use crate::pg::spi::{self, Arg};
use crate::pg::torture::{self, Mutant, Point};
use crate::pg::{kept, settings, subtransaction};
use crate::sync;
use serde::Deserialize;
use serde_json::Value;
use std::collections::HashSet;

/// A plain UPDATE that meets a locked row waits this long, then the window is done row by row.
const WINDOW_WAIT: &str = "10ms";
/// Longest wait for a lock that rows already locked by us need besides (a referenced row, a unique
/// value that somebody is inserting).
const ROW_WAIT: &str = "20ms";
/// After so many waits in vain a batch leaves the rest of the rows in question for later.
const MOST_WAITS: u32 = 20;
/// More rows than this that cannot be filled are a mistake in the expression, not bad rows.
const MOST_QUARANTINED: i64 = 1000;

/// The filling of one storage relation within a batch.
pub struct Filler<'a> {
    job: &'a Job,
    relation: u32,
    heap: &'a Heap,
    alias: &'a str,
    set: String,
    /// What FOR … locks a row as strongly as the UPDATE will.
    strength: &'static str,
    waits: u32,
    pub rows: i64,
    /// Blocks with rows that others have locked.
    pub skipped: Blocks,
}

/// Which rows of some blocks are done.
pub enum Way {
    All,
    /// Those of the visit, which is asked for each row that is to be filled.
    Asking(Visit),
    /// Those of the visit among the rows it has noted.
    Noted(Visit),
}

/// What an attempt came to.
pub(super) struct Filled {
    pub rows: i64,
    /// Blocks with rows that others have locked.
    pub skipped: Vec<i64>,
}

#[derive(Deserialize)]
struct Place {
    tid: String,
}

impl<'a> Filler<'a> {
    pub fn new(job: &'a Job, table: &'a Table, relation: u32, heap: &'a Heap) -> Self {
        let quoted: Vec<(String, &str)> = job
            .assignments
            .iter()
            .filter_map(|(column, value)| Some((spi::ident(column), value.as_str()?)))
            .collect();
        let key = table
            .columns
            .iter()
            .any(|column| column.key && job.assignments.contains_key(&column.name));
        Filler {
            job,
            relation,
            heap,
            alias: &table.alias,
            set: set_list(quoted.iter().map(|(column, text)| (column.as_str(), *text))),
            strength: if key { "UPDATE" } else { "NO KEY UPDATE" },
            waits: 0,
            rows: 0,
            skipped: Blocks::default(),
        }
    }

    /// Fills `[first, end)`. Rows that others have locked are noted in `skipped`, rows that cannot
    /// be filled are quarantined. `way` says which rows are done where nothing is in the way.
    /// Gives the visit back. Errors: what is wrong with more than single rows.
    pub fn blocks(&mut self, first: i64, end: i64, way: Way) -> Result<Option<Visit>> {
        let window = window(self.alias, first, end);
        if self.job.locks_first {
            return self.locking(&window).map(|()| None);
        }
        let (plain, visit) = match way {
            Way::All => (subtransaction::attempt(|| self.plain(&window)), None),
            Way::Asking(mut visit) => {
                visit.notes.reading(first);
                let (plain, mut visit) =
                    stripes::visiting(visit, || subtransaction::attempt(|| self.striped(&window)));
                if let Some(visit) = &mut visit {
                    visit.notes.have_read(end);
                }
                (plain, visit)
            }
            Way::Noted(mut visit) => {
                let picked = visit.pick(first, end);
                let plain = match picked.is_empty() {
                    true => Ok(0),
                    false => subtransaction::attempt(|| self.picked(&picked)),
                };
                if let Ok(count) = &plain {
                    // Rows that have been filled or moved by others since.
                    visit.tally.fitted -= i64::try_from(picked.len()).unwrap_or(0) - count;
                    visit.tally.fitted = visit.tally.fitted.max(0);
                }
                (plain, Some(visit))
            }
        };
        let fault = match plain {
            Ok(count) => {
                self.rows += count;
                return Ok(visit);
            }
            Err(fault) => fault,
        };
        let visit = visit.map(|visit| visit.without(first, end));
        self.around(fault, &window)?;
        Ok(visit)
    }

    /// Fills all that `which` says, as SQL over one row.
    pub fn all(&mut self, which: &str) -> Result<()> {
        if self.job.locks_first {
            return self.locking(which);
        }
        match subtransaction::attempt(|| self.plain(which)) {
            Ok(count) => {
                self.rows += count;
                Ok(())
            }
            Err(fault) => self.around(fault, which),
        }
    }

    /// What one statement could not do, because of `fault`, is done around what is in the way.
    fn around(&mut self, fault: Fault, which: &str) -> Result<()> {
        if is_conflict(&fault) {
            self.locking(which)
        } else if is_about_a_row(&fault) {
            self.one_by_one(which)
        } else {
            Err(fault)
        }
    }

    /// Rows that are free are locked first, and then filled; where that fails, in ever smaller parts.
    fn locking(&mut self, window: &str) -> Result<()> {
        match subtransaction::attempt(|| self.careful(window)) {
            Ok(filled) => {
                self.add(filled);
                Ok(())
            }
            Err(fault) if is_conflict(&fault) || is_about_a_row(&fault) => self.one_by_one(window),
            Err(fault) => Err(fault),
        }
    }

    fn one_by_one(&mut self, window: &str) -> Result<()> {
        let all = work::within(self.job, || self.places(window, ""))?;
        self.each(&all)
    }

    fn add(&mut self, filled: Filled) {
        self.rows += filled.rows;
        for block in filled.skipped {
            self.skipped.add(block, block + 1);
        }
    }

    /// Halves a list of rows until what is wrong is alone.
    fn each(&mut self, tids: &[String]) -> Result<()> {
        if tids.is_empty() {
            return Ok(());
        }
        let these = rows(self.alias, tids);
        let fault = match subtransaction::attempt(|| self.careful(&these)) {
            Ok(filled) => {
                self.add(filled);
                return Ok(());
            }
            Err(fault) => fault,
        };
        if !is_conflict(&fault) && !is_about_a_row(&fault) {
            return Err(fault);
        }
        if is_conflict(&fault) {
            self.waits += 1;
            if tids.len() == 1 || self.waits > MOST_WAITS {
                for block in tids.iter().filter_map(|tid| block_of(tid)) {
                    self.skipped.add(block, block + 1);
                }
                return Ok(());
            }
        }
        match tids {
            [tid] => self.quarantine(tid, &fault),
            many => {
                let (left, right) = many.split_at(many.len() / 2);
                self.each(left)?;
                self.each(right)
            }
        }
    }

    /// One statement: what an UPDATE of the whole table would do, on a window of it.
    fn plain(&self, which: &str) -> Result<i64> {
        work::within(self.job, || {
            wait_at_most(WINDOW_WAIT, || {
                self.update(&format!("{which} AND {}", self.job.condition), &[])
            })
        })
    }

    /// The same for rows of which the visit has noted the places.
    fn picked(&self, places: &[(u32, u16)]) -> Result<i64> {
        work::within(self.job, || {
            let scope = settings::Scope::new();
            scope.set("lock_timeout", WINDOW_WAIT);
            // Of a small table PostgreSQL would rather read every row and look each up in the list.
            scope.set("enable_seqscan", "off");
            // Planned once, for each owner: a plan may hold inlined what only its role may call.
            let which = format!(
                "{}.ctid = ANY ($1) AND {} /* of role {} */",
                self.alias, self.job.condition, self.job.owner
            );
            let count = kept::fixed(|| self.update(&which, &[Arg::Tids(places)]));
            drop(scope);
            count
        })
    }

    /// The same for the rows of the visit under way. CASE: rows that are done must not be asked
    /// about, they would take the room.
    fn striped(&self, which: &str) -> Result<i64> {
        work::within(self.job, || {
            wait_at_most(WINDOW_WAIT, || {
                self.update(&format!(
                    "{which} AND CASE WHEN {} THEN migrate.backfill_room({}.ctid) ELSE false END",
                    self.job.condition, self.alias
                ), &[])
            })
        })
    }

    /// Locks what is free, passes over what is not, and fills what it has locked. Two statements:
    /// a row that somebody moved between the snapshot and the lock is locked where it is now, and
    /// only a later snapshot finds it there.
    pub(super) fn careful(&self, which: &str) -> Result<Filled> {
        work::within(self.job, || {
            let which = format!("{which} AND {}", self.job.condition);
            let locked = self.places(
                &which,
                &format!(" FOR {} OF {} SKIP LOCKED", self.strength, self.alias),
            )?;
            let ours: HashSet<&str> = locked.iter().map(String::as_str).collect();
            let skipped = self
                .places(&which, "")?
                .iter()
                .filter(|tid| !ours.contains(tid.as_str()))
                .filter_map(|tid| block_of(tid))
                .collect();
            let rows = if locked.is_empty() {
                0
            } else {
                torture::at(Point::FillLocked);
                wait_at_most(ROW_WAIT, || self.update(&rows(self.alias, &locked), &[]))?
            };
            Ok(Filled { rows, skipped })
        })
    }

    fn places(&self, which: &str, locking: &str) -> Result<Vec<String>> {
        let rows: Vec<Place> = spi::write(
            &format!(
                "SELECT {alias}.ctid::pg_catalog.text AS tid FROM ONLY {} AS {alias} WHERE {which}{locking}",
                self.heap.name,
                alias = self.alias
            ),
            &[],
        )?;
        Ok(rows.into_iter().map(|row| row.tid).collect())
    }

    fn update(&self, which: &str, args: &[Arg]) -> Result<i64> {
        if let Some(copy) = &self.job.copy {
            let insert = copying(copy, &format!("ONLY {}", self.heap.name), self.alias, which);
            let into = storage::resolve(&copy.into)?.unwrap_or_default();
            let count = sync::filling(into, || spi::run(&insert, args))?;
            return Ok(i64::try_from(count).unwrap_or(i64::MAX));
        }
        let update = match torture::mistaken(Mutant::JoinCopy) {
            true => self.joined(which)?,
            false => format!(
                "UPDATE ONLY {} AS {} SET {} WHERE {which}",
                self.heap.name, self.alias, self.set
            ),
        };
        if self.job.self_ending || self.job.sync_trigger.is_some() {
            let count = sync::filling(self.relation, || spi::run(&update, args))?;
            return Ok(i64::try_from(count).unwrap_or(i64::MAX));
        }
        // Nothing but the row itself tells whether it is done: it must no longer match.
        #[derive(Deserialize)]
        struct Tally {
            rows: i64,
            again: i64,
        }
        let tally: Tally = sync::filling(self.relation, || {
            spi::value(
                &format!(
                    "WITH u AS ({update} RETURNING ({}) AS again) \
                     SELECT pg_catalog.jsonb_build_object('rows', pg_catalog.count(*), \
                            'again', pg_catalog.count(*) FILTER (WHERE again)) FROM u",
                    self.job.condition
                ),
                args,
            )
        })?;
        if tally.again > 0 {
            return Err(Fault::wrong_state(format!(
                "the backfill of {} would never end",
                self.job.relation_name
            ))
            .detail(format!(
                "{} of {} rows still match \"where\" after they were updated; they would be updated again and again.",
                tally.again, tally.rows
            ))
            .hint("Give a \"where\" that is false for a row that is done, such as new_column IS NULL."));
        }
        Ok(tally.rows)
    }

    /// The mistake to copy what a subquery has read before the row was locked.
    fn joined(&self, which: &str) -> Result<String> {
        let pairs = storage::key_pairs(self.relation, self.alias)?.unwrap_or_default();
        let (name, alias) = (&self.heap.name, self.alias);
        let mut set = Vec::new();
        let mut read = vec![format!("pg_catalog.jsonb_build_object({pairs}) AS key")];
        for (n, (column, value)) in self.job.assignments.iter().enumerate() {
            set.push(format!("{} = s.v{n}", spi::ident(column)));
            read.push(format!("({}) AS v{n}", value.as_str().unwrap_or("NULL")));
        }
        Ok(format!(
            "UPDATE ONLY {name} AS {alias} SET {} \
             FROM (SELECT {} FROM ONLY {name} AS {alias} WHERE {which} OFFSET 0) s \
             WHERE pg_catalog.jsonb_build_object({pairs}) OPERATOR(pg_catalog.=) s.key",
            set.join(", "),
            read.join(", "),
        ))
    }

    pub(super) fn quarantine(&self, tid: &str, fault: &Fault) -> Result<()> {
        torture::at(Point::FillQuarantine);
        if ledger::quarantined(self.job.job)? >= MOST_QUARANTINED {
            return Err(Fault::wrong_state(format!(
                "more than {MOST_QUARANTINED} rows of {} could not be filled",
                self.job.relation_name
            ))
            .detail(format!("The last error: {fault}"))
            .hint("Correct the expression and define the backfill again."));
        }
        let key = match storage::key_pairs(self.relation, self.alias)? {
            None => None,
            Some(pairs) => work::within(self.job, || {
                #[derive(Deserialize)]
                struct Key {
                    key: Value,
                }
                let found: Vec<Key> = spi::write(
                    &format!(
                        "SELECT pg_catalog.jsonb_build_object({pairs}) AS key FROM ONLY {} AS {} WHERE {}",
                        self.heap.name,
                        self.alias,
                        rows(self.alias, &[tid.to_owned()])
                    ),
                    &[],
                )?;
                Ok(found.into_iter().next().map(|row| row.key))
            })?,
        };
        ledger::quarantine(
            self.job.job,
            self.relation,
            &self.heap.name,
            tid,
            key.as_ref(),
            fault,
        )
    }
}

fn wait_at_most<T>(time: &str, body: impl FnOnce() -> Result<T>) -> Result<T> {
    let scope = settings::Scope::new();
    scope.set("lock_timeout", time);
    let value = body();
    drop(scope);
    value
}

/// A row that was to be locked has been moved to another partition meanwhile.
const MOVED: &str = "40001";

/// Another session is in the way.
pub fn is_conflict(fault: &Fault) -> bool {
    matches!(
        fault.sqlstate.as_str(),
        state::LOCK_NOT_AVAILABLE | state::DEADLOCK | MOVED
    )
}

/// An error of the values of a row: data exceptions, constraints, raised by functions and triggers,
/// limits of an index entry.
pub fn is_about_a_row(fault: &Fault) -> bool {
    ["21", "22", "23", "38", "39", "44", "54", "P0"]
        .iter()
        .any(|class| fault.sqlstate.starts_with(class))
}

/// An error of the moment, which does not speak against the job.
pub fn is_passing(fault: &Fault) -> bool {
    is_conflict(fault)
        || ["08", "25", "40", "53", "57", "58"]
            .iter()
            .any(|class| fault.sqlstate.starts_with(class))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_told_apart() {
        let of = |state: &str| Fault::new(state, "x");
        for state in ["22012", "23514", "P0001", "54000"] {
            assert!(
                is_about_a_row(&of(state)) && !is_passing(&of(state)),
                "{state}"
            );
        }
        for state in ["55P03", "40P01", "40001"] {
            assert!(
                is_conflict(&of(state)) && is_passing(&of(state)) && !is_about_a_row(&of(state))
            );
        }
        for state in ["57014", "53100", "57P01"] {
            assert!(
                is_passing(&of(state)) && !is_about_a_row(&of(state)),
                "{state}"
            );
        }
        for state in ["42703", "42501", "55000"] {
            assert!(
                !is_passing(&of(state)) && !is_about_a_row(&of(state)),
                "{state}"
            );
        }
    }
}
