//! The trigger functions: one firing, one row, one verdict.

use crate::fault::{Fault, state};
use crate::pg::error;
use crate::pg::trigger::{Call, Firing, Held, MOST_COLUMNS, trigger_function};
use crate::pg::tuple::Value;
use crate::sync::program::{self, Program};
use crate::sync::rules::{self, Policy, Row, Side, Verdict};
use crate::sync::{filling, moves, settings, touch, version};
use pgrx::pg_sys::Datum;

/// One row under a program. Everything is asked of the row anew: nothing is dropped, nothing copied.
#[derive(Clone, Copy)]
struct View {
    firing: Firing,
    program: Held<Program>,
}

impl View {
    fn new_value(self) -> Value {
        self.firing.new_row().value(self.program.new.number)
    }

    fn old_value(self) -> Option<Value> {
        let old = self.program.old.as_ref()?;
        Some(self.firing.new_row().value(old.column.number))
    }
}

impl Row for View {
    fn old_is_null(&self) -> bool {
        let row = self.firing.new_row();
        self.program
            .olds()
            .all(|old| row.value(old.column.number).is_null())
    }

    fn new_is_null(&self) -> bool {
        self.new_value().is_null()
    }

    fn old_is_default(&self) -> bool {
        let row = self.firing.new_row();
        self.program.old.is_some()
            && self.program.olds().all(|old| {
                old.default.as_ref().is_some_and(|default| {
                    let value = row.value(old.column.number);
                    old.column.shape.equal(value, default.evaluate(row))
                })
            })
    }

    fn new_is_default(&self) -> bool {
        self.program.new_default.as_ref().is_some_and(|default| {
            let default = default.evaluate(self.firing.new_row());
            self.program.new.shape.equal(self.new_value(), default)
        })
    }

    fn agrees(&self) -> bool {
        let row = self.firing.new_row();
        let up = self.program.up.over(row);
        if self.program.new.shape.equal(self.new_value(), up) {
            return true;
        }
        self.program.old.is_some()
            && self.program.olds().all(|old| {
                let value = row.value(old.column.number);
                old.column.shape.equal(value, old.down.over(row))
            })
    }

    fn old_changed(&self) -> bool {
        let (before, after) = (self.firing.old_row(), self.firing.new_row());
        self.program.olds().any(|old| {
            let number = old.column.number;
            !old.column
                .shape
                .same(before.value(number), after.value(number))
        })
    }

    fn new_changed(&self) -> bool {
        let column = &self.program.new;
        let before = self.firing.old_row().value(column.number);
        !column.shape.same(before, self.new_value())
    }

    fn new_was_null(&self) -> bool {
        self.firing
            .old_row()
            .value(self.program.new.number)
            .is_null()
    }

    fn new_assigned(&self) -> bool {
        self.firing.assigns(self.program.new.number)
    }

    fn only_new_assigned(&self) -> bool {
        self.firing.assigns_only(self.program.new.number)
    }

    fn unfilled(&self) -> bool {
        let (xmin, frozen) = self.firing.old_version();
        let Program {
            installed,
            first_epoch,
            finished,
            ..
        } = *self.program;
        !finished
            && version::predates(xmin, frozen, installed, first_epoch)
            && !(xmin == installed && self.null_on_purpose())
    }

    fn follows(&self) -> bool {
        let (before, after) = (self.firing.old_row(), self.firing.new_row());
        let changed = self.program.sources.iter().any(|source| {
            !source
                .shape
                .same(before.value(source.number), after.value(source.number))
        });
        changed
            && self.program.new.shape.equal(
                before.value(self.program.new.number),
                self.program.up.over(before),
            )
    }
}

impl View {
    /// Whether `new` was null before the statement and the old side what that null gives, not null:
    /// what a write through the trigger leaves. Tells rows that ALTER TABLE has written anew apart,
    /// which have the age of the trigger, filled or not. Where all is null nothing says that it is
    /// on purpose, and what `up` gives says that the new side wants something else.
    fn null_on_purpose(self) -> bool {
        let row = self.firing.old_row();
        self.program.agreeing
            && row.value(self.program.new.number).is_null()
            && !self.program.up.over(row).is_null()
            && self
                .program
                .olds()
                .any(|old| !row.value(old.column.number).is_null())
            && self.program.olds().all(|old| {
                let value = row.value(old.column.number);
                old.column.shape.equal(value, old.down.over(row))
            })
    }
}

