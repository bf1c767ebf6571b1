//! merge_columns: old and new application write at once, and keep a record of what they wrote.

use crate::{database, fingerprint, json, rehearsed, same, ways};
use pg_migrate_tests::Db;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

const PEOPLE: &str = "CREATE TABLE people (id bigint PRIMARY KEY, first text NOT NULL DEFAULT 'nobody', last varchar(40) NOT NULL, seen int);
    CREATE INDEX people_last ON people (last, first); COMMENT ON COLUMN people.last IS 'family';
    GRANT SELECT (first) ON people TO pg_monitor;
    INSERT INTO people SELECT g, 'f' || g, 'l' || g FROM generate_series(1, 8000) g; ANALYZE people";

fn merge(more: &str) -> String {
    json(&format!(
        r#"{{"merge_columns": {{"table": "people", "into": {{"name": "name", "type": "text", "comment": "whole"{more}}},
            "up": "first || ' ' || last",
            "columns": [{{"column": "first", "down": "split_part(name, ' ', 1)"}},
                        {{"column": "last", "down": "split_part(name, ' ', 2)"}}]}}}}"#
    ))
}

const STOP: u8 = 0;
const OLD: u8 = 1;
const BOTH: u8 = 2;
const NEW: u8 = 3;

type Record = BTreeMap<i64, (String, String)>;

/// Writers of their own keys (id mod threads), who know the old or the new columns.
struct Writers {
    stage: Arc<AtomicU8>,
    threads: Vec<JoinHandle<(Record, u64)>>,
}

impl Writers {
    fn start(db: &Db, stage: u8, record: &Record) -> Writers {
        let threads = 4;
        let stage = Arc::new(AtomicU8::new(stage));
        let last = record.keys().max().copied().unwrap_or_default();
        let threads = (0..threads)
            .map(|own| {
                let stage = Arc::clone(&stage);
                let mut client = db.connect();
                let mut record: Record = record
                    .iter()
                    .filter(|(id, _)| *id % threads == own)
                    .map(|(id, names)| (*id, names.clone()))
                    .collect();
                std::thread::spawn(move || {
                    let mut done = 0_u64;
                    let mut next = (last / threads + 1) * threads + own;
                    loop {
                        let new = match stage.load(Ordering::SeqCst) {
                            STOP => return (record, done),
                            OLD => false,
                            NEW => true,
                            _ => (done / 3).is_multiple_of(2),
                        };
                        let (first, last) = (format!("a{done}-{own}"), format!("b{done}-{own}"));
                        let at = usize::try_from(done * 7919).unwrap() % record.len();
                        let (id, known) =
                            record.iter().nth(at).map(|(id, n)| (*id, n.clone())).unwrap();
                        let (sql, key, after) = match (done % 6, new) {
                            (0, false) => {
                                next += threads;
                                (format!("INSERT INTO people (id, first, last) VALUES ({next}, '{first}', '{last}')"), next, Some((first, last)))
                            }
                            (0, true) => {
                                next += threads;
                                (format!("INSERT INTO people (id, name) VALUES ({next}, '{first} {last}')"), next, Some((first, last)))
                            }
                            (1, false) => (format!("UPDATE people SET first = '{first}' WHERE id = {id}"), id, Some((first, known.1))),
                            (2, false) => (format!("UPDATE people SET last = '{last}' WHERE id = {id}"), id, Some((known.0, last))),
                            (3, _) => (format!("UPDATE people SET seen = {done} WHERE id = {id}"), id, Some(known)),
                            (4, _) if record.len() > 100 => (format!("DELETE FROM people WHERE id = {id}"), id, None),
                            (_, false) => (format!("UPDATE people SET first = '{first}', last = '{last}' WHERE id = {id}"), id, Some((first, last))),
                            (_, true) => (format!("UPDATE people SET name = '{first} {last}' WHERE id = {id}"), id, Some((first, last))),
                        };
                        let rows = client.execute(sql.as_str(), &[]).unwrap_or_else(|err| panic!("{sql}: {err:?}"));
                        assert_eq!(rows, 1, "{sql}");
                        match after {
                            Some(names) => record.insert(key, names),
                            None => record.remove(&key),
                        };
                        done += 1;
                        std::thread::sleep(Duration::from_millis(1));
                    }
                })
            })
            .collect();
        Writers { stage, threads }
    }

