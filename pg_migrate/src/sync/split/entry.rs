//! The trigger function: one firing, one row, one look at the other table.

use super::program::{self, End, Program, Step};
use super::{truncated, turn};
use crate::fault::Fault;
use crate::pg::error;
use crate::pg::prepared::MOST_PARAMETERS;
use crate::pg::trigger::{Call, Event, Held, What, depth, trigger_function};
use crate::pg::tuple::{Slot, Value};
use crate::sync::rules::Side;
use crate::sync::{filling, settings, version};
use pgrx::pg_sys::Datum;

/// Triggers of the user that change a row back and forth are left to themselves from here on; the
/// verification says what came of it.
const DEEPEST: i32 = 12;

/// A row under a program: nothing is dropped, nothing copied.
#[derive(Clone, Copy)]
struct View {
    event: Event,
    program: Held<Program>,
}

impl View {
    fn run(self, step: &Step, row: Slot) -> u64 {
        let mut values = [Value::NULL; MOST_PARAMETERS];
        let count = self.program.key.len();
        for (at, column) in self.program.key.iter().enumerate() {
            values[at] = row.value(column.number);
        }
        turn::ours(|| step.prepared.run(step.owner, &values[..count]))
    }

    /// The same with the columns' defaults behind the key.
    fn make_room(self, step: &Step, row: Slot) {
        let mut values = [Value::NULL; MOST_PARAMETERS];
        let count = self.program.key.len();
        for (at, column) in self.program.key.iter().enumerate() {
            values[at] = row.value(column.number);
        }
        for (at, default) in self.program.defaults.iter().enumerate() {
            values[count + at] = default
                .as_ref()
                .map_or(Value::NULL, |default| default.evaluate(row));
        }
        let count = count + self.program.defaults.len();
        turn::ours(|| step.prepared.run(step.owner, &values[..count]));
    }

    fn key_changed(self) -> bool {
        let (before, after) = (self.event.before(), self.event.row());
        self.program.key.iter().any(|column| {
            !column
                .shape
                .same(before.value(column.number), after.value(column.number))
        })
    }

    fn columns_changed(self) -> bool {
        let (before, after) = (self.event.before(), self.event.row());
        self.program.columns.iter().any(|column| {
            !column
                .shape
                .same(before.value(column.number), after.value(column.number))
        })
    }

    /// The version that was replaced is older than the trigger: the target may have no row yet.
    fn unseen(self) -> bool {
        let (xmin, frozen) = self.event.old_version();
        version::predates(
            xmin,
            frozen,
            self.program.installed,
            self.program.first_epoch,
        )
    }

    fn source(self, ours: bool) {
        let program = self.program;
        let row = self.event.row();
        let Some(put) = &program.put else { return };
        match self.event.what {
            What::Inserted if settings::side() == Side::New => {
                // The new application gives the other half itself.
            }
            What::Updated if ours => {
                self.run(&program.same, row);
            }
            What::Updated if self.key_changed() => {
                self.run(&program.gone, self.event.before());
                self.run(put, row);
            }
            What::Updated if !self.columns_changed() && !self.unseen() => {}
            What::Inserted | What::Updated => {
                self.run(put, row);
            }
            What::Deleted => {
                self.run(&program.gone, row);
            }
            What::BeforeInsert => {}
        }
    }

    fn target(self, ours: bool) {
        let program = self.program;
        let row = self.event.row();
        match self.event.what {
            What::BeforeInsert => {
                if let (false, Some(lock), Some(room)) = (ours, &program.lock, &program.room)
                    && self.run(lock, row) > 0
                {
                    self.make_room(room, row);
                }
            }
            What::Inserted => {
                self.run(&program.same, row);
            }
            What::Updated => {
                let moved = !ours && self.key_changed();
                if moved {
                    self.run(&program.gone, self.event.before());
                }
                if moved || self.columns_changed() {
                    self.run(&program.same, row);
                }
            }
            What::Deleted if ours => {}
            What::Deleted => {
                self.run(&program.gone, row);
            }
        }
    }
}

fn keep_in_step(event: Event) -> Datum {
    if depth() > DEEPEST || filling::fills(event.relation()) {
        return event.answer();
    }
    let program = error::or_raise(program::of(event));
    let view = View { event, program };
    let ours = turn::is_ours();
    match program.end {
        End::Source => view.source(ours),
        End::Target | End::Back => view.target(ours),
    }
    event.answer()
}

/// `migrate.sync_split_trigger()`.
fn sync_split(call: Call) -> Datum {
    if let Some(definition) = call.truncation() {
        error::or_raise(truncated::refuse(&definition));
        return Datum::null();
    }
    match call.event() {
        Some(event) => keep_in_step(event),
        // 39P01: the trigger protocol was violated.
        None => error::raise(Fault::new(
            "39P01",
            "migrate.sync_split_trigger() can only be called as a trigger AFTER INSERT, UPDATE or DELETE, or BEFORE INSERT, FOR EACH ROW, or AFTER TRUNCATE",
        )),
    }
}

trigger_function!(
    pg_migrate_sync_split,
    pg_finfo_pg_migrate_sync_split,
    sync_split
);
