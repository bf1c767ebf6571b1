//! Parse analysis of one expression over the row of one relation.

use crate::fault::{Fault, Result, state};
use pgrx::pg_sys;
use std::cell::Cell;
use std::ffi::{CStr, CString, c_void};
use std::ptr::{addr_of_mut, null_mut};

/// An open relation, on which the caller or the statement already holds a lock.
pub(super) struct Table(pub(super) pg_sys::Relation);

pub(super) struct ColumnType {
    pub(super) oid: pg_sys::Oid,
    pub(super) typmod: i32,
    pub(super) collation: pg_sys::Oid,
}

impl ColumnType {
    pub(super) fn name(&self) -> String {
        // SAFETY: the palloc'd text is copied.
        unsafe {
            let text = pg_sys::format_type_with_typemod(self.oid, self.typmod);
            CStr::from_ptr(text).to_string_lossy().into_owned()
        }
    }
}

impl Table {
    pub(super) fn open(relation: u32) -> Table {
        // SAFETY: closed by `Drop`; an error's abort closes it too.
        Table(unsafe { pg_sys::relation_open(relation.into(), pg_sys::AccessShareLock as i32) })
    }

    pub(super) fn column_type(&self, column: i16) -> ColumnType {
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

    fn name(&self, column: i16) -> String {
        // SAFETY: a cache lookup of a column of the open relation; the palloc'd text is copied.
        unsafe {
            let name = pg_sys::get_attname((*self.0).rd_id, column, true);
            if name.is_null() {
                return String::new();
            }
            CStr::from_ptr(name).to_string_lossy().into_owned()
        }
    }

    /// What an error of an expression is about: itself, its column, and what it reads.
    pub(super) fn about(&self, what: &str, reads: &[i16], target: i16) -> CString {
        let typed = |column: &i16| {
            let column_type = self.column_type(*column);
            format!("\"{}\" ({})", self.name(*column), column_type.name())
        };
        let mut text = format!("{what} for column {}", typed(&target));
        let reads: Vec<String> = reads.iter().map(typed).collect();
        if !reads.is_empty() {
            text.push_str(" from ");
            text.push_str(&reads.join(", "));
        }
        CString::new(text).unwrap_or_default()
    }

    pub(super) fn is_generated(&self, column: i16) -> bool {
        // SAFETY: a cache lookup of a column of the open relation.
        unsafe { pg_sys::get_attgenerated((*self.0).rd_id, column) != 0 }
    }

    /// Generated columns have no value yet in a BEFORE trigger: their expression takes their place.
    pub(super) unsafe fn inline_generated(&self, node: *mut pg_sys::Node) -> *mut pg_sys::Node {
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
pub(super) fn columns(node: *mut pg_sys::Node) -> Result<Vec<i16>> {
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

/// The hashes of a plan's dependencies of one kind (`PlanInvalItem`).
pub(super) fn hashes(
    items: *mut pg_sys::List,
    cache: pg_sys::SysCacheIdentifier::Type,
) -> Vec<u32> {
    (0..length(items))
        .filter_map(|i| {
            // SAFETY: a list of PlanInvalItem nodes made by the planner.
            let item = unsafe {
                &*(*(*items).elements.add(i))
                    .ptr_value
                    .cast::<pg_sys::PlanInvalItem>()
            };
            (item.cacheId == cache as i32).then_some(item.hashValue)
        })
        .collect()
}

pub(super) struct Parsed {
    /// As written, without the cast that the assignment adds.
    pub(super) plain: *mut pg_sys::Node,
    pub(super) assigned: *mut pg_sys::Node,
    pub(super) subquery: bool,
}

pub(super) fn zero_byte() -> Fault {
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

pub(super) fn parse(
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
