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
        schema.special(random);
        schema
    }

    /// Tables of rarer kinds, and objects on the first one.
    fn special(&mut self, random: &mut StdRng) {
        let place = |word: &str| {
            TYPES
                .iter()
                .position(|(name, _)| *name == word)
                .unwrap_or(0)
        };
        let column = |name: &str, word: &str, not_null: bool| Column {
            name: name.into(),
            data_type: place(word),
            not_null,
        };
        let table = |name: &str, columns: Vec<Column>, indexes: &[&str]| Table {
            name: name.into(),
            columns,
            indexes: indexes.iter().map(|index| (*index).to_owned()).collect(),
            constraints: Vec::new(),
            partitions: Vec::new(),
            empty: false,
        };
        for sql in [
            "CREATE SCHEMA elsewhere",
            "CREATE TYPE pair AS (x int, y text)",
            "CREATE TYPE alone AS (x int)",
            "CREATE DOMAIN careful_domain AS int CONSTRAINT later CHECK (VALUE > 0)",
            "CREATE TABLE typed OF pair",
            "INSERT INTO typed SELECT g, 'y' FROM generate_series(1, 60) g",
            "CREATE TABLE untyped (x int, y text)",
            "INSERT INTO untyped SELECT g, 'y' FROM generate_series(1, 60) g",
            "CREATE VIEW v0 AS SELECT id FROM t0",
            "CREATE MATERIALIZED VIEW m0 AS SELECT id FROM t0",
            "CREATE UNIQUE INDEX m0_id ON m0 (id)",
            "CREATE TRIGGER tr BEFORE INSERT ON t0 FOR EACH ROW EXECUTE FUNCTION trigger_f()",
            "CREATE POLICY po ON t0 USING (true)",
            "CREATE RULE ru AS ON DELETE TO t0 DO ALSO NOTHING",
            "CREATE STATISTICS st0 ON id, c0 FROM t0",
            "CREATE PUBLICATION pub FOR TABLE t0",
        ] {
            self.statements.push(sql.into());
        }
        let kinds: [(&[&str], Table); 5] = [
            (
                &[
                    "CREATE TABLE base (id int PRIMARY KEY, c0 int, c1 varchar(40), c2 text)",
                    "CREATE TABLE heir (own int) INHERITS (base)",
                    "CREATE INDEX heir_c1 ON heir (c1)",
                    "ALTER TABLE heir ADD CONSTRAINT heir_k CHECK (c0 >= 0)",
                    "CREATE TABLE alike (id int, c0 int, c1 varchar(40), c2 text)",
                    "INSERT INTO alike SELECT g, g, 'v', 't' FROM generate_series(1, 60) g",
                    "INSERT INTO heir SELECT g, g, 'v' || g, 't' FROM generate_series(1, 60) g",
                ],
                table(
                    "base",
                    vec![
                        column("c0", "int", false),
                        column("c1", "varchar(40)", false),
                        column("c2", "text", false),
                    ],
                    &[],
                ),
            ),
            (
                &[
                    "CREATE TABLE derived (id int PRIMARY KEY, c0 int, c1 int GENERATED ALWAYS AS (c0 * 2) STORED, c2 bigint GENERATED BY DEFAULT AS IDENTITY, c3 careful_domain)",
                    "CREATE INDEX derived_c1 ON derived (c1)",
                    "INSERT INTO derived (id, c0, c3) SELECT g, g, g FROM generate_series(1, 60) g",
                ],
                table(
                    "derived",
                    vec![
                        column("c0", "int", false),
                        column("c1", "int", false),
                        column("c2", "bigint", true),
                    ],
                    &["derived_c1"],
                ),
            ),
            (
                &[
                    "CREATE UNLOGGED TABLE loose (id int, c0 int NOT NULL, c1 varchar(40) COLLATE \"C\", c2 jsonb)",
                    "INSERT INTO loose SELECT g, g, 'v' || g, '{}' FROM generate_series(1, 60) g",
                    "CREATE UNIQUE INDEX loose_id ON loose (id)",
                    "CREATE UNIQUE INDEX loose_c0 ON loose (c0)",
                    "CREATE INDEX loose_c1 ON loose (c1 text_pattern_ops)",
                    "CREATE INDEX loose_c2 ON loose USING gin (c2)",
                    "CREATE INDEX loose_p ON loose (id) WHERE c1 IS NOT NULL",
                ],
                table(
                    "loose",
                    vec![
                        column("c0", "int", true),
                        column("c1", "varchar(40)", false),
                        column("c2", "jsonb", false),
                    ],
                    &["loose_id", "loose_c0", "loose_c1", "loose_c2", "loose_p"],
                ),
            ),
            (
                &[
                    "CREATE TABLE listed (id int, c0 int NOT NULL, c1 varchar(40), c2 numeric(12,2)) PARTITION BY LIST (c0)",
                    "CREATE TABLE listed1 PARTITION OF listed FOR VALUES IN (1)",
                    "CREATE TABLE listed2 PARTITION OF listed FOR VALUES IN (2) PARTITION BY RANGE (id)",
                    "CREATE TABLE listed2a PARTITION OF listed2 FOR VALUES FROM (0) TO (1000)",
                    "INSERT INTO listed SELECT g, 1 + g % 2, 'v' || g, g FROM generate_series(1, 60) g",
                    "CREATE INDEX listed_c1 ON listed (c1)",
                    "CREATE INDEX listed2a_c2 ON listed2a (c2)",
                    "ALTER TABLE listed ADD CONSTRAINT listed_k CHECK (c2 >= 0)",
                    "CREATE TABLE lone (LIKE listed)",
                    "CREATE TABLE deeper (LIKE listed)",
                    "INSERT INTO deeper SELECT g + 5000, 2, 'v', g FROM generate_series(1, 60) g",
                    "INSERT INTO lone SELECT g, 7, 'v', g FROM generate_series(1, 60) g",
                    "CREATE TABLE fitting (LIKE listed, CHECK (c0 = 8), CONSTRAINT listed_k CHECK (c2 >= 0))",
                    "INSERT INTO fitting SELECT g, 8, 'v', g FROM generate_series(1, 60) g",
                ],
                table(
                    "listed",
                    vec![
                        column("c0", "int", true),
                        column("c1", "varchar(40)", false),
                        column("c2", "numeric(12,2)", false),
                    ],
                    &["listed_c1"],
                ),
            ),
            (
                &[
                    "CREATE TABLE refers (id int PRIMARY KEY, c0 int, c1 bigint)",
                    "INSERT INTO refers SELECT g, g, g FROM generate_series(1, 60) g",
                    "CREATE TABLE referring (id int PRIMARY KEY, c0 int REFERENCES refers (id) ON DELETE CASCADE)",
                    "INSERT INTO referring SELECT g, g FROM generate_series(1, 60) g",
                ],
                table(
                    "refers",
                    vec![column("c0", "int", false), column("c1", "bigint", false)],
                    &[],
                ),
            ),
        ];
        for (statements, mut table) in kinds {
            // Half of them, but for the one that others name.
            if table.name != "listed" && random.random_bool(0.5) {
                continue;
            }
            self.statements
                .extend(statements.iter().map(|sql| (*sql).to_owned()));
            match table.name.as_str() {
                "listed" => {
                    table.partitions = vec!["listed1".into(), "listed2".into()];
                    table.constraints = vec!["listed_k".into()];
                    for sql in [
                        "CREATE TABLE hub (id int PRIMARY KEY)",
                        "INSERT INTO hub SELECT g FROM generate_series(0, 100) g",
                    ] {
                        self.statements.push(sql.into());
                    }
                    // What a new partition may have beforehand, or not.
                    for sql in [
                        "ALTER TABLE listed ADD CONSTRAINT listed_fk FOREIGN KEY (id) REFERENCES hub",
                        "ALTER TABLE fitting ADD CONSTRAINT fitting_fk FOREIGN KEY (id) REFERENCES hub",
                        "CREATE INDEX fitting_c1 ON fitting (c1) WITH (fillfactor = 60)",
                    ] {
                        if random.random_bool(0.5) {
                            self.statements.push(sql.into());
                        }
                    }
                    if random.random_bool(0.5) {
                        self.statements
                            .push("CREATE TABLE listed_d PARTITION OF listed DEFAULT".into());
                        self.statements
                            .push("INSERT INTO listed VALUES (1, 50, 'v', 1)".into());
                    }
                }
                "refers" => {
                    let mut other = table.clone();
                    other.name = "referring".into();
                    other.columns.truncate(1);
                    other.constraints = vec!["referring_c0_fkey".into()];
                    self.tables.push(other);
                }
                "base" => {
                    let mut other = table.clone();
                    other.name = "heir".into();
                    other.indexes = vec!["heir_c1".into()];
                    other.constraints = vec!["heir_k".into()];
                    self.tables.push(other);
                    if random.random_bool(0.5) {
                        self.statements
                            .push("INSERT INTO base VALUES (0, 0, 'v', 't')".into());
                    }
                }
                _ => {}
            }
            self.tables.push(table);
        }
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
