//! What PostgreSQL answered when it refused something.

use std::error::Error;
use std::fmt;

/// Fields are empty where PostgreSQL gave none; `sqlstate` is empty when the connection broke.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub sqlstate: String,
    pub message: String,
    pub detail: String,
    pub hint: String,
    pub context: String,
}

impl From<&postgres::Error> for Failure {
    fn from(error: &postgres::Error) -> Self {
        match error.as_db_error() {
            Some(db) => Self::from(db),
            None => {
                let cause = error.source().map(|s| format!(": {s}")).unwrap_or_default();
                Self {
                    sqlstate: String::new(),
                    message: format!("{error}{cause}"),
                    detail: String::new(),
                    hint: String::new(),
                    context: String::new(),
                }
            }
        }
    }
}

impl From<&postgres::error::DbError> for Failure {
    fn from(db: &postgres::error::DbError) -> Self {
        Self {
            sqlstate: db.code().code().to_owned(),
            message: db.message().to_owned(),
            detail: db.detail().unwrap_or_default().to_owned(),
            hint: db.hint().unwrap_or_default().to_owned(),
            context: db.where_().unwrap_or_default().to_owned(),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.sqlstate, self.message)?;
        for (name, text) in [
            ("DETAIL", &self.detail),
            ("HINT", &self.hint),
            ("CONTEXT", &self.context),
        ] {
            if !text.is_empty() {
                write!(f, "\n{name}: {text}")?;
            }
        }
        Ok(())
    }
}
