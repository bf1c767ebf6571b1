//! Why there is nothing to fear.

use crate::lint::session::{Block, block_word};
use crate::pg::parser::tree::Statement;
use crate::recipe::step::Lock;
use crate::recipe::written::{Answer, Effect, Work};

/// One clause.
pub fn reason(statement: &Statement, effect: &Effect) -> String {
    let action = &statement.action;
    let tag = action.tag.as_str();
    if let Some(word) = block_word(statement) {
        return match word {
            Block::Begins => "opens a transaction: locks taken from here on are held until it ends",
            Block::Commits { .. } | Block::RollsBack { .. } => {
                "ends the transaction and gives its locks back"
            }
            Block::BackTo(_) => {
                "takes back what came after the savepoint, and gives the locks of that back"
            }
            Block::Savepoint(_) | Block::Releases(_) | Block::GoesOn => {
                "takes no lock, and the transaction goes on"
            }
        }
        .to_owned();
    }
    if action.setting.is_some() || matches!(tag, "SET" | "RESET" | "SHOW") {
        return "concerns the session alone".to_owned();
    }
    if effect.idle {
        return "there is nothing to do here".to_owned();
    }
    if effect.unseen {
        return "nobody else uses what it changes: it is new, or has no rows".to_owned();
    }
    if let Answer::Foreign { why, .. } = effect.answer {
        return why.to_owned();
    }
    match (effect.lock, effect.work) {
        (None | Some(Lock::AccessShare), Work::Brief) => {
            "locks no relation that others would wait for".to_owned()
        }
        (None | Some(Lock::AccessShare | Lock::RowShare), _) => {
            "reads, and lets reads and writes through".to_owned()
        }
        (Some(lock), Work::Brief) if lock >= Lock::Share => {
            format!("works at catalog speed under {}", lock.mode())
        }
        (Some(lock), _) if lock < Lock::Share => {
            format!("lets reads and writes through ({})", lock.mode())
        }
        (Some(lock), _) => format!("lets reads through ({})", lock.mode()),
    }
}
