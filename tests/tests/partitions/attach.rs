//! attach_partition, create_partition and detach_partition.

use crate::*;

const RICH: &str = "
    ALTER TABLE orders ADD PRIMARY KEY (id, at, region);
    CREATE INDEX ON orders (amount DESC) WHERE amount > 3;
    ALTER TABLE orders ADD CONSTRAINT customer FOREIGN KEY (customer) REFERENCES customers;
    ALTER TABLE orders ADD CONSTRAINT positive CHECK (amount >= 0)";

const APRIL: &str = "
    CREATE TABLE april (amount int, customer bigint, note text, at date, region text, id bigint);
    INSERT INTO april SELECT 5, 7, 'april', date '2026-04-01' + g % 30, 'eu', 100000 + g FROM generate_series(1, 3000) g;
    ANALYZE april";

const ATTACH: &str =
    "ALTER TABLE orders ATTACH PARTITION april FOR VALUES FROM ('2026-04-01') TO ('2026-05-01')";

#[track_caller]
fn without_april(db: &Db) -> TrafficSpec {
    assert_eq!(db.one::<i64>("SELECT count(*) FROM april"), 3000);
    writers(&[("note", Role::Old)])
}

#[test]
fn a_table_becomes_a_partition() {
    let fixture = format!("{ORDERS};{RICH};{APRIL}");
    let db = cluster().database();
    db.run(&fixture);
    let document = format!("-- migrate:revision 1\n{ATTACH};");
    rehearsed(&db, &document);
    let before = fingerprint(&db);
    let traffic = Traffic::start(&db, without_april(&db));
    apply(&db, &document);
    db.run("CALL migrate.upgrade()");
    let needed = "ALTER TABLE april ALTER id SET NOT NULL, ALTER region SET NOT NULL, ALTER at SET NOT NULL, ADD CONSTRAINT positive CHECK (amount >= 0)";
    let expected = plain(&format!("{fixture};{needed}"), ATTACH);
    same("attached", &expected, &fingerprint(&db));
    assert_eq!(
        db.one::<i64>("SELECT count(*) FROM orders WHERE note = 'april'"),
        3000
    );
    db.run("CALL migrate.downgrade('base')");
    same("taken back", &before, &fingerprint(&db));
    db.run("CALL migrate.upgrade()");
    same("attached again", &expected, &fingerprint(&db));
    db.run("DELETE FROM orders WHERE note = 'april'");
    agrees(&db, &traffic.stop(), &[("note", Role::Old)]);
}

/// Runs the steps by hand and gives how many rows each of them has read, and its text.
fn reads(db: &Db) -> Vec<(i64, String)> {
    let read = || -> i64 {
        db.one("SELECT coalesce(sum(seq_tup_read + coalesce(idx_tup_fetch, 0)), 0)::bigint FROM (SELECT pg_stat_force_next_flush()) f, pg_stat_user_tables")
    };
    db.rows("SELECT phase || ' ' || kind || ': ' || sql FROM migrate.step WHERE state = 'queued' ORDER BY step")
        .concat()
        .into_iter()
        .map(|step| {
            let before = read();
            let (_, sql) = step.split_once(": ").unwrap();
            db.run(sql);
            (read() - before, sql.to_owned())
        })
        .collect()
}

