//! What a row trigger sees and may change. The same rule as in `tuple` holds: errors of the hot
//! path leave by `longjmp`, so callers hold nothing that needs dropping.

use crate::fault::{Fault, Result};
use crate::pg::expression::current_transaction;
use crate::pg::tuple::{Slot, Value, raw};
use pgrx::pg_sys;
use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::{CStr, CString, c_void};
use std::ptr::NonNull;

mod event;

pub use event::{Event, What};

/// Columns that one firing can write.
pub const MOST_COLUMNS: usize = 16;

/// A firing of a BEFORE ROW trigger for INSERT or UPDATE.
#[derive(Clone, Copy)]
pub struct Firing {
    data: *mut pg_sys::TriggerData,
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
                .then_some(Firing { data })
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
    pub fn with(self, column: i16, mut value: Value) -> pg_sys::Datum {
        let mut number = i32::from(column);
        // SAFETY: one column of the relation's own row type; the result lives in the executor's
        // per-tuple context, as that of every trigger.
        unsafe {
            pg_sys::Datum::from(raw::heap_modify_tuple_by_cols(
                self.unchanged().cast_mut_ptr(),
                (*(*self.data).tg_relation).rd_att,
                1,
                &mut number,
                &mut value.datum,
                &mut value.null,
            ))
        }
    }

