//! Parse analysis of an expression over a row of a table, without running anything.

use crate::fault::{Fault, Result, state};
use crate::pg::{parser, subtransaction};
use pgrx::pg_sys;
use std::ffi::{CStr, CString};

/// What parse analysis says of an expression.
#[derive(Debug, Clone)]
pub struct Expression {
    /// It calls a volatile function: each evaluation may give another value.
    pub volatile: bool,
    /// The columns of the row it reads, also from within subqueries; a whole-row reference is "*".
    pub columns: Vec<String>,
}

/// Analyses `expression` over a row of `table` (SQL text; `None`: no row at hand). With `target`
/// (a type as SQL text) it must also be assignable to that type.
/// Errors: whatever PostgreSQL says of it, with the expression in DETAIL.
pub fn expression(
    table: Option<&str>,
    expression: &str,
    target: Option<&str>,
) -> Result<Expression> {
    let from = table
        .map(|table| format!(" FROM ONLY {table}"))
        .unwrap_or_default();
    let sql = format!("SELECT (\n{expression}\n){from}");
    let place = |fault: Fault| Fault {
        detail: Some(match &fault.detail {
            Some(detail) => format!("{detail} In the expression: {expression}"),
            None => format!("In the expression: {expression}"),
        }),
        ..fault
    };
    subtransaction::rehearse(|| analyse(&sql, target)).map_err(place)
}

fn analyse(sql: &str, target: Option<&str>) -> Result<Expression> {
    let not_one = || {
        Fault::new(state::SYNTAX, "not a single expression")
            .hint("Give one SQL expression over the columns of the row.")
    };
    let text = CString::new(sql)
        .map_err(|_| Fault::new(state::SYNTAX, "an expression holds a zero byte"))?;
    // SAFETY: plain calls of the parser and the analyser in the current memory context; every
    // pointer is checked or made by PostgreSQL itself, and nothing is kept.
    unsafe {
        let raw = pg_sys::pg_parse_query(text.as_ptr());
        if raw.is_null() || (*raw).length != 1 {
            return Err(not_one());
        }
        let statement = (*(*raw).elements).ptr_value.cast::<pg_sys::RawStmt>();
        let node = (*statement).stmt;
        if (*node).type_ != pg_sys::NodeTag::T_SelectStmt {
            return Err(not_one());
        }
        let select = node.cast::<pg_sys::SelectStmt>();
        if (*select).op != pg_sys::SetOperation::SETOP_NONE
            || length((*select).targetList) != 1
            || length((*select).fromClause) > 1
            || !(*select).whereClause.is_null()
            || !(*select).groupClause.is_null()
            || !(*select).havingClause.is_null()
            || !(*select).sortClause.is_null()
            || !(*select).limitCount.is_null()
            || !(*select).limitOffset.is_null()
            || !(*select).lockingClause.is_null()
            || !(*select).withClause.is_null()
            || !(*select).intoClause.is_null()
        {
            return Err(not_one());
        }
        let query = pg_sys::parse_analyze_fixedparams(
            statement,
            text.as_ptr(),
            std::ptr::null(),
            0,
            std::ptr::null_mut(),
        );
        if length((*query).targetList) != 1 {
            return Err(not_one());
        }
        let entry = (*(*(*query).targetList).elements)
            .ptr_value
            .cast::<pg_sys::TargetEntry>();
        // SELECT turns an untyped literal into text; in an assignment it takes the column's type.
        let bare =
            raw_target(select).is_some_and(|node| (*node).type_ == pg_sys::NodeTag::T_A_Const);
        let source = match pg_sys::exprType((*entry).expr.cast()) {
            pg_sys::TEXTOID if bare => pg_sys::UNKNOWNOID,
            source => source,
        };
        if let Some(target) = target {
            let (oid, _) = resolve_type(target)?;
            let (from, to) = (source, oid);
            if !pg_sys::can_coerce_type(1, &from, &to, pg_sys::CoercionContext::COERCION_ASSIGNMENT)
            {
                return Err(Fault::new(
                    state::DATATYPE_MISMATCH,
                    format!(
                        "the expression has type {}, which does not fit {target}",
                        format_type(source, -1)
                    ),
                )
                .hint(format!("Cast it: ({})::{target}", "expression")));
            }
        }
        Ok(Expression {
            volatile: pg_sys::contain_volatile_functions(query.cast()),
            columns: columns(query),
        })
    }
}

