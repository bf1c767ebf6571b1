//! COMMENT ON TABLE, COLUMN, INDEX and CONSTRAINT.

use super::raw::{strings, text};
use super::read::name_of;
use super::tree::{Comment, CommentOn};
use pgrx::pg_sys::{self, ObjectType};

/// `None`: on something else.
pub fn comment(stmt: &pg_sys::CommentStmt) -> Option<Comment> {
    let on = match stmt.objtype {
        ObjectType::OBJECT_TABLE => CommentOn::Table,
        ObjectType::OBJECT_COLUMN => CommentOn::Column,
        ObjectType::OBJECT_INDEX => CommentOn::Index,
        ObjectType::OBJECT_TABCONSTRAINT => CommentOn::Constraint,
        _ => return None,
    };
    // Of these kinds it is a list of names, the part of the relation last.
    let mut names = strings(stmt.object.cast());
    let part = match on {
        CommentOn::Column | CommentOn::Constraint => Some(names.pop()?),
        CommentOn::Table | CommentOn::Index => None,
    };
    Some(Comment {
        on,
        relation: name_of(&names)?,
        part,
        text: text(stmt.comment),
    })
}
