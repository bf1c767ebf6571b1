//! Expressions over a row of a table, as a trigger runs them: parsed and planned once per backend,
//! run by the executor's own machinery over the row that is being written, with the writer's rights.
//!
//! `Compiled` is made on a cold path, where errors are Rust panics as usual. `evaluate` belongs to
//! the hot path: errors leave by `longjmp` (see `tuple`).

use crate::fault::{Fault, Result, state};
use crate::pg::tuple::{Slot, Value, raw};
use crate::pg::{settings, subtransaction};
use pgrx::pg_sys;
use std::cell::Cell;
use std::ffi::{CStr, CString, c_void};
use std::ptr::{addr_of_mut, null, null_mut};

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
        let stored = Compiled::expression_of(&table, &text, target)?;
        drop((stored, scope));
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

/// Executor state, made anew in each transaction and for each role, as plpgsql does.
#[derive(Clone, Copy)]
struct Live {
    transaction: u32,
    role: u32,
    busy: bool,
    state: *mut pg_sys::ExprState,
    context: *mut pg_sys::ExprContext,
}

const DEAD: Live = Live {
    transaction: 0,
    role: 0,
    busy: false,
    state: null_mut(),
    context: null_mut(),
};

impl Compiled {
    /// A stored expression (see `check`), to be assigned to column `target`.
    pub fn expression(relation: u32, text: &str, target: i16) -> Result<Compiled> {
        Self::expression_of(&Table::open(relation), text, target)
    }

