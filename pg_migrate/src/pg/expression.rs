//! Expressions over a row of a table, as a trigger runs them: parsed and planned once per backend,
//! run by the executor's own machinery over the row that is being written, with the writer's rights.
//!
//! `Compiled` is made on a cold path, where errors are Rust panics as usual. `evaluate` belongs to
//! the hot path: errors leave by `longjmp` (see `tuple`).

use crate::fault::{Fault, Result, state};
use crate::pg::tuple::{Slot, Value, raw};
use crate::pg::{settings, subtransaction};
use parse::{Parsed, Table, columns, hashes, parse, zero_byte};
use pgrx::pg_sys;
use run::{DEAD, Live, run_expression, run_query, start};
use std::cell::Cell;
use std::ffi::{CStr, CString, c_char, c_void};
use std::ptr::{null, null_mut};

mod parse;
mod run;

/// The name by which a stored expression speaks of its row where it must qualify a column. The
/// table's own name would not do: partitions have others, and tables are renamed.
const ROW: &CStr = c"new_row";
/// Names in stored expressions resolve against this and nothing else.
const SEARCH_PATH: &str = "pg_catalog, pg_temp";

/// Type-checks `expression` over a row of `relation`, to be assigned to column `target`, in the
/// session's search path. Gives it back in a spelling that means the same under any search path.
/// Errors: whatever PostgreSQL says of it, with the place in DETAIL.
pub fn check(relation: u32, expression: &str, target: i16) -> Result<String> {
    let position = Cell::new(0);
    subtransaction::rehearse(|| {
        let table = Table::open(relation);
        let parsed = parse(&table, None, expression, target, &position)?;
        let scope = settings::Scope::new();
        scope.set("search_path", SEARCH_PATH);
        // SAFETY: a tree over the one relation of the context; the palloc'd text is copied.
        let text = unsafe {
            let context = pg_sys::deparse_context_for(ROW.as_ptr(), relation.into());
            let text = pg_sys::deparse_expression(parsed.plain, context, false, false);
            CStr::from_ptr(text).to_string_lossy().into_owned()
        };
        drop(scope);
        Compiled::expression_of(&table, &text, target)?;
        Ok(text)
    })
    .map_err(|fault| {
        let place = match position.get() {
            0 => format!("In the expression: {expression}"),
            at => format!("At character {at} of the expression: {expression}"),
        };
        let detail = match &fault.detail {
            Some(detail) => format!("{detail} {place}"),
            None => place,
        };
        fault.detail(detail)
    })
}

/// An expression ready to run over rows of one relation.
pub struct Compiled {
    context: pg_sys::MemoryContext,
    run: Run,
    /// Columns it reads, behind generated columns too.
    pub reads: Vec<i16>,
    /// Each evaluation may give another value.
    pub volatile: bool,
    /// Two evaluations over the same row give the same, whatever the time and the settings.
    pub immutable: bool,
    /// Bodies of SQL functions are part of it, read under the session's search path.
    pub inlined: bool,
    /// Hashes by which invalidations name the domains whose constraints it was planned with.
    pub domains: Vec<u32>,
    /// The line of the CONTEXT of its errors.
    about: CString,
    live: Cell<Live>,
}

#[derive(Clone, Copy)]
enum Run {
    Expression(*mut pg_sys::Expr),
    /// A subquery needs the whole planner: a saved plan with the row as its parameter.
    Query {
        plan: pg_sys::SPIPlanPtr,
        length: i16,
        by_value: bool,
    },
}

impl Compiled {
    /// A stored expression (see `check`), to be assigned to column `target`.
    pub fn expression(relation: u32, text: &str, target: i16) -> Result<Compiled> {
        Self::expression_of(&Table::open(relation), text, target)
    }

    fn expression_of(table: &Table, text: &str, target: i16) -> Result<Compiled> {
        let what = format!("expression {text}");
        let scope = settings::Scope::new();
        scope.set("search_path", SEARCH_PATH);
        let parsed = parse(table, Some(ROW), text, target, &Cell::new(0))?;
        if parsed.subquery {
            let compiled = Self::query(table, &parsed, text, &what, target);
            drop(scope);
            return compiled;
        }
        // What is in the bodies of SQL functions means what it means in this session.
        drop(scope);
        Self::plan(table, parsed.assigned, &what, target)
    }