    /// The same for several columns: as many as `columns` and `values` both have.
    pub fn with_all(self, columns: &[i32], values: &[Value]) -> pg_sys::Datum {
        let count = columns.len().min(values.len()).min(MOST_COLUMNS);
        let mut numbers = [0; MOST_COLUMNS];
        let mut datums = [pg_sys::Datum::null(); MOST_COLUMNS];
        let mut nulls = [false; MOST_COLUMNS];
        for (at, (column, value)) in columns.iter().zip(values).take(count).enumerate() {
            numbers[at] = *column;
            datums[at] = value.datum;
            nulls[at] = value.null;
        }
        // SAFETY: as in `with`; the arrays hold `count` entries.
        unsafe {
            pg_sys::Datum::from(raw::heap_modify_tuple_by_cols(
                self.unchanged().cast_mut_ptr(),
                (*(*self.data).tg_relation).rd_att,
                count as i32,
                numbers.as_mut_ptr(),
                datums.as_mut_ptr(),
                nulls.as_mut_ptr(),
            ))
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
    // SAFETY: takes no arguments and reads a backend-local counter.
    unsafe { pgrx::direct_function_call::<i32>(pg_sys::pg_trigger_depth, &[]).unwrap_or_default() }
}

/// The number of the running command in its transaction.
pub fn command() -> u32 {
    // SAFETY: reads a backend-local counter.
    unsafe { pg_sys::GetCurrentCommandId(false) }
}

/// The raw xmin of the trigger's row in `pg_trigger`: the transaction that created, enabled or
/// attached it, after it had the table's lock.
pub fn installed_by(trigger: u32) -> Result<u32> {
    // SAFETY: a catalog scan by the unique index on oid, ended before the function returns.
    unsafe {
        let catalog = pg_sys::table_open(pg_sys::TriggerRelationId, pg_sys::AccessShareLock as i32);
        let mut key = pg_sys::ScanKeyData::default();
        pg_sys::ScanKeyInit(
            &mut key,
            pg_sys::Anum_pg_trigger_oid as i16,
            pg_sys::BTEqualStrategyNumber as u16,
            pg_sys::F_OIDEQ.into(),
            pg_sys::Datum::from(pg_sys::Oid::from(trigger)),
        );
        let scan = pg_sys::systable_beginscan(
            catalog,
            pg_sys::TriggerOidIndexId.into(),
            true,
            std::ptr::null_mut(),
            1,
            &mut key,
        );
        let tuple = pg_sys::systable_getnext(scan);
        let xmin = (!tuple.is_null()).then(|| u32::from((*(*tuple).t_data).t_choice.t_heap.t_xmin));
        pg_sys::systable_endscan(scan);
        pg_sys::table_close(catalog, pg_sys::AccessShareLock as i32);
        xmin.ok_or_else(|| Fault::internal(format!("trigger {trigger} is not in pg_trigger")))
    }
}

/// Whether transaction ids have never wrapped around in this cluster.
pub fn first_epoch() -> bool {
    // SAFETY: reads shared memory under its own lock.
    unsafe { pg_sys::ReadNextFullTransactionId().value >> 32 == 0 }
}

/// The comment on a trigger.
pub fn comment(trigger: u32) -> Option<String> {
    // SAFETY: a catalog lookup; the palloc'd text is copied.
    unsafe {
        let text = pg_sys::GetComment(trigger.into(), pg_sys::TriggerRelationId, 0);
        (!text.is_null()).then(|| CStr::from_ptr(text).to_string_lossy().into_owned())
    }
}

/// Puts a comment on a trigger of `relation` and makes every backend look at the trigger again.
/// The lock taken (ROW EXCLUSIVE, to the end of the transaction) waits for nothing but DDL.
pub fn set_comment(relation: u32, trigger: u32, comment: &str) -> Result<()> {
    let text = CString::new(comment).map_err(|_| Fault::invalid("a comment holds a zero byte"))?;
    // SAFETY: catalog changes inside a transaction; the lock keeps the trigger from being dropped.
    unsafe {
        pg_sys::LockRelationOid(relation.into(), pg_sys::RowExclusiveLock as i32);
        pg_sys::CreateComments(trigger.into(), pg_sys::TriggerRelationId, 0, text.as_ptr());
        pg_sys::CacheInvalidateRelcacheByRelid(relation.into());
    }
    Ok(())
}

/// Calls `on_change` with a relation's OID (0: any) when its definition changes, and with 0 when a
/// function does, for it may have been inlined. For the life of the backend: call once.
pub fn watch(on_change: fn(u32)) {
    type Callback = fn(u32);
    #[pgrx::pg_guard]
    unsafe extern "C-unwind" fn relation(arg: pg_sys::Datum, relation: pg_sys::Oid) {
        // SAFETY: `arg` is the function given to `watch`.
        let on_change: Callback = unsafe { std::mem::transmute::<usize, Callback>(arg.value()) };
        on_change(relation.to_u32());
    }
    #[pgrx::pg_guard]
    unsafe extern "C-unwind" fn function(arg: pg_sys::Datum, _cache: i32, _hash: u32) {
        // SAFETY: as above.
        let on_change: Callback = unsafe { std::mem::transmute::<usize, Callback>(arg.value()) };
        on_change(0);
    }
    let arg = pg_sys::Datum::from(on_change as usize);
    // SAFETY: the callbacks live as long as the library, which is never unloaded.
    unsafe {
        pg_sys::CacheRegisterRelcacheCallback(Some(relation), arg);
        let cache = pg_sys::SysCacheIdentifier::PROCOID as i32;
        pg_sys::CacheRegisterSyscacheCallback(cache, Some(function), arg);
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

/// What a trigger function keeps per trigger and backend. A thing that was replaced while it may
/// still be running further up the stack is dropped in a later transaction.
pub struct Kept<T: 'static> {
    entries: RefCell<HashMap<u32, Entry<T>>>,
    retired: RefCell<Vec<(u32, Box<T>)>>,
}

struct Entry<T> {
    generation: u64,
    thing: Box<T>,
}

/// A kept thing, valid until the end of the call that asked for it.
pub struct Held<T: 'static>(NonNull<T>);

impl<T> Clone for Held<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Held<T> {}

impl<T> std::ops::Deref for Held<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: `Kept` drops nothing in the transaction in which it was held.
        unsafe { self.0.as_ref() }
    }
}

impl<T> Kept<T> {
    pub fn new() -> Self {
        Kept {
            entries: RefCell::default(),
            retired: RefCell::default(),
        }
    }

    /// The thing of `trigger`, if it was built in this generation.
    pub fn get(&self, trigger: u32, generation: u64) -> Option<Held<T>> {
        let entries = self.entries.borrow();
        let entry = entries.get(&trigger)?;
        (entry.generation == generation).then(|| Held(NonNull::from(&*entry.thing)))
    }

    /// Keeps `thing` in place of what was kept before.
    pub fn keep(&self, trigger: u32, generation: u64, thing: T) -> Held<T> {
        let now = current_transaction();
        let gone: Vec<_> = {
            let mut retired = self.retired.borrow_mut();
            let (stay, gone) = retired.drain(..).partition(|(then, _)| *then == now);
            *retired = stay;
            gone
        };
        drop(gone);
        let thing = Box::new(thing);
        let held = Held(NonNull::from(&*thing));
        let before = self
            .entries
            .borrow_mut()
            .insert(trigger, Entry { generation, thing });
        if let Some(before) = before {
            self.retired.borrow_mut().push((now, before.thing));
        }
        held
    }
}
