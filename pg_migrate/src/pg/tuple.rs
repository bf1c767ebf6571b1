//! Values of rows inside a trigger, without copies and without `Drop`.
//!
//! Everything here may raise a PostgreSQL error by `longjmp`: that is what keeps an error of a
//! user's expression whole (SQLSTATE, context, constraint names) and a row cheap. So a caller must
//! hold nothing that needs dropping across these calls; all types here are `Copy`.

use pgrx::{pg_sys, varlena};

/// PostgreSQL's own functions, unwrapped: pgrx's wrappers turn every error into a Rust panic.
pub(super) mod raw {
    use pgrx::pg_sys::{
        Datum, FmgrInfo, FunctionCallInfo, HeapTuple, MemoryContext, Oid, SPIPlanPtr, Size,
        TupleDesc, TupleTableSlot,
    };
    use std::ffi::{c_char, c_int, c_void};

    unsafe extern "C-unwind" {
        pub fn slot_getsomeattrs_int(slot: *mut TupleTableSlot, attnum: c_int);
        pub fn datum_image_eq(a: Datum, b: Datum, by_value: bool, length: c_int) -> bool;
        pub fn datum_image_hash(value: Datum, by_value: bool, length: c_int) -> u32;
        pub fn datumGetSize(value: Datum, by_value: bool, length: c_int) -> Size;
        pub fn palloc(size: Size) -> *mut c_void;
        pub fn heap_form_tuple(desc: TupleDesc, values: *mut Datum, nulls: *mut bool) -> HeapTuple;
        pub fn pg_trigger_depth(fcinfo: FunctionCallInfo) -> Datum;
        pub fn FunctionCall2Coll(f: *mut FmgrInfo, collation: Oid, a: Datum, b: Datum) -> Datum;
        pub fn GetUserId() -> Oid;
        pub fn SPI_connect() -> c_int;
        pub fn SPI_finish() -> c_int;
        pub fn SPI_execute_plan(
            plan: SPIPlanPtr,
            values: *mut Datum,
            nulls: *const c_char,
            read_only: bool,
            most: std::ffi::c_long,
        ) -> c_int;
        pub fn MemoryContextReset(context: MemoryContext);
        pub fn errcontext_msg(format: *const c_char, ...) -> c_int;
        pub fn set_errcontext_domain(domain: *const c_char) -> c_int;
    }
}

/// A value of a row; by-reference values point into the row.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Value {
    pub(super) datum: pg_sys::Datum,
    pub(super) null: bool,
}

impl Value {
    pub const NULL: Value = Value {
        datum: pg_sys::Datum::null(),
        null: true,
    };

    pub fn is_null(self) -> bool {
        self.null
    }
}

unsafe fn in_line_and_short(datum: *const pg_sys::varlena) -> bool {
    // SAFETY: a non-null varlena.
    unsafe { varlena::varatt_is_1b(datum) && !varlena::varatt_is_1b_e(datum) }
}

/// How values of a column are stored and compared.
#[derive(Clone, Copy)]
pub struct Shape {
    pub(super) by_value: bool,
    pub(super) length: i16,
    /// In bytes.
    pub(super) align: u8,
    /// A varlena may be stored with a short header.
    pub(super) packed: bool,
    collation: pg_sys::Oid,
    /// The type's default equality, owned by the type cache, which lives as long as the backend.
    equal: Option<*mut pg_sys::FmgrInfo>,
}

