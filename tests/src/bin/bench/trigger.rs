//! What the sync trigger adds to each row that is written, beside plpgsql ones.

use crate::report::Report;
use pg_migrate_tests::Cluster;
use std::time::Instant;

const ROWS: u32 = 200_000;

pub fn run(cluster: &Cluster, report: &mut Report) {
    let mut client = cluster.database().connect();
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
    report.heading("Sync trigger");
    report.say("Time added to each row, in microseconds; best of 3.");
    let mut bare = (0.0, 0.0);
    let mut rows = Vec::new();
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
        let each = |time: f64| format!("{:.2}", time * 1e6 / f64::from(ROWS));
        if number == 0 {
            bare = best;
            let name = format!("{name} (the statement itself)");
            rows.push(vec![name, each(best.0), each(best.1)]);
        } else {
            let (insert, update) = (best.0 - bare.0, best.1 - bare.1);
            rows.push(vec![name.to_owned(), each(insert), each(update)]);
        }
    }
    report.table(&["trigger", "INSERT", "UPDATE"], &rows);
}
