//! Takes a case through every turn while its applications write: start, roll back, start again,
//! contract, downgrade, upgrade again.

use crate::case::{Back, Case, Shape, fixture};
use pg_migrate_tests::{Db, LockWatcher, Report, Role, Traffic, TrafficSpec, cluster};
use std::collections::BTreeMap;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::time::{Duration, Instant};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spelling {
    Json,
    Sql,
}

/// Operations that the writers do between two turns.
const BETWEEN: u64 = 40;

/// Longer than this no statement of an application may have waited for a table. Generous: the
/// machine may be busy, and `migrate.lock_timeout` bounds it to half a second.
const LONGEST_WAIT: Duration = Duration::from_secs(8);

/// Two at a time: a case waits more than it works.
const AT_ONCE: usize = 3;

/// Runs every shape and spelling of the cases. `FOUR` in the environment: only those whose name
/// contains it; `FOUR_REPORT`: says how long each took.
pub fn run(cases: &[Case]) {
    let wanted = std::env::var("FOUR").unwrap_or_default();
    let mut jobs = Vec::new();
    for case in cases {
        for shape in case.shapes {
            let spellings = [(Spelling::Json, case.json), (Spelling::Sql, case.sql)];
            for (spelling, text) in spellings {
                let name = format!("{} {spelling:?} {shape:?}", case.name);
                // An empty table is the same whoever describes the change.
                let again = spelling == Spelling::Sql && !case.json.is_empty();
                let skipped = again && *shape == Shape::Empty;
                if !text.is_empty() && !skipped && name.contains(&wanted) {
                    jobs.push((name, case.clone(), *shape, spelling));
                }
            }
        }
    }
    jobs.reverse();
    let (jobs, failures) = (Mutex::new(jobs), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let Some((name, case, shape, spelling)) = jobs.lock().unwrap().pop() else {
                        return;
                    };
                    let outcome =
                        catch_unwind(AssertUnwindSafe(|| one(&name, &case, shape, spelling)));
                    if let Err(panic) = outcome {
                        let text = panic
                            .downcast_ref::<String>()
                            .cloned()
                            .or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned()))
                            .unwrap_or_default();
                        told(&format!("{name}: FAILED: {text}"));
                        failures.lock().unwrap().push(format!("== {name}\n{text}"));
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    assert!(
        failures.is_empty(),
        "{} failed:\n{}",
        failures.len(),
        failures.join("\n")
    );
}

fn told(what: &str) {
    if std::env::var_os("FOUR_REPORT").is_some() {
        // Not `eprintln!`: the output of a test that passes is not shown.
        let _ = writeln!(std::io::stderr(), "{what}");
    }
}

pub type Schema = BTreeMap<String, String>;

/// Every object and its definition. `places`: whether the order of columns counts.
pub fn schema(db: &Db, places: bool) -> Schema {
    schema_after(db, "SELECT 1", places)
}

/// The same as it would be after these statements.
fn schema_after(db: &Db, statements: &str, places: bool) -> Schema {
    let definition = if places {
        "definition"
    } else {
        "regexp_replace(definition, 'position \\d+, ', '')"
    };
    let sql = format!(
        "BEGIN; {statements}; SELECT 'object', object, {definition} FROM migrate.fingerprint(); ROLLBACK"
    );
    db.rows(&sql)
        .into_iter()
        .filter(|row| row[0] == "object")
        .map(|mut row| row.split_off(1))
        .map(|mut row| (row.remove(0), row.remove(0)))
        .collect()
}

#[track_caller]
pub fn same(what: &str, expected: &Schema, found: &Schema) {
    let mut differ = Vec::new();
    for object in expected.keys().chain(found.keys()) {
        let (was, is) = (expected.get(object), found.get(object));
        if was != is {
            differ.push(format!("{object}\n  expected {was:?}\n  found    {is:?}"));
        }
    }
    differ.dedup();
    assert!(
        differ.is_empty(),
        "{what}: the schema is not what it should be:\n{}",
        differ.join("\n")
    );
}