fn sync(firing: Firing) -> Datum {
    let program = error::or_raise(program::of(firing));
    let view = View { firing, program };
    let two_way = program.old.is_some();
    let verdict = if firing.is_update() {
        firing.old_row().ready(program.last);
        firing.new_row().ready(program.last);
        // A backfill of other columns is a write like any other for this pair.
        if filling::is_filling(firing) && firing.assigns(program.new.number) {
            rules::backfill(view, two_way, program.policy)
        } else if program.policy == Policy::Back && fills_old(view) {
            Verdict::Keep
        } else {
            rules::update(view, two_way, side(two_way), program.policy)
        }
    } else if program.is_partition && moves::arrives(hash_old(view, None), hash_new(view, None)) {
        Verdict::Keep
    } else {
        rules::insert(view, two_way, side(two_way), program.policy)
    };
    if !program.more.is_empty() && matches!(verdict, Verdict::DeriveOld | Verdict::RestoreOld) {
        return with_olds(view, verdict == Verdict::DeriveOld);
    }
    let old_number = program.old.as_ref().map(|old| old.column.number);
    let new = &program.new;
    let change = match (verdict, program.old.as_ref()) {
        (Verdict::DeriveNew, _) => Some((new, program.up.over(firing.new_row()))),
        (Verdict::DeriveOld, Some(old)) => Some((&old.column, old.down.over(firing.new_row()))),
        (Verdict::RestoreNew, _) => Some((new, firing.old_row().value(new.number))),
        (Verdict::RestoreOld, Some(old)) => {
            let column = &old.column;
            Some((column, firing.old_row().value(column.number)))
        }
        (Verdict::Skip, _) => return firing.skipped(),
        (Verdict::Conflict, _) => conflict(firing),
        (Verdict::Keep | Verdict::DeriveOld | Verdict::RestoreOld, _) => None,
    };
    if program.is_partition && firing.is_update() {
        let written = |number| {
            change.and_then(|(column, value)| (Some(column.number) == number).then_some(value))
        };
        moves::left(
            hash_old(view, written(old_number)),
            hash_new(view, written(Some(program.new.number))),
        );
    }
    match change {
        Some((column, value)) => firing.with(column.number, column.shape, value),
        None => firing.unchanged(),
    }
}

/// Whether a backfill writes the old side.
fn fills_old(view: View) -> bool {
    filling::is_filling(view.firing)
        && view
            .program
            .olds()
            .any(|old| view.firing.assigns(old.column.number))
}

/// The row with every old column derived, or as it was before the statement.
fn with_olds(view: View, derive: bool) -> Datum {
    let row = view.firing.new_row();
    let mut numbers = [0; MOST_COLUMNS];
    let mut values = [row.value(view.program.new.number); MOST_COLUMNS];
    let mut count = 0;
    for (at, old) in view.program.olds().take(MOST_COLUMNS).enumerate() {
        numbers[at] = old.column.number;
        values[at] = if derive {
            old.down.over(row)
        } else {
            view.firing.old_row().value(old.column.number)
        };
        count = at + 1;
    }
    view.firing.with_all(&numbers[..count], &values[..count])
}

/// Which side a one-way trigger's column is on differs from recipe to recipe: the values decide.
fn side(two_way: bool) -> Side {
    if two_way {
        settings::side()
    } else {
        Side::Unknown
    }
}

fn hash_old(view: View, written: Option<Value>) -> u32 {
    match (view.program.old.as_ref(), written.or(view.old_value())) {
        (Some(old), Some(value)) => old.column.shape.hash(value),
        _ => 0,
    }
}

fn hash_new(view: View, written: Option<Value>) -> u32 {
    let value = written.unwrap_or(view.new_value());
    view.program.new.shape.hash(value)
}

fn conflict(firing: Firing) -> ! {
    let definition = firing.definition();
    let name = |i: usize| definition.arguments.get(i).map_or("", String::as_str);
    error::raise(
        Fault::new(
            state::CHECK_VIOLATION,
            format!(
                "columns \"{}\" and \"{}\" of table {} were both given and disagree",
                name(0),
                name(1),
                definition.relation_name
            ),
        )
        .detail("Both hold the same fact while the table is migrated.")
        .hint("Write one of them, or SET migrate.side = 'old' or 'new' in this session."),
    )
}

fn not_a_trigger(function: &str, events: &str) -> Fault {
    // 39P01: the trigger protocol was violated.
    Fault::new(
        "39P01",
        format!(
            "migrate.{function}() can only be called as a trigger BEFORE {events} FOR EACH ROW"
        ),
    )
}

/// `migrate.sync_column_trigger()`.
fn sync_column(call: Call) -> Datum {
    match call.firing() {
        Some(firing) => sync(firing),
        None => error::raise(not_a_trigger("sync_column_trigger", "INSERT OR UPDATE")),
    }
}

/// `migrate.touch_column()`.
fn touch_column(call: Call) -> Datum {
    match call.firing() {
        Some(firing) if firing.is_update() => touch::touch(firing),
        _ => error::raise(not_a_trigger("touch_column", "UPDATE")),
    }
}

trigger_function!(
    pg_migrate_sync_column,
    pg_finfo_pg_migrate_sync_column,
    sync_column
);
trigger_function!(
    pg_migrate_touch_column,
    pg_finfo_pg_migrate_touch_column,
    touch_column
);
