//! Each statement both ways: as plain SQL, and as a migration up to its contract. The schemas and
//! the rows must be the same afterwards, but for the order of columns: one that is made anew, as
//! for a change of its type, comes last. Then the migration is taken back, where there is a way.

use crate::{FIXTURE, literal};
use pg_migrate_tests::{Db, Failure, cluster};
use postgres::{Client, SimpleQueryMessage};
use std::collections::VecDeque;
use std::sync::Mutex;

const OWN: &str = include_str!("fixture.sql");
const FACTS: &str = include_str!("../../data/lock_facts_pg15.jsonl");
const STATEMENTS: &str = include_str!("statements.sql");

/// One statement, or a few that belong together.
#[derive(Debug, Clone, Default)]
struct Case {
    setup: String,
    sql: String,
    /// Marks in the file: `refused`, `one way`, `data` (its rows differ from run to run).
    marks: Vec<String>,
    own: bool,
}

impl Case {
    fn has(&self, mark: &str) -> bool {
        self.marks.iter().any(|found| found == mark)
    }

    /// The columns it adds whose rows get numbers, in an order that SQL does not promise.
    fn numbered(&self) -> Vec<&str> {
        let commands = self.sql.split(',');
        let added = commands.filter_map(|command| command.split_once("add column "));
        added
            .filter(|(_, rest)| rest.contains("serial") || rest.contains("as identity"))
            .filter_map(|(_, rest)| rest.split_whitespace().next())
            .collect()
    }
}

/// Blocks with a blank line between them; `-- setup: …` and `-- marks: …` before the statement.
fn own_cases() -> Vec<Case> {
    let blocks = STATEMENTS.split("\n\n").map(|block| {
        let mut case = Case {
            own: true,
            ..Case::default()
        };
        for line in block.lines() {
            if let Some(setup) = line.strip_prefix("-- setup: ") {
                case.setup.push_str(setup);
                case.setup.push_str(";\n");
            } else if let Some(marks) = line.strip_prefix("-- marks: ") {
                case.marks = marks.split(", ").map(str::to_owned).collect();
            } else if !line.starts_with("-- ") {
                case.sql.push_str(line);
                case.sql.push('\n');
            }
        }
        case.sql.truncate(case.sql.trim_end().len());
        case
    });
    blocks.filter(|case| !case.sql.is_empty()).collect()
}

fn measured_cases() -> Vec<Case> {
    FACTS
        .lines()
        .filter_map(|line| {
            let fact: serde_json::Value = serde_json::from_str(line).expect("a line of JSON");
            let text = |field: &str| fact[field].as_str().unwrap_or_default().to_owned();
            let sql = text("sql");
            if CLUSTER_WIDE.contains(&sql.as_str()) {
                return None;
            }
            let differs = ["now()", "random()", "gen_random_uuid()"];
            Some(Case {
                // A session's setting, so that it holds in every transaction.
                setup: text("setup").replace("set local", "set"),
                marks: differs
                    .iter()
                    .filter(|word| sql.contains(*word))
                    .map(|_| "data".to_owned())
                    .collect(),
                sql,
                ..Case::default()
            })
        })
        .collect()
}

/// What ends otherwise than the plain SQL, or has another way back, and why.
const DIFFERENT: &[(&str, &str)] = &[
    (
        "alter table p detach partition p1 concurrently",
        "PostgreSQL leaves a CHECK on the partition",
    ),
    (
        "alter table pd detach partition pd1 concurrently",
        "PostgreSQL cannot where there is a default partition; a brief lock does",
    ),
    (
        "alter table app.lone alter column y type text using y::text || '!'",
        "its values do not go back to integer, and the old application needs them",
    ),
    (
        "alter type mood add value 'great'",
        "PostgreSQL cannot take a value out of an enum",
    ),
    (
        "alter type app.state add value 'back' after 'sent'",
        "PostgreSQL cannot take a value out of an enum",
    ),
    (
        "alter table app.child no inherit app.parent",
        "the columns are the child's own from then on",
    ),
];