/// The raw expression of a SELECT's first column.
unsafe fn raw_target(select: *mut pg_sys::SelectStmt) -> Option<*mut pg_sys::Node> {
    // SAFETY: a raw parse tree whose target list has one entry; a SELECT's targets are ResTargets.
    unsafe {
        let list = (*select).targetList;
        (length(list) == 1)
            .then(|| (*(*(*list).elements).ptr_value.cast::<pg_sys::ResTarget>()).val)
    }
}

/// Names of the columns of the query's one table that it reads.
unsafe fn columns(query: *mut pg_sys::Query) -> Vec<String> {
    let mut names = Vec::new();
    // SAFETY: walks a query that the analyser has just made; its only range table entry is the row's.
    unsafe {
        if length((*query).rtable) == 0 {
            return names;
        }
        let entry = (*(*(*query).rtable).elements)
            .ptr_value
            .cast::<pg_sys::RangeTblEntry>();
        let vars = pg_sys::pull_vars_of_level(query.cast(), 0);
        for i in 0..length(vars) {
            let var = (*(*vars).elements.add(i as usize))
                .ptr_value
                .cast::<pg_sys::Var>();
            let name = if (*var).varattno == 0 {
                "*".to_owned()
            } else {
                let name = pg_sys::get_attname((*entry).relid, (*var).varattno, true);
                if name.is_null() {
                    continue;
                }
                CStr::from_ptr(name).to_string_lossy().into_owned()
            };
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    names
}

unsafe fn length(list: *mut pg_sys::List) -> i32 {
    // SAFETY: a list made by PostgreSQL, or NIL.
    if list.is_null() {
        0
    } else {
        unsafe { (*list).length }
    }
}

/// The type's OID and typmod; an error that names it if there is no such type.
pub fn resolve_type(data_type: &str) -> Result<(pg_sys::Oid, i32)> {
    let text = CString::new(parser::before_collation(data_type).0)
        .map_err(|_| Fault::new(state::SYNTAX, "a type name holds a zero byte"))?;
    let (mut oid, mut typmod) = (pg_sys::InvalidOid, -1i32);
    // SAFETY: the string outlives the call; errors unwind.
    unsafe {
        #[cfg(feature = "pg15")]
        pg_sys::parseTypeString(text.as_ptr(), &mut oid, &mut typmod, false);
        #[cfg(not(feature = "pg15"))]
        pg_sys::parseTypeString(text.as_ptr(), &mut oid, &mut typmod, std::ptr::null_mut());
    }
    Ok((oid, typmod))
}

/// The canonical spelling of a type (`int` → `integer`). A COLLATE clause stays as it is.
pub fn canonical_type(data_type: &str) -> Result<String> {
    subtransaction::rehearse(|| {
        let (oid, typmod) = resolve_type(data_type)?;
        let (_, collation) = parser::before_collation(data_type);
        let gap = if collation.is_empty() { "" } else { " " };
        Ok(format!("{}{gap}{collation}", format_type(oid, typmod)))
    })
}

fn format_type(oid: pg_sys::Oid, typmod: i32) -> String {
    // SAFETY: the returned string is palloc'd and copied here.
    unsafe {
        let text =
            pg_sys::format_type_extended(oid, typmod, pg_sys::FORMAT_TYPE_TYPEMOD_GIVEN as _);
        CStr::from_ptr(text).to_string_lossy().into_owned()
    }
}
