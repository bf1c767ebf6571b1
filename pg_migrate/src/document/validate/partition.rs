//! attach_partition, create_partition, detach_partition.

use super::Place;
use crate::document::model::{AttachPartition, DetachPartition};
use crate::fault::Result;

pub fn attach(place: &Place, op: &AttachPartition) -> Result<()> {
    place.sql_name("table", &op.table)?;
    place.sql_name("partition", &op.partition)?;
    let mut words = op.bounds.split_whitespace();
    let (first, second) = (words.next().unwrap_or_default(), words.next());
    let is = |word: &str, wanted: &str| word.eq_ignore_ascii_case(wanted);
    let fits = match second {
        None => is(first, "default"),
        Some(second) => is(first, "for") && is(second, "values"),
    };
    if !fits {
        return Err(place
            .field("bounds")
            .wrong(format!("\"{}\" are no bounds of a partition", op.bounds))
            .hint("Write FOR VALUES FROM (…) TO (…), FOR VALUES IN (…), FOR VALUES WITH (MODULUS …, REMAINDER …) or DEFAULT."));
    }
    Ok(())
}

pub fn detach(place: &Place, op: &DetachPartition) -> Result<()> {
    place.sql_name("table", &op.table)?;
    place.sql_name("partition", &op.partition)
}
