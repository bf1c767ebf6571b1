//! `-- migrate:ignore RULE reason`: one rule, or several separated by commas, silenced for one
//! statement.

use crate::document::{self, Mark};
use crate::pg::parser::Statement;

/// What the comments of a script say.
#[derive(Debug, Default)]
pub struct Remarks {
    ignores: Vec<Ignore>,
    /// Where the way back begins, in bytes.
    pub down: Option<usize>,
    pub revision: Option<String>,
}

#[derive(Debug)]
pub struct Ignore {
    /// Index of the statement.
    statement: usize,
    pub rules: Vec<String>,
    pub reason: Option<String>,
    pub line: usize,
    used: bool,
}

impl Remarks {
    pub fn read(sql: &str, statements: &[Statement]) -> Remarks {
        let mut made = Remarks::default();
        // What PostgreSQL's own parser has read, in a session of unusual settings say, may be read
        // otherwise here: then it has no remarks.
        for (comment, mark) in document::marks(sql).unwrap_or_default() {
            match mark {
                Mark::Down => {
                    made.down.get_or_insert(comment.offset);
                }
                Mark::Revision(id) => {
                    made.revision.get_or_insert(id);
                }
                Mark::Ignore { rules, reason } => {
                    // Before its statement, inside it, or behind it on its last line.
                    let next = statements.partition_point(|found| found.offset < comment.offset);
                    let before = comment.inside || !comment.alone;
                    let statement = if before { next.saturating_sub(1) } else { next };
                    made.ignores.push(Ignore {
                        statement,
                        rules,
                        reason,
                        line: comment.line,
                        used: false,
                    });
                }
            }
        }
        made
    }

    /// Whether the rule is silenced for that statement.
    pub fn silence(&mut self, statement: usize, rule: &str) -> bool {
        let first = self
            .ignores
            .partition_point(|ignore| ignore.statement < statement);
        let mut found = false;
        for ignore in &mut self.ignores[first..] {
            if ignore.statement != statement {
                break;
            }
            if ignore.rules.iter().any(|name| name == rule) {
                ignore.used = true;
                found = true;
            }
        }
        found
    }

    /// What stands before or in that statement, and whether it silenced something.
    pub fn of(&self, statement: usize) -> impl Iterator<Item = (&Ignore, bool)> {
        let first = self
            .ignores
            .partition_point(|ignore| ignore.statement < statement);
        self.ignores[first..]
            .iter()
            .take_while(move |ignore| ignore.statement == statement)
            .map(|ignore| (ignore, ignore.used))
    }
}
