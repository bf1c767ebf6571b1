//! Ways to fill `email` from `username`.

use pg_migrate_tests::Db;
use postgres::Client;

pub struct Method {
    pub name: &'static str,
    pub run: fn(&Db),
}

pub const ALL: [Method; 6] = [
    ONE_UPDATE,
    Method {
        name: "keyset, 10,000 rows a batch",
        run: keyset,
    },
    Method {
        name: "IN (… LIMIT 10000 FOR UPDATE SKIP LOCKED)",
        run: skip_locked,
    },
    OURS,
    Method {
        name: "pg_migrate, 10 stripes",
        run: |db| ours(db, ", stripes => 10", ""),
    },
    Method {
        name: "pg_migrate, 2 workers",
        run: |db| ours(db, "", ", 2"),
    },
];

pub const ONE_UPDATE: Method = Method {
    name: "one UPDATE",
    run: |db| db.run("UPDATE t SET email = username"),
};

pub const OURS: Method = Method {
    name: "pg_migrate",
    run: |db| ours(db, "", ""),
};

fn ours(db: &Db, options: &str, more: &str) {
    let job: i64 = db.one(&format!(
        "SELECT migrate.backfill('t', 'email = username', 'email IS NULL'{options})"
    ));
    db.run(&format!("CALL migrate.run_backfill({job}{more})"));
}

/// Batches as they are usually written, each a transaction.
fn batches(client: &mut Client, sql: &str) {
    let batch = client.prepare(sql).unwrap();
    let mut last: i64 = 0;
    while let Some(id) = client
        .query_one(&batch, &[&last])
        .unwrap()
        .get::<_, Option<i64>>(0)
    {
        last = id;
    }
}

fn keyset(db: &Db) {
    batches(
        &mut db.connect(),
        "WITH batch AS (SELECT id FROM t WHERE id > $1 ORDER BY id LIMIT 10000),
              done AS (UPDATE t SET email = username FROM batch WHERE t.id = batch.id)
         SELECT max(id) FROM batch",
    );
}

fn skip_locked(db: &Db) {
    batches(
        &mut db.connect(),
        "WITH done AS (UPDATE t SET email = username WHERE id IN (
                 SELECT id FROM t WHERE email IS NULL AND $1 >= 0 LIMIT 10000 FOR UPDATE SKIP LOCKED)
             RETURNING id)
         SELECT max(id) FROM done",
    );
}
