//! Where the assignments of an UPDATE stand in its text.

use crate::fault::{Fault, Result, state};
use crate::pg::subtransaction;
use pgrx::pg_sys;
use std::ffi::{CStr, CString};

/// One `column = …` of a SET list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The column, unquoted and case-folded.
    pub column: String,
    /// Byte offset of the column's name in the list.
    pub start: usize,
}

const HEAD: &str = "UPDATE t SET\n";

/// The targets of `list`, what stands between SET and WHERE in an UPDATE.
/// Errors: PostgreSQL's syntax error; anything but plain `column = expression`.
pub fn targets(list: &str) -> Result<Vec<Target>> {
    let text = CString::new(format!("{HEAD}{list}"))
        .map_err(|_| Fault::new(state::SYNTAX, "an expression holds a zero byte"))?;
    subtransaction::rehearse(|| parse(&text)).map_err(|fault| Fault {
        detail: Some(format!("In the assignments: {list}")),
        hint: fault.hint.or_else(hint),
        ..fault
    })
}

fn hint() -> Option<String> {
    Some("Write column = expression, column = expression; conditions go into \"where\".".into())
}

fn parse(text: &CStr) -> Result<Vec<Target>> {
    let not_a_list = || Fault::new(state::SYNTAX, "not a plain list of assignments");
    let mut targets = Vec::new();
    // SAFETY: a raw parse tree of PostgreSQL's own making, read in the memory context of the call;
    // node tags are checked before casts.
    unsafe {
        let raw = pg_sys::raw_parser(text.as_ptr(), pg_sys::RawParseMode::RAW_PARSE_DEFAULT);
        if raw.is_null() || (*raw).length != 1 {
            return Err(not_a_list());
        }
        let statement = (*(*raw).elements).ptr_value.cast::<pg_sys::RawStmt>();
        let node = (*statement).stmt;
        if (*node).type_ != pg_sys::NodeTag::T_UpdateStmt {
            return Err(not_a_list());
        }
        let update = node.cast::<pg_sys::UpdateStmt>();
        if !(*update).whereClause.is_null()
            || !(*update).fromClause.is_null()
            || returns_rows(&*update)
        {
            return Err(not_a_list());
        }
        let list = (*update).targetList;
        for i in 0..(*list).length {
            let target = (*(*list).elements.add(i as usize))
                .ptr_value
                .cast::<pg_sys::ResTarget>();
            if !(*target).indirection.is_null()
                || (*(*target).val).type_ == pg_sys::NodeTag::T_MultiAssignRef
                || (*(*target).val).type_ == pg_sys::NodeTag::T_SetToDefault
            {
                return Err(not_a_list());
            }
            let start = usize::try_from((*target).location)
                .ok()
                .and_then(|at| at.checked_sub(HEAD.len()))
                .ok_or_else(not_a_list)?;
            targets.push(Target {
                column: CStr::from_ptr((*target).name)
                    .to_string_lossy()
                    .into_owned(),
                start,
            });
        }
    }
    Ok(targets)
}

/// Whether the statement has a RETURNING clause.
pub fn returns_rows(update: &pg_sys::UpdateStmt) -> bool {
    #[cfg(not(feature = "pg18"))]
    let clause = update.returningList;
    #[cfg(feature = "pg18")]
    let clause = update.returningClause;
    !clause.is_null()
}
