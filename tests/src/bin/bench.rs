//! `make bench`: what a backfill and the sync trigger cost beside the plain ways to do the same,
//! as ratios measured in one run. `BENCH_ROWS` sets the size (default 1,000,000).

use pg_migrate_tests::{Cluster, Db};
use postgres::Client;
use std::time::{Duration, Instant};

/// What one method of filling the column did.
struct Measure {
    name: &'static str,
    time: Duration,
    wal: f64,
    heap: f64,
    hot: f64,
}

type Method = fn(&mut Client);

fn main() {
    let rows: i64 = std::env::var("BENCH_ROWS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(1_000_000);
    let cluster = Cluster::with(&[
        ("shared_buffers", "512MB"),
        ("max_wal_size", "8GB"),
        ("checkpoint_timeout", "30min"),
        ("autovacuum", "off"),
    ]);
    println!("backfill of {rows} rows of about 150 bytes with 3 indexes (ratios to one UPDATE)\n");
    let methods: [(&'static str, Method); 3] = [
        ("one UPDATE", one_update),
        ("keyset, 10,000 rows a batch", keyset),
        ("pg_migrate", ours),
    ];
    let measured: Vec<Measure> = methods
        .into_iter()
        .map(|(name, method)| measure(&cluster.database(), rows, name, method))
        .collect();
    println!(
        "{:<28} {:>8} {:>7} {:>10} {:>7} {:>7} {:>6}",
        "method", "seconds", "speed", "WAL B/row", "ratio", "heap", "HOT"
    );
    for m in &measured {
        println!(
            "{:<28} {:>8.1} {:>6.2}x {:>10.0} {:>6.2}x {:>6.2}x {:>5.0}%",
            m.name,
            m.time.as_secs_f64(),
            measured[0].time.as_secs_f64() / m.time.as_secs_f64(),
            m.wal,
            m.wal / measured[0].wal,
            m.heap,
            m.hot
        );
    }
    triggers(&cluster.database());
    builds(&cluster.database(), rows);
    guard(&cluster.database());
}

fn prepare(db: &Db, rows: i64) -> Client {
    let mut client = db.connect();
    client
        .batch_execute(&format!(
            "CREATE TABLE t (id bigint PRIMARY KEY, username text NOT NULL, r double precision, filler text, email text);
             INSERT INTO t SELECT i, 'user_' || i, random(), repeat('x', 90), NULL FROM generate_series(1, {rows}) i;
             CREATE INDEX ON t (username); CREATE INDEX ON t (r);"
        ))
        .unwrap();
    client.batch_execute("VACUUM (ANALYZE) t").unwrap();
    client.batch_execute("CHECKPOINT").unwrap();
    client
}

fn measure(db: &Db, rows: i64, name: &'static str, method: Method) -> Measure {
    let mut client = prepare(db, rows);
    let number =
        |client: &mut Client, sql: &str| -> f64 { client.query_one(sql, &[]).unwrap().get(0) };
    let heap = number(&mut client, "SELECT pg_relation_size('t')::float8");
    let wal = number(
        &mut client,
        "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::float8",
    );
    let begun = Instant::now();
    method(&mut client);
    let time = begun.elapsed();
    let wal = number(
        &mut client,
        "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::float8",
    ) - wal;
    let wrong: i64 = client
        .query_one(
            "SELECT count(*) FROM t WHERE email IS DISTINCT FROM username",
            &[],
        )
        .unwrap()
        .get(0);
    assert_eq!(wrong, 0, "{name} left {wrong} rows unfilled");
    client
        .batch_execute("SELECT pg_stat_force_next_flush()")
        .unwrap();
    let hot = number(
        &mut client,
        "SELECT coalesce(100.0 * n_tup_hot_upd / nullif(n_tup_upd, 0), 0)::float8 FROM pg_stat_user_tables WHERE relname = 't'",
    );
    let heap = number(&mut client, "SELECT pg_relation_size('t')::float8") / heap;
    #[allow(clippy::cast_precision_loss)]
    let wal = wal / rows as f64;
    Measure {
        name,
        time,
        wal,
        heap,
        hot,
    }
}

fn one_update(client: &mut Client) {
    client
        .batch_execute("UPDATE t SET email = username")
        .unwrap();
}

fn keyset(client: &mut Client) {
    let mut last: i64 = 0;
    loop {
        let row = client
            .query_one(
                "WITH batch AS (SELECT id FROM t WHERE id > $1 ORDER BY id LIMIT 10000),
                      done AS (UPDATE t SET email = username FROM batch WHERE t.id = batch.id)
                 SELECT max(id) FROM batch",
                &[&last],
            )
            .unwrap();
        match row.get::<_, Option<i64>>(0) {
            Some(id) => last = id,
            None => return,
        }
    }
}

fn ours(client: &mut Client) {
    let job: i64 = client
        .query_one(
            "SELECT migrate.backfill('t', '{\"email\": \"username\"}'::jsonb, 'email IS NULL')",
            &[],
        )
        .unwrap()
        .get(0);
    client
        .batch_execute(&format!("CALL migrate.run_backfill({job})"))
        .unwrap();
}

/// Per-row cost of the sync trigger on INSERT and UPDATE beside plpgsql ones.
fn triggers(db: &Db) {
    const ROWS: u32 = 200_000;
    let mut client = db.connect();
    client
        .batch_execute(
            "CREATE FUNCTION one_way() RETURNS trigger LANGUAGE plpgsql AS $$
             BEGIN NEW.b := NEW.a; RETURN NEW; END $$;
             CREATE FUNCTION two_ways() RETURNS trigger LANGUAGE plpgsql AS $$
             BEGIN
               IF TG_OP = 'INSERT' THEN
                 IF NEW.b IS NULL THEN NEW.b := NEW.a; ELSIF NEW.a IS NULL THEN NEW.a := NEW.b; END IF;
               ELSIF NEW.b IS DISTINCT FROM OLD.b THEN NEW.a := NEW.b;
               ELSIF NEW.a IS DISTINCT FROM OLD.a OR NEW.b IS NULL THEN NEW.b := NEW.a;
               END IF;
               RETURN NEW;
             END $$;",
        )
        .unwrap();
    let variants = [
        ("no trigger", ""),
        (
            "pg_migrate",
            "SELECT migrate.sync_column_trigger('s', 'a', 'b')",
        ),
        (
            "plpgsql, one way",
            "CREATE TRIGGER x BEFORE INSERT OR UPDATE ON s FOR EACH ROW EXECUTE FUNCTION one_way()",
        ),
        (
            "plpgsql, two ways",
            "CREATE TRIGGER x BEFORE INSERT OR UPDATE ON s FOR EACH ROW EXECUTE FUNCTION two_ways()",
        ),
    ];
    println!("\nsync trigger: time added to each row, in microseconds (best of 3)\n");
    println!("{:<20} {:>8} {:>8}", "trigger", "INSERT", "UPDATE");
    let mut bare = (0.0, 0.0);
    for (number, (name, install)) in variants.into_iter().enumerate() {
        let mut best = (f64::MAX, f64::MAX);
        for _ in 0..3 {
            client
                .batch_execute("DROP TABLE IF EXISTS s; CREATE UNLOGGED TABLE s (id int, a text, b text) WITH (fillfactor = 50)")
                .unwrap();
            client.batch_execute(install).unwrap();
            let begun = Instant::now();
            client
                .batch_execute(&format!("INSERT INTO s (id, a) SELECT i, 'value ' || i FROM generate_series(1, {ROWS}) i"))
                .unwrap();
            best.0 = f64::min(best.0, begun.elapsed().as_secs_f64());
            let begun = Instant::now();
            client.batch_execute("UPDATE s SET a = a || '!'").unwrap();
            best.1 = f64::min(best.1, begun.elapsed().as_secs_f64());
        }
        let each = |time: f64| time * 1e6 / f64::from(ROWS);
        if number == 0 {
            bare = best;
            println!(
                "{name:<20} {:>8.2} {:>8.2}  (the statement itself)",
                each(best.0),
                each(best.1)
            );
        } else {
            println!(
                "{name:<20} {:>8.2} {:>8.2}",
                each(best.0 - bare.0),
                each(best.1 - bare.1)
            );
        }
    }
}

/// A whole rename beside the same by hand.
fn builds(db: &Db, rows: i64) {
    let mut client = prepare(db, rows);
    client
        .batch_execute("ALTER TABLE t DROP COLUMN email")
        .unwrap();
    client
        .batch_execute("SELECT migrate.apply('-- migrate:revision 1\nALTER TABLE t RENAME COLUMN username TO email;')")
        .unwrap();
    let begun = Instant::now();
    client.batch_execute("CALL migrate.upgrade()").unwrap();
    let upgrade = begun.elapsed();
    let begun = Instant::now();
    client.batch_execute("CALL migrate.contract('1')").unwrap();
    println!(
        "\nwhole rename of a column with an index, {rows} rows: expand to expanded {:.1} s, contract {:.2} s",
        upgrade.as_secs_f64(),
        begun.elapsed().as_secs_f64()
    );
}

/// What the guard costs where it has nothing to say: the median of rounds in which the three kinds
/// of session take turns.
fn guard(db: &Db) {
    const ROUNDS: usize = 15;
    const STATEMENTS: u32 = 2000;
    db.run("CREATE TABLE guarded (id int PRIMARY KEY, a int); INSERT INTO guarded SELECT g, g FROM generate_series(1, 1000) g");
    let sessions = [
        "",
        "LOAD 'pg_migrate'",
        "LOAD 'pg_migrate'; SET migrate.guard = 'error'",
    ];
    let mut clients: Vec<Client> = sessions
        .iter()
        .map(|settings| {
            let mut client = db.connect();
            client.batch_execute(settings).unwrap();
            client
        })
        .collect();
    println!("\nguard: microseconds a statement (library not loaded, off, error)\n");
    for (name, statement) in [
        ("SELECT by key", "SELECT a FROM guarded WHERE id = 7"),
        ("UPDATE by key", "UPDATE guarded SET a = 7 WHERE id = 7"),
        ("SET (a utility, no DDL)", "SET work_mem = '4MB'"),
    ] {
        let mut times = vec![Vec::new(); clients.len()];
        for _ in 0..ROUNDS {
            for (client, times) in clients.iter_mut().zip(&mut times) {
                let begun = Instant::now();
                for _ in 0..STATEMENTS {
                    client.batch_execute(statement).unwrap();
                }
                times.push(begun.elapsed().as_secs_f64() * 1e6 / f64::from(STATEMENTS));
            }
        }
        let median = |times: &mut Vec<f64>| {
            times.sort_by(f64::total_cmp);
            times[times.len() / 2]
        };
        let [absent, off, error] = [0, 1, 2].map(|at| median(&mut times[at]));
        println!(
            "{name:<28} {absent:>8.1} {off:>8.1} {error:>8.1}   {:>5.2}x {:>5.2}x",
            off / absent,
            error / absent
        );
    }
}