    /// The assignment `target = source` between columns of one row; `None`: the bytes are copied
    /// as they are.
    pub fn assignment(relation: u32, source: i16, target: i16) -> Result<Option<Compiled>> {
        let table = Table::open(relation);
        let (from, to) = (table.column_type(source), table.column_type(target));
        // SAFETY: builds nodes in the current context.
        unsafe {
            let var = pg_sys::makeVar(1, source, from.oid, from.typmod, from.collation, 0);
            let node = pg_sys::coerce_to_target_type(
                null_mut(),
                var.cast(),
                from.oid,
                to.oid,
                to.typmod,
                pg_sys::CoercionContext::COERCION_ASSIGNMENT,
                pg_sys::CoercionForm::COERCE_IMPLICIT_CAST,
                -1,
            );
            if node.is_null() {
                return Err(Fault::new(
                    state::DATATYPE_MISMATCH,
                    format!(
                        "a value of type {} cannot be assigned to type {}",
                        from.name(),
                        to.name()
                    ),
                )
                .hint("Give up and down: the expressions that turn one into the other."));
            }
            let mut bare = node;
            while (*bare).type_ == pg_sys::NodeTag::T_RelabelType {
                bare = (*bare.cast::<pg_sys::RelabelType>()).arg.cast();
            }
            if bare == var.cast::<pg_sys::Node>() {
                return Ok(None);
            }
            Self::plan(&table, node, "copy", target).map(Some)
        }
    }

    /// The default of a column; `None`: it has none, or one that differs each time.
    pub fn default_of(relation: u32, column: i16) -> Result<Option<Compiled>> {
        let table = Table::open(relation);
        // SAFETY: reads the open relation's descriptor.
        unsafe {
            let node = pg_sys::build_column_default(table.0, i32::from(column));
            if node.is_null() || pg_sys::contain_volatile_functions(node) {
                return Ok(None);
            }
            Self::plan(&table, node, "default", column).map(Some)
        }
    }

    fn plan(table: &Table, node: *mut pg_sys::Node, what: &str, target: i16) -> Result<Compiled> {
        // SAFETY: the tree is planned in the caller's context and copied into one of its own.
        unsafe {
            let node = table.inline_generated(node);
            let (reads, volatile) = (columns(node)?, pg_sys::contain_volatile_functions(node));
            let immutable = !pg_sys::contain_mutable_functions(node);
            let (mut relations, mut items) = (null_mut(), null_mut());
            let planned =
                pg_sys::expression_planner_with_deps(node.cast(), &mut relations, &mut items);
            let context = long_lived();
            let before = pg_sys::MemoryContextSwitchTo(context);
            let copy = pg_sys::copyObjectImpl(planned.cast()).cast::<pg_sys::Expr>();
            pg_sys::MemoryContextSwitchTo(before);
            Ok(Compiled {
                context,
                run: Run::Expression(copy),
                inlined: !hashes(items, pg_sys::SysCacheIdentifier::PROCOID).is_empty(),
                domains: hashes(items, pg_sys::SysCacheIdentifier::TYPEOID),
                about: table.about(what, &reads, target),
                reads,
                volatile,
                immutable,
                live: Cell::new(DEAD),
            })
        }
    }

    fn query(
        table: &Table,
        parsed: &Parsed,
        text: &str,
        what: &str,
        target: i16,
    ) -> Result<Compiled> {
        let reads = columns(parsed.plain)?;
        if reads.iter().any(|column| table.is_generated(*column)) {
            return Err(Fault::new(
                state::FEATURE_NOT_SUPPORTED,
                "an expression with a subquery cannot read a generated column",
            )
            .hint("Write the generation expression itself in its place."));
        }
        if parsed.assigned != parsed.plain {
            return Err(Fault::new(
                state::DATATYPE_MISMATCH,
                "an expression with a subquery must have exactly the type of its column",
            )
            .hint(format!(
                "Cast it: ({text})::{}",
                table.column_type(target).name()
            )));
        }
        let alias = ROW.to_string_lossy();
        let sql = format!("SELECT (\n{text}\n) FROM (SELECT ($1).*) AS {alias}");
        let sql = CString::new(sql).map_err(|_| zero_byte())?;
        let (mut length, mut by_value) = (0, false);
        // SAFETY: a nested SPI connection; the plan is kept beyond it. Plans keep the search path
        // under which they were made.
        unsafe {
            let mut row = (*(*table.0).rd_rel).reltype;
            pg_sys::SPI_connect();
            let plan = pg_sys::SPI_prepare(sql.as_ptr(), 1, &mut row);
            if plan.is_null() || pg_sys::SPI_keepplan(plan) != 0 {
                return Err(Fault::internal("the expression's query has no plan"));
            }
            pg_sys::SPI_finish();
            pg_sys::get_typlenbyval(table.column_type(target).oid, &mut length, &mut by_value);
            Ok(Compiled {
                context: null_mut(),
                run: Run::Query {
                    plan,
                    length,
                    by_value,
                },
                // The plan cache looks after what its plans were made with.
                inlined: false,
                domains: Vec::new(),
                about: table.about(what, &reads, target),
                reads,
                volatile: pg_sys::contain_volatile_functions(parsed.plain),
                immutable: false,
                live: Cell::new(DEAD),
            })
        }
    }