/// They would be seen by the other databases of the test.
const CLUSTER_WIDE: [&str; 2] = ["create database zz", "alter system set work_mem='8MB'"];

type Rows = Vec<Vec<String>>;

fn rows(client: &mut Client, sql: &str) -> Result<Rows, Failure> {
    let messages = client
        .simple_query(sql)
        .map_err(|error| Failure::from(&error))?;
    let mut found = Vec::new();
    for message in messages {
        if let SimpleQueryMessage::Row(row) = message {
            found.push(
                (0..row.len())
                    .map(|at| row.get(at).unwrap_or("NULL").to_owned())
                    .collect(),
            );
        }
    }
    Ok(found)
}

/// The schema, and of each table how many rows and what is in them.
#[derive(Debug, Clone, PartialEq)]
struct State {
    schema: Rows,
    data: Rows,
}

const SCHEMA: &str = r"SELECT object, pg_catalog.regexp_replace(definition, 'position \d+, ', '')
    FROM migrate.fingerprint() ORDER BY 1, 2";

/// Columns set aside are passed over. Of columns that are numbered (`%L`) the numbers, whichever row
/// got which.
const DATA: &str = "SELECT c.oid::regclass, (pg_catalog.xpath('//rows/text()', pg_catalog.query_to_xml(pg_catalog.format(
        $q$SELECT count(*) || ' ' || coalesce(md5(string_agg(j, ',' ORDER BY j)), '') || coalesce(md5(string_agg(n, ',' ORDER BY n)), '') AS rows FROM (
            SELECT (SELECT jsonb_object_agg(k, v) FROM jsonb_each(to_jsonb(t)) e(k, v)
                    WHERE k !~ '^_pgm_aside_' AND k <> ALL (%2$L::text[]))::text AS j,
                   (SELECT jsonb_object_agg(k, v) FROM jsonb_each(to_jsonb(t)) e(k, v) WHERE k = ANY (%2$L::text[]))::text AS n
            FROM %1$s t) q$q$, c.oid::regclass, '{NUMBERED}'), false, false, '')))[1]
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'm') AND c.relispopulated AND c.relpersistence <> 't'
      AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'migrate', 'migrate_aside') ORDER BY 1";

fn state(client: &mut Client, case: &Case) -> Result<State, Failure> {
    let numbered = format!("{{{}}}", case.numbered().join(","));
    Ok(State {
        schema: rows(client, SCHEMA)?,
        data: rows(client, &DATA.replace("{NUMBERED}", &numbered))?,
    })
}

fn difference(wanted: &Rows, found: &Rows) -> Vec<String> {
    let only = |mark: &str, one: &Rows, other: &Rows| -> Vec<String> {
        one.iter()
            // What is set aside is no part of the schema; its sequence stays with it.
            .filter(|row| !other.contains(row) && !row.join(" ").contains("._pgm_aside_"))
            .map(|row| format!("      {mark} {}", row.join(" | ")))
            .collect()
    };
    let mut lines = only("-", wanted, found);
    lines.extend(only("+", found, wanted));
    lines
}

/// Copies of the template, each used as long as it is as it was.
struct Copies {
    name: String,
    made: usize,
    current: Option<(Db, State)>,
}

impl Copies {
    fn copy(&mut self) -> Db {
        self.made += 1;
        let name = format!("{}_{}", self.name, self.made);
        let admin = cluster().db("postgres");
        admin.run(&format!(
            "CREATE DATABASE {name} TEMPLATE both_ways STRATEGY file_copy"
        ));
        cluster().db(&name)
    }

    fn clean(&mut self) -> (Db, State) {
        if let Some((db, state)) = &self.current {
            return (db.clone(), state.clone());
        }
        let db = self.copy();
        let state = state(&mut db.connect(), &Case::default()).expect("the template's state");
        self.current = Some((db.clone(), state.clone()));
        (db, state)
    }

    fn throw_away(&mut self) {
        if let Some((db, _)) = self.current.take() {
            let admin = cluster().db("postgres");
            admin.run(&format!("DROP DATABASE {} WITH (FORCE)", db.name()));
        }
    }
}

