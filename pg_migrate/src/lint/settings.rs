//! The settings of lint: names, defaults and meanings in one table.

use super::finding::Severity;
use super::rule;
use crate::document::nearest;
use crate::fault::{Fault, Result};
use pgrx::guc::{GucContext, GucFlags, GucRegistry, GucSetting};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::CString;

static OFF: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(None);
static SEVERITY: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(None);
static SINCE: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(None);
static TRANSACTION: GucSetting<bool> = GucSetting::<bool>::new(false);
static SMALL: GucSetting<i32> = GucSetting::<i32>::new(0);

/// Makes the settings known to the server; called once from `_PG_init`.
pub fn register() {
    GucRegistry::define_string_guc(
        c"migrate.lint_off",
        c"Rules that lint does not apply, separated by commas.",
        c"SELECT * FROM migrate.lint_rules() lists them.",
        &OFF,
        GucContext::Userset,
        GucFlags::default(),
    );
    GucRegistry::define_string_guc(
        c"migrate.lint_severity",
        c"Severities other than the rules' own: rule=error|warning|advice|safe, …",
        c"For example: drop-column=error, timestamp-without-zone=safe.",
        &SEVERITY,
        GucContext::Userset,
        GucFlags::default(),
    );
    GucRegistry::define_string_guc(
        c"migrate.lint_since",
        c"A revision: migrations up to it are not judged.",
        c"For histories that are older than lint.",
        &SINCE,
        GucContext::Userset,
        GucFlags::default(),
    );
    GucRegistry::define_bool_guc(
        c"migrate.lint_transaction",
        c"Judge a script as if one transaction were around it.",
        c"As most migration tools put it. Off: each statement outside BEGIN and COMMIT is one of its own.",
        &TRANSACTION,
        GucContext::Userset,
        GucFlags::default(),
    );
    GucRegistry::define_int_guc(
        c"migrate.lint_small",
        c"Size of a table up to which long work on it is a warning, not an error.",
        c"0: a table counts as big whatever it is here.",
        &SMALL,
        0,
        i32::MAX,
        GucContext::Userset,
        GucFlags::UNIT_KB,
    );
}

#[derive(Debug, Default)]
pub struct Settings {
    off: BTreeSet<&'static str>,
    severities: BTreeMap<&'static str, Severity>,
    pub since: Option<String>,
    pub transaction: bool,
    pub small_bytes: f64,
}

impl Settings {
    /// Errors: rules and severities that are none.
    pub fn read() -> Result<Settings> {
        let text = |setting: &GucSetting<Option<CString>>| {
            setting
                .get()
                .map(|text| text.to_string_lossy().trim().to_owned())
                .filter(|text| !text.is_empty())
        };
        let mut read = Settings {
            since: text(&SINCE),
            transaction: TRANSACTION.get(),
            small_bytes: f64::from(SMALL.get()) * 1024.0,
            ..Settings::default()
        };
        for name in list(&text(&OFF).unwrap_or_default()) {
            read.off.insert(known(name, "migrate.lint_off")?);
        }
        for pair in list(&text(&SEVERITY).unwrap_or_default()) {
            let (name, word) = pair.split_once('=').unwrap_or((pair, ""));
            let name = known(name.trim(), "migrate.lint_severity")?;
            let severity = severity(word.trim()).ok_or_else(|| {
                Fault::invalid(format!("migrate.lint_severity gives {name} no severity"))
                    .detail(format!("It is \"{pair}\"."))
                    .hint(format!("Write {name}=error, =warning, =advice or =safe."))
            })?;
            read.severities.insert(name, severity);
        }
        Ok(read)
    }

    pub fn is_off(&self, rule: &str) -> bool {
        self.off.contains(rule)
    }

    /// The severity of a finding: the user's, else the rule's own.
    pub fn severity(&self, rule: &str, own: Severity) -> Severity {
        self.severities.get(rule).copied().unwrap_or(own)
    }
}

fn severity(word: &str) -> Option<Severity> {
    Severity::ALL
        .into_iter()
        .find(|severity| severity.word() == word)
}

fn list(text: &str) -> impl Iterator<Item = &str> {
    text.split(',')
        .map(str::trim)
        .filter(|word| !word.is_empty())
}

fn known(name: &str, setting: &str) -> Result<&'static str> {
    rule::named(name).map(|rule| rule.name).ok_or_else(|| {
        let fault = Fault::invalid(format!("{setting} names no rule: \"{name}\""));
        match near(name) {
            Some(near) => fault.hint(format!("Did you mean {near}?")),
            None => fault.hint("SELECT * FROM migrate.lint_rules(); lists them."),
        }
    })
}

/// The rule whose name is nearest to a misspelt one.
pub fn near(name: &str) -> Option<&'static str> {
    let names: Vec<&'static str> = rule::all().map(|(_, rule)| rule.name).collect();
    nearest(name, names.iter().copied())
        .and_then(|found| names.iter().find(|name| **name == found).copied())
}
