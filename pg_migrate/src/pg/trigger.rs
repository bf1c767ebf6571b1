//! What a row trigger sees and may change. The same rule as in `tuple` holds: errors of the hot
//! path leave by `longjmp`, so callers hold nothing that needs dropping.

mod call;
mod catalog;
mod kept;
mod last_column;

pub use call::Call;
pub(crate) use call::trigger_function;
pub use catalog::{comment, first_epoch, installed_by, restamp, set_comment};
pub use kept::{Held, Kept};

use crate::pg::tuple::{Shape, Slot, Value, raw};
use kept::Note;
use pgrx::pg_sys;
use std::ffi::{CStr, c_void};

mod event;

pub use event::{Event, What};

/// Columns that one firing can write.
pub const MOST_COLUMNS: usize = 16;

/// A firing of a BEFORE ROW trigger for INSERT or UPDATE.
#[derive(Clone, Copy)]
pub struct Firing {
    data: *mut pg_sys::TriggerData,
    /// The executor's entry of the trigger for this statement.
    call: *mut pg_sys::FmgrInfo,
}

/// What the trigger's definition says.
#[derive(Debug, Clone)]
pub struct Definition {
    pub relation: u32,
    pub relation_name: String,
    pub arguments: Vec<String>,
    pub on_insert: bool,
    pub on_update: bool,
    /// Has an `UPDATE OF` list or a `WHEN` condition.
    pub conditional: bool,
    pub is_partition: bool,
    /// Number of columns, dropped ones included.
    pub columns: i16,
}

impl Firing {
    /// The firing that this call is; `None` when it is called in any other way.
    ///
    /// # Safety
    /// `fcinfo` is the frame of the call that PostgreSQL is making.
    pub unsafe fn of(fcinfo: pg_sys::FunctionCallInfo) -> Option<Firing> {
        // SAFETY: CALLED_AS_TRIGGER in trigger.h, then reads of the node it found.
        unsafe {
            let data = data_of(fcinfo)?;
            let event = (*data).tg_event;
            let operation = event & pg_sys::TRIGGER_EVENT_OPMASK;
            (event & pg_sys::TRIGGER_EVENT_ROW != 0
                && event & pg_sys::TRIGGER_EVENT_TIMINGMASK == pg_sys::TRIGGER_EVENT_BEFORE
                && (operation == pg_sys::TRIGGER_EVENT_INSERT
                    || operation == pg_sys::TRIGGER_EVENT_UPDATE))
                .then_some(Firing {
                    data,
                    call: (*fcinfo).flinfo,
                })
        }
    }

    /// The trigger's OID: partitions' clones have their own.
    pub fn trigger(self) -> u32 {
        // SAFETY: the trigger data of the running call.
        unsafe { (*(*self.data).tg_trigger).tgoid.to_u32() }
    }

    pub fn relation(self) -> u32 {
        // SAFETY: as above.
        unsafe { (*(*self.data).tg_relation).rd_id.to_u32() }
    }

    pub fn is_update(self) -> bool {
        // SAFETY: as above.
        unsafe {
            (*self.data).tg_event & pg_sys::TRIGGER_EVENT_OPMASK == pg_sys::TRIGGER_EVENT_UPDATE
        }
    }

    /// The row as it will be written.
    pub fn new_row(self) -> Slot {
        // SAFETY: as above; an INSERT has its row in tg_trigslot.
        unsafe {
            Slot(if self.is_update() {
                (*self.data).tg_newslot
            } else {
                (*self.data).tg_trigslot
            })
        }
    }

    /// The row as it was; only for an UPDATE.
    pub fn old_row(self) -> Slot {
        // SAFETY: as above.
        unsafe { Slot((*self.data).tg_trigslot) }
    }

    /// The raw xmin of the row version that is being replaced, and whether VACUUM has frozen it
    /// (which keeps the number since PostgreSQL 9.4). Only for an UPDATE.
    pub fn old_version(self) -> (u32, bool) {
        // SAFETY: the tuple of the running call, with a heap header.
        unsafe {
            let header = (*(*self.data).tg_trigtuple).t_data;
            let frozen = pg_sys::HEAP_XMIN_FROZEN as u16;
            (
                u32::from((*header).t_choice.t_heap.t_xmin),
                (*header).t_infomask & frozen == frozen,
            )
        }
    }

