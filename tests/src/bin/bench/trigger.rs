//! What the sync trigger adds to each row that is written, beside what one would write oneself: a
//! trigger in C, in plpgsql, a stored generated column.

use crate::report::{Report, ratio};
use pg_migrate_tests::{Cluster, Db};
use postgres::Client;
use std::path::{Path, PathBuf};
use std::process::Command;

const ROWS: u32 = 100_000;
/// Each variant is measured this often, in turn with the others; the least counts.
const ROUNDS: usize = 7;

/// What is done to the table `s`, and what its columns are.
struct Variant {
    name: &'static str,
    table: &'static str,
    install: &'static str,
}

const TEXTS: &str = "id int, a text, pad int DEFAULT 0, b text";
const NUMBERS: &str = "id int, a int, pad int DEFAULT 0, b int";

const NOTHING: &str =
    "CREATE TRIGGER x BEFORE INSERT OR UPDATE ON s FOR EACH ROW EXECUTE FUNCTION nothing_in_c()";

const COPIES: [Variant; 6] = [
    Variant {
        name: "no trigger",
        table: TEXTS,
        install: "",
    },
    Variant {
        name: "pg_migrate, both ways",
        table: TEXTS,
        install: "SELECT migrate.sync_column_trigger('s', 'a', 'b')",
    },
    Variant {
        name: "C, one way",
        table: TEXTS,
        install: "CREATE TRIGGER x BEFORE INSERT OR UPDATE ON s FOR EACH ROW EXECUTE FUNCTION copy_in_c()",
    },
    Variant {
        name: "C, does nothing",
        table: TEXTS,
        install: NOTHING,
    },
    Variant {
        name: "plpgsql, one way",
        table: TEXTS,
        install: "CREATE TRIGGER x BEFORE INSERT OR UPDATE ON s FOR EACH ROW EXECUTE FUNCTION one_way()",
    },
    Variant {
        name: "plpgsql, both ways",
        table: TEXTS,
        install: "CREATE TRIGGER x BEFORE INSERT OR UPDATE ON s FOR EACH ROW EXECUTE FUNCTION both_ways()",
    },
];

/// An expression over numbers and one over texts, each with no trigger, ours and a generated column.
const EXPRESSIONS: [(&str, [Variant; 4]); 2] = [
    (
        "a * 2 + 1",
        [
            Variant {
                name: "no trigger",
                table: NUMBERS,
                install: "",
            },
            Variant {
                name: "pg_migrate, both ways",
                table: NUMBERS,
                install: "SELECT migrate.sync_column_trigger('s', 'a', 'b', 'a * 2 + 1', '(b - 1) / 2')",
            },
            Variant {
                name: "stored generated column",
                table: "id int, a int, pad int DEFAULT 0, b int GENERATED ALWAYS AS (a * 2 + 1) STORED",
                install: "",
            },
            Variant {
                name: "C, does nothing",
                table: NUMBERS,
                install: NOTHING,
            },
        ],
    ),
    (
        "upper(a)",
        [
            Variant {
                name: "no trigger",
                table: TEXTS,
                install: "",
            },
            Variant {
                name: "pg_migrate, both ways",
                table: TEXTS,
                install: "SELECT migrate.sync_column_trigger('s', 'a', 'b', 'upper(a)', 'lower(b)')",
            },
            Variant {
                name: "stored generated column",
                table: "id int, a text, pad int DEFAULT 0, b text GENERATED ALWAYS AS (upper(a)) STORED",
                install: "",
            },
            Variant {
                name: "C, does nothing",
                table: TEXTS,
                install: NOTHING,
            },
        ],
    ),
];

const FUNCTIONS: &str = "
CREATE FUNCTION one_way() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN NEW.b := NEW.a; RETURN NEW; END $$;
CREATE FUNCTION both_ways() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.b IS NULL THEN NEW.b := NEW.a; ELSIF NEW.a IS NULL THEN NEW.a := NEW.b; END IF;
    ELSIF NEW.b IS DISTINCT FROM OLD.b THEN NEW.a := NEW.b;
    ELSIF NEW.a IS DISTINCT FROM OLD.a OR NEW.b IS NULL THEN NEW.b := NEW.a;
    END IF;
    RETURN NEW;
END $$";

