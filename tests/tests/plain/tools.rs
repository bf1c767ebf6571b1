//! Files as other tools write them.

use crate::{FIXTURE, load};
use pg_migrate_tests::{Db, cluster};

#[track_caller]
fn apply(db: &Db, revision: &str, file: &str) {
    let mut client = db.connect();
    if let Err(error) = client.execute(
        "SELECT count(*) FROM migrate.apply($1, $2)",
        &[&file, &revision],
    ) {
        panic!("{}", pg_migrate_tests::Failure::from(&error));
    }
    db.run("CALL migrate.upgrade()");
    let expanded = db.rows("SELECT revision FROM migrate.revision WHERE state = 'expanded'");
    for row in expanded {
        db.run(&format!("CALL migrate.contract('{}')", row[0]));
    }
    let state = db.rows(&format!(
        "SELECT state FROM migrate.revision WHERE revision = '{revision}'"
    ));
    assert_eq!(state, [["applied"]]);
}

fn schema(db: &Db) -> Vec<Vec<String>> {
    db.rows("SELECT object, definition FROM migrate.fingerprint() ORDER BY 1, 2")
}

/// Applies the file; what the query gives is `wanted`; and back to the schema before.
#[track_caller]
fn goes(file: &str, query: &str, wanted: &[&[&str]], back: bool) {
    let db = cluster().database();
    db.run("CREATE TABLE users (id bigint PRIMARY KEY, name text); INSERT INTO users SELECT g, 'n' || g FROM generate_series(1, 100) g");
    let before = schema(&db);
    apply(&db, "1", file);
    assert_eq!(db.rows(query), wanted);
    if back {
        db.run("CALL migrate.downgrade('base')");
        assert_eq!(schema(&db), before);
    }
}

#[track_caller]
fn goes_up_and_down(file: &str, query: &str, wanted: &[&[&str]]) {
    goes(file, query, wanted, true);
}

/// For a file whose way back needs the contract's leftovers purged first: a column that is set
/// aside still has its type and its foreign key.
#[track_caller]
fn goes_up(file: &str, query: &str, wanted: &[&[&str]]) {
    goes(file, query, wanted, false);
}

#[test]
fn goose() {
    goes_up_and_down(
        "-- +goose Up
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION stamp() RETURNS trigger AS $$
BEGIN
    NEW.name := upper(NEW.name); -- a semicolon;
    RETURN NEW;
END;
$$ LANGUAGE plpgsql;
-- +goose StatementEnd

CREATE TRIGGER stamp BEFORE INSERT ON users FOR EACH ROW EXECUTE PROCEDURE stamp();
ALTER TABLE users ADD COLUMN email text;

-- +goose Down
DROP TRIGGER stamp ON users;
DROP FUNCTION stamp();
-- +goose StatementBegin
ALTER TABLE users DROP COLUMN email;
-- +goose StatementEnd
",
        "SELECT tgname FROM pg_trigger WHERE tgrelid = 'users'::regclass",
        &[&["stamp"]],
    );
    goes_up_and_down(
        "-- +goose NO TRANSACTION\n-- +goose Up\nCREATE INDEX CONCURRENTLY users_name ON users (name);\n-- +goose Down\nDROP INDEX CONCURRENTLY users_name;\n",
        "SELECT indexrelid::regclass FROM pg_index WHERE indrelid = 'users'::regclass AND NOT indisprimary",
        &[&["users_name"]],
    );
}

#[test]
fn dbmate() {
    goes_up_and_down(
        "-- migrate:up transaction:false\nCREATE INDEX CONCURRENTLY users_name ON users (name);\n\n-- migrate:down transaction:false\nDROP INDEX CONCURRENTLY users_name;\n",
        "SELECT indexrelid::regclass FROM pg_index WHERE indrelid = 'users'::regclass AND NOT indisprimary",
        &[&["users_name"]],
    );
}

#[test]
fn diesel_and_sqlx() {
    // up.sql; its way back is generated.
    goes_up_and_down(
        "-- Your SQL goes here\nCREATE TABLE posts (\n  id SERIAL PRIMARY KEY,\n  title VARCHAR NOT NULL,\n  body TEXT NOT NULL,\n  published BOOLEAN NOT NULL DEFAULT FALSE\n)\n",
        "SELECT count(*) FROM information_schema.columns WHERE table_name = 'posts'",
        &[&["4"]],
    );
    goes_up_and_down(
        "-- no-transaction\nALTER TABLE users ADD COLUMN age int;\nCREATE INDEX CONCURRENTLY IF NOT EXISTS users_age ON users (age);\n",
        "SELECT indexrelid::regclass FROM pg_index WHERE indrelid = 'users'::regclass AND NOT indisprimary",
        &[&["users_age"]],
    );
}

