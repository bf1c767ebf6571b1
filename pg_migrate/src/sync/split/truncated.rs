//! TRUNCATE of the target.

use crate::fault::{Fault, Result, state};
use crate::pg::spi::{self, Arg};
use crate::pg::trigger::Definition;
use serde::Deserialize;

/// An error unless the source was truncated by the same statement: then it has no page left, which
/// whoever may truncate the target may know of it.
pub fn refuse(definition: &Definition) -> Result<()> {
    #[derive(Deserialize)]
    struct Size {
        bytes: Option<i64>,
    }
    let source = definition.arguments.get(1).map_or("", String::as_str);
    let size: Option<Size> = spi::first(
        "SELECT pg_catalog.pg_relation_size(pg_catalog.to_regclass($1)) AS bytes",
        &[Arg::Text(source)],
    )?;
    if size.and_then(|size| size.bytes).unwrap_or_default() == 0 {
        return Ok(());
    }
    let target = &definition.relation_name;
    Err(Fault::new(
        state::OBJECT_IN_USE,
        format!("table {target} cannot be truncated alone: it has columns of {source}"),
    )
    .detail(format!(
        "A migration keeps both tables in step, and what the rows say would stay in {source}."
    ))
    .hint(format!(
        "DELETE FROM {target} WHERE …; or truncate both tables in one statement."
    )))
}
