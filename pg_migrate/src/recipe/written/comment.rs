//! COMMENT ON tables, columns, indexes and constraints: the comment that was there before is the way
//! back.

use crate::document::model::{AlterColumn, Comments, Operation, Sql};
use crate::fault::Result;
use crate::recipe::plan::{Planner, ddl, unlocked};
use crate::recipe::quote::{ident, literal};
use crate::recipe::step::Lock;

impl Planner<'_> {
    /// A comment, with the one that was there before as its way back. Gives false where that is not
    /// known: the relation is no table, or not there yet.
    pub fn comment_on(&mut self, op: &Sql, comments: &Comments) -> Result<bool> {
        if comments.kind == "other" {
            let head = comments.relation.clone();
            return self.comment_before(op, |text| format!("{head} IS {text}"));
        }
        let on_index = comments.kind == "index";
        let name = match on_index {
            true => match self.facts.table_of_index(&comments.relation)? {
                Some(table) => table,
                // Made earlier in this migration, or an error when it runs.
                None => return self.first_comment(op, comments),
            },
            false => comments.relation.clone(),
        };
        let Ok((key, table)) = self.table(&name) else {
            // Of a view, say.
            let known = comments.clone();
            return self.comment_before(op, |text| said(&known, text));
        };
        let part = comments.part.as_deref().unwrap_or_default();
        if table.fresh {
            // It leaves with its table.
            let step = unlocked(self.now(), &op.up);
            self.push(step.undo(put_back(comments, None)));
            return Ok(true);
        }
        let old = match comments.kind.as_str() {
            "column" => {
                self.alter_column(&AlterColumn {
                    table: key,
                    column: part.to_owned(),
                    comment: Some(comments.text.clone()),
                    ..AlterColumn::default()
                })?;
                return Ok(true);
            }
            "table" => table.comment,
            "index" => {
                let (_, bare) = self.landing(&comments.relation)?;
                let found = table.indexes.into_iter().find(|index| index.name == bare);
                found.and_then(|index| index.comment)
            }
            _ => {
                let found = table.constraints.into_iter().find(|c| c.name == part);
                found.and_then(|constraint| constraint.comment)
            }
        };
        self.comment_step(
            op,
            (!on_index).then_some(&key),
            put_back(comments, old.as_deref()),
        );
        Ok(true)
    }

    /// A comment on anything. `back`: the statement that gives it this one, a literal or NULL.
    fn comment_before(&mut self, op: &Sql, back: impl Fn(&str) -> String) -> Result<bool> {
        let back = match self.facts.comment_before(&op.up) {
            Err(fault) if fault.is_interruption() => return Err(fault),
            Ok(None) => op.up.clone(),
            Ok(Some(Some(text))) => back(&literal(&text)),
            // There was none, or it is on what this migration makes first.
            Ok(Some(None)) | Err(_) => back("NULL"),
        };
        self.comment_step(op, None, back);
        Ok(true)
    }

    fn first_comment(&mut self, op: &Sql, comments: &Comments) -> Result<bool> {
        self.comment_step(op, None, put_back(comments, None));
        Ok(true)
    }

    fn comment_step(&mut self, op: &Sql, table: Option<&String>, back: String) {
        let step = match table {
            Some(key) => ddl(self.now(), key, Lock::ShareUpdateExclusive, &op.up),
            None => unlocked(self.now(), &op.up),
        };
        self.push(step.undo(back.clone()));
        self.plan.inverse.push(Operation::Sql(Sql {
            up: back,
            down: Some(op.up.clone()),
            ..Sql::default()
        }));
    }
}

/// The statement that gives the object its old comment.
fn put_back(comments: &Comments, old: Option<&str>) -> String {
    said(comments, &old.map_or_else(|| "NULL".to_owned(), literal))
}

/// The statement that gives the object a comment, a literal or NULL.
fn said(comments: &Comments, text: &str) -> String {
    let relation = &comments.relation;
    let part = ident(comments.part.as_deref().unwrap_or_default());
    let object = match comments.kind.as_str() {
        "column" => format!("COLUMN {relation}.{part}"),
        "constraint" => format!("CONSTRAINT {part} ON {relation}"),
        "index" => format!("INDEX {relation}"),
        _ => format!("TABLE {relation}"),
    };
    format!("COMMENT ON {object} IS {text}")
}
