//! Operation + table facts → steps, locks, undo. No PostgreSQL: facts come in as plain structs
//! that `catalog` fills, steps go out as SQL text that `engine` runs.

mod column;
mod constraint;
mod data;
pub mod estimate;
pub mod facts;
mod index;
pub mod names;
mod object;
pub mod partition;
pub mod plan;
pub mod quote;
mod remarks;
pub mod script;
mod shadow;
mod split;
pub mod step;
mod table;
pub mod types;
pub mod written;

pub use column::{carry_attributes, touch_trigger};
pub use plan::{How, Plan, Touch, plan};
pub use shadow::foreign_key_definition;
