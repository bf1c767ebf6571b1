//! Constraints of columns and of tables, both told in the form of a table constraint.

use super::cut::Cut;
use super::raw;
use super::read::{key, name, quote};
use super::tree::{Constraint, ConstraintKind, References};
use pgrx::pg_sys::{self, ConstrType as Kind};
use std::ffi::c_char;
use std::ops::Range;

/// A constraint that stands behind a column. `body`: without `CONSTRAINT name`.
pub fn of_column(
    node: &pg_sys::Constraint,
    cut: &Cut,
    body: &Range<usize>,
    column: &str,
) -> Option<Constraint> {
    let mut made = constraint(node, cut, body)?;
    let key = quote(column);
    let (words, prefix) = match made.kind {
        ConstraintKind::Check => (0, String::new()),
        ConstraintKind::Unique => {
            let nulls = match cut.word(body.start + 1, "nulls") {
                true => 2 + usize::from(cut.word(body.start + 2, "not")),
                false => 0,
            };
            let text = cut.text(&(body.start..body.start + 1 + nulls))?;
            (1 + nulls, format!("{text} ({key})"))
        }
        ConstraintKind::PrimaryKey => (2, format!("PRIMARY KEY ({key})")),
        _ => (0, format!("FOREIGN KEY ({key}) ")),
    };
    if made.kind != ConstraintKind::Check {
        made.columns = vec![column.to_owned()];
        let rest = cut
            .text(&(body.start + words..body.end))
            .unwrap_or_default();
        let gap = if rest.is_empty() || prefix.ends_with(' ') {
            ""
        } else {
            " "
        };
        made.definition = format!("{prefix}{gap}{rest}");
    }
    Some(made)
}

/// A table constraint, whose tokens are those of `run`.
pub fn of_table(node: &pg_sys::Constraint, cut: &Cut, run: &Range<usize>) -> Option<Constraint> {
    let body = if node.conname.is_null() {
        run.clone()
    } else {
        run.start + 2..run.end
    };
    let mut made = constraint(node, cut, &body)?;
    made.span = cut.span(run)?;
    Some(made)
}

/// `body`: without `CONSTRAINT name`. `None`: a kind that is not told here.
fn constraint(node: &pg_sys::Constraint, cut: &Cut, body: &Range<usize>) -> Option<Constraint> {
    let kind = match node.contype {
        Kind::CONSTR_CHECK => ConstraintKind::Check,
        Kind::CONSTR_UNIQUE => ConstraintKind::Unique,
        Kind::CONSTR_PRIMARY => ConstraintKind::PrimaryKey,
        Kind::CONSTR_FOREIGN => ConstraintKind::ForeignKey,
        Kind::CONSTR_EXCLUSION => ConstraintKind::Exclude,
        _ => return None,
    };
    let mut made = Constraint {
        name: raw::text(node.conname),
        kind,
        including: raw::strings(node.including),
        definition: cut.text(body)?.to_owned(),
        nulls_not_distinct: node.nulls_not_distinct,
        deferrable: node.deferrable,
        initially_deferred: node.initdeferred,
        not_valid: node.skip_validation,
        using_index: !node.indexname.is_null(),
        index: raw::text(node.indexname),
        more: node.is_no_inherit
            || !raw::is_empty(node.including)
            || !raw::is_empty(node.options)
            || !node.indexspace.is_null()
            || !raw::is_empty(node.fk_del_set_cols),
        ..Constraint::default()
    };
    #[cfg(feature = "pg18")]
    {
        let checked = matches!(kind, ConstraintKind::Check | ConstraintKind::ForeignKey);
        made.more |= node.without_overlaps
            || node.fk_with_period
            || node.pk_with_period
            || (checked && !node.is_enforced);
    }
    match kind {
        ConstraintKind::Check => {
            let open = cut.parenthesis(body)?;
            made.expression = Some(cut.text(&cut.inside(open)?)?.to_owned());
            for mut parts in raw::mentions(node.raw_expr).unwrap_or_default().columns {
                made.columns.extend(parts.pop());
            }
            made.columns.sort_unstable();
            made.columns.dedup();
        }
        ConstraintKind::ForeignKey => {
            made.columns = raw::strings(node.fk_attrs);
            made.more |= node.fk_matchtype != pg_sys::FKCONSTR_MATCH_SIMPLE as c_char;
            made.references = Some(References {
                table: name(node.pktable)?,
                columns: raw::strings(node.pk_attrs),
                on_delete: action(node.fk_del_action),
                on_update: action(node.fk_upd_action),
            });
        }
        ConstraintKind::Exclude => {
            for pair in raw::items(node.exclusions) {
                let element = raw::items(pair.cast()).into_iter().next();
                let element = element.and_then(raw::cast::<pg_sys::IndexElem>);
                made.columns.extend(element.map(key));
            }
        }
        ConstraintKind::Unique | ConstraintKind::PrimaryKey => {
            made.columns = raw::strings(node.keys);
        }
    }
    Some(made)
}

fn action(code: c_char) -> Option<&'static str> {
    match code as u8 {
        b'r' => Some("RESTRICT"),
        b'c' => Some("CASCADE"),
        b'n' => Some("SET NULL"),
        b'd' => Some("SET DEFAULT"),
        _ => None,
    }
}
