//! The touch column: the time of the last real change of a row.

use crate::fault::{Fault, Result, state};
use crate::pg::expression::Compiled;
use crate::pg::trigger::{Definition, Firing, Kept};
use crate::pg::tuple::Shape;
use crate::pg::{error, relation_column};
use crate::sync::filling;
use crate::sync::program::{self, Column};
use pgrx::pg_sys::{BuiltinOid, Datum};

struct Touch {
    column: Column,
    now: Compiled,
    others: Vec<Column>,
}

thread_local! {
    static TOUCHES: Kept<Touch> = Kept::new();
}

/// Stamps the row with the transaction's time when the statement changed it and left the column
/// alone. The backfill is not a change of the application's.
pub fn touch(firing: Firing) -> Datum {
    if filling::is_filling(firing) {
        return firing.unchanged();
    }
    let touch = error::or_raise(program::held(&TOUCHES, firing, build));
    let (before, after) = (firing.old_row(), firing.new_row());
    let changed = |column: &Column| {
        !column
            .shape
            .same(before.value(column.number), after.value(column.number))
    };
    if changed(&touch.column) || !touch.others.iter().any(changed) {
        return firing.unchanged();
    }
    let column = &touch.column;
    firing.with(column.number, column.shape, touch.now.evaluate(after))
}

fn build(definition: &Definition) -> Result<Touch> {
    let usage = "CREATE TRIGGER name BEFORE UPDATE ON table FOR EACH ROW EXECUTE FUNCTION \
        migrate.touch_column('updated_at');";
    let [name] = definition.arguments.as_slice() else {
        return Err(Fault::invalid("the touch trigger needs one column name").hint(usage));
    };
    let relation = definition.relation;
    let number = relation_column::number(relation, name).ok_or_else(|| {
        Fault::new(
            state::UNDEFINED_COLUMN,
            format!(
                "table {} has no column \"{name}\", which its touch trigger names",
                definition.relation_name
            ),
        )
        .hint("Rename the column back, or drop the trigger and make it again.")
    })?;
    relation_column::must_be_written(relation, &definition.relation_name, number, name)?;
    let time = [
        BuiltinOid::TIMESTAMPTZOID,
        BuiltinOid::TIMESTAMPOID,
        BuiltinOid::DATEOID,
    ]
    .map(|data_type| data_type.value().to_u32());
    if !time.contains(&relation_column::base_type(relation, number)) {
        return Err(Fault::new(
            state::DATATYPE_MISMATCH,
            format!(
                "column \"{name}\" of table {} holds no time",
                definition.relation_name
            ),
        )
        .hint("A touch column is a timestamptz, a timestamp or a date."));
    }
    let column = |number| Column {
        number,
        shape: Shape::of(relation, number),
    };
    Ok(Touch {
        column: column(number),
        now: Compiled::expression(relation, "pg_catalog.now()", number)?,
        others: relation_column::writable(relation, definition.columns)
            .into_iter()
            .filter(|other| *other != number)
            .map(column)
            .collect(),
    })
}
