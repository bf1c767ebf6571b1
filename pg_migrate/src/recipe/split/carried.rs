//! What goes with the columns of a split to the new table: constraints, indexes, tuning.

use super::halves::Split;
use crate::fault::{Fault, Result, state};
use crate::recipe::facts::{Constraint, Index};
use crate::recipe::plan::{Planner, concurrent, ddl};
use crate::recipe::quote::{ident, literal, qualified};
use crate::recipe::step::{Lock, Phase};

/// What the new table gets beside its columns.
pub struct Carried {
    /// Of CREATE TABLE.
    pub lines: Vec<String>,
    /// Comments on these constraints.
    comments: Vec<(String, String)>,
    /// Tables that foreign keys of the columns point to.
    pub references: Vec<String>,
    /// Built when the rows are there: an index, and the UNIQUE constraint that it is for.
    indexes: Vec<(Index, Option<Constraint>)>,
}

/// Everything that hangs on the columns; an error that names what cannot go with them.
pub fn of(split: &Split) -> Result<Carried> {
    let moved = split.names();
    let concerns = |columns: &[String]| columns.iter().any(|column| moved.contains(column));
    let goes = |columns: &[String]| {
        columns
            .iter()
            .all(|column| moved.contains(column) || split.keys.contains(column))
    };
    let mut carried = Carried {
        lines: Vec::new(),
        comments: Vec::new(),
        references: Vec::new(),
        indexes: Vec::new(),
    };
    let mut stays = Vec::new();
    for constraint in split
        .table
        .constraints
        .iter()
        .filter(|c| concerns(&c.columns))
    {
        let name = ident(&constraint.name);
        let own = goes(&constraint.columns) && constraint.validated;
        match constraint.kind.as_str() {
            "c" | "f" if own => {
                carried
                    .lines
                    .push(format!("CONSTRAINT {name} {}", constraint.definition));
                carried.references.extend(constraint.references.clone());
            }
            "u" if own && !constraint.deferrable => {
                let index = split
                    .table
                    .indexes
                    .iter()
                    .find(|index| index.constraint.as_ref() == Some(&constraint.name));
                if let Some(index) = index {
                    carried
                        .indexes
                        .push((index.clone(), Some(constraint.clone())));
                }
                continue;
            }
            _ => {
                stays.push(format!("constraint {name}: {}", constraint.definition));
                continue;
            }
        }
        if let Some(comment) = &constraint.comment {
            carried.comments.push((name, comment.clone()));
        }
    }
    let indexes = split.table.indexes.iter();
    for index in indexes.filter(|index| index.constraint.is_none() && concerns(&index.columns)) {
        if goes(&index.columns) && index.valid && !index.replica_identity {
            carried.indexes.push((index.clone(), None));
        } else {
            stays.push(format!(
                "index {}: {}",
                ident(&index.name),
                index.definition
            ));
        }
    }
    if stays.is_empty() {
        return Ok(carried);
    }
    Err(Fault::new(
        state::DEPENDENT_OBJECTS,
        format!(
            "table {} cannot be split: what is over columns on both sides cannot go with them",
            split.key
        ),
    )
    .detail(stays.join("; "))
    .hint("Drop these first, in a migration before this one; a constraint that is not validated or deferrable has to be replaced."))
}

impl Carried {
    /// Comments at once; indexes when the rows are there.
    pub fn build(
        &self,
        planner: &mut Planner,
        split: &Split,
        schema: &str,
        table: &str,
    ) -> Result<()> {
        for (name, comment) in &self.comments {
            let sql = format!(
                "COMMENT ON CONSTRAINT {name} ON {} IS {}",
                split.into,
                literal(comment)
            );
            planner.push(ddl(
                Phase::Migrate,
                &split.into,
                Lock::ShareUpdateExclusive,
                sql,
            ));
        }
        for (index, constraint) in &self.indexes {
            let rest = index
                .name
                .strip_prefix(&format!("{}_", split.table.name))
                .unwrap_or(&index.name);
            let name = planner.free_name(schema, &format!("{table}_{rest}"), "")?;
            let unique = if index.unique { "UNIQUE " } else { "" };
            let full = qualified(schema, &name);
            planner.push(concurrent(
                Phase::Migrate,
                &split.into,
                Some(&full),
                format!(
                    "CREATE {unique}INDEX CONCURRENTLY {} ON {} {}",
                    ident(&name),
                    split.into,
                    index.definition
                ),
            ));
            if constraint.is_some() {
                planner.push(ddl(
                    Phase::Migrate,
                    &split.into,
                    Lock::AccessExclusive,
                    format!(
                        "ALTER TABLE {} ADD CONSTRAINT {name} UNIQUE USING INDEX {name}",
                        split.into,
                        name = ident(&name)
                    ),
                ));
            }
            if let Some(comment) = &index.comment {
                planner.push(ddl(
                    Phase::Migrate,
                    &split.into,
                    Lock::ShareUpdateExclusive,
                    format!("COMMENT ON INDEX {full} IS {}", literal(comment)),
                ));
            }
        }
        Ok(())
    }
}
