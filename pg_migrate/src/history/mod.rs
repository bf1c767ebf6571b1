//! The revision graph: heads, paths, what a word means, and what may join it. Knows nodes and their
//! states only, no documents and no PostgreSQL.

mod branch;
mod check;
mod graph;
mod node;
mod path;
mod render;
#[cfg(test)]
mod samples;

pub use graph::Graph;
pub use node::{Node, State};
