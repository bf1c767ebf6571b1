//! What is known of one statement before it runs.

use crate::catalog::Live;
use crate::document::model::{Operation, Sql};
use crate::fault::Result;
use crate::pg::parser::Statement;
use crate::pg::subtransaction;
use crate::recipe;
use crate::recipe::step::Lock;

/// By the table of statements and the catalog.
#[derive(Debug, Clone, Default)]
pub struct Foreseen {
    /// The relations it locks (qualified and quoted), the one it is about first.
    pub locks: Vec<(String, Lock)>,
    /// The strongest of its locks, those on relations without a name included.
    pub lock: Option<Lock>,
    pub rewrites: bool,
    pub scans: bool,
}

/// `None`: nothing is known. Changes nothing and keeps no lock.
pub fn foreseen(statement: &Statement) -> Result<Option<Foreseen>> {
    let operation = Operation::Sql(Sql {
        up: statement.text.clone(),
        no_transaction: !statement.transactional,
        ..Sql::default()
    });
    let planned = subtransaction::rehearse(|| {
        recipe::plan(std::slice::from_ref(&operation), &Live, "foreseen")
    });
    let step = match planned {
        Ok(plan) => plan.steps.into_iter().next(),
        Err(fault) if fault.is_interruption() => return Err(fault),
        Err(_) => None,
    };
    Ok(step.map(|step| Foreseen {
        locks: step.locks(),
        lock: step.strongest(),
        rewrites: step.rewrites,
        scans: step.scans,
    }))
}
