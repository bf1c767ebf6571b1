use super::*;

/// The command tags of PostgreSQL 15 (cmdtaglist.h).
#[rustfmt::skip]
const TAGS: &[&str] = &[
    "UNKNOWN", "ALTER ACCESS METHOD", "ALTER AGGREGATE", "ALTER CAST", "ALTER COLLATION",
    "ALTER CONSTRAINT", "ALTER CONVERSION", "ALTER DATABASE", "ALTER DEFAULT PRIVILEGES",
    "ALTER DOMAIN", "ALTER EVENT TRIGGER", "ALTER EXTENSION", "ALTER FOREIGN DATA WRAPPER",
    "ALTER FOREIGN TABLE", "ALTER FUNCTION", "ALTER INDEX", "ALTER LANGUAGE",
    "ALTER LARGE OBJECT", "ALTER MATERIALIZED VIEW", "ALTER OPERATOR", "ALTER OPERATOR CLASS",
    "ALTER OPERATOR FAMILY", "ALTER POLICY", "ALTER PROCEDURE", "ALTER PUBLICATION",
    "ALTER ROLE", "ALTER ROUTINE", "ALTER RULE", "ALTER SCHEMA", "ALTER SEQUENCE",
    "ALTER SERVER", "ALTER STATISTICS", "ALTER SUBSCRIPTION", "ALTER SYSTEM", "ALTER TABLE",
    "ALTER TABLESPACE", "ALTER TEXT SEARCH CONFIGURATION", "ALTER TEXT SEARCH DICTIONARY",
    "ALTER TEXT SEARCH PARSER", "ALTER TEXT SEARCH TEMPLATE", "ALTER TRANSFORM", "ALTER TRIGGER",
    "ALTER TYPE", "ALTER USER MAPPING", "ALTER VIEW", "ANALYZE", "BEGIN", "CALL", "CHECKPOINT",
    "CLOSE", "CLOSE CURSOR", "CLOSE CURSOR ALL", "CLUSTER", "COMMENT", "COMMIT",
    "COMMIT PREPARED", "COPY", "COPY FROM", "CREATE ACCESS METHOD", "CREATE AGGREGATE",
    "CREATE CAST", "CREATE COLLATION", "CREATE CONSTRAINT", "CREATE CONVERSION",
    "CREATE DATABASE", "CREATE DOMAIN", "CREATE EVENT TRIGGER", "CREATE EXTENSION",
    "CREATE FOREIGN DATA WRAPPER", "CREATE FOREIGN TABLE", "CREATE FUNCTION", "CREATE INDEX",
    "CREATE LANGUAGE", "CREATE MATERIALIZED VIEW", "CREATE OPERATOR", "CREATE OPERATOR CLASS",
    "CREATE OPERATOR FAMILY", "CREATE POLICY", "CREATE PROCEDURE", "CREATE PUBLICATION",
    "CREATE ROLE", "CREATE ROUTINE", "CREATE RULE", "CREATE SCHEMA", "CREATE SEQUENCE",
    "CREATE SERVER", "CREATE STATISTICS", "CREATE SUBSCRIPTION", "CREATE TABLE",
    "CREATE TABLE AS", "CREATE TABLESPACE", "CREATE TEXT SEARCH CONFIGURATION",
    "CREATE TEXT SEARCH DICTIONARY", "CREATE TEXT SEARCH PARSER", "CREATE TEXT SEARCH TEMPLATE",
    "CREATE TRANSFORM", "CREATE TRIGGER", "CREATE TYPE", "CREATE USER MAPPING", "CREATE VIEW",
    "DEALLOCATE", "DEALLOCATE ALL", "DECLARE CURSOR", "DELETE", "DISCARD", "DISCARD ALL",
    "DISCARD PLANS", "DISCARD SEQUENCES", "DISCARD TEMP", "DO", "DROP ACCESS METHOD",
    "DROP AGGREGATE", "DROP CAST", "DROP COLLATION", "DROP CONSTRAINT", "DROP CONVERSION",
    "DROP DATABASE", "DROP DOMAIN", "DROP EVENT TRIGGER", "DROP EXTENSION",
    "DROP FOREIGN DATA WRAPPER", "DROP FOREIGN TABLE", "DROP FUNCTION", "DROP INDEX",
    "DROP LANGUAGE", "DROP MATERIALIZED VIEW", "DROP OPERATOR", "DROP OPERATOR CLASS",
    "DROP OPERATOR FAMILY", "DROP OWNED", "DROP POLICY", "DROP PROCEDURE", "DROP PUBLICATION",
    "DROP ROLE", "DROP ROUTINE", "DROP RULE", "DROP SCHEMA", "DROP SEQUENCE", "DROP SERVER",
    "DROP STATISTICS", "DROP SUBSCRIPTION", "DROP TABLE", "DROP TABLESPACE",
    "DROP TEXT SEARCH CONFIGURATION", "DROP TEXT SEARCH DICTIONARY", "DROP TEXT SEARCH PARSER",
    "DROP TEXT SEARCH TEMPLATE", "DROP TRANSFORM", "DROP TRIGGER", "DROP TYPE",
    "DROP USER MAPPING", "DROP VIEW", "EXECUTE", "EXPLAIN", "FETCH", "GRANT", "GRANT ROLE",
    "IMPORT FOREIGN SCHEMA", "INSERT", "LISTEN", "LOAD", "LOCK TABLE", "MERGE", "MOVE", "NOTIFY",
    "PREPARE", "PREPARE TRANSACTION", "REASSIGN OWNED", "REFRESH MATERIALIZED VIEW", "REINDEX",
    "RELEASE", "RESET", "REVOKE", "REVOKE ROLE", "ROLLBACK", "ROLLBACK PREPARED", "SAVEPOINT",
    "SECURITY LABEL", "SELECT", "SELECT FOR KEY SHARE", "SELECT FOR NO KEY UPDATE",
    "SELECT FOR SHARE", "SELECT FOR UPDATE", "SELECT INTO", "SET", "SET CONSTRAINTS", "SHOW",
    "START TRANSACTION", "TRUNCATE TABLE", "UNLISTEN", "UPDATE", "VACUUM",
];

