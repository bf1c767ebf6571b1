//! `migrate.guard`: unsafe DDL from any client is warned of or refused, with the safe way in the
//! hint. It must never make a statement fail but by its own word: where it cannot tell, it is silent.

use super::foreseen::foreseen;
use crate::catalog::{self, observed};
use crate::fault::{Fault, Result};
use crate::pg::utility::{self, Judge, Level, Verdict};
use crate::pg::{parser, settings, subtransaction, transaction};
use crate::recipe::step::Lock;
use pgrx::PostgresGucEnum;
use pgrx::guc::{GucContext, GucFlags, GucRegistry, GucSetting};

/// The guard's own SQLSTATE: a class that neither the standard nor PostgreSQL uses.
pub const UNSAFE_DDL: &str = "MG001";

#[derive(Debug, Clone, Copy, PartialEq, Eq, PostgresGucEnum)]
enum Guard {
    #[name = c"off"]
    Off,
    #[name = c"warn"]
    Warn,
    #[name = c"error"]
    Error,
}

static GUARD: GucSetting<Guard> = GucSetting::<Guard>::new(Guard::Off);

/// Makes the setting known and puts the hook in; called once from `_PG_init`.
pub fn register() {
    GucRegistry::define_enum_guc(
        c"migrate.guard",
        c"What happens to DDL that would block an application: off, warn or error.",
        c"SET LOCAL migrate.guard = off lets the statements of one transaction through.",
        &GUARD,
        GucContext::Userset,
        GucFlags::default(),
    );
    utility::install(Judge {
        awake: || GUARD.get() != Guard::Off,
        verdict,
    });
}

fn verdict(sql: &str) -> Option<Verdict> {
    let level = match GUARD.get() {
        Guard::Off => return None,
        Guard::Warn => Level::Warning,
        Guard::Error => Level::Error,
    };
    // Its own analysis is not judged; no lock and nothing it makes outlives the subtransaction.
    let own = utility::own();
    let judged = subtransaction::rehearse(|| judged(sql));
    drop(own);
    match judged {
        Ok(fault) => fault.map(|fault| Verdict { level, fault }),
        // The user's cancel came while we looked: it is for the statement.
        Err(fault) if fault.is_interruption() => Some(Verdict {
            level: Level::Error,
            fault,
        }),
        Err(_) => None,
    }
}

/// pg_restore, or a script of pg_dump, in whose sessions nobody uses the tables yet.
fn is_restore() -> bool {
    let is = |name: &str, wanted: &str| settings::value(name).as_deref() == Some(wanted);
    is("application_name", "pg_restore")
        || (is("row_security", "off")
            && is("check_function_bodies", "off")
            && is("search_path", ""))
}

fn judged(sql: &str) -> Result<Option<Fault>> {
    if is_restore() {
        return Ok(None);
    }
    let _snapshot = transaction::Snapshot::take();
    let statements = parser::split(sql, 1)?;
    let [statement] = statements.as_slice() else {
        return Ok(None);
    };
    if !statement.transactional && statement.action.concurrent {
        return Ok(None);
    }
    let Some(known) = foreseen(statement)? else {
        return Ok(None);
    };
    let Some(lock) = known.lock.filter(|lock| *lock >= Lock::Share) else {
        return Ok(None);
    };
    if !(known.rewrites || known.scans) {
        return Ok(None);
    }
    let Some((relation, _)) = known.locks.first() else {
        return Ok(None);
    };
    if nobody_else_uses(relation)? {
        return Ok(None);
    }
    let work = if known.rewrites { "write anew" } else { "read" };
    let waits = if lock == Lock::AccessExclusive {
        "reads and writes of it wait until the transaction ends"
    } else {
        "writes to it wait until the transaction ends"
    };
    let mut detail = format!("It takes {} on {relation}: {waits}.", lock.mode());
    if let Some(size) = catalog::size(relation)? {
        let time = if known.rewrites {
            size.to_rewrite()
        } else {
            size.to_read()
        };
        detail.push_str(&format!(
            " {relation} has about {:.0} rows: {time}.",
            size.rows
        ));
    }
    Ok(Some(
        Fault::new(
            UNSAFE_DDL,
            format!(
                "{} would {work} all of {relation} under a lock",
                statement.action.tag
            ),
        )
        .detail(detail)
        .hint(hint(sql)),
    ))
}

fn hint(sql: &str) -> String {
    let mut tag = "migration".to_owned();
    while sql.contains(&format!("${tag}$")) {
        tag.push('_');
    }
    format!(
        "pg_migrate does it online: SELECT migrate.apply(${tag}${sql};${tag}$, 'a revision'); CALL migrate.upgrade(); \
         To run it as it is: SET LOCAL migrate.guard = off in its transaction."
    )
}

/// A temporary table, one that this transaction made, or one of this extension.
fn nobody_else_uses(relation: &str) -> Result<bool> {
    let Some(oid) = catalog::resolve(relation)? else {
        return Ok(true);
    };
    let temporary = observed::relations(&[oid])?
        .get(&oid)
        .is_none_or(|found| found.temporary || found.internal);
    Ok(temporary || transaction::made_here(oid))
}