/// The least that a trigger in C can do, with columns 2 and 4 of the table or with nothing.
const IN_C: &str = r#"
#include "postgres.h"
#include "access/htup_details.h"
#include "commands/trigger.h"
#include "fmgr.h"
#include "utils/rel.h"
PG_MODULE_MAGIC;
PG_FUNCTION_INFO_V1(copy_in_c);
Datum copy_in_c(PG_FUNCTION_ARGS)
{
    TriggerData *data = (TriggerData *) fcinfo->context;
    HeapTuple row = TRIGGER_FIRED_BY_UPDATE(data->tg_event) ? data->tg_newtuple : data->tg_trigtuple;
    int to = 4;
    bool null;
    Datum value = heap_getattr(row, 2, RelationGetDescr(data->tg_relation), &null);
    row = heap_modify_tuple_by_cols(row, RelationGetDescr(data->tg_relation), 1, &to, &value, &null);
    return PointerGetDatum(row);
}
PG_FUNCTION_INFO_V1(nothing_in_c);
Datum nothing_in_c(PG_FUNCTION_ARGS)
{
    TriggerData *data = (TriggerData *) fcinfo->context;
    return PointerGetDatum(TRIGGER_FIRED_BY_UPDATE(data->tg_event) ? data->tg_newtuple : data->tg_trigtuple);
}
"#;

/// Processor time that a session's process has used, in nanoseconds: what others do on the machine
/// does not count.
fn used(pid: i32) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/schedstat")).unwrap_or_default();
    let first = text.split(' ').next().and_then(|first| first.parse().ok());
    first.unwrap_or_else(|| panic!("/proc/{pid}/schedstat does not say"))
}

/// Folder of the server's headers, where they are installed and of this server's version.
fn headers(bin: &Path, version: &str) -> Option<PathBuf> {
    let candidates = [bin.join("pg_config"), PathBuf::from("pg_config")];
    candidates.iter().find_map(|program| {
        let says = |what: &str| {
            let output = Command::new(program).arg(what).output().ok()?;
            Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
        };
        let folder = PathBuf::from(says("--includedir-server")?);
        let same = says("--version")?.contains(version);
        (same && folder.join("postgres.h").exists()).then_some(folder)
    })
}

/// Compiles the trigger in C and makes it a function; `false` where that cannot be done.
fn make_in_c(db: &Db, client: &mut Client) -> bool {
    let version: String = client
        .query_one("SELECT split_part(version(), ' ', 2)", &[])
        .unwrap()
        .get(0);
    let folder = db.cluster().socket();
    let (source, library) = (folder.join("copy_in_c.c"), folder.join("copy_in_c.so"));
    let Some(headers) = headers(db.cluster().bin(), &version) else {
        return false;
    };
    if std::fs::write(&source, IN_C).is_err() {
        return false;
    }
    let compiled = Command::new("cc")
        .args(["-O2", "-fPIC", "-shared", "-I"])
        .arg(headers)
        .arg("-o")
        .args([&library, &source])
        .status();
    compiled.is_ok_and(|status| status.success())
        && client
            .batch_execute(&format!(
                "CREATE FUNCTION copy_in_c() RETURNS trigger LANGUAGE c AS '{0}';
                 CREATE FUNCTION nothing_in_c() RETURNS trigger LANGUAGE c AS '{0}'",
                library.display()
            ))
            .is_ok()
}

/// Microseconds per row of an INSERT, of an UPDATE of the old column, and of one of another column.
type Times = [f64; 3];

const VERBS: [&str; 3] = ["INSERT", "UPDATE a", "UPDATE other"];

fn once(client: &mut Client, pid: i32, variant: &Variant) -> Times {
    let value = if variant.table.contains("a int") {
        "i"
    } else {
        "'value ' || i"
    };
    client
        .batch_execute(&format!(
            "DROP TABLE IF EXISTS s; CREATE UNLOGGED TABLE s ({}) WITH (fillfactor = 30)",
            variant.table
        ))
        .unwrap();
    client.batch_execute(variant.install).unwrap();
    let change = if value == "i" { "a + 1" } else { "a || '!'" };
    [
        format!("INSERT INTO s (id, a) SELECT i, {value} FROM generate_series(1, {ROWS}) i"),
        format!("UPDATE s SET a = {change}"),
        "UPDATE s SET pad = pad + 1".to_owned(),
    ]
    .map(|sql| {
        let before = used(pid);
        client.batch_execute(&sql).unwrap();
        (used(pid) - before) / 1e3 / f64::from(ROWS)
    })
}

