//! What became of an operation: carried out, refused, carried out wrongly, or cut off so that only
//! reading can tell.

use postgres::Client;

use super::record::{Record, Value};
use super::statements::{Answer, Kind, Statements, Text};
use super::{Mappings, Role};
use crate::Failure;

/// One operation on one row and what the row holds if it is committed.
pub struct Operation {
    pub kind: Kind,
    pub key: i64,
    /// Where the key stood among the living when it was chosen.
    pub at: usize,
    pub after: Option<Value>,
}

/// Why an operation or transaction did not come through.
pub enum Trouble {
    /// PostgreSQL refused, with no kind when it was the commit; nothing was written.
    Refused(Option<Kind>, Failure),
    /// It went through but found something else than it should have.
    Wrong(String),
    /// The connection broke: it may have been committed or not.
    Broken,
}

/// What the writer knows its rows to hold, as its release must see it.
pub struct Expected<'a> {
    pub record: &'a Record,
    pub maps: Mappings,
    pub role: Role,
}

pub fn in_transaction(
    client: &mut Client,
    statements: &Statements,
    operations: &[Operation],
    rollback: bool,
    expected: &Expected,
) -> Result<(), Trouble> {
    let trouble = |error: postgres::Error| refused(None, &error);
    let mut transaction = client.transaction().map_err(trouble)?;
    // Done twice, the first time taken back: an insert must find its key free again.
    if let Some(operation) = operations.first() {
        let mut savepoint = transaction.savepoint("before").map_err(trouble)?;
        let count = statements.execute(
            &mut savepoint,
            operation.kind,
            operation.key,
            text(operation),
        );
        judge(operation, count, expected)?;
        savepoint.rollback().map_err(trouble)?;
    }
    for operation in operations {
        let count = statements.execute(
            &mut transaction,
            operation.kind,
            operation.key,
            text(operation),
        );
        judge(operation, count, expected)?;
    }
    if rollback {
        transaction.rollback()
    } else {
        transaction.commit()
    }
    .map_err(trouble)
}

pub fn text(operation: &Operation) -> Text<'_> {
    Text(
        operation
            .after
            .as_ref()
            .and_then(|value| value.text.as_deref()),
    )
}

pub fn judge(
    operation: &Operation,
    answer: Result<Answer, postgres::Error>,
    expected: &Expected,
) -> Result<(), Trouble> {
    let answer = answer.map_err(|error| refused(Some(operation.kind), &error))?;
    let key = operation.key;
    if answer.rows != 1 {
        return Err(Trouble::Wrong(format!(
            "{:?} of key {key} met {} rows",
            operation.kind, answer.rows
        )));
    }
    let Some(Some(value)) = expected
        .record
        .get(&key)
        .filter(|_| operation.kind == Kind::Read)
    else {
        return Ok(());
    };
    let wanted = expected.maps.seen_by(expected.role, value);
    // Until the backfill has come by, a value of the old release is not there yet for the new one.
    let unfilled = expected.role == Role::New && value.by == Role::Old && answer.text.is_none();
    // Where both releases use one column, its values change at the contract.
    let contracted = answer.text == expected.maps.left_to(expected.role, value);
    if answer.text != wanted && !unfilled && !contracted {
        return Err(Trouble::Wrong(format!(
            "read key {key}: {:?} wrote it and {wanted:?} should be seen, but it was {:?}",
            value.by, answer.text
        )));
    }
    Ok(())
}

fn refused(kind: Option<Kind>, error: &postgres::Error) -> Trouble {
    let failure = Failure::from(error);
    if broken(&failure) {
        Trouble::Broken
    } else {
        Trouble::Refused(kind, failure)
    }
}

/// No answer at all, or the server's last words.
pub fn broken(failure: &Failure) -> bool {
    failure.sqlstate.is_empty() || failure.sqlstate.starts_with("57P")
}