#[test]
fn attach_itself_reads_no_row() {
    let db = cluster().database();
    db.run(&format!("{ORDERS};{RICH};{APRIL}"));
    apply(&db, &format!("-- migrate:revision 1\n{ATTACH};"));
    let read = reads(&db);
    let (rows, sql) = read.last().unwrap();
    assert!(
        sql.starts_with(&format!(
            "ALTER TABLE public.{}",
            &ATTACH["ALTER TABLE ".len()..]["".len()..]
                .replace("PARTITION april", "PARTITION public.april")
        )),
        "{sql}"
    );
    assert_eq!(*rows, 0, "{sql}");
    assert!(
        read.iter()
            .any(|(rows, sql)| *rows >= 3000 && sql.contains("april VALIDATE")),
        "{read:#?}"
    );
    assert!(
        db.rows("SELECT 1 FROM pg_constraint WHERE conname LIKE '%pgm%'")
            .is_empty()
    );

    for (table, others, bounds, rows) in [
        (
            "(a int, b text) PARTITION BY HASH (a)",
            "CREATE TABLE o PARTITION OF t FOR VALUES WITH (MODULUS 2, REMAINDER 0)",
            "FOR VALUES WITH (MODULUS 2, REMAINDER 1)",
            "SELECT g, 'x' FROM generate_series(1, 3000) g WHERE satisfies_hash_partition('t'::regclass, 2, 1, g)",
        ),
        (
            "(a int, b text) PARTITION BY LIST (b)",
            "CREATE TABLE o PARTITION OF t DEFAULT; INSERT INTO t VALUES (1, 'z')",
            "FOR VALUES IN ('x', NULL)",
            "SELECT g, CASE WHEN g % 2 = 0 THEN 'x' END FROM generate_series(1, 3000) g",
        ),
        (
            "(a int, b text) PARTITION BY RANGE (lower(b), a)",
            "CREATE TABLE o PARTITION OF t FOR VALUES FROM ('p', 1) TO ('q', MAXVALUE)",
            "FOR VALUES FROM ('x', MINVALUE) TO ('y', 5)",
            "SELECT g, 'X' FROM generate_series(1, 3000) g",
        ),
        (
            "(a int, b text) PARTITION BY LIST (b)",
            "CREATE TABLE o PARTITION OF t FOR VALUES IN ('p'); CREATE TABLE q PARTITION OF t FOR VALUES IN (NULL)",
            "DEFAULT",
            "SELECT g, 'X' FROM generate_series(1, 3000) g",
        ),
    ] {
        let db = cluster().database();
        db.run(&format!("CREATE TABLE t {table}; {others}; CREATE TABLE n (a int, b text); INSERT INTO n {rows}; ANALYZE"));
        let count: i64 = db.one("SELECT count(*) FROM n");
        assert!(count > 1000);
        apply(
            &db,
            &format!("-- migrate:revision 1\nALTER TABLE t ATTACH PARTITION n {bounds};"),
        );
        let read = reads(&db);
        let (rows, sql) = read.last().unwrap();
        assert!(
            sql.contains("ATTACH PARTITION") && *rows == 0,
            "{bounds}: {rows} rows read by {sql}\n{read:#?}"
        );
        assert_eq!(
            db.one::<i64>("SELECT count(*) FROM t WHERE a > 0"),
            count + db.one::<i64>("SELECT count(*) FROM o")
        );
        rehearsed(
            &db,
            "-- migrate:revision 2 after 1\nALTER TABLE t DETACH PARTITION n;",
        );
    }
}

/// Bounds that no CHECK proves: said in the plan, and refused where a default partition would be read.
#[test]
fn bounds_by_another_collation_are_read_by_attach() {
    let db = cluster().database();
    db.run("CREATE TABLE t (b text) PARTITION BY HASH (b); CREATE TABLE n (b text); INSERT INTO n VALUES ('x')");
    let plan = db.rows("SELECT lock, scans, warning FROM migrate.plan('ALTER TABLE t ATTACH PARTITION n FOR VALUES WITH (MODULUS 1, REMAINDER 0)')");
    assert_eq!(plan.len(), 1);
    // The strongest lock: that on the new partition.
    assert_eq!(plan[0][..2], ["ACCESS EXCLUSIVE", "t"]);
    assert!(
        plan[0][2].starts_with("reads public.n under a lock on it"),
        "{plan:?}"
    );
    db.run("CREATE TABLE c (b text) PARTITION BY RANGE (b COLLATE \"POSIX\"); CREATE TABLE d PARTITION OF c DEFAULT");
    let attach = "SELECT scans FROM migrate.plan($m$ALTER TABLE c ATTACH PARTITION n FOR VALUES FROM ('x') TO ('z')$m$)";
    assert_eq!(db.rows(attach), [["t"]]);
    db.run("INSERT INTO c VALUES ('a')");
    let failure = db.error(attach);
    assert!(
        failure
            .message
            .contains("ATTACH would read default partition public.d"),
        "{failure}"
    );
}

/// A table with partitions of its own, to the second level of another.
#[test]
fn a_partitioned_table_becomes_a_partition_of_a_partition() {
    let db = cluster().database();
    let asia = "CREATE TABLE asia (LIKE orders) PARTITION BY HASH (id);
        CREATE TABLE asia_0 PARTITION OF asia FOR VALUES WITH (MODULUS 2, REMAINDER 0);
        CREATE TABLE asia_1 PARTITION OF asia FOR VALUES WITH (MODULUS 2, REMAINDER 1);
        INSERT INTO asia SELECT 100000 + g, 'asia', '2026-02-02', 7, 'asia', 7 FROM generate_series(1, 3000) g;
        ALTER TABLE asia ADD CONSTRAINT positive CHECK (amount >= 0); ANALYZE asia";
    let fixture = format!("{ORDERS};{RICH};{asia}");
    db.run(&fixture);
    let attach = "ALTER TABLE orders_feb ATTACH PARTITION asia FOR VALUES IN ('asia')";
    let document = format!("-- migrate:revision 1\n{attach};");
    rehearsed(&db, &document);
    apply(&db, &document);
    let read = reads(&db);
    let (rows, sql) = read
        .iter()
        .rev()
        .find(|(_, sql)| sql.contains("ATTACH PARTITION public.asia FOR"))
        .unwrap();
    assert_eq!(*rows, 0, "{sql}");
    same("attached", &plain(&fixture, attach), &fingerprint(&db));
}