    fn expression_of(table: &Table, text: &str, target: i16) -> Result<Compiled> {
        let scope = settings::Scope::new();
        scope.set("search_path", SEARCH_PATH);
        let parsed = parse(table, Some(ROW), text, target, &Cell::new(0))?;
        let compiled = if parsed.subquery {
            Self::query(table, &parsed, text, target)
        } else {
            Self::plan(table, parsed.assigned)
        };
        drop(scope);
        compiled
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
            Self::plan(&table, node).map(Some)
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
            Self::plan(&table, node).map(Some)
        }
    }

    fn plan(table: &Table, node: *mut pg_sys::Node) -> Result<Compiled> {
        // SAFETY: the tree is planned in the caller's context and copied into one of its own.
        unsafe {
            let node = table.inline_generated(node);
            let (reads, volatile) = (columns(node)?, pg_sys::contain_volatile_functions(node));
            let planned = pg_sys::expression_planner(node.cast());
            let context = long_lived();
            let before = pg_sys::MemoryContextSwitchTo(context);
            let copy = pg_sys::copyObjectImpl(planned.cast()).cast::<pg_sys::Expr>();
            pg_sys::MemoryContextSwitchTo(before);
            Ok(Compiled {
                context,
                run: Run::Expression(copy),
                reads,
                volatile,
                live: Cell::new(DEAD),
            })
        }
    }

    fn query(table: &Table, parsed: &Parsed, text: &str, target: i16) -> Result<Compiled> {
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
                reads,
                volatile: pg_sys::contain_volatile_functions(parsed.plain),
                live: Cell::new(DEAD),
            })
        }
    }

    /// The value over `row`; by-reference values live until the next evaluation.
    pub fn evaluate(&self, row: Slot) -> Value {
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

unsafe fn start(expression: *mut pg_sys::Expr, memory: pg_sys::MemoryContext) -> Live {
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

unsafe fn run_expression(live: Live, row: Slot) -> Value {
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
unsafe extern "C-unwind" fn run_query(
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

/// An open relation, on which the caller or the statement already holds a lock.
struct Table(pg_sys::Relation);

struct ColumnType {
    oid: pg_sys::Oid,
    typmod: i32,
    collation: pg_sys::Oid,
}

impl ColumnType {
    fn name(&self) -> String {
        // SAFETY: the palloc'd text is copied.
        unsafe {
            let text = pg_sys::format_type_with_typemod(self.oid, self.typmod);
            CStr::from_ptr(text).to_string_lossy().into_owned()
        }
    }
}

impl Table {
    fn open(relation: u32) -> Table {
        // SAFETY: closed by `Drop`; an error's abort closes it too.
        Table(unsafe { pg_sys::relation_open(relation.into(), pg_sys::AccessShareLock as i32) })
    }

    fn column_type(&self, column: i16) -> ColumnType {
        let mut found = ColumnType {
            oid: pg_sys::InvalidOid,
            typmod: -1,
            collation: pg_sys::InvalidOid,
        };
        // SAFETY: a cache lookup of a column of the open relation.
        unsafe {
            pg_sys::get_atttypetypmodcoll(
                (*self.0).rd_id,
                column,
                &mut found.oid,
                &mut found.typmod,
                &mut found.collation,
            );
        }
        found
    }

    fn is_generated(&self, column: i16) -> bool {
        // SAFETY: a cache lookup of a column of the open relation.
        unsafe { pg_sys::get_attgenerated((*self.0).rd_id, column) != 0 }
    }

    /// Generated columns have no value yet in a BEFORE trigger: their expression takes their place.
    unsafe fn inline_generated(&self, node: *mut pg_sys::Node) -> *mut pg_sys::Node {
        // SAFETY: builds a copy of the tree in the current context.
        unsafe {
            let mut targets = null_mut();
            for column in columns(node).unwrap_or_default() {
                if self.is_generated(column) {
                    let generation = pg_sys::build_column_default(self.0, i32::from(column));
                    let entry =
                        pg_sys::makeTargetEntry(generation.cast(), column, null_mut(), false);
                    targets = pg_sys::lappend(targets, entry.cast());
                }
            }
            if targets.is_null() {
                return node;
            }
            let mut subqueries = false;
            pg_sys::ReplaceVarsFromTargetList(
                node,
                1,
                0,
                null_mut(),
                targets,
                #[cfg(feature = "pg18")]
                0,
                pg_sys::ReplaceVarsNoMatchOption::REPLACEVARS_CHANGE_VARNO,
                1,
                &mut subqueries,
            )
        }
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            // SAFETY: opened by `open`; the lock stays until the transaction ends.
            unsafe { pg_sys::relation_close(self.0, pg_sys::NoLock as i32) };
        }
    }
}

/// The columns of the row that a parsed expression reads; an error if it needs more than columns.
fn columns(node: *mut pg_sys::Node) -> Result<Vec<i16>> {
    let mut found = Vec::new();
    // SAFETY: a list of Var nodes made by PostgreSQL.
    unsafe {
        let vars = pg_sys::pull_vars_of_level(node, 0);
        for i in 0..length(vars) {
            let var = (*(*vars).elements.add(i)).ptr_value.cast::<pg_sys::Var>();
            let column = (*var).varattno;
            if column <= 0 {
                let what = if column == 0 {
                    "the whole row"
                } else {
                    "a system column"
                };
                return Err(Fault::new(
                    state::FEATURE_NOT_SUPPORTED,
                    format!("the expression reads {what}"),
                )
                .hint("Name the columns it needs."));
            }
            if !found.contains(&column) {
                found.push(column);
            }
        }
    }
    Ok(found)
}

struct Parsed {
    /// As written, without the cast that the assignment adds.
    plain: *mut pg_sys::Node,
    assigned: *mut pg_sys::Node,
    subquery: bool,
}

fn zero_byte() -> Fault {
    Fault::new(state::SYNTAX, "an expression holds a zero byte")
}

fn length(list: *mut pg_sys::List) -> usize {
    // SAFETY: a list made by PostgreSQL, or NIL.
    usize::try_from(if list.is_null() {
        0
    } else {
        unsafe { (*list).length }
    })
    .unwrap_or(0)
}

/// The one expression of `SELECT expression` and nothing more.
unsafe fn only_expression(node: *mut pg_sys::Node) -> Option<*mut pg_sys::Node> {
    // SAFETY: a raw parse tree.
    unsafe {
        if (*node).type_ != pg_sys::NodeTag::T_SelectStmt {
            return None;
        }
        let select = &*node.cast::<pg_sys::SelectStmt>();
        let plain = select.op == pg_sys::SetOperation::SETOP_NONE
            && select.distinctClause.is_null()
            && select.fromClause.is_null()
            && select.whereClause.is_null()
            && select.groupClause.is_null()
            && select.havingClause.is_null()
            && select.windowClause.is_null()
            && select.valuesLists.is_null()
            && select.sortClause.is_null()
            && select.limitCount.is_null()
            && select.limitOffset.is_null()
            && select.lockingClause.is_null()
            && select.withClause.is_null()
            && select.intoClause.is_null()
            && length(select.targetList) == 1;
        plain.then(|| {
            (*(*(*select.targetList).elements)
                .ptr_value
                .cast::<pg_sys::ResTarget>())
            .val
        })
    }
}

fn parse(
    table: &Table,
    alias: Option<&CStr>,
    expression: &str,
    target: i16,
    position: &Cell<i32>,
) -> Result<Parsed> {
    let text = CString::new(expression).map_err(|_| zero_byte())?;
    let to = table.column_type(target);
    let noticed = Noticed::errors_in(position);
    // SAFETY: the parser's own steps for one expression over one relation, in the current context.
    unsafe {
        let raw = pg_sys::raw_parser(text.as_ptr(), pg_sys::RawParseMode::RAW_PARSE_PLPGSQL_EXPR);
        let first = (length(raw) == 1)
            .then(|| (*(*(*raw).elements).ptr_value.cast::<pg_sys::RawStmt>()).stmt)
            .and_then(|statement| only_expression(statement));
        let Some(mut node) = first else {
            return Err(Fault::new(state::SYNTAX, "not a single expression")
                .hint("Give one SQL expression over the columns of the row."));
        };
        // (SELECT expression) needs no subquery; migrations written for pgroll are full of it.
        while (*node).type_ == pg_sys::NodeTag::T_SubLink {
            let link = &*node.cast::<pg_sys::SubLink>();
            match only_expression(link.subselect) {
                Some(inner) if link.subLinkType == pg_sys::SubLinkType::EXPR_SUBLINK => {
                    node = inner;
                }
                _ => break,
            }
        }
        let pstate = pg_sys::make_parsestate(null_mut());
        (*pstate).p_sourcetext = text.as_ptr();
        let alias = alias.map_or(null_mut(), |name| {
            pg_sys::makeAlias(name.as_ptr(), null_mut())
        });
        let item = pg_sys::addRangeTableEntryForRelation(
            pstate,
            table.0,
            pg_sys::AccessShareLock as i32,
            alias,
            false,
            true,
        );
        pg_sys::addNSItemToQuery(pstate, item, false, true, true);
        let plain =
            pg_sys::transformExpr(pstate, node, pg_sys::ParseExprKind::EXPR_KIND_UPDATE_SOURCE);
        let source = pg_sys::exprType(plain);
        let assigned = pg_sys::coerce_to_target_type(
            pstate,
            plain,
            source,
            to.oid,
            to.typmod,
            pg_sys::CoercionContext::COERCION_ASSIGNMENT,
            pg_sys::CoercionForm::COERCE_IMPLICIT_CAST,
            -1,
        );
        if assigned.is_null() {
            let from = ColumnType {
                oid: source,
                typmod: -1,
                collation: pg_sys::InvalidOid,
            };
            return Err(Fault::new(
                state::DATATYPE_MISMATCH,
                format!(
                    "the expression has type {}, which does not fit {}",
                    from.name(),
                    to.name()
                ),
            )
            .hint(format!("Cast it: ({expression})::{}", to.name())));
        }
        pg_sys::assign_expr_collations(pstate, assigned);
        columns(assigned)?;
        let subquery = (*pstate).p_hasSubLinks;
        pg_sys::free_parsestate(pstate);
        drop(noticed);
        Ok(Parsed {
            plain,
            assigned,
            subquery,
        })
    }
}

/// While it lives, the place of an error in the source text is written down: pgrx drops it.
struct Noticed(Box<pg_sys::ErrorContextCallback>);

impl Noticed {
    fn errors_in(position: &Cell<i32>) -> Noticed {
        unsafe extern "C-unwind" fn note(arg: *mut c_void) {
            unsafe extern "C-unwind" {
                fn geterrposition() -> std::ffi::c_int;
            }
            // SAFETY: called by errfinish while the cell's owner waits for the parser.
            unsafe { (*arg.cast::<Cell<i32>>()).set(geterrposition()) };
        }
        let mut callback = Box::new(pg_sys::ErrorContextCallback {
            // SAFETY: backend-local state.
            previous: unsafe { pg_sys::error_context_stack },
            callback: Some(note),
            arg: std::ptr::from_ref(position).cast_mut().cast(),
        });
        // SAFETY: taken off by `Drop`, also on the way out of an error.
        unsafe { pg_sys::error_context_stack = addr_of_mut!(*callback) };
        Noticed(callback)
    }
}

impl Drop for Noticed {
    fn drop(&mut self) {
        // SAFETY: puts back what `errors_in` found.
        unsafe { pg_sys::error_context_stack = self.0.previous };
    }
}