impl Shape {
    /// The shape of a column of `relation`. Cold path: reads system caches.
    pub fn of(relation: u32, column: i16) -> Shape {
        let (mut data_type, mut typmod, mut collation) =
            (pg_sys::InvalidOid, -1, pg_sys::InvalidOid);
        let (mut length, mut by_value, mut align) = (0, false, 0);
        // SAFETY: cache lookups of a column that the caller found in the open relation.
        let (packed, equal) = unsafe {
            pg_sys::get_atttypetypmodcoll(
                relation.into(),
                column,
                &mut data_type,
                &mut typmod,
                &mut collation,
            );
            pg_sys::get_typlenbyvalalign(data_type, &mut length, &mut by_value, &mut align);
            let storage = pg_sys::get_typstorage(data_type);
            let entry = pg_sys::lookup_type_cache(data_type, pg_sys::TYPECACHE_EQ_OPR_FINFO as i32);
            (
                storage as u8 != b'p',
                ((*entry).eq_opr_finfo.fn_oid != pg_sys::InvalidOid)
                    .then(|| std::ptr::addr_of_mut!((*entry).eq_opr_finfo)),
            )
        };
        Shape {
            by_value,
            length,
            align: match align as u8 {
                b'c' => 1,
                b's' => 2,
                b'i' => 4,
                _ => 8,
            },
            packed,
            collation,
            equal,
        }
    }

    /// Whether the stored bytes are the same. A value that was moved out of line and not touched is
    /// recognised by its pointer and not read.
    pub fn same(self, a: Value, b: Value) -> bool {
        if a.null || b.null {
            return a.null == b.null;
        }
        if a.datum == b.datum {
            return true;
        }
        if self.by_value {
            return false;
        }
        // SAFETY: both are non-null values of this shape.
        unsafe {
            if self.length == -1 {
                let (a, b) = (a.datum.cast_mut_ptr(), b.datum.cast_mut_ptr());
                if in_line_and_short(a) && in_line_and_short(b) {
                    let size = varlena::varsize_1b(a);
                    return size == varlena::varsize_1b(b)
                        && std::slice::from_raw_parts(a.cast::<u8>(), size)
                            == std::slice::from_raw_parts(b.cast::<u8>(), size);
                }
            }
            let size = raw::datumGetSize(a.datum, false, i32::from(self.length));
            if size == raw::datumGetSize(b.datum, false, i32::from(self.length)) {
                let bytes = |v: Value| {
                    std::slice::from_raw_parts(v.datum.cast_mut_ptr::<u8>().cast_const(), size)
                };
                if bytes(a) == bytes(b) {
                    return true;
                }
            }
            // Only a varlena has several spellings of one value: compressed, out of line, short.
            self.length == -1
                && raw::datum_image_eq(a.datum, b.datum, false, i32::from(self.length))
        }
    }

    /// Whether the values are equal to the type's own equality; by their bytes where it has none.
    pub fn equal(self, a: Value, b: Value) -> bool {
        if self.same(a, b) {
            return true;
        }
        match self.equal {
            // SAFETY: a strict function of two values of this type, neither null.
            Some(function) if !a.null && !b.null => unsafe {
                raw::FunctionCall2Coll(function, self.collation, a.datum, b.datum).value() != 0
            },
            _ => false,
        }
    }

    /// A hash of the value's bytes, however they are stored.
    pub fn hash(self, value: Value) -> u32 {
        if value.null {
            return 0x6e75_6c6c;
        }
        // SAFETY: a non-null value of this shape.
        unsafe { raw::datum_image_hash(value.datum, self.by_value, i32::from(self.length)) }
    }
}

/// A row as the executor holds it.
#[derive(Clone, Copy)]
pub struct Slot(pub(super) *mut pg_sys::TupleTableSlot);

impl Slot {
    /// Deforms the row up to `column` at once.
    pub fn ready(self, column: i16) {
        // SAFETY: as in `value`.
        unsafe {
            if (*self.0).tts_nvalid < column {
                raw::slot_getsomeattrs_int(self.0, i32::from(column));
            }
        }
    }

    /// The value of `column` (1 and up); deforms the row no further than that.
    pub fn value(self, column: i16) -> Value {
        let index = usize::from(column.unsigned_abs()) - 1;
        self.ready(column);
        // SAFETY: a live slot of the trigger's relation, which has the column; after
        // slot_getsomeattrs_int both arrays hold it (slot_getattr in tuptable.h).
        unsafe {
            Value {
                datum: *(*self.0).tts_values.add(index),
                null: *(*self.0).tts_isnull.add(index),
            }
        }
    }
}