    /// The value over `row`; by-reference values live until the next evaluation.
    pub fn evaluate(&self, row: Slot) -> Value {
        unsafe extern "C-unwind" fn name(about: *mut c_void) {
            // SAFETY: called by errfinish while the frame below, and so the text, is alive.
            unsafe {
                raw::set_errcontext_domain(null());
                raw::errcontext_msg(c"%s".as_ptr(), about.cast::<c_char>());
            }
        }
        // SAFETY: pushed for the length of the evaluation; an error resets the stack.
        unsafe {
            let mut callback = pg_sys::ErrorContextCallback {
                previous: pg_sys::error_context_stack,
                callback: Some(name),
                arg: self.about.as_ptr().cast_mut().cast(),
            };
            pg_sys::error_context_stack = &mut callback;
            let value = self.run(row);
            pg_sys::error_context_stack = callback.previous;
            value
        }
    }

    /// # Safety
    /// `row` is a row of the relation it was made for.
    unsafe fn run(&self, row: Slot) -> Value {
        match self.run {
            Run::Query {
                plan,
                length,
                by_value,
            } => {
                // SAFETY: guarded: an error leaves it as PostgreSQL's own.
                unsafe { run_query(plan, row.0, length, by_value) }
            }
            // SAFETY: state and context belong to this transaction (or are made now), and are not
            // in use by an evaluation further up the stack.
            Run::Expression(expression) => unsafe {
                let mut live = self.live.get();
                let (transaction, role) = (current_transaction(), raw::GetUserId().to_u32());
                if live.transaction != transaction || live.role != role {
                    live = Live {
                        transaction,
                        role,
                        busy: false,
                        ..start(expression, pg_sys::TopTransactionContext)
                    };
                } else if live.busy {
                    // The expression's own function fired this trigger again, or failed before.
                    let nested = start(expression, pg_sys::CurrentMemoryContext);
                    return run_expression(nested, row);
                }
                self.live.set(Live { busy: true, ..live });
                let value = run_expression(live, row);
                self.live.set(live);
                value
            },
        }
    }
}

impl Drop for Compiled {
    fn drop(&mut self) {
        // SAFETY: made by this module; nothing evaluates it any more.
        unsafe {
            if let Run::Query { plan, .. } = self.run {
                pg_sys::SPI_freeplan(plan);
            }
            if !self.context.is_null() {
                pg_sys::MemoryContextDelete(self.context);
            }
        }
    }
}

/// The number of this transaction among those of the backend.
pub fn current_transaction() -> u32 {
    // SAFETY: this backend's own entry.
    unsafe {
        #[cfg(any(feature = "pg15", feature = "pg16"))]
        return (*pg_sys::MyProc).lxid;
        #[cfg(not(any(feature = "pg15", feature = "pg16")))]
        return (*pg_sys::MyProc).vxid.lxid;
    }
}

fn long_lived() -> pg_sys::MemoryContext {
    // SAFETY: deleted by `Drop`.
    unsafe {
        pg_sys::AllocSetContextCreateExtended(
            pg_sys::CacheMemoryContext,
            c"pg_migrate expression".as_ptr(),
            pg_sys::ALLOCSET_SMALL_MINSIZE as usize,
            pg_sys::ALLOCSET_SMALL_INITSIZE as usize,
            pg_sys::ALLOCSET_SMALL_MAXSIZE as usize,
        )
    }
}