    /// Whether the statement's SET list names the column.
    pub fn assigns(self, column: i16) -> bool {
        let member = i32::from(column) - pg_sys::FirstLowInvalidHeapAttributeNumber;
        // SAFETY: a set owned by the executor, or null.
        unsafe { pg_sys::bms_is_member(member, (*self.data).tg_updatedcols) }
    }

    /// Whether the statement's SET list names the column and nothing else.
    pub fn assigns_only(self, column: i16) -> bool {
        // SAFETY: as above.
        self.assigns(column) && unsafe { pg_sys::bms_num_members((*self.data).tg_updatedcols) == 1 }
    }

    /// What the trigger returns to write the row as it stands.
    pub fn unchanged(self) -> pg_sys::Datum {
        // SAFETY: the trigger data of the running call.
        unsafe {
            pg_sys::Datum::from(if self.is_update() {
                (*self.data).tg_newtuple
            } else {
                (*self.data).tg_trigtuple
            })
        }
    }

    /// What the trigger returns to write the row with another value in one column.
    pub fn with(self, column: i16, shape: Shape, value: Value) -> pg_sys::Datum {
        // SAFETY: the trigger data of the running call, and a column of its relation.
        let replaced = unsafe {
            let columns = (*(*(*self.data).tg_relation).rd_att).natts;
            if i32::from(column) == columns {
                let (given, current) = (self.unchanged(), self.new_row().value(column));
                last_column::replace_last(given.cast_mut_ptr(), columns, shape, &current, &value)
            } else {
                std::ptr::null_mut()
            }
        };
        if replaced.is_null() {
            return self.with_all(&[column], &[value]);
        }
        pg_sys::Datum::from(replaced)
    }

    /// The same for several columns: as many as `columns` and `values` both have.
    ///
    /// As `heap_modify_tuple_by_cols`, but the slot's own arrays take the values for the moment in
    /// which the row is formed from them: what is deformed already is not deformed again.
    pub fn with_all(self, columns: &[i16], values: &[Value]) -> pg_sys::Datum {
        let count = columns.len().min(values.len()).min(MOST_COLUMNS);
        let mut before = [Value::NULL; MOST_COLUMNS];
        let slot = self.new_row().0;
        // SAFETY: columns of the relation's own row type, all of them in the slot's arrays once the
        // slot is deformed to its end; both arrays are as they were when this returns, and an error
        // (no memory) ends the statement that they belong to. The result lives in the executor's
        // per-tuple context, as that of every trigger.
        unsafe {
            let descriptor = (*(*self.data).tg_relation).rd_att;
            if i32::from((*slot).tts_nvalid) < (*descriptor).natts {
                raw::slot_getsomeattrs_int(slot, (*descriptor).natts);
            }
            let (datums, nulls) = ((*slot).tts_values, (*slot).tts_isnull);
            let at = |column: i16| usize::from(column.unsigned_abs()) - 1;
            for (i, (column, value)) in columns.iter().zip(values).take(count).enumerate() {
                let at = at(*column);
                before[i] = Value {
                    datum: *datums.add(at),
                    null: *nulls.add(at),
                };
                *datums.add(at) = value.datum;
                *nulls.add(at) = value.null;
            }
            let tuple = raw::heap_form_tuple(descriptor, datums, nulls);
            for (column, value) in columns.iter().zip(before).take(count) {
                *datums.add(at(*column)) = value.datum;
                *nulls.add(at(*column)) = value.null;
            }
            let given: pg_sys::HeapTuple = self.unchanged().cast_mut_ptr();
            (*(*tuple).t_data).t_ctid = (*(*given).t_data).t_ctid;
            (*tuple).t_self = (*given).t_self;
            (*tuple).t_tableOid = (*given).t_tableOid;
            pg_sys::Datum::from(tuple)
        }
    }

    /// What was kept for this statement by `keep`, if it is of this generation.
    pub fn kept<T>(self, generation: u64) -> Option<Held<T>> {
        // SAFETY: fn_extra is null or what `keep` put there; nothing else runs as this function.
        unsafe {
            let note = (*self.call).fn_extra.cast::<Note<T>>();
            (!note.is_null() && (*note).generation == generation).then(|| (*note).held)
        }
    }

