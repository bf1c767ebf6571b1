//! A real Alembic and a real Django migration run into the guard and show its hint. Where Python or
//! the packages cannot be had, the test says so on stderr and is skipped.

use crate::guarded;
use pg_migrate_tests::Db;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

const PACKAGES: [&str; 3] = ["alembic", "django", "psycopg2-binary"];

/// The programs of a virtual environment that has the packages.
fn python() -> Option<&'static Path> {
    static MADE: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let made = MADE.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("frameworks");
        let bin = folder.join("bin");
        let has = |bin: &Path| {
            Command::new(bin.join("python"))
                .args(["-c", "import alembic, django, psycopg2"])
                .output()
                .is_ok_and(|done| done.status.success())
        };
        if has(&bin) {
            return Ok(bin);
        }
        run(Command::new("python3")
            .args(["-m", "venv", "--clear"])
            .arg(&folder))?;
        run(Command::new(bin.join("pip"))
            .args(["install", "-q", "--disable-pip-version-check"])
            .args(PACKAGES))?;
        Ok(bin)
    });
    match made {
        Ok(bin) => Some(bin),
        Err(why) => {
            // Not `eprintln!`: the output of a test that passes is not shown.
            let _ = writeln!(
                std::io::stderr(),
                "skipped: no Python with {}: {why}",
                PACKAGES.join(", ")
            );
            None
        }
    }
}

fn run(command: &mut Command) -> Result<(), String> {
    match command.output() {
        Ok(done) if done.status.success() => Ok(()),
        Ok(done) => {
            let text = String::from_utf8_lossy(&done.stderr);
            Err(text.trim().lines().last().unwrap_or("it failed").to_owned())
        }
        Err(error) => Err(error.to_string()),
    }
}

fn text(done: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&done.stdout),
        String::from_utf8_lossy(&done.stderr)
    )
}

#[track_caller]
fn shows_the_hint(done: &Output) {
    let said = text(done);
    assert!(!done.status.success(), "{said}");
    for part in ["HINT:", "SET LOCAL migrate.guard = off"] {
        assert!(said.contains(part), "{part} is missing in: {said}");
    }
}

fn write(folder: &Path, files: &[(&str, &str)]) {
    for (name, content) in files {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(path, content).expect("written");
    }
}

/// A framework's program in its project's folder, connected to the database.
fn program(db: &Db, folder: &Path, program: &Path) -> Command {
    let connection = db.client_command("psql");
    let mut command = Command::new(program);
    command.current_dir(folder);
    for (name, value) in connection.get_envs() {
        if let Some(value) = value {
            command.env(name, value);
        }
    }
    command
}

fn type_of(db: &Db, table: &str, column: &str) -> String {
    db.one(&format!(
        "SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = '{table}'::regclass AND attname = '{column}'"
    ))
}

#[test]
fn alembic() {
    let Some(bin) = python() else { return };
    let db = guarded("error");
    let folder = tempfile::tempdir().expect("a folder");
    let revision = |id: &str, after: &str, body: &str| {
        format!(
            "import sqlalchemy as sa\nfrom alembic import op\nrevision = '{id}'\ndown_revision = {after}\n\n\ndef upgrade():\n{body}\n\n\ndef downgrade():\n    pass\n"
        )
    };
    let alter = "    op.alter_column('t', 'a', type_=sa.BigInteger())";
    write(
        folder.path(),
        &[
            ("alembic.ini", "[alembic]\nscript_location = scripts\n"),
            (
                "scripts/env.py",
                "from alembic import context\nimport sqlalchemy as sa\nengine = sa.create_engine('postgresql+psycopg2://')\nwith engine.connect() as connection:\n    context.configure(connection=connection, transaction_per_migration=True)\n    with context.begin_transaction():\n        context.run_migrations()\n",
            ),
            (
                "scripts/versions/one.py",
                &revision(
                    "one",
                    "None",
                    "    op.add_column('t', sa.Column('d', sa.Integer()))",
                ),
            ),
            ("scripts/versions/two.py", &revision("two", "'one'", alter)),
        ],
    );
    let alembic = || {
        program(&db, folder.path(), &bin.join("alembic"))
            .args(["upgrade", "head"])
            .output()
            .expect("alembic")
    };
    shows_the_hint(&alembic());
    // What is safe went through, what is not did not.
    assert_eq!(
        db.rows("SELECT version_num FROM alembic_version"),
        [["one"]]
    );
    assert_eq!(type_of(&db, "t", "d"), "integer");
    assert_eq!(type_of(&db, "t", "a"), "integer");
    let off = format!("    op.execute('SET LOCAL migrate.guard = off')\n{alter}");
    write(
        folder.path(),
        &[("scripts/versions/two.py", &revision("two", "'one'", &off))],
    );
    let done = alembic();
    assert!(done.status.success(), "{}", text(&done));
    assert_eq!(type_of(&db, "t", "a"), "bigint");
}

#[test]
fn django() {
    let Some(bin) = python() else { return };
    let db = guarded("error");
    let folder = tempfile::tempdir().expect("a folder");
    write(
        folder.path(),
        &[
            (
                "settings.py",
                "import os\nSECRET_KEY = 'x'\nINSTALLED_APPS = ['shop']\nDEFAULT_AUTO_FIELD = 'django.db.models.BigAutoField'\nUSE_TZ = True\nDATABASES = {'default': {'ENGINE': 'django.db.backends.postgresql', 'NAME': os.environ['PGDATABASE'], 'USER': os.environ['PGUSER'], 'HOST': os.environ['PGHOST'], 'PORT': os.environ['PGPORT']}}\n",
            ),
            ("shop/__init__.py", ""),
            ("shop/migrations/__init__.py", ""),
            (
                "shop/models.py",
                "from django.db import models\n\n\nclass Item(models.Model):\n    amount = models.BigIntegerField()\n",
            ),
            (
                "shop/migrations/0001_initial.py",
                "from django.db import migrations, models\n\n\nclass Migration(migrations.Migration):\n    initial = True\n    operations = [migrations.CreateModel('Item', [('id', models.BigAutoField(primary_key=True)), ('amount', models.IntegerField())])]\n",
            ),
            (
                "shop/migrations/0002_wider.py",
                "from django.db import migrations, models\n\n\nclass Migration(migrations.Migration):\n    dependencies = [('shop', '0001_initial')]\n    operations = [migrations.AlterField('Item', 'amount', models.BigIntegerField())]\n",
            ),
        ],
    );
    let migrate = |target: &str| {
        program(&db, folder.path(), &bin.join("django-admin"))
            .args([
                "migrate",
                "shop",
                target,
                "--settings",
                "settings",
                "--pythonpath",
                ".",
            ])
            .output()
            .expect("django-admin")
    };
    let done = migrate("0001");
    assert!(done.status.success(), "{}", text(&done));
    db.run("INSERT INTO shop_item (amount) SELECT g FROM generate_series(1, 100) g");
    shows_the_hint(&migrate("0002"));
    assert_eq!(type_of(&db, "shop_item", "amount"), "integer");
    assert_eq!(
        db.rows("SELECT name FROM django_migrations WHERE app = 'shop'"),
        [["0001_initial"]]
    );
}
