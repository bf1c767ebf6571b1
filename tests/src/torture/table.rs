//! The table under torture, and what must be true of it in the end.

use std::collections::HashMap;

use super::model::{Mapping, New, Row};
use super::scenario::{Scenario, Shape};
use super::statement::{COLUMNS, short};
use crate::Db;

pub const ROWS: i64 = 2400;

/// Makes the table with rows that know no new column; gives them.
pub fn create(db: &Db, scenario: &Scenario, tablespace: Option<&str>) -> HashMap<i64, Row> {
    let space = tablespace.map_or(String::new(), |name| format!(" TABLESPACE {name}"));
    let parts = scenario.parts();
    let pad = if scenario.shape == Shape::Wide {
        5500
    } else {
        60
    };
    let by = if parts > 1 {
        " PARTITION BY LIST (part)"
    } else {
        ""
    };
    db.run(&format!(
        "CREATE EXTENSION IF NOT EXISTS amcheck;
         CREATE TABLE t (id bigint, part int NOT NULL DEFAULT 0, other int NOT NULL DEFAULT 0, old text, fat text, kept text,
                         pad text DEFAULT repeat('p', {pad}), PRIMARY KEY (id, part)){by}{space};
         ALTER TABLE t ALTER fat SET STORAGE EXTERNAL, ALTER pad SET STORAGE PLAIN, ALTER old SET STORAGE EXTERNAL;
         CREATE INDEX ON t (other);
         CREATE INDEX t_old ON t (left(old, 40));"
    ));
    for part in 0..if parts > 1 { parts } else { 0 } {
        db.run(&format!(
            "CREATE TABLE t_{part} PARTITION OF t FOR VALUES IN ({part}){space}"
        ));
    }
    let up = match scenario.map {
        Mapping::Lossy => "id || '.' || id % 10",
        _ => "CASE WHEN id % 90 = 1 THEN 'void' ELSE 's' || id END",
    };
    db.run(&format!(
        "INSERT INTO t (id, part, old, fat, kept)
         SELECT id, id % {parts}, CASE WHEN id % 50 <> 0 THEN {up} END, repeat(id || '-', CASE WHEN id % 40 = 0 THEN 700 ELSE 2 END), 'k' || id
         FROM generate_series(1, {ROWS}) id;
         DELETE FROM t WHERE id % 5 = 0 AND id < {ROWS} / 2"
    ));
    let sql = format!("SELECT {COLUMNS} FROM t");
    rows(db, &sql, false)
}

fn rows(db: &Db, sql: &str, both: bool) -> HashMap<i64, Row> {
    db.connect()
        .simple_query(sql)
        .unwrap_or_else(|error| panic!("{error}\nin: {sql}"))
        .into_iter()
        .filter_map(|message| match message {
            postgres::SimpleQueryMessage::Row(row) => {
                let cells: Vec<Option<&str>> = (0..row.len()).map(|i| row.get(i)).collect();
                super::statement::read(&cells, both)
            }
            _ => None,
        })
        .collect()
}

/// Rows that were filled and rows that the engine counted, by a trigger of the user's own.
pub fn count_fillings(db: &Db) {
    db.run(
        "CREATE TABLE filled (id bigint);
         CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN INSERT INTO filled VALUES (NEW.id); RETURN NULL; END $$;
         CREATE TRIGGER note AFTER UPDATE ON t FOR EACH ROW
         WHEN (current_setting('application_name') IN ('torture driver', 'pg_migrate worker')) EXECUTE FUNCTION note()",
    );
}

/// Which columns are there to look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Columns {
    pub old: bool,
    pub new: bool,
    /// Every row must be filled.
    pub finished: bool,
    /// An ALTER TABLE has written every row anew.
    pub rewritten: bool,
}

/// What is wrong with the table, in words.
pub fn check(db: &Db, map: Mapping, book: &HashMap<i64, Row>, columns: Columns) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut add = |text: String| {
        if wrong.len() < 20 {
            wrong.push(text);
        }
    };
    // Without the old column its place is taken by the new one.
    let mut sql = COLUMNS.to_owned();
    if !columns.old {
        sql = sql.replace(", old", ", new");
    }
    if columns.new {
        sql.push_str(", new");
    }
    let count: i64 = db.one("SELECT count(*) FROM t");
    let found = rows(db, &format!("SELECT {sql} FROM t"), columns.new);
    if count != found.len() as i64 {
        add(format!("{count} rows have only {} keys", found.len()));
    }
    for (key, row) in &found {
        let Some(wanted) = book.get(key) else {
            add(format!(
                "key {key}: nobody wrote it, or it was deleted: {}",
                short(row)
            ));
            continue;
        };
        if (row.part, row.other, row.fat) != (wanted.part, wanted.other, wanted.fat) {
            add(format!(
                "key {key}: {} is to be {}",
                short(row),
                short(wanted)
            ));
        }
        if columns.old && row.old != wanted.old {
            add(format!(
                "key {key}: the old column of {} is to be {}",
                short(row),
                short(wanted)
            ));
        }
        if let New::Is(new) = &row.new {
            let right = if columns.finished {
                *new == wanted.in_the_end(map)
                    || columns.rewritten && new.is_none() && wanted.is_doubtful(map)
            } else {
                wanted.may_hold(map, new)
            };
            if !right {
                add(format!(
                    "key {key}: the new column of {} is to be {}",
                    short(row),
                    short(wanted)
                ));
            }
        }
    }
    for key in book.keys().filter(|key| !found.contains_key(key)) {
        add(format!("key {key}: was written, is gone"));
    }
    let untouched: i64 = db.one(
        "SELECT count(*) FROM t WHERE kept IS DISTINCT FROM 'k' || id OR pad !~ '^p+$'
         OR fat <> repeat(split_part(left(fat, 30), '-', 1) || '-', length(fat) / (length(split_part(left(fat, 30), '-', 1)) + 1))",
    );
    if untouched > 0 {
        add(format!("{untouched} rows have other columns changed"));
    }
    wrong.extend(amcheck(db));
    wrong
}

/// Heap and indexes as PostgreSQL's own checker sees them.
fn amcheck(db: &Db) -> Vec<String> {
    let leaves = db.rows(
        "SELECT c.oid::regclass FROM pg_partition_tree('t') p JOIN pg_class c ON c.oid = p.relid WHERE c.relkind = 'r'
         UNION SELECT c.oid::regclass FROM pg_class c WHERE c.relname = 't' AND c.relkind = 'r'",
    );
    let mut wrong = Vec::new();
    for leaf in leaves.into_iter().flatten() {
        let heap = db.rows(&format!(
            "SELECT blkno, offnum, msg FROM verify_heapam('{leaf}', check_toast => true) LIMIT 3"
        ));
        wrong.extend(
            heap.into_iter()
                .map(|row| format!("verify_heapam({leaf}): {row:?}")),
        );
        let check = format!(
            "SELECT bt_index_check(i.indexrelid, true) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
             JOIN pg_am a ON a.oid = c.relam WHERE i.indrelid = '{leaf}'::regclass AND a.amname = 'btree' AND i.indisvalid"
        );
        if let Err(error) = db.connect().simple_query(&check) {
            wrong.push(format!(
                "bt_index_check on {leaf}: {}",
                crate::Failure::from(&error)
            ));
        }
    }
    wrong
}
