//! The rules by their families. A rule is a constant in its family's file; its bad and good cases
//! stand in the `.sql` file beside that.

use super::finding::Severity;
use super::look::Look;
use super::rules;
use crate::fault::Result;

#[derive(Debug)]
pub struct Rule {
    pub name: &'static str,
    /// Where no setting says otherwise.
    pub severity: Severity,
    /// One sentence for lists of rules.
    pub summary: &'static str,
}

pub const fn error(name: &'static str, summary: &'static str) -> Rule {
    Rule {
        name,
        severity: Severity::Error,
        summary,
    }
}

pub const fn warning(name: &'static str, summary: &'static str) -> Rule {
    Rule {
        name,
        severity: Severity::Warning,
        summary,
    }
}

pub const fn advice(name: &'static str, summary: &'static str) -> Rule {
    Rule {
        name,
        severity: Severity::Advice,
        summary,
    }
}

pub struct Family {
    pub name: &'static str,
    pub rules: &'static [&'static Rule],
    /// Looks at one statement.
    pub check: fn(&mut Look) -> Result<()>,
}

pub const FAMILIES: &[Family] = &[
    rules::rewrites::FAMILY,
    rules::scans::FAMILY,
    rules::indexes::FAMILY,
    rules::partitions::FAMILY,
    rules::locks::FAMILY,
    rules::transactions::FAMILY,
    rules::timeouts::FAMILY,
    rules::compatibility::FAMILY,
    rules::types::FAMILY,
    rules::data::FAMILY,
    rules::server::FAMILY,
    rules::kinds::FAMILY,
    rules::remarks::FAMILY,
];

/// All rules with their families.
pub fn all() -> impl Iterator<Item = (&'static str, &'static Rule)> {
    FAMILIES
        .iter()
        .flat_map(|family| family.rules.iter().map(|rule| (family.name, *rule)))
}

pub fn named(name: &str) -> Option<&'static Rule> {
    all().map(|(_, rule)| rule).find(|rule| rule.name == name)
}