pub fn document(text: &str, spelling: Spelling, revision: &str, after: Option<&str>) -> String {
    match spelling {
        Spelling::Json => {
            let after = after.map_or(String::new(), |id| format!(r#""down_revision": "{id}", "#));
            format!(r#"{{"revision": "{revision}", {after}"operations": [{text}]}}"#)
        }
        Spelling::Sql => {
            let after = after.map_or(String::new(), |id| format!(" after {id}"));
            format!("-- migrate:revision {revision}{after}\n-- migrate:up\n{text};")
        }
    }
}

pub fn quoted(document: &str) -> String {
    format!("$document${document}$document$")
}

/// What is compared while nobody writes.
struct Run<'a> {
    case: &'a Case,
    db: Db,
    specs: Vec<TrafficSpec>,
    traffic: Vec<Traffic>,
    before: Schema,
}

const BESIDE: &str = "ALTER TABLE users RENAME COLUMN nick TO alias";

fn one(name: &str, case: &Case, shape: Shape, spelling: Spelling) {
    let begun = Instant::now();
    let db = cluster().database();
    db.run(&fixture(shape, case.extra));
    let beside = shape == Shape::Beside;
    let (id, after) = if beside {
        ("2", Some("1"))
    } else {
        ("1", None)
    };
    let plain = case.plain.unwrap_or(case.sql);
    let expected = (!plain.is_empty()).then(|| {
        let first = if beside { BESIDE } else { "SELECT 1" };
        schema_after(&db, &format!("{first}; {plain}"), !case.moves)
    });
    if beside {
        let other = document(BESIDE, Spelling::Sql, "1", None);
        db.run(&format!("SELECT migrate.apply({})", quoted(&other)));
        db.run("CALL migrate.upgrade()");
    }
    let text = match spelling {
        Spelling::Json => case.json,
        Spelling::Sql => case.sql,
    };
    let document = document(text, spelling, id, after);
    if spelling == Spelling::Sql && !case.json.is_empty() && one_plan(&db, case, after) {
        // What comes of the plan was seen in the other spelling.
        return;
    }
    let before = schema(&db, !case.moves);
    if case.back == Back::Way && matches!(shape, Shape::Rows | Shape::Partitioned) {
        let found = db.rows(&format!(
            "SELECT * FROM migrate.test({})",
            quoted(&document)
        ));
        let found: Vec<_> = found
            .into_iter()
            .filter(|row| !(case.moves && row[2].contains("position")))
            .collect();
        assert!(found.is_empty(), "migrate.test finds {found:#?}");
    }
    let specs = (case.apps)();
    let watchers: Vec<_> = specs
        .iter()
        .map(|spec| LockWatcher::every(&db, &spec.table, Duration::from_millis(15)))
        .collect();
    let mut run = Run {
        case,
        traffic: specs
            .iter()
            .map(|spec| Traffic::start(&db, spec.clone()))
            .collect(),
        db,
        specs,
        before,
    };
    run.turns(id, &document);
    let operations: u64 = run.traffic.iter().map(Traffic::operations).sum();
    let Run { db, traffic, .. } = run;
    for traffic in traffic {
        no_errors(&traffic.stop());
    }
    if beside {
        db.run("CALL migrate.contract('1')");
    }
    if let Some(expected) = expected {
        same("beside plain SQL", &expected, &schema(&db, !case.moves));
    }
    let mut line = format!(
        "{name}: {:.1} s, {operations} operations",
        begun.elapsed().as_secs_f64()
    );
    for locks in watchers.into_iter().map(LockWatcher::stop) {
        if let Some(hold) = locks.longest_hold {
            line.push_str(&format!(", {} held {:?}", hold.mode, hold.held));
        }
        if let Some(wait) = locks.longest_table_wait {
            line.push_str(&format!(", waited {:?}", wait.waited));
            assert!(wait.waited < LONGEST_WAIT, "{wait:?}");
        }
    }
    told(&line);
}

/// Whether both spellings are planned alike, the way back as well.
fn one_plan(db: &Db, case: &Case, after: Option<&str>) -> bool {
    let plan = |text: &str, spelling: Spelling| {
        let document = document(text, spelling, "9", after);
        let mut client = db.connect();
        // Rolled back: the way back is known when the migration has begun.
        let sql = format!("BEGIN; SELECT migrate.apply({})", quoted(&document));
        client.batch_execute(&sql).ok()?;
        let row = client
            .query_one(
                "SELECT array_agg((s.phase, s.kind, s.sql, s.undo)::text ORDER BY s.step), r.inverse::text, r.irreversible
                 FROM migrate.step s JOIN migrate.revision r USING (revision) WHERE revision = '9' GROUP BY 2, 3",
                &[],
            )
            .ok()?;
        Some((
            row.get::<_, Vec<String>>(0),
            row.get::<_, Option<String>>(1),
            row.get::<_, Option<String>>(2),
        ))
    };
    let json = plan(case.json, Spelling::Json);
    json.is_some() && json == plan(case.sql, Spelling::Sql)
}

#[track_caller]
pub fn no_errors(report: &Report) {
    assert!(
        report.errors.is_empty(),
        "{} statements failed:\n{}",
        report.failed,
        report.errors[..report.errors.len().min(3)].join("\n")
    );
}

impl Run<'_> {
    fn turns(&mut self, id: &str, document: &str) {
        let case = self.case;
        self.write("before the start");
        self.mark("start");
        self.db
            .run(&format!("SELECT migrate.apply({})", quoted(document)));
        self.db.run("CALL migrate.upgrade()");
        self.mark("both releases");
        let expanded = self.state(id) == "expanded";
        self.deploy(1);
        self.write("both releases");
        self.side_by_side("expanded", case.expanded);
        self.deploy(0);
        let downgrade = "CALL migrate.downgrade('-1')";
        if case.back == Back::None {
            let failure = self.db.error(downgrade);
            assert!(
                failure.message.contains("cannot be taken back"),
                "{failure}"
            );
        } else {
            self.mark("roll back");
            self.db.run(downgrade);
            self.write("rolled back");
            self.is_back("rolled back");
            self.mark("start again");
            self.db.run("CALL migrate.upgrade()");
        }
        self.deploy(1);
        self.write("both releases again");
        self.contract(id, expanded);
        if case.back != Back::Way {
            let failure = self.db.error(downgrade);
            assert!(
                failure.message.contains("cannot be taken back"),
                "{failure}"
            );
            return;
        }
        self.mark("downgrade");
        if !expanded {
            self.deploy(0);
        } else if !self.specs.iter().all(TrafficSpec::alike) {
            for traffic in &self.traffic {
                traffic.expect_refusals(&["42703", "42P01", "23502"]);
            }
        }
        self.db.run(downgrade);
        self.deploy(0);
        for traffic in &self.traffic {
            traffic.expect_refusals(&[]);
        }
        self.write("downgraded");
        self.is_back("downgraded");
        self.mark("upgrade again");
        self.db.run("CALL migrate.upgrade()");
        self.deploy(1);
        self.contract(id, expanded);
    }

    fn contract(&self, id: &str, expanded: bool) {
        self.deploy(usize::MAX);
        self.mark("contract");
        if expanded {
            self.db.run(&format!("CALL migrate.contract('{id}')"));
        }
        assert_eq!(self.state(id), "applied");
        self.write("contracted");
        self.look(Some(Role::New), "contracted", self.case.contracted);
    }

    fn state(&self, id: &str) -> String {
        self.db.one(&format!(
            "SELECT state FROM migrate.status WHERE revision = '{id}'"
        ))
    }

    fn mark(&self, phase: &str) {
        for traffic in &self.traffic {
            traffic.mark(phase);
        }
    }

    fn deploy(&self, new: usize) {
        for (traffic, spec) in self.traffic.iter().zip(&self.specs) {
            traffic.new_writers(new.min(spec.threads));
        }
    }

    fn write(&self, phase: &str) {
        self.mark(phase);
        for traffic in &self.traffic {
            traffic.run_operations(BETWEEN);
        }
    }

    /// Both releases see what either wrote.
    fn side_by_side(&self, when: &str, queries: &[&str]) {
        self.look(None, when, queries);
    }

    fn is_back(&self, when: &str) {
        self.look(Some(Role::Old), when, self.case.taken_back);
        same(when, &self.before, &schema(&self.db, !self.case.moves));
    }

    /// Compares the tables with the record while nobody writes. `only`: the one release that is left.
    fn look(&self, only: Option<Role>, when: &str, queries: &[&str]) {
        for (traffic, spec) in self.traffic.iter().zip(&self.specs) {
            traffic.stand_still(only, |report| {
                no_errors(report);
                let roles: &[Role] = match only {
                    Some(Role::Old) => &[Role::Old],
                    Some(Role::New) => &[Role::New],
                    None => &[Role::Old, Role::New],
                };
                for role in roles {
                    let column = spec.column(*role).unwrap_or_default();
                    let wrong = report.check(
                        &self.db,
                        spec.table(*role),
                        spec.key(*role),
                        &[(column, *role)],
                    );
                    assert!(
                        wrong.is_empty(),
                        "{when}: {} rows are wrong:\n{}",
                        wrong.len(),
                        wrong[..wrong.len().min(5)].join("\n")
                    );
                }
                for query in queries {
                    let count: i64 = self.db.one(query);
                    assert_eq!(count, 0, "{when}: {query}");
                }
            });
        }
    }
}