    /// Keeps `held` at hand for the statement's further rows: no look-up by the trigger's OID.
    pub fn keep<T>(self, generation: u64, held: Held<T>) {
        // SAFETY: memory that lives as long as the executor's entry, which is no longer than the
        // transaction in which `held` is valid.
        unsafe {
            let size = size_of::<Note<T>>();
            let note = pg_sys::MemoryContextAlloc((*self.call).fn_mcxt, size).cast::<Note<T>>();
            note.write(Note { generation, held });
            (*self.call).fn_extra = note.cast();
        }
    }

    /// What the trigger returns to leave the row as it was.
    pub fn skipped(self) -> pg_sys::Datum {
        pg_sys::Datum::null()
    }

    /// The definition behind this firing. Cold path.
    pub fn definition(self) -> Definition {
        let text = |p: *const std::ffi::c_char| {
            // SAFETY: a string of the relation's trigger descriptor, copied here.
            unsafe { CStr::from_ptr(p) }.to_string_lossy().into_owned()
        };
        // SAFETY: the trigger data of the running call.
        unsafe {
            let trigger = (*self.data).tg_trigger;
            let relation = (*self.data).tg_relation;
            let kind = u32::from((*trigger).tgtype as u16);
            Definition {
                relation: (*relation).rd_id.to_u32(),
                relation_name: text((*(*relation).rd_rel).relname.data.as_ptr()),
                arguments: (0..usize::try_from((*trigger).tgnargs).unwrap_or(0))
                    .map(|i| text(*(*trigger).tgargs.add(i)))
                    .collect(),
                on_insert: kind & pg_sys::TRIGGER_TYPE_INSERT != 0,
                on_update: kind & pg_sys::TRIGGER_TYPE_UPDATE != 0,
                conditional: (*trigger).tgnattr > 0 || !(*trigger).tgqual.is_null(),
                is_partition: (*(*relation).rd_rel).relispartition,
                columns: (*(*relation).rd_rel).relnatts,
            }
        }
    }
}

/// The definition of the trigger whose firing AFTER TRUNCATE this call is; `None`: it is another call.
///
/// # Safety
/// `fcinfo` is the frame of the call that PostgreSQL is making.
unsafe fn truncation(fcinfo: pg_sys::FunctionCallInfo) -> Option<Definition> {
    // SAFETY: CALLED_AS_TRIGGER in trigger.h, then reads of the node it found.
    unsafe {
        let data = data_of(fcinfo)?;
        let event = (*data).tg_event;
        let (row, timing) = (
            event & pg_sys::TRIGGER_EVENT_ROW,
            event & pg_sys::TRIGGER_EVENT_TIMINGMASK,
        );
        // AFTER has no bit of its own.
        let after = row == 0 && timing == 0;
        let truncates = event & pg_sys::TRIGGER_EVENT_OPMASK == pg_sys::TRIGGER_EVENT_TRUNCATE;
        let firing = Firing {
            data,
            call: (*fcinfo).flinfo,
        };
        (after && truncates).then(|| firing.definition())
    }
}

/// The trigger data of the call, if it is one of a trigger.
///
/// # Safety
/// `fcinfo` is the frame of the call that PostgreSQL is making.
unsafe fn data_of(fcinfo: pg_sys::FunctionCallInfo) -> Option<*mut pg_sys::TriggerData> {
    // SAFETY: CALLED_AS_TRIGGER in trigger.h.
    unsafe {
        let context = (*fcinfo).context;
        (!context.is_null() && (*context).type_ == pg_sys::NodeTag::T_TriggerData)
            .then(|| context.cast())
    }
}

/// How deep in triggers the backend is (`pg_trigger_depth()`).
pub fn depth() -> i32 {
    // SAFETY: takes no arguments, looks at no frame and reads a backend-local counter.
    unsafe { raw::pg_trigger_depth(std::ptr::null_mut()).value() as i32 }
}

/// The number of the running command in its transaction.
pub fn command() -> u32 {
    // SAFETY: reads a backend-local counter.
    unsafe { pg_sys::GetCurrentCommandId(false) }
}

