//! Findings as text for people and machines.

mod github;
mod json;
mod sarif;
mod text;

pub use json::locks;
pub use text::first_line;

use super::finding::Finding;
use crate::document::nearest;
use crate::fault::{Fault, Result};

/// The formats by their names.
const FORMATS: [&str; 4] = ["text", "json", "github", "sarif"];

/// `file`: what the script is called, for annotations.
/// Errors: a format that is none.
pub fn report(findings: &[Finding], format: &str, file: &str) -> Result<String> {
    Ok(match format {
        "text" => text::text(findings, file),
        "json" => json::json(findings),
        "github" => github::github(findings, file),
        "sarif" => sarif::sarif(findings, file),
        other => {
            let fault = Fault::invalid(format!("unknown format \"{other}\""));
            return Err(match nearest(other, FORMATS) {
                Some(near) => fault.hint(format!("Did you mean \"{near}\"?")),
                None => fault.hint(format!("Use one of: {}.", FORMATS.join(", "))),
            });
        }
    })
}