    fn stage(&self, stage: u8, millis: u64) {
        self.stage.store(stage, Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(millis));
    }

    fn stop(self) -> Record {
        self.stage(STOP, 0);
        let mut all = Record::new();
        for thread in self.threads {
            let (record, done) = thread.join().expect("a writer failed");
            assert!(done > 3, "hardly any traffic: {done}");
            all.extend(record);
        }
        all
    }
}

fn table(db: &Db, columns: &str) -> Record {
    db.rows(&format!("SELECT id, {columns} FROM people"))
        .into_iter()
        .map(|row| (row[0].parse().unwrap(), (row[1].clone(), row[2].clone())))
        .collect()
}

#[track_caller]
fn agrees(what: &str, record: &Record, found: &Record) {
    let wrong: Vec<_> = record
        .iter()
        .filter(|(id, names)| found.get(id) != Some(names))
        .map(|(id, names)| format!("{id}: {names:?}, found {:?}", found.get(id)))
        .chain(
            found
                .keys()
                .filter(|id| !record.contains_key(id))
                .map(|id| format!("{id} should be gone")),
        )
        .collect();
    assert!(
        wrong.is_empty(),
        "{what}: {} wrong: {:#?}",
        wrong.len(),
        &wrong[..wrong.len().min(5)]
    );
}

const OLD_SIDE: &str = "first, last";
const NEW_SIDE: &str = "split_part(name, ' ', 1), split_part(name, ' ', 2)";

#[test]
fn both_releases_write_at_once() {
    let db = database(PEOPLE);
    let document = merge("");
    rehearsed(&db, &document);
    let before = fingerprint(&db);
    let writers = Writers::start(&db, OLD, &table(&db, OLD_SIDE));
    writers.stage(OLD, 200);
    crate::apply(&db, &document);
    writers.stage(BOTH, 300);
    // The new release goes before the new column does.
    writers.stage(OLD, 100);
    db.run("CALL migrate.downgrade('base')");
    same("rolled back", &before, &fingerprint(&db));
    writers.stage(OLD, 200);
    let writers_stage = &writers;
    std::thread::scope(|scope| {
        let driver = scope.spawn(|| db.run("CALL migrate.upgrade()"));
        driver.join().unwrap();
        writers_stage.stage(BOTH, 800);
    });
    writers.stage(NEW, 200);
    db.run("CALL migrate.contract('1')");
    writers.stage(NEW, 300);
    let record = writers.stop();
    agrees("after contract", &record, &table(&db, NEW_SIDE));
    // Back, while the release that knows the new column writes; the other one comes afterwards.
    let writers = Writers::start(&db, NEW, &record);
    writers.stage(NEW, 200);
    let record = writers.stop();
    db.run("CALL migrate.downgrade('base')");
    agrees("after the downgrade", &record, &table(&db, OLD_SIDE));
    same("taken back", &before, &fingerprint(&db));
}

#[test]
fn while_expanded_both_sides_say_the_same() {
    let db = database(PEOPLE);
    let writers = Writers::start(&db, OLD, &table(&db, OLD_SIDE));
    crate::apply(&db, &merge(""));
    writers.stage(BOTH, 300);
    db.run("CALL migrate.upgrade()");
    writers.stage(BOTH, 500);
    let record = writers.stop();
    agrees("old side", &record, &table(&db, OLD_SIDE));
    agrees("new side", &record, &table(&db, NEW_SIDE));
    assert_eq!(
        db.one::<i64>("SELECT coalesce(sum(found), 0)::bigint FROM migrate.verify('1')"),
        0
    );
}

