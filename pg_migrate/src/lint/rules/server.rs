//! What only this server knows, at this moment.

use crate::fault::Result;
use crate::lint::look::Look;
use crate::lint::rule::{Family, Rule, advice, warning};
use crate::recipe::step::Lock;
use crate::recipe::written::Work;

const HELD: Rule = warning(
    "lock-held-now",
    "another session holds a lock that the statement has to wait for",
);
const OLD: Rule = warning(
    "old-transaction",
    "a transaction has been open for long: DDL and concurrent builds wait for it",
);
const FOLLOWERS: Rule = advice(
    "standbys-will-lag",
    "standbys and replication slots have to take in what a rewrite or a build writes",
);
const UNREADABLE: Rule = advice(
    "table-locked-now",
    "the table is locked at this moment, so little is known of it",
);

pub const FAMILY: Family = Family {
    name: "server",
    rules: &[&HELD, &OLD, &FOLLOWERS, &UNREADABLE],
    check,
};

/// Seconds.
const LONG: f64 = 60.0;
/// Less than this, standbys hardly notice.
const MUCH: f64 = 256.0 * 1024.0 * 1024.0;

fn check(look: &mut Look) -> Result<()> {
    for (key, lock) in look.strong() {
        let Some(oid) = look
            .world
            .table(&key)
            .map(|table| table.oid)
            .filter(|oid| *oid != 0)
        else {
            continue;
        };
        let holders = look.server.holders(oid, lock == Lock::AccessExclusive)?;
        if !holders.is_empty() {
            let list: Vec<String> = holders
                .iter()
                .map(crate::catalog::Blocker::describe)
                .collect();
            look.say(
                &HELD,
                format!(
                    "{} on {key} has to wait now: {}",
                    lock.mode(),
                    list.join("; ")
                ),
            )
            .on(&key);
        }
        if look.world.busy.contains(&key) {
            look.say(
                &UNREADABLE,
                format!("{key} is locked by another session now: it is taken to have rows, and its columns are not known"),
            )
            .on(&key);
        }
    }
    let waits = !look.strong().is_empty() || look.action.concurrent;
    if waits
        && let Some(old) = look.server.oldest()?
        && old.age > LONG
        && look.session.once("old")
    {
        look.say(
            &OLD,
            format!("{} has had a transaction open for {:.0} s: what has to wait for it waits that much longer", old.who, old.age),
        );
    }
    if look.effect.work > Work::Brief
        && (look.effect.work == Work::Rewrites || look.tag() == "CREATE INDEX")
    {
        let key = look.key();
        if look.world.size(key)?.is_some_and(|size| size.bytes > MUCH) {
            let followers = look.server.followers()?;
            if !followers.is_empty() {
                look.say(
                    &FOLLOWERS,
                    format!(
                        "what is written has to be taken in by {}",
                        followers.join(", ")
                    ),
                );
            }
        }
    }
    Ok(())
}
