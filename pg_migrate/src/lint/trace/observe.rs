//! One piece of work, and what the server's state shows of it.

use super::evidence::{self, Evidence};
use super::others::{self, Meeting};
use crate::catalog::observed::{self, Relation};
use crate::fault::Result;
use crate::pg::lock_table::{self, Entry, Target};
use crate::pg::past::Past;
use crate::pg::{messages, subtransaction, utility};
use crate::recipe::step::Lock;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// What a piece of work did. Names are qualified and quoted; what the work itself made, TOAST, the
/// system's own relations and this extension's are left out.
#[derive(Debug, Clone, Default)]
pub struct Observation {
    /// The strongest lock on each relation or object that was there before.
    pub locks: BTreeMap<String, Lock>,
    /// The strongest lock on a relation.
    pub lock: Option<Lock>,
    /// Relations whose rows or entries stand in another file now.
    pub rewrites: Vec<String>,
    /// Tables read from end to end.
    pub scans: Vec<String>,
    pub evidence: Evidence,
    /// Utility statements that ran inside of it, from a DO block or a function.
    pub inside: Vec<String>,
    /// Sessions whose locks it had to wait for, and those that wait for its locks now.
    pub blocked: Vec<String>,
    /// What a rollback does not take back.
    pub remains: Vec<String>,
    pub took: Duration,
}

/// What is known when the work has been done and its locks are still told apart.
struct Done {
    took: Duration,
    after: Vec<Entry>,
    again: Vec<(Target, u8)>,
}

/// Runs the work in a subtransaction of its own and compares. What fails is rolled back and is an
/// error; a cancel is one too.
pub fn observe(sql: &str, run: impl FnOnce() -> Result<()>) -> Result<Observation> {
    let past = Past::take();
    let scans = observed::scans()?;
    let before = lock_table::read();
    drop(messages::take());
    let overheard = utility::Overheard::begin();
    let outcome = subtransaction::attempt(|| {
        let begun = Instant::now();
        run()?;
        let took = begun.elapsed();
        let mine = before.iter().filter(|entry| {
            entry.mine && entry.granted && !matches!(entry.target, Target::Advisory(..))
        });
        let again = messages::muted(|| {
            mine.filter(|entry| lock_table::taken_again(entry))
                .map(|entry| (entry.target, entry.mode))
                .collect()
        });
        Ok(Done {
            took,
            after: lock_table::read(),
            again,
        })
    });
    let mut inside = overheard.end();
    inside.retain(|text| text.as_str() != sql);
    let said = messages::take();
    let done = outcome?;
    let mut observation = compared(&past, &scans, &before, &done)?;
    observation.inside = inside;
    observation.evidence = evidence::evidence(&said);
    Ok(observation)
}

fn compared(
    past: &Past,
    scans: &BTreeMap<u32, i64>,
    before: &[Entry],
    done: &Done,
) -> Result<Observation> {
    let held: BTreeSet<(Target, u8)> = before
        .iter()
        .filter(|entry| entry.mine && entry.granted)
        .map(|entry| (entry.target, entry.mode))
        .collect();
    let mut ours: Vec<(Target, u8)> = done
        .after
        .iter()
        .filter(|entry| entry.mine && entry.granted)
        .map(|entry| (entry.target, entry.mode))
        .filter(|lock| !held.contains(lock))
        .collect();
    ours.extend(&done.again);

    let scanned: Vec<u32> = observed::scans()?
        .into_iter()
        .filter(|(oid, count)| *count > scans.get(oid).copied().unwrap_or(0))
        .map(|(oid, _)| oid)
        .collect();
    let mine: Vec<(Target, u8)> = held.iter().copied().chain(ours.iter().copied()).collect();
    let mut met = others::meeting(before, &ours, true, Meeting::Held);
    met.extend(others::meeting(&done.after, &mine, false, Meeting::Waits));
    let relations: BTreeSet<u32> = ours
        .iter()
        .filter_map(|(target, _)| match target {
            Target::Relation(oid) => Some(*oid),
            _ => None,
        })
        .chain(scanned.iter().copied())
        .chain(met.iter().filter_map(|(other, _)| match other.target {
            Target::Relation(oid) => Some(oid),
            _ => None,
        }))
        .collect();
    let oids: Vec<u32> = relations.into_iter().collect();
    let then: BTreeMap<u32, Relation> = observed::relations_then(past, &oids)?
        .into_iter()
        .filter(|(_, relation)| !relation.internal)
        .collect();
    let now = observed::relations(&oids)?;
    let objects: Vec<(u32, u32)> = ours
        .iter()
        .filter_map(|(target, _)| match target {
            Target::Object { class, object } => Some((*class, *object)),
            _ => None,
        })
        .collect();
    let objects = observed::objects_then(past, &objects)?;
    let name = |target: &Target| match target {
        Target::Relation(oid) => then.get(oid).map(|relation| relation.name.clone()),
        Target::Object { class, object } => objects.get(&(*class, *object)).cloned(),
        Target::Advisory(..) => None,
    };

    let mut found = Observation {
        took: done.took,
        ..Observation::default()
    };
    for (target, mode) in &ours {
        let (Some(name), Some(lock)) = (name(target), Lock::numbered(*mode)) else {
            continue;
        };
        if matches!(target, Target::Relation(_)) {
            found.lock = found.lock.max(Some(lock));
        }
        let strongest = found.locks.entry(name).or_insert(lock);
        *strongest = lock.max(*strongest);
    }
    found.rewrites = rewritten(&then, &now)?;
    // A table without a page, as one that was emptied, gave nothing to read.
    let here: Vec<u32> = scanned
        .iter()
        .copied()
        .filter(|oid| now.contains_key(oid))
        .collect();
    let filled = observed::with_pages(&here)?;
    found.scans = scanned
        .iter()
        .filter(|oid| filled.contains(oid) || !here.contains(oid))
        .filter_map(|oid| then.get(oid).map(|relation| relation.name.clone()))
        .collect();
    found.remains = advanced(&then, &ours);
    found.blocked = others::lines(&met, name)?;
    found.scans.sort();
    Ok(found)
}

