//! One evaluation, by the executor's own machinery.

use crate::pg::tuple::{Slot, Value, raw};
use pgrx::pg_sys;
use std::ptr::{null, null_mut};

/// Executor state, made anew in each transaction and for each role, as plpgsql does.
#[derive(Clone, Copy)]
pub(super) struct Live {
    pub(super) transaction: u32,
    pub(super) role: u32,
    pub(super) busy: bool,
    pub(super) state: *mut pg_sys::ExprState,
    pub(super) context: *mut pg_sys::ExprContext,
}

pub(super) const DEAD: Live = Live {
    transaction: 0,
    role: 0,
    busy: false,
    state: null_mut(),
    context: null_mut(),
};

pub(super) unsafe fn start(expression: *mut pg_sys::Expr, memory: pg_sys::MemoryContext) -> Live {
    unsafe extern "C-unwind" {
        fn CreateStandaloneExprContext() -> *mut pg_sys::ExprContext;
        fn ExecInitExpr(
            node: *mut pg_sys::Expr,
            parent: *mut pg_sys::PlanState,
        ) -> *mut pg_sys::ExprState;
    }
    // SAFETY: a planned tree; both results live in `memory`.
    unsafe {
        let before = pg_sys::MemoryContextSwitchTo(memory);
        let live = Live {
            context: CreateStandaloneExprContext(),
            state: ExecInitExpr(expression, null_mut()),
            ..DEAD
        };
        pg_sys::MemoryContextSwitchTo(before);
        live
    }
}

pub(super) unsafe fn run_expression(live: Live, row: Slot) -> Value {
    // SAFETY: ExecEvalExprSwitchContext in executor.h.
    unsafe {
        let context = live.context;
        raw::MemoryContextReset((*context).ecxt_per_tuple_memory);
        (*context).ecxt_scantuple = row.0;
        let before = pg_sys::MemoryContextSwitchTo((*context).ecxt_per_tuple_memory);
        let mut null = false;
        let datum = match (*live.state).evalfunc {
            Some(evaluate) => evaluate(live.state, context, &mut null),
            None => pg_sys::Datum::null(),
        };
        pg_sys::MemoryContextSwitchTo(before);
        Value { datum, null }
    }
}

#[pgrx::pg_guard]
pub(super) unsafe extern "C-unwind" fn run_query(
    plan: pg_sys::SPIPlanPtr,
    row: *mut pg_sys::TupleTableSlot,
    length: i16,
    by_value: bool,
) -> Value {
    // SAFETY: a nested SPI connection inside the trigger's call; the value is copied out of it.
    unsafe {
        let mut row = pg_sys::ExecFetchSlotHeapTupleDatum(row);
        pg_sys::SPI_connect();
        let done = pg_sys::SPI_execute_plan(plan, &mut row, null(), true, 2);
        let table = pg_sys::SPI_tuptable;
        let mut value = Value {
            datum: pg_sys::Datum::null(),
            null: true,
        };
        if done == pg_sys::SPI_OK_SELECT as i32 && pg_sys::SPI_processed == 1 {
            let tuple = *(*table).vals;
            value.datum = pg_sys::SPI_getbinval(tuple, (*table).tupdesc, 1, &mut value.null);
            if !value.null {
                value.datum = pg_sys::SPI_datumTransfer(value.datum, by_value, i32::from(length));
            }
        }
        pg_sys::SPI_finish();
        value
    }
}