/// The least of some rounds, in which the variants take turns.
fn measure(client: &mut Client, variants: &[&Variant]) -> Vec<Times> {
    let pid: i32 = client
        .query_one("SELECT pg_backend_pid()", &[])
        .unwrap()
        .get(0);
    let mut best = vec![[f64::MAX; 3]; variants.len()];
    for _ in 0..ROUNDS {
        for (best, variant) in best.iter_mut().zip(variants) {
            let times = once(client, pid, variant);
            for (best, time) in best.iter_mut().zip(times) {
                *best = best.min(time);
            }
        }
    }
    best
}

/// What each variant adds to the first one.
fn added(times: &[Times]) -> Vec<Times> {
    times
        .iter()
        .map(|time| std::array::from_fn(|verb| time[verb] - times[0][verb]))
        .collect()
}

pub fn run(cluster: &Cluster, report: &mut Report) {
    let db = cluster.database();
    let mut client = db.connect();
    client.batch_execute(FUNCTIONS).unwrap();
    let in_c = make_in_c(&db, &mut client);
    report.heading("Sync trigger");
    report.say(&format!(
        "Processor time added to each row, in microseconds, over the statement without a trigger: {ROWS} rows \
         a statement, the least of {ROUNDS} rounds in which the variants take turns. \"UPDATE other\" writes \
         neither column.{}",
        if in_c {
            ""
        } else {
            " The server's headers or a C compiler are missing: no trigger in C."
        }
    ));
    let copies: Vec<&Variant> = COPIES
        .iter()
        .filter(|variant| in_c || !variant.name.starts_with("C,"))
        .collect();
    let times = measure(&mut client, &copies);
    copies_table(report, &copies, &times);
    for (expression, variants) in &EXPRESSIONS {
        let variants: Vec<&Variant> = variants
            .iter()
            .filter(|variant| in_c || !variant.name.starts_with("C,"))
            .collect();
        let times = measure(&mut client, &variants);
        expression_table(report, expression, &variants, &times);
    }
}

fn cells(times: &Times) -> Vec<String> {
    times.iter().map(|time| format!("{time:.2}")).collect()
}

fn row(name: &str, times: &Times, more: &[String]) -> Vec<String> {
    [&[name.to_owned()], cells(times).as_slice(), more].concat()
}

fn copies_table(report: &mut Report, variants: &[&Variant], times: &[Times]) {
    let added = added(times);
    let of = |name: &str| variants.iter().position(|variant| variant.name == name);
    let against = |at: usize, name: &str| -> Vec<String> {
        (0..2)
            .map(|verb| {
                of(name).map_or_else(
                    || "-".to_owned(),
                    |base| ratio(added[at][verb], added[base][verb]),
                )
            })
            .collect()
    };
    let mut rows = vec![row(
        "no trigger (the statement itself)",
        &times[0],
        &["".to_owned(), "".to_owned(), "".to_owned(), "".to_owned()],
    )];
    for at in 1..variants.len() {
        let more = [against(at, "C, one way"), against(at, "plpgsql, one way")].concat();
        rows.push(row(variants[at].name, &added[at], &more));
    }
    let header = [
        "copy `b := a`",
        VERBS[0],
        VERBS[1],
        VERBS[2],
        "to C",
        "to C, UPDATE",
        "to plpgsql",
        "to plpgsql, UPDATE",
    ];
    report.table(&header, &rows);
}

fn expression_table(report: &mut Report, expression: &str, variants: &[&Variant], times: &[Times]) {
    let added = added(times);
    let mut rows = vec![row(
        "no trigger (the statement itself)",
        &times[0],
        &["".to_owned(), "".to_owned()],
    )];
    for at in 1..variants.len() {
        let more = [0, 1].map(|verb| ratio(added[at][verb], added[2][verb]));
        rows.push(row(variants[at].name, &added[at], &more));
    }
    let name = format!("`b := {expression}`");
    let header = [
        name.as_str(),
        VERBS[0],
        VERBS[1],
        VERBS[2],
        "to generated",
        "to generated, UPDATE",
    ];
    report.table(&header, &rows);
}