/// Tables and indexes in another file than before. A table that was merely emptied has a new file
/// too, and its indexes have: nothing was written into them. A sequence is one row. An index may
/// have been dropped and made again under its name.
fn rewritten(then: &BTreeMap<u32, Relation>, now: &BTreeMap<u32, Relation>) -> Result<Vec<String>> {
    let gone: Vec<&str> = then
        .values()
        .filter(|was| was.table != 0 && !now.contains_key(&was.oid))
        .map(|was| was.name.as_str())
        .collect();
    let remade = observed::relations_named(&gone)?;
    let changed: Vec<&Relation> = now
        .values()
        .filter(|one| one.kind != "S")
        .filter(|one| then.get(&one.oid).is_some_and(|was| was.file != one.file))
        .chain(remade.values().filter(|one| {
            then.values()
                .any(|was| was.name == one.name && was.oid != one.oid && was.file != one.file)
        }))
        .collect();
    let tables: Vec<u32> = changed.iter().map(|one| table_of(one)).collect();
    let filled = observed::with_pages(&tables)?;
    let mut names: Vec<String> = changed
        .iter()
        .filter(|one| filled.contains(&table_of(one)))
        // Under its name from before.
        .map(|one| {
            then.get(&one.oid)
                .map_or(&one.name, |was| &was.name)
                .clone()
        })
        .collect();
    names.sort();
    Ok(names)
}

fn table_of(relation: &Relation) -> u32 {
    match relation.table {
        0 => relation.oid,
        table => table,
    }
}

/// Sequences that were there before and gave a number away, or were set: no rollback undoes that.
fn advanced(then: &BTreeMap<u32, Relation>, ours: &[(Target, u8)]) -> Vec<String> {
    let writes = Lock::RowExclusive.number();
    then.values()
        .filter(|relation| relation.kind == "S")
        .filter(|relation| {
            ours.iter().any(|(target, mode)| {
                *target == Target::Relation(relation.oid) && i32::from(*mode) == writes
            })
        })
        .map(|relation| format!("sequence {} has moved on", relation.name))
        .collect()
}

thread_local! {
    static WATCH: RefCell<Option<Vec<(String, String, Observation)>>> = const { RefCell::new(None) };
}

/// Runs a step of a migration; where `gathered` is on the stack, observes it.
pub fn watched(kind: &str, sql: &str, run: impl FnOnce() -> Result<()>) -> Result<()> {
    if !WATCH.with_borrow(Option::is_some) {
        return run();
    }
    let observation = observe(sql, run)?;
    WATCH.with_borrow_mut(|watch| {
        if let Some(rows) = watch {
            rows.push((kind.to_owned(), sql.to_owned(), observation));
        }
    });
    Ok(())
}

/// Puts the watch away however its scope ends.
struct Watch;

impl Drop for Watch {
    fn drop(&mut self) {
        WATCH.set(None);
    }
}

/// What `watched` saw while `body` ran, and what came of that.
pub fn gathered(
    body: impl FnOnce() -> Result<()>,
) -> (Vec<(String, String, Observation)>, Result<()>) {
    WATCH.set(Some(Vec::new()));
    let watch = Watch;
    let outcome = body();
    let rows = WATCH.take().unwrap_or_default();
    drop(watch);
    (rows, outcome)
}
