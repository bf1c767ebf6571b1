//! Operation + table facts → steps, locks, undo. No PostgreSQL: facts come in as plain structs
//! that `catalog` fills, steps go out as SQL text that `engine` runs.

pub mod step;
