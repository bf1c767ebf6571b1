//! A row with another value in its last column, which is where a column that was added stands: all
//! before it is copied as it is, nothing is deformed or formed.

use crate::pg::tuple::{Shape, Value, raw};
use pgrx::{pg_sys, varlena};
use std::ptr::{null_mut, write_bytes};

/// Bytes of a header without a null bitmap, and of one whose bitmap is within its padding.
const HEADER: usize = std::mem::offset_of!(pg_sys::HeapTupleHeaderData, t_bits);
const fn aligned(size: usize, to: usize) -> usize {
    size.next_multiple_of(to)
}
const MOST: usize = pg_sys::MAXIMUM_ALIGNOF as usize;

/// How a value is stored.
struct Stored {
    bytes: *const u8,
    /// Without what `short` leaves away.
    size: usize,
    align: usize,
    /// A long varlena header becomes a short one.
    short: bool,
    external: bool,
}

unsafe fn stored(shape: Shape, value: &Value) -> Option<Stored> {
    let plain = Stored {
        bytes: value.datum.cast_mut_ptr::<u8>().cast_const(),
        size: usize::try_from(shape.length).unwrap_or(0),
        align: usize::from(shape.align),
        short: false,
        external: false,
    };
    if shape.length > 0 {
        return Some(plain);
    }
    // Only a varlena is left: a C string has no column.
    if shape.length != -1 {
        return None;
    }
    // SAFETY: a non-null varlena; fill_val in heaptuple.c.
    unsafe {
        let datum = plain.bytes.cast::<pg_sys::varlena>();
        let external = varlena::varatt_is_1b_e(datum);
        if external && varlena::vartag_is_expanded(varlena::vartag_external(datum).into()) {
            return None;
        }
        if varlena::varatt_is_1b(datum) {
            return Some(Stored {
                size: varlena::varsize_any(datum),
                align: 1,
                external,
                ..plain
            });
        }
        let size = varlena::varsize_4b(datum);
        let packed = size - pg_sys::VARHDRSZ + 1;
        if shape.packed && varlena::varatt_is_4b_u(datum) && packed <= 0x7F {
            return Some(Stored {
                size: packed,
                align: 1,
                short: true,
                ..plain
            });
        }
        Some(Stored { size, ..plain })
    }
}

/// `given` with `value` where it has `current` in its last column, or null where this way cannot be
/// gone: then the row is formed anew.
///
/// # Safety
/// `given` is a row of `columns` columns, of which the last has this shape and holds `current`.
pub(super) unsafe fn replace_last(
    given: pg_sys::HeapTuple,
    columns: i32,
    shape: Shape,
    current: &Value,
    value: &Value,
) -> pg_sys::HeapTuple {
    // SAFETY: as promised; what is written lies within what was allocated.
    unsafe {
        let (header, length) = ((*given).t_data, (*given).t_len as usize);
        let first = header.cast::<u8>().cast_const();
        let start = usize::from((*header).t_hoff);
        let natts = u32::from((*header).t_infomask2) & pg_sys::HEAP_NATTS_MASK;
        if value.null || natts != columns as u32 {
            return null_mut();
        }
        let Some(stored) = stored(shape, value) else {
            return null_mut();
        };
        let end = if current.null {
            length
        } else if shape.length > 0 {
            length - stored.size
        } else {
            // Deformed from another copy of the row, it says nothing of this one.
            let at = (current.datum.value()).wrapping_sub(first as usize);
            if at < start || at >= length {
                return null_mut();
            }
            at
        };
        let mut mask = (*header).t_infomask;
        if current.null {
            let last = (columns - 1) as usize;
            let bits = std::slice::from_raw_parts(first.add(HEADER), last / 8 + 1);
            let rest = (1_u8 << (last % 8)) - 1;
            let full =
                bits[..last / 8].iter().all(|byte| *byte == 0xFF) && bits[last / 8] & rest == rest;
            if full {
                if start != aligned(HEADER, MOST) {
                    return null_mut(); // the header shrinks
                }
                mask &= !(pg_sys::HEAP_HASNULL as u16);
            }
        }
        if shape.length == -1 {
            mask |= pg_sys::HEAP_HASVARWIDTH as u16;
        }
        if stored.external {
            mask |= pg_sys::HEAP_HASEXTERNAL as u16;
        }
        let at = start + aligned(end - start, stored.align);
        let total = at + stored.size;
        let head = aligned(size_of::<pg_sys::HeapTupleData>(), MOST);
        let tuple = raw::palloc(head + total).cast::<pg_sys::HeapTupleData>();
        let data = tuple.cast::<u8>().add(head);
        tuple.write(pg_sys::HeapTupleData {
            t_len: total as u32,
            t_data: data.cast(),
            ..*given
        });
        first.copy_to_nonoverlapping(data, end);
        write_bytes(data.add(end), 0, at - end);
        let place = data.add(at);
        if stored.short {
            varlena::set_varsize_short(place.cast(), stored.size as i32);
            let content = stored.bytes.add(pg_sys::VARHDRSZ);
            content.copy_to_nonoverlapping(place.add(1), stored.size - 1);
        } else if shape.by_value {
            let datum = value.datum.value();
            match stored.size {
                1 => place.write(datum as u8),
                2 => place.cast::<u16>().write(datum as u16),
                4 => place.cast::<u32>().write(datum as u32),
                _ => place.cast::<usize>().write(datum),
            }
        } else {
            stored.bytes.copy_to_nonoverlapping(place, stored.size);
        }
        let written = (*tuple).t_data;
        (*written).t_infomask = mask;
        if current.null {
            let last = (columns - 1) as usize;
            *data.add(HEADER + last / 8) |= 1 << (last % 8);
        }
        tuple
    }
}
