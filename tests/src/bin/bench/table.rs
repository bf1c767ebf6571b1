//! The table that is filled, in its shapes.

use postgres::Client;
use std::fmt;

/// What differs between the tables of a run.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    pub rows: i64,
    /// Bytes of a row, about.
    pub width: usize,
    /// With the primary key's, where there is one.
    pub indexes: usize,
    pub fillfactor: i32,
}

impl Shape {
    /// 150 bytes, three indexes, full pages.
    pub fn usual(rows: i64) -> Shape {
        Shape {
            rows,
            width: 150,
            indexes: 3,
            fillfactor: 100,
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(
            f,
            "{} rows of about {} bytes, {} indexes, fillfactor {}",
            crate::report::grouped(self.rows),
            self.width,
            self.indexes,
            self.fillfactor
        )
    }
}

/// Makes table `t`, whose `email` is to be filled from `username`.
pub fn prepare(client: &mut Client, shape: &Shape) {
    let indexes = [
        "ALTER TABLE t ADD PRIMARY KEY (id)",
        "CREATE INDEX ON t (username)",
        "CREATE INDEX ON t (r)",
        "CREATE INDEX ON t (lower(username))",
    ];
    client
        .batch_execute(&format!(
            "CREATE TABLE t (id bigint NOT NULL, username text NOT NULL, r double precision, filler text, email text)
                 WITH (fillfactor = {});
             INSERT INTO t SELECT i, 'user_' || i, random(), repeat('x', {}), NULL FROM generate_series(1, {}) i;",
            shape.fillfactor,
            shape.width.saturating_sub(60),
            shape.rows
        ))
        .unwrap();
    for index in indexes.iter().take(shape.indexes) {
        client.batch_execute(index).unwrap();
    }
    client.batch_execute("VACUUM (ANALYZE) t").unwrap();
    client.batch_execute("CHECKPOINT").unwrap();
}
