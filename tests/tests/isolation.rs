//! The interleavings of a backfill and its sync trigger with applications, by PostgreSQL's own
//! isolation tester: tests/isolation/specs, with what must come of them in tests/isolation/expected.
//! ISOLATION_RESULTS names a folder to which what came of them is written; where that is the folder of
//! what must come, a spec may be new.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use pg_migrate_tests::cluster;

fn specs(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder.join("specs"))
        .expect("the folder of the specs")
        .filter_map(|entry| entry.ok()?.path().file_stem()?.to_str().map(str::to_owned))
        .collect();
    names.sort();
    names
}

/// Where Debian and PostgreSQL's own `make install` put it.
fn tester() -> Option<PathBuf> {
    let config = cluster().bin().join("pg_config");
    let output = Command::new(config).arg("--pgxs").output().ok()?;
    let makefile = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    let folder = makefile.parent()?.parent()?.join("test/isolation");
    let found = folder.join("pg_isolation_regress");
    found.exists().then_some(found)
}

#[test]
fn every_interleaving_ends_as_written() {
    let Some(tester) = tester() else {
        let _ = writeln!(
            std::io::stderr(),
            "skipped: no pg_isolation_regress beside {}",
            cluster().bin().display()
        );
        return;
    };
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("isolation");
    let out = tempfile::tempdir().expect("a folder");
    let keep = std::env::var_os("ISOLATION_RESULTS").map(PathBuf::from);
    if let Some(keep) = &keep {
        for name in specs(&folder) {
            // The tester ends where there is nothing to compare with.
            std::fs::OpenOptions::new()
                .append(true)
                .create(true)
                .open(keep.join(format!("{name}.out")))
                .expect("the folder of ISOLATION_RESULTS");
        }
    }
    let output = Command::new(tester)
        .arg(format!("--inputdir={}", folder.display()))
        .arg(format!("--outputdir={}", out.path().display()))
        .arg(format!("--bindir={}", cluster().bin().display()))
        .arg(format!("--host={}", cluster().socket().display()))
        .arg(format!("--port={}", cluster().port()))
        .args([
            "--user=postgres",
            "--dbname=interleavings",
            "--load-extension=pg_migrate",
        ])
        .args(specs(&folder))
        .env_remove("PGOPTIONS")
        .output()
        .expect("pg_isolation_regress");
    let differences =
        std::fs::read_to_string(out.path().join("regression.diffs")).unwrap_or_default();
    if let Some(keep) = keep {
        let results = out.path().join("results");
        for name in specs(&folder) {
            let file = format!("{name}.out");
            let _ = std::fs::copy(results.join(&file), keep.join(&file));
        }
    }
    assert!(
        output.status.success(),
        "{}{}\n{differences}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
