//! Statements on objects other than tables.

/// Names of relations, types and functions are SQL text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Object {
    AddEnumValue {
        data_type: String,
        value: String,
        before: Option<String>,
        after: Option<String>,
        if_not_exists: bool,
    },
    RenameEnumValue {
        data_type: String,
        from: String,
        to: String,
    },
    SetSchema {
        /// `table`, `type` or `function`.
        kind: &'static str,
        name: String,
        schema: String,
    },
    /// CREATE VIEW and CREATE MATERIALIZED VIEW.
    View(View),
    /// REFRESH MATERIALIZED VIEW, but for WITH NO DATA.
    Refresh(String),
    /// CREATE OR REPLACE FUNCTION or PROCEDURE: its name without arguments.
    Function(String),
    Trigger {
        name: String,
        table: String,
        replace: bool,
    },
    DropTrigger {
        name: String,
        table: String,
        if_exists: bool,
    },
    Grant(Grant),
    Reindex {
        name: String,
        /// A table and not an index.
        table: bool,
    },
    /// COMMENT ON anything: the statement up to IS.
    Comment(String),
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct View {
    pub name: String,
    pub columns: Vec<String>,
    /// What stands in `WITH (…)`.
    pub options: Option<String>,
    /// The query, as written.
    pub definition: String,
    pub replace: bool,
    pub materialized: bool,
    pub with_data: bool,
    pub if_not_exists: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grant {
    /// Or REVOKE.
    pub grant: bool,
    /// Privileges and the columns they are on (none: the whole object).
    pub privileges: Vec<(Vec<String>, Vec<String>)>,
    pub kind: &'static str,
    pub on: Vec<String>,
    pub roles: Vec<String>,
    /// WITH GRANT OPTION, GRANT OPTION FOR.
    pub option: bool,
}