#[test]
fn flyway() {
    goes_up_and_down(
        "/* V1__people.sql */\r\nCREATE TABLE person (\r\n    ID int not null,\r\n    NAME varchar(100) not null\r\n);\r\n\r\nDO $body$\r\nBEGIN\r\n    IF NOT EXISTS (SELECT 1 FROM person WHERE id = 1) THEN\r\n        INSERT INTO person VALUES (1, 'Axel; Mr.');\r\n    END IF;\r\nEND\r\n$body$;\r\n\r\ninsert into PERSON (ID, NAME) values (2, 'Mr. Foo'), (3, 'Ms. ''Bar''');\r\n-- migrate:down\r\nDROP TABLE person;\r\n",
        "SELECT count(*) FROM person",
        &[&["3"]],
    );
}

#[test]
fn prisma() {
    goes_up(
        r#"-- CreateEnum
CREATE TYPE "Role" AS ENUM ('USER', 'ADMIN');

-- AlterTable
ALTER TABLE "users" ADD COLUMN     "role" "Role" NOT NULL DEFAULT 'USER',
ADD COLUMN     "updatedAt" TIMESTAMP(3);

-- CreateTable
CREATE TABLE "Post" (
    "id" SERIAL NOT NULL,
    "createdAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "title" VARCHAR(255) NOT NULL,
    "authorId" BIGINT,

    CONSTRAINT "Post_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE UNIQUE INDEX "users_name_key" ON "users"("name");

-- AddForeignKey
ALTER TABLE "Post" ADD CONSTRAINT "Post_authorId_fkey" FOREIGN KEY ("authorId") REFERENCES "users"("id") ON DELETE SET NULL ON UPDATE CASCADE;
"#,
        "SELECT conname FROM pg_constraint WHERE conrelid = '\"Post\"'::regclass ORDER BY 1",
        &[&["Post_authorId_fkey"], &["Post_pkey"]],
    );
}

#[test]
fn alembic_offline() {
    goes_up(
        "BEGIN;

CREATE TABLE alembic_version (
    version_num VARCHAR(32) NOT NULL, \n    CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);

-- Running upgrade  -> ae1027a6acf

CREATE TABLE account (
    id SERIAL NOT NULL, \n    name VARCHAR(50) NOT NULL, \n    PRIMARY KEY (id)
);

ALTER TABLE users ADD COLUMN account_id INTEGER;

ALTER TABLE users ADD CONSTRAINT fk_account FOREIGN KEY(account_id) REFERENCES account (id);

INSERT INTO alembic_version (version_num) VALUES ('ae1027a6acf') RETURNING alembic_version.version_num;

-- Running upgrade ae1027a6acf -> b1

CREATE INDEX ix_users_name ON users (name);

UPDATE alembic_version SET version_num='b1' WHERE alembic_version.version_num = 'ae1027a6acf';

COMMIT;

-- migrate:down
ALTER TABLE users DROP CONSTRAINT fk_account;
ALTER TABLE users DROP COLUMN account_id;
DROP INDEX ix_users_name;
DROP TABLE account;
DROP TABLE alembic_version;
",
        "SELECT version_num FROM alembic_version",
        &[&["b1"]],
    );
}

#[test]
fn a_transaction_around_a_part_of_the_file_is_refused() {
    let db = cluster().database();
    for script in [
        "CREATE TABLE a (id int); BEGIN; CREATE TABLE b (id int); COMMIT;",
        "BEGIN; CREATE TABLE a (id int); COMMIT; CREATE TABLE b (id int);",
        "BEGIN; CREATE TABLE a (id int); COMMIT; BEGIN; CREATE TABLE b (id int); COMMIT;",
        "BEGIN; CREATE TABLE a (id int); SAVEPOINT s; COMMIT;",
        "BEGIN; CREATE TABLE a (id int); ROLLBACK;",
    ] {
        let failure = db.error(&format!(
            "SELECT migrate.plan('-- migrate:revision 1\n{script}')"
        ));
        assert!(
            failure.message.contains("cannot be part of a migration"),
            "{script}: {failure}"
        );
        assert!(
            failure.detail.contains("Steps run in the transactions"),
            "{failure}"
        );
    }
}

/// What pg_dump says of a schema makes the same schema.
#[test]
fn pg_dump_schema_only() {
    let source = cluster().empty_database();
    load(&source, FIXTURE);
    load(
        &source,
        &include_str!("fixture.sql").replace(
            "create role app_reader;",
            "do $$begin create role app_reader; exception when others then null; end$$;",
        ),
    );
    let output = source
        .client_command("pg_dump")
        .arg("--schema-only")
        .output()
        .expect("pg_dump runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let dump = String::from_utf8_lossy(&output.stdout).into_owned();
    let (plain, migrated) = (cluster().empty_database(), cluster().database());
    plain.psql(&dump);
    plain.run("CREATE EXTENSION pg_migrate");
    apply(&migrated, "1", &dump);
    let (wanted, found) = (schema(&plain), schema(&migrated));
    let differ: Vec<_> = wanted
        .iter()
        .filter(|row| !found.contains(row))
        .map(|row| format!("- {row:?}"))
        .chain(
            found
                .iter()
                .filter(|row| !wanted.contains(row))
                .map(|row| format!("+ {row:?}")),
        )
        .collect();
    assert!(differ.is_empty(), "{}", differ.join("\n"));
}
