//! What ALTER TABLE would do to the values of a column, by the rules of PostgreSQL's own
//! tablecmds.c: only expressions are read, so no table is made, locked or looked into, and it works
//! on a standby.

use super::analyze::resolve_type;
use crate::fault::{Fault, Result, state};
use crate::pg::spi::ident;
use crate::pg::{parser, subtransaction};
use pgrx::pg_sys;
use std::ffi::CString;

/// `(name, type as SQL text)`.
pub type Typed = (String, String);

/// A change of a column's type.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Conversion {
    /// The table is written anew.
    pub rewrites: bool,
    pub from: u32,
    pub to: u32,
}

/// How values of `column` become `data_type`, by `using` (`None`: by assignment).
/// Errors: what PostgreSQL says of the types and the expression.
pub fn conversion(
    columns: &[Typed],
    table: &str,
    column: &str,
    data_type: &str,
    using: Option<&str>,
) -> Result<Conversion> {
    let number = columns.iter().position(|(name, _)| name == column);
    let number = number.ok_or_else(|| {
        Fault::new(
            state::UNDEFINED_COLUMN,
            format!("column \"{column}\" does not exist"),
        )
    })?;
    let own = ident(column);
    subtransaction::look(|| {
        let found = targets(columns, table, &[own.as_str(), using.unwrap_or(&own)])?;
        let [column, value] = found.as_slice() else {
            return Err(not_one());
        };
        let (to, modifier) = resolve_type(data_type)?;
        let whole = assigned(*value, to, modifier, data_type)?;
        // SAFETY: expressions that the analyser and the planner have just made.
        unsafe {
            Ok(Conversion {
                rewrites: rewrites(whole, i16::try_from(number + 1).unwrap_or(i16::MAX)),
                from: pg_sys::exprType((*column).cast()).to_u32(),
                to: to.to_u32(),
            })
        }
    })
}

/// Whether ADD COLUMN writes the table anew to give its rows a value: a default that is another for
/// each row, or a type whose constraints every row has to pass.
pub fn fills_rows(data_type: &str, default: Option<&str>) -> Result<bool> {
    subtransaction::look(|| {
        let (to, modifier) = resolve_type(data_type)?;
        // SAFETY: an OID that PostgreSQL has just resolved.
        if unsafe { pg_sys::DomainHasConstraints(to) } {
            return Ok(true);
        }
        let Some(default) = default else {
            // SAFETY: as above.
            return Ok(unsafe { !pg_sys::get_typdefault(to).is_null() });
        };
        let found = targets(&[], "", &[default])?;
        let value = *found.first().ok_or_else(not_one)?;
        let whole = assigned(value, to, modifier, data_type)?;
        // SAFETY: an expression that the planner has just made.
        Ok(unsafe { pg_sys::contain_volatile_functions(whole.cast()) })
    })
}

/// Whether every row that breaks none of `known` (CHECK conditions), with no null in the columns
/// `filled`, fulfils `condition`, as far as PostgreSQL can prove it.
pub fn implied(
    columns: &[Typed],
    table: &str,
    known: &[&str],
    filled: &[&str],
    condition: &str,
) -> Result<bool> {
    let filled: Vec<String> = filled
        .iter()
        .map(|column| format!("{} IS NOT NULL", ident(column)))
        .collect();
    let mut texts = vec![condition];
    texts.extend(known);
    texts.extend(filled.iter().map(String::as_str));
    subtransaction::look(|| {
        let found = targets(columns, table, &texts)?;
        let (condition, known) = found.split_first().ok_or_else(not_one)?;
        // SAFETY: boolean expressions that the analyser has just made; lists are PostgreSQL's own.
        unsafe {
            let mut proven = std::ptr::null_mut();
            for one in known {
                proven = pg_sys::list_concat(proven, clauses(*one));
            }
            Ok(pg_sys::predicate_implied_by(
                clauses(*condition),
                proven,
                true,
            ))
        }
    })
}

/// The operator class that an index of this access method gets for a type; 0: there is none.
pub fn operator_class(data_type: u32, access_method: u32) -> u32 {
    // SAFETY: looks in the catalog.
    unsafe { pg_sys::GetDefaultOpClass(data_type.into(), access_method.into()) }.to_u32()
}

/// The operator class of a B-tree, which tells equality too.
pub fn btree_class(data_type: u32) -> u32 {
    operator_class(data_type, pg_sys::BTREE_AM_OID.to_u32())
}

unsafe fn clauses(expression: *mut pg_sys::Expr) -> *mut pg_sys::List {
    // SAFETY: said by the caller.
    unsafe {
        let folded = pg_sys::eval_const_expressions(std::ptr::null_mut(), expression.cast());
        let canonical = pg_sys::canonicalize_qual(folded.cast(), true);
        pg_sys::make_ands_implicit(canonical)
    }
}

