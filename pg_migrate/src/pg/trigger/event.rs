//! What a row trigger is told that looks after another table: a row that was written, or that is
//! about to be inserted. The rule of `tuple` holds here too.

use super::{Definition, Firing};
use crate::pg::tuple::Slot;
use pgrx::pg_sys;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    BeforeInsert,
    Inserted,
    Updated,
    Deleted,
}

/// A firing of a ROW trigger: BEFORE INSERT, or AFTER any statement that writes rows.
#[derive(Clone, Copy)]
pub struct Event {
    firing: Firing,
    pub what: What,
}

impl Event {
    /// The firing that this call is; `None` when it is called in any other way.
    ///
    /// # Safety
    /// `fcinfo` is the frame of the call that PostgreSQL is making.
    pub unsafe fn of(fcinfo: pg_sys::FunctionCallInfo) -> Option<Event> {
        // SAFETY: CALLED_AS_TRIGGER in trigger.h, then reads of the node it found.
        unsafe {
            let data = super::data_of(fcinfo)?;
            let event = (*data).tg_event;
            if event & pg_sys::TRIGGER_EVENT_ROW == 0 {
                return None;
            }
            let timing = event & pg_sys::TRIGGER_EVENT_TIMINGMASK;
            let what = match event & pg_sys::TRIGGER_EVENT_OPMASK {
                pg_sys::TRIGGER_EVENT_INSERT if timing == pg_sys::TRIGGER_EVENT_BEFORE => {
                    What::BeforeInsert
                }
                // AFTER has no bit of its own.
                _ if timing != 0 => return None,
                pg_sys::TRIGGER_EVENT_INSERT => What::Inserted,
                pg_sys::TRIGGER_EVENT_UPDATE => What::Updated,
                pg_sys::TRIGGER_EVENT_DELETE => What::Deleted,
                _ => return None,
            };
            Some(Event {
                firing: Firing {
                    data,
                    call: (*fcinfo).flinfo,
                },
                what,
            })
        }
    }

    pub fn trigger(self) -> u32 {
        self.firing.trigger()
    }

    pub fn relation(self) -> u32 {
        self.firing.relation()
    }

    pub fn definition(self) -> Definition {
        self.firing.definition()
    }

    /// The row as it is now; of a deleted one, as it was.
    pub fn row(self) -> Slot {
        match self.what {
            What::Updated => self.firing.new_row(),
            _ => self.firing.old_row(),
        }
    }

    /// Of an updated row: as it was.
    pub fn before(self) -> Slot {
        self.firing.old_row()
    }

    /// As that of `Firing`; only of an updated row.
    pub fn old_version(self) -> (u32, bool) {
        self.firing.old_version()
    }

    /// What the trigger returns: the row that is to be inserted, as it stands; nothing afterwards.
    pub fn answer(self) -> pg_sys::Datum {
        match self.what {
            What::BeforeInsert => self.firing.unchanged(),
            _ => pg_sys::Datum::null(),
        }
    }
}
