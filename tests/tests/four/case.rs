//! What a case is: an operation in both spellings, the releases that live with it, and what must
//! be so when it is done.

use pg_migrate_tests::{Role, TrafficSpec};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    Rows,
    Empty,
    Partitioned,
    /// Another migration renames a column of the same table, and is expanded all the while.
    Beside,
}

/// Whether the applied migration can be taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Back {
    Way,
    /// Before the contract only.
    Before,
    /// Neither before the contract nor after it.
    None,
}

#[derive(Clone)]
pub struct Case {
    pub name: &'static str,
    /// Beside the tables of `FIXTURE`.
    pub extra: &'static str,
    /// The operations as JSON; empty: there is no such spelling.
    pub json: &'static str,
    /// As SQL; empty: there is no such spelling.
    pub sql: &'static str,
    /// Plain SQL that must give the same schema; `None`: `sql`; empty: nothing plain compares.
    pub plain: Option<&'static str>,
    /// The column is made anew, so it comes last.
    pub moves: bool,
    pub apps: fn() -> Vec<TrafficSpec>,
    pub shapes: &'static [Shape],
    pub back: Back,
    /// Queries that must count nothing: expanded, contracted, taken back.
    pub expanded: &'static [&'static str],
    pub contracted: &'static [&'static str],
    pub taken_back: &'static [&'static str],
}

pub const EVERYWHERE: &[Shape] = &[Shape::Rows, Shape::Empty, Shape::Partitioned, Shape::Beside];
pub const NOT_PARTITIONED: &[Shape] = &[Shape::Rows, Shape::Empty, Shape::Beside];

impl Case {
    pub const DEFAULT: Case = Case {
        name: "",
        extra: "",
        json: "",
        sql: "",
        plain: None,
        moves: false,
        apps: || vec![users()],
        shapes: EVERYWHERE,
        back: Back::Way,
        expanded: &[],
        contracted: &[],
        taken_back: &[],
    };
}

/// `users` with rows or without, whole or in partitions; `teams`, to which others refer.
pub fn fixture(shape: Shape, extra: &str) -> String {
    let rows = if shape == Shape::Empty { 0 } else { 1200 };
    let parts = if shape == Shape::Partitioned {
        "PARTITION BY RANGE (id);
         CREATE TABLE users_low PARTITION OF users FOR VALUES FROM (MINVALUE) TO (900);
         CREATE TABLE users_high (gone int, seen timestamptz DEFAULT now(), team bigint, amount int DEFAULT 0,
            username text NOT NULL, nick text, id bigint NOT NULL);
         ALTER TABLE users_high DROP COLUMN gone;
         ALTER TABLE users ATTACH PARTITION users_high FOR VALUES FROM (900) TO (MAXVALUE)"
    } else {
        ""
    };
    format!(
        "CREATE TABLE teams (id bigint PRIMARY KEY, name text NOT NULL);
         INSERT INTO teams SELECT g, 'team ' || g FROM generate_series(0, 99) g;
         CREATE TABLE users (id bigint PRIMARY KEY, nick text, username text NOT NULL, amount int DEFAULT 0,
            team bigint, seen timestamptz DEFAULT now()) {parts};
         INSERT INTO users SELECT g, 'n' || g, 'Seed-' || g, g, g % 100 FROM generate_series(1, {rows}) g;
         {extra};
         ANALYZE"
    )
}

/// The application that lives on `users`.
pub fn users() -> TrafficSpec {
    app("users", "username", "username")
}

pub fn app(table: &str, old: &str, new: &str) -> TrafficSpec {
    let mut spec = TrafficSpec::new(table, "id", &[(old, Role::Old), (new, Role::New)]).threads(2);
    spec.pause = std::time::Duration::from_millis(3);
    spec.old_value = |n| Some(format!("Old-{n}"));
    spec.new_value = |n| Some(format!("New-{n}"));
    spec.also = vec![
        ("seen".to_owned(), "now()".to_owned()),
        ("nick".to_owned(), "'n' || ($1::bigint)::text".to_owned()),
        ("team".to_owned(), "($1::bigint) % 100".to_owned()),
    ];
    spec
}

/// The column that both write is a number.
pub fn amounts() -> TrafficSpec {
    let mut spec = app("users", "amount", "amount");
    spec.also.push((
        "username".to_owned(),
        "'u' || ($1::bigint)::text".to_owned(),
    ));
    spec.old_value = |n| Some(n.to_string());
    spec.new_value = |n| Some((n + 1_000_000).to_string());
    spec
}

pub fn with(mut spec: TrafficSpec, columns: &[(Role, &str, &str)]) -> TrafficSpec {
    spec.with = columns
        .iter()
        .map(|(role, name, value)| (*role, (*name).to_owned(), (*value).to_owned()))
        .collect();
    spec
}

/// One that leaves these columns to their defaults.
pub fn without(mut spec: TrafficSpec, columns: &[&str]) -> TrafficSpec {
    spec.also
        .retain(|(name, _)| !columns.contains(&name.as_str()));
    spec
}