/// Tags that no statement of the grammar has before it runs.
const NONE: [&str; 13] = [
    "UNKNOWN",
    "ALTER ACCESS METHOD",
    "ALTER CAST",
    "ALTER CONSTRAINT",
    "ALTER TRANSFORM",
    "CLOSE",
    "CREATE CONSTRAINT",
    "CREATE ROUTINE",
    "DROP CONSTRAINT",
    "SELECT FOR KEY SHARE",
    "SELECT FOR NO KEY UPDATE",
    "SELECT FOR SHARE",
    "SELECT FOR UPDATE",
];

/// Refused before they come here: a script has no transactions of its own.
const TRANSACTIONS: [&str; 9] = [
    "BEGIN",
    "COMMIT",
    "COMMIT PREPARED",
    "PREPARE TRANSACTION",
    "RELEASE",
    "ROLLBACK",
    "ROLLBACK PREPARED",
    "SAVEPOINT",
    "START TRANSACTION",
];

#[test]
fn every_kind_of_statement_has_an_answer() {
    for tag in TAGS {
        let there = fact(tag, "", false).is_some();
        let needed = !NONE.contains(tag) && !TRANSACTIONS.contains(tag);
        assert_eq!(there, needed, "{tag}");
    }
}

#[test]
fn the_tags_are_those_of_the_server() {
    let known = pgrx::pg_sys::CommandTag::COMMAND_TAG_NEXTTAG as usize;
    // From 17 on event triggers have one for logins, which is no statement.
    let login = usize::from(cfg!(any(feature = "pg17", feature = "pg18")));
    assert_eq!(TAGS.len() + login, known);
}

#[test]
fn no_line_is_there_twice_or_is_about_nothing() {
    for (at, fact) in STATEMENTS.iter().enumerate() {
        let same = STATEMENTS.iter().filter(|other| other.key == fact.key);
        assert_eq!(same.count(), 1, "{}", fact.key);
        let tag = TAGS.iter().any(|tag| fact.key.starts_with(tag));
        assert!(tag, "line {at}: {}", fact.key);
    }
}

#[test]
fn every_subcommand_has_a_line() {
    for code in 0..=pgrx::pg_sys::AlterTableType::AT_DropIdentity {
        if let Some(words) = crate::pg::parser::change_words(code) {
            assert!(change(words).is_some(), "{words}");
        }
    }
}

#[test]
fn what_blocks_for_long_is_never_safe() {
    let strong = |fact: &Fact| {
        fact.lock >= Some(Lock::Share)
            && fact.work > Work::Brief
            && fact.lock != Some(Lock::Exclusive)
    };
    for fact in STATEMENTS
        .iter()
        .chain(TABLE_CHANGES)
        .filter(|fact| strong(fact))
    {
        assert!(matches!(fact.answer, Answer::Never { .. }), "{}", fact.key);
    }
}
