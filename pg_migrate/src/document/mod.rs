//! What a migration says: two spellings (JSON and SQL script) of one model, its checksum and its
//! validation. Knows no PostgreSQL and no catalog; expressions and types are opaque SQL text here.

mod fields;
pub mod json;
mod lexer;
pub mod model;
mod names;
mod pgroll;
mod script;
mod text;
mod validate;

use crate::fault::{Fault, Result};
use model::Operation;

pub use script::{Mark, marks};
pub use text::{difference, nearest};

/// A migration as it was handed in.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    pub revision: String,
    /// The revisions it follows; none: a base.
    pub down_revision: Vec<String>,
    pub depends_on: Vec<String>,
    pub branch_labels: Vec<String>,
    pub message: Option<String>,
    /// The schema that views of this version of the tables are expected in. None is made.
    pub version_schema: Option<String>,
    pub body: Body,
    /// The text as it is stored.
    pub text: String,
    /// `v1:` and a SHA-256: of the text for a script; of the value for JSON, so that blanks and the
    /// order of keys do not count. What comes from `Defaults` has no part in it.
    pub checksum: String,
}

impl Document {
    /// What a reader of a document that names a `version_schema` must know.
    pub fn no_version_schema(&self) -> Option<String> {
        let schema = self.version_schema.as_ref()?;
        Some(format!(
            "no schema \"{schema}\" with views of this version is made: old and new are side by side in the tables"
        ))
    }
}

#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// `down`: taking it back by hand; `None`: generated from the operations.
    Operations {
        up: Vec<Operation>,
        down: Option<Vec<Operation>>,
    },
    Script {
        up: Section,
        down: Option<Section>,
    },
}

/// The statements of a script in one direction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    pub text: String,
    /// Line of the document, from 1, on which the section's first character is.
    pub first_line: usize,
    /// Asked to run outside a transaction.
    pub no_transaction: bool,
    /// Directives about single statements, in their order; each stands before its statement.
    pub directives: Vec<Directive>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directive {
    /// Bytes into `Section::text`.
    pub offset: usize,
    /// Line of the document, from 1.
    pub line: usize,
    pub kind: DirectiveKind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DirectiveKind {
    /// The statement runs as it is, without a recipe.
    AsWritten,
    /// Lint rules that do not apply to the statement, and why not.
    Ignore {
        rules: Vec<String>,
        reason: Option<String>,
    },
    /// What the statement drops is dropped, not set aside.
    Immediately,
}

/// What holds where the document does not say it; where it does, it must say the same.
#[derive(Debug, Clone, Default)]
pub struct Defaults {
    pub revision: Option<String>,
    pub down_revision: Option<Vec<String>>,
}

/// The part of a document around its operations, as far as it is said.
#[derive(Debug, Default)]
struct Envelope {
    revision: Option<String>,
    down_revision: Option<Vec<String>>,
    depends_on: Vec<String>,
    branch_labels: Vec<String>,
    message: Option<String>,
    version_schema: Option<String>,
}

/// Reads a document: JSON if it begins with `{`, else an SQL script. Errors name the field or the
/// line; statements of a script are not parsed here.
pub fn parse(text: &str) -> Result<Document> {
    parse_with(text, &Defaults::default())
}

/// Like `parse`, with a revision and parents for a document that does not name them itself.
pub fn parse_with(text: &str, defaults: &Defaults) -> Result<Document> {
    let text = text::normalise(text);
    if text.is_empty() {
        return Err(Fault::invalid("the document is empty")
            .hint(format!("Write an SQL script, or JSON like {}", json::SHAPE)));
    }
    if text.contains('\0') {
        return Err(Fault::invalid(
            "the document contains a null character, which cannot be stored",
        ));
    }
    let (envelope, body, hashed) = if text::is_json(&text) {
        json::parse(&text)?
    } else {
        let (envelope, body) = script::parse(&text)?;
        (envelope, body, text.clone())
    };
    let revision = match (envelope.revision, &defaults.revision) {
        (Some(said), Some(default)) if said != *default => {
            return Err(Fault::invalid(format!(
                "the document is of revision \"{said}\", not \"{default}\""
            ))
            .hint("Give the same revision in both places, or only in one."));
        }
        (Some(said), _) => said,
        (None, Some(default)) => default.clone(),
        (None, None) => {
            return Err(
                Fault::invalid("the document does not name its revision").hint(match body {
                    Body::Operations { .. } => format!("Write {}", json::SHAPE),
                    Body::Script { .. } => {
                        "Begin the script with a line like: -- migrate:revision 0007 after 0006"
                            .to_owned()
                    }
                }),
            );
        }
    };
    let down_revision = match (envelope.down_revision, &defaults.down_revision) {
        (Some(said), Some(default)) if !same(&said, default) => {
            return Err(Fault::invalid(format!(
                "the document says that revision \"{revision}\" follows {}, not {}",
                listed(&said),
                listed(default)
            ))
            .hint("Give the same parents in both places, or only in one."));
        }
        (Some(said), _) => said,
        (None, default) => default.clone().unwrap_or_default(),
    };
    names::revision("a revision", &revision)?;
    for parent in &down_revision {
        names::revision("a parent (down_revision)", parent)?;
    }
    for needed in &envelope.depends_on {
        names::revision("a dependency (depends_on)", needed)?;
    }
    for label in &envelope.branch_labels {
        names::revision("a branch label", label)?;
    }
    Ok(Document {
        revision,
        down_revision,
        depends_on: envelope.depends_on,
        branch_labels: envelope.branch_labels,
        message: envelope
            .message
            .filter(|message| !message.trim().is_empty()),
        version_schema: envelope.version_schema,
        checksum: text::checksum(&hashed),
        body,
        text,
    })
}

fn same(one: &[String], other: &[String]) -> bool {
    one.len() == other.len() && one.iter().all(|id| other.contains(id))
}

fn listed(parents: &[String]) -> String {
    match parents {
        [] => "nothing (a base)".to_owned(),
        _ => format!("\"{}\"", parents.join("\", \"")),
    }
}

/// Whether a text is read as JSON.
pub fn is_json(text: &str) -> bool {
    text::is_json(&text::normalise(text))
}

/// Whether the fields of each operation go together; what only the catalog can tell is not looked
/// at. Errors name the place as `operations[0].create_index.columns`.
pub fn validate_operations(operations: &[Operation]) -> Result<()> {
    validate::operations("operations", operations)
}
