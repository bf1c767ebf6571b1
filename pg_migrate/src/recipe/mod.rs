//! Operation + table facts → steps, locks, undo. No PostgreSQL: facts come in as plain structs
//! that `catalog` fills, steps go out as SQL text that `engine` runs.

mod column;
mod constraint;
mod data;
pub mod facts;
mod index;
mod names;
pub mod plan;
pub mod quote;
pub mod script;
mod shadow;
pub mod step;
mod table;
mod types;
mod written;

pub use plan::{Plan, Touch, plan};