/// As psql would run it, in a transaction that is rolled back where that is possible.
fn plainly(copies: &mut Copies, db: &Db, case: &Case) -> Result<State, Failure> {
    let mut client = db.connect();
    let inside = (|| {
        client
            .batch_execute("BEGIN")
            .and_then(|()| client.batch_execute(&case.setup))
            .and_then(|()| client.batch_execute(&case.sql))
            .map_err(|error| Failure::from(&error))?;
        state(&mut client, case)
    })();
    let _ = client.batch_execute("ROLLBACK");
    match inside {
        Err(failure) if matches!(failure.sqlstate.as_str(), "25001" | "55P04") => {
            let copy = copies.copy();
            let outside = (|| {
                let mut client = copy.connect();
                for part in [&case.setup, &case.sql] {
                    for statement in part.split(";\n").filter(|part| !part.trim().is_empty()) {
                        client
                            .batch_execute(statement)
                            .map_err(|error| Failure::from(&error))?;
                    }
                }
                state(&mut client, case)
            })();
            let admin = cluster().db("postgres");
            admin.run(&format!("DROP DATABASE {} WITH (FORCE)", copy.name()));
            outside
        }
        other => other,
    }
}

fn try_run(client: &mut Client, sql: &str) -> Result<(), Failure> {
    client
        .batch_execute(sql)
        .map_err(|error| Failure::from(&error))
}

fn migrate(client: &mut Client, sql: &str) -> Result<(), Failure> {
    let text = literal(&format!("-- migrate:revision 1\n-- migrate:up\n{sql}"));
    try_run(client, &format!("SELECT migrate.apply({text})"))?;
    try_run(client, "CALL migrate.upgrade()")?;
    let expanded = "SELECT 1 FROM migrate.revision WHERE state = 'expanded'";
    if !rows(client, expanded)?.is_empty() {
        try_run(client, "CALL migrate.contract('1')")?;
    }
    let now = rows(client, "SELECT state FROM migrate.revision")?;
    assert_eq!(now, [["applied"]], "{sql}");
    Ok(())
}

fn says_as_written(failure: &Failure) -> bool {
    failure.hint.contains("as-written")
}

/// What is wrong with one case, in lines; empty: nothing.
fn both_ways(copies: &mut Copies, case: &Case, said: &mut Said) -> Vec<String> {
    let (db, before) = copies.clean();
    let plain = plainly(copies, &db, case);
    let mut client = db.connect();
    if let Err(failure) = try_run(&mut client, &case.setup) {
        copies.throw_away();
        return vec![format!("    setup: {failure}")];
    }
    let before = match case.setup.is_empty() {
        true => before,
        false => state(&mut client, case).expect("the state after the setup"),
    };
    let mut wrong = Vec::new();
    let mut done = migrate(&mut client, &case.sql);
    let refused = done.as_ref().is_err_and(says_as_written);
    if refused {
        said.refused += 1;
        done = migrate(&mut client, &format!("-- migrate:as-written\n{}", case.sql));
    }
    if case.own && refused != case.has("refused") {
        wrong.push(format!("    refused: {refused}"));
    }
    match (&plain, &done) {
        (Err(_), Err(_)) => said.failed += 1,
        (Err(failure), Ok(())) => wrong.push(format!("    only as plain SQL: {failure}")),
        (Ok(_), Err(failure)) => wrong.push(format!("    only as a migration: {failure}")),
        (Ok(wanted), Ok(())) => {
            said.same += 1;
            let found = state(&mut client, case).expect("the state afterwards");
            let mut lines = difference(&wanted.schema, &found.schema);
            if !case.has("data") {
                lines.extend(difference(&wanted.data, &found.data));
            }
            if !lines.is_empty() {
                wrong.push(format!("    not the same:\n{}", lines.join("\n")));
            }
        }
    }
    if case.own && plain.is_err() && !case.has("fails") {
        wrong.push(format!("    fails: {}", plain.expect_err("an error")));
    }
    let clean =
        done.is_ok() && wrong.is_empty() && back(&mut client, case, &before, said, &mut wrong);
    drop(client);
    if !clean || !case.setup.is_empty() {
        copies.throw_away();
    }
    wrong
}

