//! Columns of an open relation, from the system caches.

use crate::fault::{Fault, Result, state};
use pgrx::pg_sys;
use std::ffi::CString;

/// The number of a column; `None`: no user column has the name.
pub fn number(relation: u32, name: &str) -> Option<i16> {
    let name = CString::new(name).ok()?;
    // SAFETY: a cache lookup.
    let number = unsafe { pg_sys::get_attnum(relation.into(), name.as_ptr()) };
    (number > 0).then_some(number)
}

/// The name of a column's type without its modifiers, behind domains.
pub fn base_type(relation: u32, column: i16) -> u32 {
    // SAFETY: cache lookups.
    unsafe { pg_sys::getBaseType(pg_sys::get_atttype(relation.into(), column)) }.to_u32()
}

/// An error where the column is generated: nothing else can give it a value.
pub fn must_be_written(relation: u32, relation_name: &str, number: i16, name: &str) -> Result<()> {
    if writable(relation, number).last() == Some(&number) {
        return Ok(());
    }
    Err(Fault::new(
        state::WRONG_OBJECT_TYPE,
        format!("column \"{name}\" of table {relation_name} is generated"),
    )
    .hint("A generated column cannot be kept in sync; an expression may read it."))
}

/// The numbers of all columns that an application can write.
pub fn writable(relation: u32, count: i16) -> Vec<i16> {
    (1..=count)
        .filter(|number| {
            // SAFETY: cache lookups; a dropped column has no type.
            unsafe {
                pg_sys::get_atttype(relation.into(), *number) != pg_sys::InvalidOid
                    && pg_sys::get_attgenerated(relation.into(), *number) == 0
            }
        })
        .collect()
}

/// The type of a column.
pub fn data_type(relation: u32, column: i16) -> u32 {
    // SAFETY: a cache lookup.
    unsafe { pg_sys::get_atttype(relation.into(), column) }.to_u32()
}

/// The operator by which a type's values are equal, where it has one.
pub fn equality(data_type: u32) -> Option<u32> {
    // SAFETY: a lookup in the type cache, which lives as long as the backend.
    let operator = unsafe {
        (*pg_sys::lookup_type_cache(data_type.into(), pg_sys::TYPECACHE_EQ_OPR as i32)).eq_opr
    };
    (operator != pg_sys::InvalidOid).then(|| operator.to_u32())
}
