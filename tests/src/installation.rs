//! Where the programs of the private PostgreSQL with the extension are.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// Set by cargo for the program it runs; a build started from there must not see them, or it
/// compiles again what is compiled.
const OF_THE_OUTER_CARGO: &[&str] = &[
    "CARGO_PKG_",
    "CARGO_MANIFEST_",
    "CARGO_BIN_",
    "CARGO_CRATE_NAME",
];

/// Folder of `postgres`, `psql` and the rest: `PG_MIGRATE_BIN` when set, else what
/// `tests/tools/prefix` makes (it builds the extension when a source has changed).
pub fn bin() -> Result<&'static Path, String> {
    static BIN: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    BIN.get_or_init(|| match std::env::var_os("PG_MIGRATE_BIN") {
        Some(bin) if !bin.is_empty() => Ok(PathBuf::from(bin)),
        _ => install(),
    })
    .as_ref()
    .map(PathBuf::as_path)
    .map_err(Clone::clone)
}

fn install() -> Result<PathBuf, String> {
    let tool = Path::new(env!("CARGO_MANIFEST_DIR")).join("tools/prefix");
    let mut command = Command::new(&tool);
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text == "CARGO"
            || text == "LD_LIBRARY_PATH"
            || OF_THE_OUTER_CARGO.iter().any(|p| text.starts_with(p))
        {
            command.env_remove(&name);
        }
    }
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("{} did not start: {error}", tool.display()))?;
    let bin = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if !output.status.success() || bin.is_empty() {
        return Err(format!("{} failed: {}", tool.display(), output.status));
    }
    Ok(PathBuf::from(bin))
}