/// Takes it back and compares; whether the database is as it was.
fn back(
    client: &mut Client,
    case: &Case,
    before: &State,
    said: &mut Said,
    wrong: &mut Vec<String>,
) -> bool {
    let one_way = match try_run(client, "CALL migrate.downgrade('base')") {
        Ok(()) => false,
        Err(failure) if failure.message.contains("cannot be taken back") => true,
        Err(failure) => {
            wrong.push(format!("    back: {failure}"));
            return false;
        }
    };
    if case.own && one_way != case.has("one way") {
        wrong.push(format!("    one way: {one_way}"));
    }
    if one_way {
        said.one_way += 1;
        return false;
    }
    said.back += 1;
    let found = state(client, case).expect("the state after the way back");
    let lines = difference(&before.schema, &found.schema);
    if !lines.is_empty() {
        wrong.push(format!(
            "    taken back, not the same:\n{}",
            lines.join("\n")
        ));
    }
    let aside = rows(client, "SELECT 1 FROM migrate.aside").unwrap_or_default();
    let same = lines.is_empty() && found.data == before.data && aside.is_empty();
    same && try_run(client, "SELECT migrate.repair('1', 'abandon')").is_ok()
        && try_run(client, "DELETE FROM migrate.revision").is_ok()
}

#[derive(Default)]
struct Said {
    same: usize,
    failed: usize,
    refused: usize,
    one_way: usize,
    back: usize,
    different: usize,
}

#[test]
fn statements_end_as_the_sql_alone_would_have_ended() {
    let template = cluster().empty_database();
    let admin = cluster().db("postgres");
    crate::load(&template, FIXTURE);
    crate::load(&template, OWN);
    template.run("CREATE EXTENSION pg_migrate");
    template.run("ANALYZE");
    admin.run(&format!(
        "ALTER DATABASE {} RENAME TO both_ways",
        template.name()
    ));
    let mut cases: VecDeque<Case> = measured_cases().into_iter().chain(own_cases()).collect();
    if let Ok(filter) = std::env::var("PLAIN_CASES") {
        cases.retain(|case| case.sql.contains(&filter));
    }
    let all = cases.len();
    let queue = Mutex::new(cases);
    let result = Mutex::new((Vec::new(), Said::default()));
    std::thread::scope(|scope| {
        for worker in 0..2 {
            let (queue, result) = (&queue, &result);
            scope.spawn(move || {
                let mut copies = Copies {
                    name: format!("both_ways_{worker}"),
                    made: 0,
                    current: None,
                };
                let mut said = Said::default();
                loop {
                    let Some(case) = queue.lock().unwrap().pop_front() else {
                        break;
                    };
                    let wrong = both_ways(&mut copies, &case, &mut said);
                    let known = DIFFERENT.iter().any(|(sql, _)| *sql == case.sql);
                    let text = match (wrong.is_empty(), known) {
                        (true, true) => format!("{}\n    does not differ any more", case.sql),
                        (false, false) => format!("{}\n{}", case.sql, wrong.join("\n")),
                        _ => {
                            said.different += usize::from(known);
                            continue;
                        }
                    };
                    result.lock().unwrap().0.push(text);
                }
                copies.throw_away();
                let mut all = result.lock().unwrap();
                all.1.same += said.same;
                all.1.failed += said.failed;
                all.1.refused += said.refused;
                all.1.one_way += said.one_way;
                all.1.back += said.back;
                all.1.different += said.different;
            });
        }
    });
    let (wrong, said) = result.into_inner().unwrap();
    println!(
        "{all} statements: {} the same, {} fail both ways; {} refused unless as written; {} taken back, {} one way",
        said.same, said.failed, said.refused, said.back, said.one_way
    );
    assert!(
        wrong.is_empty(),
        "{} of {all}\n{}",
        wrong.len(),
        wrong.join("\n\n")
    );
    assert!(said.same + said.failed + said.different >= all);
}
