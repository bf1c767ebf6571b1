//! `migrate.guard`: unsafe DDL from any client is warned of or refused, with the safe way in the
//! hint. It must never make a statement fail but by its own word: where it cannot tell, it is silent.

use super::finding::{Finding, Severity, blocks};
use crate::catalog::{self, Live, observed};
use crate::fault::{Fault, Result};
use crate::pg::utility::{self, Judge, Level, Verdict};
use crate::pg::{settings, subtransaction, transaction};
use crate::recipe::facts::Facts;
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
    for finding in super::of_own(sql)? {
        if finding.severity == Severity::Error && !nobody_else_uses(&finding)? {
            return Ok(Some(told(&finding)));
        }
    }
    Ok(None)
}

fn told(finding: &Finding) -> Fault {
    let mut detail = Vec::new();
    if let (Some(relation), Some(lock)) = (&finding.relation, finding.lock) {
        detail.push(format!(
            "It takes {} on {relation}: {} wait until the transaction ends.",
            lock.mode(),
            blocks(lock)
        ));
    }
    if let (Some(size), time) = finding.size_and_duration() {
        let time = time.map(|time| format!(": {time}")).unwrap_or_default();
        detail.push(format!("{size}{time}."));
    }
    detail.push(format!("Rule {}.", finding.rule));
    let fault = Fault::new(UNSAFE_DDL, finding.message.clone()).detail(detail.join(" "));
    let around = "To run it as it is: SET LOCAL migrate.guard = off; in its transaction.";
    fault.hint(match &finding.recipe {
        Some(recipe) => format!("{}\n{around}", recipe.trim_end()),
        None => around.to_owned(),
    })
}

/// A temporary table, one that this transaction made, one of this extension, or one without rows.
fn nobody_else_uses(finding: &Finding) -> Result<bool> {
    let Some(relation) = &finding.relation else {
        return Ok(false);
    };
    let Some(oid) = catalog::resolve(relation)? else {
        return Ok(true);
    };
    let apart = observed::relations(&[oid])?
        .get(&oid)
        .is_none_or(|found| found.temporary || found.internal);
    if apart || transaction::made_here(oid) {
        return Ok(true);
    }
    Ok(Live.table(relation)?.is_some_and(|table| table.empty))
}
