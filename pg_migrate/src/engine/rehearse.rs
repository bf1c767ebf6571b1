//! `migrate.test`: up, down and up again in a subtransaction that is rolled back, with the schema
//! compared at every turn.

use super::context::{Caller, Mode};
use super::{contract, downgrade, drive, register, start};
use crate::document::{self, Defaults, Document};
use crate::fault::{Fault, Result};
use crate::ledger::{self, Revision, State};
use crate::pg::{spi, subtransaction};
use crate::recipe::step::Phase;
use serde::Deserialize;
use std::collections::BTreeMap;

/// One object whose definition is not what it should be after a turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// `rollback` (before contract), `down` (after), `up again`.
    pub turn: &'static str,
    pub object: String,
    pub expected: Option<String>,
    pub found: Option<String>,
}

type Fingerprint = BTreeMap<String, String>;

/// Runs the document through every turn. An empty answer: each downgrade restores the schema.
pub fn rehearse(document: &Document) -> Result<Vec<Difference>> {
    turns(document).map_err(|fault| match fault.sqlstate.as_str() {
        UNSAFE_NEW_ENUM_VALUE => fault.hint(
            "A rehearsal is one transaction, in which a new enum value cannot be used: rehearse with the value added before.",
        ),
        _ => fault,
    })
}

const UNSAFE_NEW_ENUM_VALUE: &str = "55P04";

fn turns(document: &Document) -> Result<Vec<Difference>> {
    subtransaction::rehearse(|| {
        let mut differences = Vec::new();
        // In the one transaction of a rehearsal, what a deferred constraint has still to check
        // would stand in the way of the next ALTER TABLE.
        spi::run("SET CONSTRAINTS ALL IMMEDIATE", &[])?;
        let before = fingerprint()?;
        let fresh =
            ledger::revision(&document.revision)?.is_none_or(|row| row.state == State::Abandoned);
        if fresh {
            register::register(document)?;
        }
        let revision = register::find(&document.revision)?;
        if revision.state != State::Pending {
            return Err(Fault::wrong_state(format!(
                "migration \"{}\" is {} here and cannot be rehearsed",
                revision.revision,
                revision.state.as_str()
            ))
            .hint("Rehearse on a database where it has not been applied, or give the document under another revision."));
        }
        up(&revision)?;
        downgrade::downgrade(&mut rehearsal(), &above(&revision)?)?;
        compare("rollback", &before, &fingerprint()?, &mut differences);
        up(&revision)?;
        finish(&revision)?;
        let applied = fingerprint()?;
        downgrade::downgrade(&mut rehearsal(), &above(&revision)?)?;
        compare("down", &before, &fingerprint()?, &mut differences);
        up(&revision)?;
        finish(&revision)?;
        compare("up again", &applied, &fingerprint()?, &mut differences);
        Ok(differences)
    })
}

/// Registers the migration, if it is new, and runs it up and through its contract in the caller's
/// transaction, which must be rolled back.
pub fn run_through(document: &Document) -> Result<()> {
    spi::run("SET CONSTRAINTS ALL IMMEDIATE", &[])?;
    if ledger::revision(&document.revision)?.is_none_or(|row| row.state == State::Abandoned) {
        register::register(document)?;
    }
    let revision = register::find(&document.revision)?;
    if revision.state != State::Pending {
        return Err(Fault::wrong_state(format!(
            "migration \"{}\" is {} here and cannot be run through",
            revision.revision,
            revision.state.as_str()
        ))
        .hint("Trace it before it is applied, or give the document under another revision."));
    }
    up(&revision)?;
    finish(&revision)
}

fn rehearsal() -> Caller {
    Caller(Mode::Rehearsal)
}

/// The target of a downgrade that takes back just this revision.
fn above(revision: &Revision) -> Result<String> {
    if register::graph()?
        .descendants(&revision.revision)
        .is_empty()
    {
        return Ok(format!("{}@-1", revision.revision));
    }
    Err(
        Fault::wrong_state(format!("other migrations follow \"{}\"", revision.revision))
            .hint("Rehearse the last one of its branch."),
    )
}

fn up(revision: &Revision) -> Result<()> {
    let document = document::parse_with(
        &revision.document,
        &Defaults {
            revision: Some(revision.revision.clone()),
            down_revision: None,
        },
    )?;
    let (operations, _) = start::operations_of(&document)?;
    let mut transactions = rehearsal();
    let fresh = register::find(&revision.revision)?;
    start::start(&mut transactions, &fresh, "up", &operations)?;
    while let Some(step) = ledger::next_step(&revision.revision, "up", Phase::Migrate)? {
        drive::recording(&mut transactions, revision, Some(&step), |transactions| {
            super::run::step(transactions, revision, &step)
        })?;
    }
    start::settle(&revision.revision).map(drop)
}

fn finish(revision: &Revision) -> Result<()> {
    let now = register::find(&revision.revision)?;
    if now.state == State::Expanded {
        contract::contract(&mut rehearsal(), &revision.revision)?;
    }
    Ok(())
}

pub fn fingerprint() -> Result<Fingerprint> {
    #[derive(Deserialize)]
    struct Row {
        object: String,
        definition: String,
    }
    let rows: Vec<Row> = spi::select("SELECT object, definition FROM migrate.fingerprint()", &[])?;
    Ok(rows
        .into_iter()
        .map(|row| (row.object, row.definition))
        .collect())
}

fn compare(
    turn: &'static str,
    expected: &Fingerprint,
    found: &Fingerprint,
    differences: &mut Vec<Difference>,
) {
    let objects: std::collections::BTreeSet<&String> =
        expected.keys().chain(found.keys()).collect();
    for object in objects {
        let (was, is) = (expected.get(object), found.get(object));
        if was != is {
            differences.push(Difference {
                turn,
                object: object.clone(),
                expected: was.cloned(),
                found: is.cloned(),
            });
        }
    }
}
