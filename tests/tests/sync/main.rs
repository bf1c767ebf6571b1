//! The sync trigger and the touch trigger: each rule, each way in, and what would lose data without.

mod by_hand;
mod definition;
mod expressions;
mod integrity;
mod rewrites;
mod rules;
mod session;
mod sides;
mod touch;
mod types;
mod ways_in;

use pg_migrate_tests::{Db, cluster};

fn users() -> Db {
    let db = cluster().database();
    db.run(
        "CREATE TABLE users (id int PRIMARY KEY, username text, n int NOT NULL DEFAULT 0);
         INSERT INTO users VALUES (1, 'ann'), (2, 'bob'), (3, NULL);
         ALTER TABLE users ADD COLUMN email text",
    );
    db
}

/// A lossy pair: `price` numeric, `whole` int, and `none` for no price at all.
fn prices() -> Db {
    let db = cluster().database();
    db.run(
        "CREATE TABLE m (id int PRIMARY KEY, price numeric, note text);
         INSERT INTO m VALUES (1, 1.7), (2, 2.2), (3, 3.6);
         ALTER TABLE m ADD COLUMN whole int",
    );
    db.run("SELECT migrate.sync_column_trigger('m', 'price', 'whole', 'round(price)', 'coalesce(whole, -1)')");
    db
}

fn sync_users(db: &Db) {
    db.run("SELECT migrate.sync_column_trigger('users', 'username', 'email')");
}

fn row(db: &Db, sql: &str) -> String {
    db.rows(sql)
        .first()
        .map_or(String::new(), |row| row.join(" "))
}

fn pair(db: &Db, id: i32) -> String {
    row(
        db,
        &format!("SELECT username, email FROM users WHERE id = {id}"),
    )
}

fn price(db: &Db, id: i32) -> String {
    row(db, &format!("SELECT price, whole FROM m WHERE id = {id}"))
}

/// Runs a backfill to its end.
fn fill(db: &Db, table: &str, column: &str, expression: &str, predicate: &str) {
    let mut client = db.connect();
    let set = serde_json::json!({ column: expression }).to_string();
    let job: i64 = client
        .query_one(
            "SELECT migrate.backfill($1::text::regclass, $2::text, $3)",
            &[&table, &set, &predicate],
        )
        .expect("a job")
        .get(0);
    for _ in 0..1000 {
        let batch = client
            .query_one("SELECT done FROM migrate.backfill_batch($1)", &[&job])
            .expect("a batch");
        if batch.get::<_, bool>(0) {
            return;
        }
    }
    panic!("the backfill does not end");
}
