pub use node::{Node, State};
mod node {
    use serde::Deserialize;
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
    #[serde(rename_all = "lowercase")]
    pub enum State {
        Pending,
        Expanding,
        Migrating,
        Expanded,
        Contracting,
        Applied,
        Downgrading,
        Abandoned,
    }
    impl State {
        pub fn as_str(self) -> &'static str {
            ""
        }
    }
    #[derive(Debug, Clone, Deserialize)]
    pub struct Node {
        pub revision: String,
        pub ordinal: i64,
        pub down_revision: Vec<String>,
        pub depends_on: Vec<String>,
        pub branch_labels: Vec<String>,
        pub state: State,
        pub message: Option<String>,
    }
}
