//! A random schema with rows in it.

use super::pick;
use rand::Rng;
use rand::rngs::StdRng;

/// A type, and an expression that makes a value of it from the number `g`.
pub const TYPES: &[(&str, &str)] = &[
    ("int", "g"),
    ("bigint", "g"),
    ("smallint", "(g % 1000)"),
    ("text", "'t' || g"),
    ("varchar(40)", "'v' || g"),
    ("char(12)", "'c' || g"),
    ("numeric(12,2)", "g"),
    ("numeric", "g"),
    (
        "timestamp",
        "timestamp '2024-01-01' + g * interval '1 hour'",
    ),
    (
        "timestamptz",
        "timestamptz '2024-01-01 00:00:00Z' + g * interval '1 hour'",
    ),
    (
        "timestamp(3)",
        "timestamp '2024-01-01' + g * interval '1 hour'",
    ),
    ("date", "date '2024-01-01' + g"),
    ("boolean", "g % 2 = 0"),
    ("uuid", "md5(g::text)::uuid"),
    ("jsonb", "jsonb_build_object('g', g)"),
    ("bit(8)", "(g % 200)::bit(8)"),
    ("cidr", "('10.0.' || g % 200 || '.0/24')::cidr"),
    ("int[]", "ARRAY[g]"),
    ("color", "(ARRAY['red', 'green', 'blue'])[1 + g % 3]::color"),
    ("positive", "g + 1"),
    ("plain_domain", "g"),
];

#[derive(Debug, Clone)]
pub struct Column {
    pub name: String,
    /// A place in TYPES.
    pub data_type: usize,
    pub not_null: bool,
}

impl Column {
    pub fn word(&self) -> &'static str {
        TYPES[self.data_type].0
    }
}

#[derive(Debug, Clone)]
pub struct Table {
    pub name: String,
    pub columns: Vec<Column>,
    pub indexes: Vec<String>,
    /// Names of its CHECK and foreign key constraints.
    pub constraints: Vec<String>,
    /// Its partitions, if it has any.
    pub partitions: Vec<String>,
    pub empty: bool,
}

#[derive(Debug, Clone)]
pub struct Schema {
    pub tables: Vec<Table>,
    statements: Vec<String>,
}

impl Schema {
    pub fn random(random: &mut StdRng) -> Schema {
        let mut schema = Schema {
            tables: Vec::new(),
            statements: vec![
                "CREATE TYPE color AS ENUM ('red', 'green', 'blue')".into(),
                "CREATE DOMAIN positive AS int CHECK (VALUE > 0)".into(),
                "CREATE DOMAIN plain_domain AS int".into(),
                "CREATE SEQUENCE free".into(),
                "CREATE FUNCTION stable_f() RETURNS int LANGUAGE sql STABLE AS 'SELECT 1'".into(),
                "CREATE FUNCTION volatile_f() RETURNS int LANGUAGE plpgsql VOLATILE AS $$ BEGIN RETURN 1; END $$".into(),
                "CREATE FUNCTION trigger_f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$".into(),
            ],
        };
        for number in 0..random.random_range(2..5) {
            schema.table(random, number);
        }
        schema
    }

    pub fn statements(&self) -> Vec<String> {
        self.statements.clone()
    }

    fn table(&mut self, random: &mut StdRng, number: usize) {
        let name = format!("t{number}");
        let partitioned = random.random_bool(0.25);
        let empty = random.random_bool(0.12);
        let columns: Vec<Column> = (0..random.random_range(2..7))
            .map(|at| Column {
                name: format!("c{at}"),
                data_type: random.random_range(0..TYPES.len()),
                not_null: random.random_bool(0.3),
            })
            .collect();
        let definitions: Vec<String> = columns
            .iter()
            .map(|column| {
                let null = if column.not_null { " NOT NULL" } else { "" };
                format!("{} {}{null}", column.name, column.word())
            })
            .collect();
        let mut table = Table {
            name: name.clone(),
            columns,
            indexes: Vec::new(),
            constraints: Vec::new(),
            partitions: Vec::new(),
            empty,
        };
        let tail = if partitioned {
            " PARTITION BY RANGE (id)"
        } else {
            ""
        };
        self.statements.push(format!(
            "CREATE TABLE {name} (id int PRIMARY KEY, {}){tail}",
            definitions.join(", ")
        ));
        if partitioned {
            for (part, from, to) in [("a", "MINVALUE", "25"), ("b", "25", "100")] {
                self.statements.push(format!(
                    "CREATE TABLE {name}{part} PARTITION OF {name} FOR VALUES FROM ({from}) TO ({to})"
                ));
                table.partitions.push(format!("{name}{part}"));
            }
            if random.random_bool(0.4) {
                self.statements
                    .push(format!("CREATE TABLE {name}d PARTITION OF {name} DEFAULT"));
                table.partitions.push(format!("{name}d"));
            }
        }
        if !empty {
            let values: Vec<&str> = table
                .columns
                .iter()
                .map(|column| TYPES[column.data_type].1)
                .collect();
            self.statements.push(format!(
                "INSERT INTO {name} SELECT g, {} FROM generate_series(1, 60) g",
                values.join(", ")
            ));
        }
        self.hang(random, &mut table);
        self.tables.push(table);
    }

    /// Indexes and constraints.
    fn hang(&mut self, random: &mut StdRng, table: &mut Table) {
        let name = table.name.clone();
        for at in 0..random.random_range(0..3) {
            let column = pick(random, &table.columns).clone();
            let index = format!("{name}_i{at}");
            let over = match (random.random_range(0..4), column.word()) {
                (0, "text" | "varchar(40)") => format!("lower({})", column.name),
                _ => column.name.clone(),
            };
            self.statements
                .push(format!("CREATE INDEX {index} ON {name} ({over})"));
            table.indexes.push(index);
        }
        for at in 0..random.random_range(0..3) {
            let column = pick(random, &table.columns).clone();
            let constraint = format!("{name}_k{at}");
            let check = match column.word() {
                "int" | "bigint" | "smallint" | "numeric" | "numeric(12,2)" => {
                    format!("{} >= 0", column.name)
                }
                "text" | "varchar(40)" => format!("length({}) < 100", column.name),
                _ => format!("{} IS NOT NULL", column.name),
            };
            let tail = if random.random_bool(0.3) {
                " NOT VALID"
            } else {
                ""
            };
            self.statements.push(format!(
                "ALTER TABLE {name} ADD CONSTRAINT {constraint} CHECK ({check}){tail}"
            ));
            table.constraints.push(constraint);
        }
        let target = self.tables.last().map(|table| table.name.clone());
        let key = table.columns.iter().find(|column| column.word() == "int");
        if let (Some(target), Some(key)) = (target, key)
            && random.random_bool(0.5)
            && table.partitions.is_empty()
            && !self.tables.last().is_some_and(|table| table.empty)
        {
            let constraint = format!("{name}_fk");
            self.statements.push(format!(
                "ALTER TABLE {name} ADD CONSTRAINT {constraint} FOREIGN KEY ({}) REFERENCES {target} (id) NOT VALID",
                key.name
            ));
            table.constraints.push(constraint);
        }
    }
}