fn not_one() -> Fault {
    Fault::new(state::SYNTAX, "not a single expression")
}

/// The expressions over one row with these columns, analysed.
fn targets(columns: &[Typed], table: &str, texts: &[&str]) -> Result<Vec<*mut pg_sys::Expr>> {
    let list: Vec<String> = texts.iter().map(|text| format!("(\n{text}\n)")).collect();
    let row: Vec<String> = columns
        .iter()
        .map(|(name, data_type)| {
            let bare = parser::before_collation(data_type).0;
            let collation = &data_type[bare.len()..];
            format!("NULL::{bare} {collation} AS {}", ident(name))
        })
        .collect();
    let from = match row.is_empty() {
        true => String::new(),
        false => format!(" FROM (SELECT {}) AS {}", row.join(", "), ident(table)),
    };
    let sql = format!("SELECT {}{from}", list.join(", "));
    let text = CString::new(sql).map_err(|_| Fault::new(state::SYNTAX, "a zero byte"))?;
    // SAFETY: the parser and the analyser in the current memory context; every pointer is made by
    // PostgreSQL and checked, and nothing is kept.
    unsafe {
        let raw = pg_sys::pg_parse_query(text.as_ptr());
        if raw.is_null() || (*raw).length != 1 {
            return Err(not_one());
        }
        let statement = (*(*raw).elements).ptr_value.cast::<pg_sys::RawStmt>();
        if (*(*statement).stmt).type_ != pg_sys::NodeTag::T_SelectStmt {
            return Err(not_one());
        }
        // A bare literal is of no type yet: it takes that of the column.
        let outer = pg_sys::make_parsestate(std::ptr::null_mut());
        (*outer).p_sourcetext = text.as_ptr();
        let query =
            pg_sys::parse_sub_analyze((*statement).stmt, outer, std::ptr::null_mut(), false, false);
        let list = (*query).targetList;
        if list.is_null() || usize::try_from((*list).length) != Ok(texts.len()) {
            return Err(not_one());
        }
        Ok((0..texts.len())
            .map(|at| {
                let entry = (*(*list).elements.add(at))
                    .ptr_value
                    .cast::<pg_sys::TargetEntry>();
                (*entry).expr
            })
            .collect())
    }
}

/// The expression as it is assigned to a column of the type, planned.
fn assigned(
    value: *mut pg_sys::Expr,
    to: pg_sys::Oid,
    modifier: i32,
    data_type: &str,
) -> Result<*mut pg_sys::Expr> {
    // SAFETY: an expression that the analyser has just made.
    unsafe {
        let state = pg_sys::make_parsestate(std::ptr::null_mut());
        let from = pg_sys::exprType(value.cast());
        let cast = pg_sys::coerce_to_target_type(
            state,
            value.cast(),
            from,
            to,
            modifier,
            pg_sys::CoercionContext::COERCION_ASSIGNMENT,
            pg_sys::CoercionForm::COERCE_IMPLICIT_CAST,
            -1,
        );
        if cast.is_null() {
            return Err(Fault::new(
                state::DATATYPE_MISMATCH,
                format!("the value cannot be cast automatically to type {data_type}"),
            ));
        }
        pg_sys::assign_expr_collations(state, cast);
        Ok(pg_sys::expression_planner(cast.cast()))
    }
}

/// ATColumnChangeRequiresRewrite of tablecmds.c.
unsafe fn rewrites(mut expression: *mut pg_sys::Expr, column: i16) -> bool {
    // SAFETY: a planned expression; each node is looked at as what its tag says it is.
    unsafe {
        loop {
            if expression.is_null() {
                return true;
            }
            match (*expression).type_ {
                pg_sys::NodeTag::T_Var => {
                    return (*expression.cast::<pg_sys::Var>()).varattno != column;
                }
                pg_sys::NodeTag::T_RelabelType => {
                    expression = (*expression.cast::<pg_sys::RelabelType>()).arg;
                }
                pg_sys::NodeTag::T_CoerceToDomain => {
                    let domain = expression.cast::<pg_sys::CoerceToDomain>();
                    if pg_sys::DomainHasConstraints((*domain).resulttype) {
                        return true;
                    }
                    expression = (*domain).arg;
                }
                pg_sys::NodeTag::T_FuncExpr => {
                    let call = expression.cast::<pg_sys::FuncExpr>();
                    let zoned = matches!(
                        (*call).funcid.to_u32(),
                        pg_sys::F_TIMESTAMPTZ_TIMESTAMP | pg_sys::F_TIMESTAMP_TIMESTAMPTZ
                    );
                    let args = (*call).args;
                    if !zoned
                        || pg_sys::TimestampTimestampTzRequiresRewrite()
                        || args.is_null()
                        || (*args).length < 1
                    {
                        return true;
                    }
                    expression = (*(*args).elements).ptr_value.cast();
                }
                _ => return true,
            }
        }
    }
}