/// The table that is about to be rewritten, when this call is that of an event trigger on
/// `table_rewrite`.
///
/// # Safety
/// `fcinfo` is the frame of the call that PostgreSQL is making.
unsafe fn rewritten(fcinfo: pg_sys::FunctionCallInfo) -> Option<u32> {
    // SAFETY: CALLED_AS_EVENT_TRIGGER in event_trigger.h; the OID is known during this event alone,
    // and looks at no frame.
    unsafe {
        let context = (*fcinfo).context;
        if context.is_null() || (*context).type_ != pg_sys::NodeTag::T_EventTriggerData {
            return None;
        }
        let event = (*context.cast::<pg_sys::EventTriggerData>()).event;
        (CStr::from_ptr(event) == c"table_rewrite")
            .then(|| pg_sys::pg_event_trigger_table_rewrite_oid(fcinfo).value() as u32)
    }
}

/// What may have changed under a thing that was worked out before.
#[derive(Debug, Clone, Copy)]
pub enum Changed {
    Relation(u32),
    /// A type, by the hash under which the system cache knows it.
    Type(u32),
    /// Everything, or a function: it may have been inlined.
    Anything,
}

/// Calls `on_change` when relations, types and functions change. For the life of the backend: call
/// once.
pub fn watch(on_change: fn(Changed)) {
    type Callback = fn(Changed);
    /// # Safety
    /// `arg` is the function given to `watch`.
    unsafe fn call(arg: pg_sys::Datum, changed: Changed) {
        // SAFETY: as promised.
        unsafe { std::mem::transmute::<usize, Callback>(arg.value())(changed) };
    }
    #[pgrx::pg_guard]
    unsafe extern "C-unwind" fn relation(arg: pg_sys::Datum, relation: pg_sys::Oid) {
        let changed = match relation.to_u32() {
            0 => Changed::Anything,
            relation => Changed::Relation(relation),
        };
        // SAFETY: registered below.
        unsafe { call(arg, changed) };
    }
    #[pgrx::pg_guard]
    unsafe extern "C-unwind" fn function(arg: pg_sys::Datum, _cache: i32, _hash: u32) {
        // SAFETY: registered below.
        unsafe { call(arg, Changed::Anything) };
    }
    #[pgrx::pg_guard]
    unsafe extern "C-unwind" fn data_type(arg: pg_sys::Datum, _cache: i32, hash: u32) {
        let changed = match hash {
            0 => Changed::Anything,
            hash => Changed::Type(hash),
        };
        // SAFETY: registered below.
        unsafe { call(arg, changed) };
    }
    let arg = pg_sys::Datum::from(on_change as usize);
    // SAFETY: the callbacks live as long as the library, which is never unloaded.
    unsafe {
        pg_sys::CacheRegisterRelcacheCallback(Some(relation), arg);
        let cache = pg_sys::SysCacheIdentifier::PROCOID as i32;
        pg_sys::CacheRegisterSyscacheCallback(cache, Some(function), arg);
        let cache = pg_sys::SysCacheIdentifier::TYPEOID as i32;
        pg_sys::CacheRegisterSyscacheCallback(cache, Some(data_type), arg);
    }
}

/// The outermost frame of a trigger function: names the trigger in the CONTEXT of every error.
///
/// # Safety
/// `fcinfo` is the frame of the call that PostgreSQL is making; `body` is guarded by `pg_guard`.
pub unsafe fn enter(
    fcinfo: pg_sys::FunctionCallInfo,
    body: unsafe extern "C-unwind" fn(pg_sys::FunctionCallInfo) -> pg_sys::Datum,
) -> pg_sys::Datum {
    unsafe extern "C-unwind" fn name(data: *mut c_void) {
        // SAFETY: called by errfinish while the frame below, and so the trigger's data, is alive.
        unsafe {
            let data = data.cast::<pg_sys::TriggerData>();
            raw::set_errcontext_domain(std::ptr::null());
            raw::errcontext_msg(
                c"trigger \"%s\" on table \"%s\"".as_ptr(),
                (*(*data).tg_trigger).tgname,
                (*(*(*data).tg_relation).rd_rel).relname.data.as_ptr(),
            );
        }
    }
    // SAFETY: pushed for the length of the call; an error resets the stack. Nothing here needs
    // dropping: `body`'s errors leave by longjmp.
    unsafe {
        if data_of(fcinfo).is_none() {
            return body(fcinfo);
        }
        let mut callback = pg_sys::ErrorContextCallback {
            previous: pg_sys::error_context_stack,
            callback: Some(name),
            arg: (*fcinfo).context.cast(),
        };
        pg_sys::error_context_stack = &mut callback;
        let result = body(fcinfo);
        pg_sys::error_context_stack = callback.previous;
        result
    }
}