#[test]
fn it_goes_every_way() {
    let db = database(PEOPLE);
    ways(
        &db,
        &merge(r#", "unique": true, "default": "'none none'""#),
        |db| {
            assert_eq!(
                db.one::<String>("SELECT name FROM people WHERE id = 7"),
                "f7 l7"
            );
        },
    );
}

#[test]
fn what_the_new_side_cannot_tell_is_not_lost() {
    let db = database(PEOPLE);
    db.run("UPDATE people SET first = 'Anna Maria', last = 'Lee' WHERE id < 10");
    crate::apply(&db, &merge(""));
    // The old application writes one of the two: the other one is not made of the new column.
    db.run("UPDATE people SET first = 'Anna Sophie' WHERE id = 2");
    db.run("CALL migrate.upgrade()");
    db.run("UPDATE people SET last = 'Lee-Ray' WHERE id = 3");
    let names = "SELECT first, last, name FROM people WHERE id < 4 ORDER BY id";
    let expected = [
        ["Anna Maria", "Lee", "Anna Maria Lee"],
        ["Anna Sophie", "Lee", "Anna Sophie Lee"],
        ["Anna Maria", "Lee-Ray", "Anna Maria Lee-Ray"],
    ];
    assert_eq!(db.rows(names), expected);
    db.run("CALL migrate.contract('1')");
    db.run("UPDATE people SET name = 'Bob Ray Joe' WHERE id = 1; INSERT INTO people (id, name) VALUES (-1, 'New One')");
    db.run("CALL migrate.downgrade('base')");
    assert_eq!(
        db.rows("SELECT first, last FROM people WHERE id < 4 ORDER BY id"),
        [
            ["New", "One"],
            ["Bob", "Ray"],
            ["Anna Sophie", "Lee"],
            ["Anna Maria", "Lee-Ray"]
        ]
    );
    // What is set aside is what the application wrote.
    let hidden: String = db.one(
        "SELECT attname::text FROM pg_attribute WHERE attrelid = 'people'::regclass AND attname LIKE '\\_pgm\\_aside%name'",
    );
    assert_eq!(
        db.one::<String>(&format!("SELECT {hidden} FROM people WHERE id = 1")),
        "Bob Ray Joe"
    );
}

#[test]
fn a_pair_that_disagrees_is_not_contracted() {
    let db = database(PEOPLE);
    crate::apply(&db, &merge(""));
    db.run("CALL migrate.upgrade()");
    db.run("BEGIN; ALTER TABLE people DISABLE TRIGGER ALL; UPDATE people SET name = 'lost one' WHERE id = 5; ALTER TABLE people ENABLE TRIGGER ALL; COMMIT");
    db.run("ALTER TABLE people ENABLE ALWAYS TRIGGER \"~~pg_migrate_sync_first~name\"");
    let error = db.error("CALL migrate.contract('1')");
    assert!(error.message.contains("disagree"), "{error}");
}

#[test]
fn what_cannot_be_merged_is_refused() {
    let db = database(&format!(
        "{PEOPLE}; CREATE TABLE parts (a text, b text) PARTITION BY LIST (a)"
    ));
    let plan = |document: &str| db.error(&format!("SELECT migrate.plan($${document}$$)"));
    let error = plan(
        &merge("")
            .replace("\"people\"", "\"parts\"")
            .replace("first", "a")
            .replace("last", "b"),
    );
    assert!(error.message.contains("partitioned"), "{error}");
    let error = plan(&merge("").replace("first || ' ' || last", "first || random()"));
    assert!(error.message.contains("volatile"), "{error}");
    let error = plan(&merge("").replace("\"column\": \"last\"", "\"column\": \"lsat\""));
    assert!(error.hint.contains("\"last\""), "{error}");
    let error = plan(&merge(r#", "pk": true"#));
    assert!(
        error.message.contains("neither pk nor generated"),
        "{error}"
    );
    db.run("CREATE VIEW v AS SELECT last FROM people");
    let error = plan(&merge(""));
    assert!(error.detail.contains("view v"), "{error}");
}

#[test]
fn columns_that_share_an_index_are_dropped_together() {
    let db = database(PEOPLE);
    ways(
        &db,
        &crate::script("ALTER TABLE people DROP COLUMN last; ALTER TABLE people DROP COLUMN first"),
        |_| {},
    );
}