#[test]
fn a_new_partition_locks_nobody_out() {
    let db = cluster().database();
    let fixture = format!("{ORDERS};{RICH}");
    db.run(&fixture);
    let create = "CREATE TABLE orders_apr PARTITION OF orders FOR VALUES FROM ('2026-04-01') TO ('2026-05-01')";
    let expected = plain(&fixture, create);
    let plan = db.rows(&format!(
        "SELECT lock FROM migrate.plan($${create}$$) WHERE sql LIKE '%ATTACH%'"
    ));
    // The strongest lock: that on the new partition, which nobody uses yet.
    assert_eq!(plan, [["ACCESS EXCLUSIVE"]]);
    life(&db, &format!("-- migrate:revision 1\n{create};"), &expected);
    db.run("INSERT INTO orders VALUES (1000000, 'eu', '2026-04-04', 1, 'x', 1)");
    assert_eq!(db.one::<i64>("SELECT count(*) FROM orders_apr"), 1);
    db.run("CALL migrate.downgrade('base')");
    assert_eq!(
        db.one::<i64>("SELECT count(*) FROM orders WHERE id = 1000000"),
        0
    );
}

const SALES: &str = "
    CREATE TABLE customers (id bigint PRIMARY KEY, name text); INSERT INTO customers SELECT g FROM generate_series(1, 100) g;
    CREATE TABLE sales (id bigint, at date NOT NULL, customer bigint REFERENCES customers, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
    CREATE INDEX mine ON sales (customer);
    CREATE TABLE sales_1 PARTITION OF sales FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
    CREATE TABLE sales_2 PARTITION OF sales FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
    INSERT INTO sales SELECT g, date '2026-01-01' + g % 59, 1 + g % 100 FROM generate_series(1, 5000) g; ANALYZE";

#[test]
fn a_partition_is_detached_concurrently() {
    let db = cluster().database();
    db.run(SALES);
    let detach = "ALTER TABLE sales DETACH PARTITION sales_1";
    let expected = plain(SALES, detach);
    let document = format!("-- migrate:revision 1\n{detach};");
    rehearsed(&db, &document);
    let before = fingerprint(&db);
    apply(&db, &document);
    assert_eq!(
        steps(&db)[0],
        "contract concurrent: ALTER TABLE public.sales DETACH PARTITION public.sales_1 CONCURRENTLY"
    );
    db.run("CALL migrate.upgrade()");
    same("nothing before the contract", &before, &fingerprint(&db));
    db.run("CALL migrate.contract('1')");
    same("detached", &expected, &fingerprint(&db));
    db.run("CALL migrate.downgrade('base')");
    same("attached again", &before, &fingerprint(&db));
    db.run("CALL migrate.upgrade()");
    db.run("CALL migrate.contract('1')");
    same("detached again", &expected, &fingerprint(&db));
}

/// Ended between its two transactions: finished by the next call.
#[test]
fn an_interrupted_detach_is_finished() {
    let db = cluster().database();
    db.run(SALES);
    let detach = "ALTER TABLE sales DETACH PARTITION sales_1";
    apply(&db, &format!("-- migrate:revision 1\n{detach};"));
    db.run("CALL migrate.upgrade()");
    let mut reader = db.connect();
    reader
        .batch_execute("BEGIN; SELECT count(*) FROM sales")
        .unwrap();
    let contract = std::thread::spawn({
        let db = db.clone();
        move || db.connect().batch_execute("CALL migrate.contract('1')")
    });
    let pending = "SELECT coalesce(bool_or(inhdetachpending), false) FROM pg_inherits WHERE inhparent = 'sales'::regclass";
    db.wait_for("the first half", 60, pending);
    db.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'pg_migrate worker'");
    contract.join().unwrap().unwrap_err();
    assert!(db.one::<bool>(pending));
    reader.batch_execute("COMMIT").unwrap();
    db.run("CALL migrate.contract('1')");
    same("detached", &plain(SALES, detach), &fingerprint(&db));
}

#[test]
fn with_a_default_partition_it_is_brief() {
    let db = orders();
    let detach = "ALTER TABLE orders DETACH PARTITION orders_rest";
    let plan = db.rows(&format!(
        "SELECT lock, warning FROM migrate.plan('{detach}')"
    ));
    assert_eq!(plan[0][0], "ACCESS EXCLUSIVE");
    assert!(
        plan[0][1].contains("a default partition (public.orders_rest)"),
        "{plan:?}"
    );
    let expected = plain(ORDERS, detach);
    let document = format!("-- migrate:revision 1\n{detach};");
    rehearsed(&db, &document);
    let before = fingerprint(&db);
    apply(&db, &document);
    db.run("CALL migrate.contract('1')");
    same("detached", &expected, &fingerprint(&db));
    db.run("CALL migrate.downgrade('base')");
    same("attached again", &before, &fingerprint(&db));
}

#[test]
fn what_does_not_fit_is_named() {
    let db = orders();
    db.run(
        "CREATE TABLE a (id bigint, region varchar(10), at date, amount int, extra int);
         CREATE TABLE b (LIKE orders); INSERT INTO b SELECT * FROM orders_rest;
         CREATE TABLE c (LIKE orders)",
    );
    let fails = |sql: &str| db.error(&format!("SELECT migrate.apply($m${sql}$m$, '1')"));
    let failure = fails(
        "ALTER TABLE orders ATTACH PARTITION a FOR VALUES FROM ('2027-01-01') TO ('2028-01-01')",
    );
    assert_eq!(
        failure.message,
        "table public.a does not fit partitioned table public.orders"
    );
    assert_eq!(
        failure
            .detail
            .lines()
            .next()
            .unwrap()
            .split(" (in ")
            .next()
            .unwrap(),
        "column \"region\" is character varying(10), not text; column \"note\" is missing; column \"customer\" is missing; column \"extra\" is not in public.orders"
    );
    assert!(
        failure
            .hint
            .contains("ADD COLUMN note text, ADD COLUMN customer bigint"),
        "{failure}"
    );
    let failure = fails(
        "ALTER TABLE orders ATTACH PARTITION c FOR VALUES FROM ('2026-01-15') TO ('2026-01-20')",
    );
    assert!(
        failure
            .message
            .contains("\"c\" would overlap partition \"orders_jan\""),
        "{failure}"
    );
    let failure = fails(
        "ALTER TABLE orders ATTACH PARTITION orders_jan FOR VALUES FROM ('2027-01-15') TO ('2027-01-20')",
    );
    assert!(
        failure
            .message
            .contains("is a partition of public.orders already"),
        "{failure}"
    );
    let failure = fails("ALTER TABLE c ATTACH PARTITION a DEFAULT");
    assert!(
        failure.message.contains("public.c is not partitioned"),
        "{failure}"
    );
    let failure = fails("ALTER TABLE orders DETACH PARTITION orders_feb_eu");
    assert!(
        failure
            .message
            .contains("is not a partition of public.orders"),
        "{failure}"
    );
    assert!(failure.hint.contains("public.orders_feb"), "{failure}");
    let failure = db.error(r#"SELECT migrate.plan('{"operations": [{"attach_partition": {"table": "orders", "partition": "c", "bounds": "FROM (1)"}}]}')"#);
    assert!(
        failure.message.contains("are no bounds of a partition"),
        "{failure}"
    );
    // Rows that are not within the bounds, and rows of the default partition that would be.
    let before = fingerprint(&db);
    apply(
        &db,
        "-- migrate:revision 1\nALTER TABLE orders ATTACH PARTITION c FOR VALUES FROM ('2026-03-01') TO ('2026-05-01');",
    );
    let failure = db.error("CALL migrate.upgrade()");
    assert!(
        failure
            .message
            .contains("rows of default partition public.orders_rest"),
        "{failure}"
    );
    db.run("CALL migrate.downgrade('base')");
    same("taken back", &before, &fingerprint(&db));
    let db = orders();
    db.run("CREATE TABLE c (LIKE orders); INSERT INTO c VALUES (1, 'eu', '2027-07-07')");
    let before = fingerprint(&db);
    apply(
        &db,
        "-- migrate:revision 1\nALTER TABLE orders ATTACH PARTITION c FOR VALUES FROM ('2027-03-01') TO ('2027-05-01');",
    );
    let failure = db.error("CALL migrate.upgrade()");
    assert!(
        failure
            .message
            .contains("\"c_pgm_bounds\" of relation \"c\" is violated by some row"),
        "{failure}"
    );
    db.run("CALL migrate.downgrade('base')");
    same("taken back", &before, &fingerprint(&db));
}
