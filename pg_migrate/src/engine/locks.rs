//! Getting a lock without making the application wait: try briefly, step back, try again.

use super::context::{Mode, Transactions};
use super::settings as engine_settings;
use crate::catalog::{self, Blocker};
use crate::fault::{Fault, Result, state};
use crate::pg::{error, relation_lock, settings, spi, subtransaction, wait};
use crate::recipe::step::Lock;
use std::time::{Duration, Instant};

/// When a deadlock is looked for: a quarter of the limit, within these.
const SHORTEST_LOOK: Duration = Duration::from_millis(1);
const LONGEST_LOOK: Duration = Duration::from_secs(5);

/// A table and how strongly it is needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Want {
    /// Qualified and quoted.
    pub relation: String,
    pub lock: Lock,
    /// The table without its partitions.
    pub only: bool,
    /// 0 for a table. Views come before what they read, as for those who read them; sequences last.
    pub rank: i32,
}

/// One want per relation, the strongest, in a fixed order, so that two migrations cannot deadlock:
/// parents before their partitions, as for those who read and write them. `generation`: how many
/// ancestors a relation has above it.
fn ordered(wants: &[Want], generation: impl Fn(&str) -> Result<i64>) -> Result<Vec<Want>> {
    let mut wants = wants
        .iter()
        .map(|want| Ok((generation(&want.relation)?, want.clone())))
        .collect::<Result<Vec<_>>>()?;
    wants.sort_by(|(a_generation, a), (b_generation, b)| {
        (b.rank.cmp(&a.rank))
            .then(a_generation.cmp(b_generation))
            .then(a.relation.cmp(&b.relation))
            .then(b.lock.cmp(&a.lock))
    });
    wants.dedup_by(|(_, later), (_, kept)| {
        let same = later.relation == kept.relation;
        kept.only &= later.only || !same;
        same
    });
    Ok(wants.into_iter().map(|(_, want)| want).collect())
}

fn generation(relation: &str) -> Result<i64> {
    match catalog::resolve(relation)? {
        Some(oid) => catalog::ancestors(oid),
        None => Ok(0),
    }
}

/// Takes all locks, each within `migrate.lock_timeout`, and runs `body`, in one subtransaction.
/// When a lock is not to be had, everything is let go, the blockers are named (`report`), and after
/// a pause with jitter (1 s doubling to 1 min) it is tried again until `migrate.lock_deadline`.
/// In a driver the pause is spent outside any transaction.
pub fn with<T>(
    transactions: &mut dyn Transactions,
    wants: &[Want],
    report: &mut dyn FnMut(Option<&str>) -> Result<()>,
    body: &mut dyn FnMut() -> Result<T>,
) -> Result<T> {
    let wants = &ordered(wants, generation)?;
    let begun = Instant::now();
    let mut pause = Duration::from_secs(1);
    let mut reported = false;
    loop {
        let attempt = subtransaction::attempt(|| {
            let scope = settings::Scope::new();
            let limit = engine_settings::lock_timeout();
            scope.set("lock_timeout", &limit.as_millis().to_string());
            // Who waits for us while we wait for them is found out within the limit, and goes first.
            let looks = (limit / 4).clamp(SHORTEST_LOOK, LONGEST_LOOK);
            scope.set_as_server("deadlock_timeout", &looks.as_millis().to_string());
            for want in wants {
                take(want)?;
            }
            let value = body()?;
            drop(scope);
            Ok(value)
        });
        let fault = match attempt {
            Ok(value) => {
                if reported {
                    report(None)?;
                }
                return Ok(value);
            }
            Err(fault) => fault,
        };
        let retriable = matches!(
            fault.sqlstate.as_str(),
            state::LOCK_NOT_AVAILABLE | state::DEADLOCK
        );
        if !retriable {
            return Err(fault);
        }
        let blockers = blockers(wants)?;
        let names: Vec<_> = blockers.iter().map(Blocker::describe).collect();
        let tables: Vec<_> = wants.iter().map(|want| want.relation.as_str()).collect();
        let who = if names.is_empty() {
            "nobody now".to_owned()
        } else {
            names.join("; ")
        };
        if begun.elapsed() + pause > engine_settings::lock_deadline() {
            return Err(Fault::new(
                state::LOCK_NOT_AVAILABLE,
                format!("could not lock {} within migrate.lock_deadline", tables.join(", ")),
            )
            .detail(format!("In the way: {who}."))
            .hint("End that transaction (pg_terminate_backend) or raise migrate.lock_deadline, then CALL migrate.upgrade() again."));
        }
        let why = format!("waiting for a lock on {}: {who}", tables.join(", "));
        error::notice(Fault::new("00000", why.clone()));
        report(Some(&why))?;
        reported = true;
        transactions.commit();
        wait::sleep(jittered(pause));
        pause = (pause * 2).min(Duration::from_secs(60));
        if transactions.mode() == Mode::Caller {
            // The caller's transaction goes on holding what it held before: keep trying quickly.
            pause = pause.min(Duration::from_secs(4));
        }
    }
}

/// Between a half and the whole of `pause`, so that two waiters do not march in step.
fn jittered(pause: Duration) -> Duration {
    let nanos = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |time| time.subsec_nanos());
    pause.mul_f64(0.5 + f64::from(nanos % 1000) / 2000.0)
}

fn take(want: &Want) -> Result<()> {
    // Gone or not made yet: the statement itself will say so if it matters.
    let Some(oid) = catalog::resolve(&want.relation)? else {
        return Ok(());
    };
    // LOCK TABLE of a view locks all it reads; and it knows no sequences.
    if !catalog::is_table(oid)? {
        if catalog::is_mine(oid)? {
            relation_lock::take(oid, want.lock.number());
        }
        return Ok(());
    }
    // LOCK TABLE asks for more rights than some DDL does (REFERENCES): then the DDL locks.
    if !catalog::may_lock(oid)? {
        return Ok(());
    }
    spi::run(
        &format!(
            "LOCK TABLE {}{} IN {} MODE",
            if want.only { "ONLY " } else { "" },
            want.relation,
            want.lock.mode()
        ),
        &[],
    )
    .map(drop)
}

fn blockers(wants: &[Want]) -> Result<Vec<Blocker>> {
    let mut relations = Vec::new();
    for want in wants {
        relations.extend(catalog::resolve(&want.relation)?);
    }
    let exclusive = wants.iter().any(|want| want.lock == Lock::AccessExclusive);
    catalog::blockers(&relations, exclusive)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_want_per_table_the_strongest_in_order() {
        let want = |relation: &str, lock| Want {
            relation: relation.into(),
            lock,
            only: false,
            rank: i32::from(relation.contains("view")),
        };
        let wants = [
            want("public.b", Lock::ShareRowExclusive),
            want("public.a_part", Lock::AccessExclusive),
            want("public.a", Lock::ShareRowExclusive),
            want("public.b", Lock::AccessExclusive),
            want("public.view", Lock::AccessExclusive),
        ];
        let generation = |relation: &str| Ok(i64::from(relation.ends_with("part")));
        assert_eq!(
            ordered(&wants, generation).unwrap_or_default(),
            vec![
                want("public.view", Lock::AccessExclusive),
                want("public.a", Lock::ShareRowExclusive),
                want("public.b", Lock::AccessExclusive),
                want("public.a_part", Lock::AccessExclusive),
            ]
        );
    }
}
