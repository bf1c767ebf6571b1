//! What each kind of statement does while it runs as written, and whether a migration may run it:
//! one line for each kind, by PostgreSQL's own name of it (its command tag) and, where that does
//! not tell, what is done. Locks as measured on PostgreSQL 15.

use super::table::TABLE_CHANGES;
use crate::recipe::step::Lock;

/// How long it works under its lock on a table with rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Work {
    /// At catalog speed.
    Brief,
    Scans,
    Rewrites,
}

/// Whether a script may hold the statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// As written.
    Safe,
    /// As written, as a step of its own: it takes long under a lock that lets reads and writes
    /// through.
    Alone,
    /// Long work under a lock that reads or writes wait for: not on a table with rows.
    Never {
        why: &'static str,
        way: &'static str,
    },
    /// It is no part of a migration, whatever the table.
    Foreign {
        why: &'static str,
        way: &'static str,
    },
}

/// A kind of statement.
#[derive(Debug, Clone, Copy)]
pub struct Fact {
    /// The command tag, and what is done if there is a line for that.
    pub key: &'static str,
    /// On the relation it changes; `None`: no relation is locked so that others would notice.
    pub lock: Option<Lock>,
    pub work: Work,
    pub answer: Answer,
    /// What the reader of the plan should know.
    pub note: Option<&'static str>,
    /// It changes nothing that a way back would have to restore.
    pub passing: bool,
}

impl Fact {
    const fn note(self, note: &'static str) -> Fact {
        Fact {
            note: Some(note),
            ..self
        }
    }

    const fn passing(self) -> Fact {
        Fact {
            passing: true,
            ..self
        }
    }

    const fn scans(self) -> Fact {
        Fact {
            work: Work::Scans,
            ..self
        }
    }
}

const fn catalog(key: &'static str) -> Fact {
    Fact {
        key,
        lock: None,
        work: Work::Brief,
        answer: Answer::Safe,
        note: None,
        passing: false,
    }
}

pub const fn brief(key: &'static str, lock: Lock) -> Fact {
    Fact {
        lock: Some(lock),
        ..catalog(key)
    }
}

pub const fn alone(key: &'static str, lock: Lock) -> Fact {
    Fact {
        lock: Some(lock),
        answer: Answer::Alone,
        ..catalog(key)
    }
}

pub const fn never(
    key: &'static str,
    lock: Lock,
    work: Work,
    why: &'static str,
    way: &'static str,
) -> Fact {
    Fact {
        lock: Some(lock),
        work,
        answer: Answer::Never { why, way },
        ..catalog(key)
    }
}

const fn foreign(key: &'static str, why: &'static str, way: &'static str) -> Fact {
    Fact {
        answer: Answer::Foreign { why, way },
        ..catalog(key)
    }
}

const SERVER: &str = "it changes the whole server, not this database's schema";
const BY_HAND: &str = "Run it by hand, outside migrations.";
const SESSION: &str =
    "it concerns the session that runs it, and a migration's steps run in several";
const LEAVE_OUT: &str = "Leave it out.";
const ROLES: &str = "roles are shared by all databases of the server";
const UNKNOWN: &str = "what it does inside is not known: its locks last until its step ends";
const OLD_NAMES: &str = "the old application no longer finds it";
const LONG_DATA: &str = "one statement: the rows it writes stay locked until it ends";
pub const REPACK: &str = "pg_repack and pg_squeeze do the same without blocking.";

/// Statements, but for ALTER TABLE and its kin.
pub const STATEMENTS: &[Fact] = &[
    catalog("ALTER AGGREGATE"),
    catalog("ALTER COLLATION"),
    catalog("ALTER CONVERSION"),
    catalog("ALTER DATABASE").note("a setting of the database, for sessions that begin later"),
    foreign("ALTER DATABASE SET TABLESPACE", SERVER, BY_HAND),
    foreign("ALTER DATABASE RENAME", SERVER, BY_HAND),
    catalog("ALTER DEFAULT PRIVILEGES"),
    catalog("ALTER DOMAIN"),
    brief("ALTER DOMAIN DROP NOT NULL", Lock::AccessShare),
    catalog("ALTER EVENT TRIGGER"),
    catalog("ALTER EXTENSION").note(UNKNOWN),
    catalog("ALTER FOREIGN DATA WRAPPER"),
    brief("ALTER FOREIGN TABLE", Lock::AccessExclusive).note(OLD_NAMES),
    catalog("ALTER FUNCTION"),
    brief("ALTER INDEX", Lock::ShareUpdateExclusive),
    catalog("ALTER LANGUAGE"),
    catalog("ALTER LARGE OBJECT"),
    brief("ALTER MATERIALIZED VIEW", Lock::AccessExclusive).note(OLD_NAMES),
    catalog("ALTER OPERATOR"),
    catalog("ALTER OPERATOR CLASS"),
    catalog("ALTER OPERATOR FAMILY"),
    brief("ALTER POLICY", Lock::AccessExclusive),
    catalog("ALTER PROCEDURE"),
    brief("ALTER PUBLICATION", Lock::ShareUpdateExclusive),
    catalog("ALTER ROLE").note(ROLES),
    catalog("ALTER ROUTINE"),
    brief("ALTER RULE", Lock::AccessExclusive),
    catalog("ALTER SCHEMA"),
    catalog("ALTER SCHEMA RENAME").note(OLD_NAMES),
    brief("ALTER SEQUENCE", Lock::ShareRowExclusive),
    brief("ALTER SEQUENCE RENAME", Lock::AccessExclusive).note(OLD_NAMES),
    brief("ALTER SEQUENCE SET SCHEMA", Lock::AccessExclusive).note(OLD_NAMES),
    catalog("ALTER SERVER"),
    catalog("ALTER STATISTICS"),
    catalog("ALTER SUBSCRIPTION"),
    foreign("ALTER SYSTEM", SERVER, BY_HAND),
    brief("ALTER TABLE", Lock::AccessExclusive),
    brief("ALTER TABLE RENAME", Lock::AccessExclusive).note(OLD_NAMES),
    brief("ALTER TABLE RENAME COLUMN", Lock::AccessExclusive).note(OLD_NAMES),
    brief("ALTER TABLE SET SCHEMA", Lock::AccessExclusive).note(OLD_NAMES),
    foreign(
        "ALTER TABLE ALL IN TABLESPACE",
        "it moves, one after another, tables that the script does not name",
        REPACK,
    ),
    foreign("ALTER TABLESPACE", SERVER, BY_HAND),
    catalog("ALTER TEXT SEARCH CONFIGURATION"),
    catalog("ALTER TEXT SEARCH DICTIONARY"),
    catalog("ALTER TEXT SEARCH PARSER"),
    catalog("ALTER TEXT SEARCH TEMPLATE"),
    brief("ALTER TRIGGER", Lock::AccessExclusive),
    catalog("ALTER TYPE"),
    catalog("ALTER TYPE RENAME VALUE").note("the old application's value is no longer known"),
    catalog("ALTER USER MAPPING"),
    brief("ALTER VIEW", Lock::AccessExclusive).note(OLD_NAMES),
    alone("ANALYZE", Lock::ShareUpdateExclusive).passing(),
    catalog("CALL").note(UNKNOWN),
    catalog("CHECKPOINT").passing(),
    foreign("CLOSE CURSOR", SESSION, LEAVE_OUT).passing(),
    foreign("CLOSE CURSOR ALL", SESSION, LEAVE_OUT).passing(),
    never(
        "CLUSTER",
        Lock::AccessExclusive,
        Work::Rewrites,
        "PostgreSQL writes the table and its indexes anew, and nobody reads or writes it meanwhile",
        REPACK,
    ),
    brief("COMMENT", Lock::ShareUpdateExclusive),
    catalog("COPY").scans().passing(),
    brief("COPY FROM", Lock::RowExclusive),
    catalog("CREATE ACCESS METHOD"),
    catalog("CREATE AGGREGATE"),
    catalog("CREATE CAST"),
    catalog("CREATE COLLATION"),
    catalog("CREATE CONVERSION"),
    foreign("CREATE DATABASE", SERVER, BY_HAND),
    catalog("CREATE DOMAIN"),
    catalog("CREATE EVENT TRIGGER"),
    catalog("CREATE EXTENSION").note(UNKNOWN),
    catalog("CREATE FOREIGN DATA WRAPPER"),
    catalog("CREATE FOREIGN TABLE"),
    catalog("CREATE FUNCTION"),
    never(
        "CREATE INDEX",
        Lock::Share,
        Work::Scans,
        "writes wait until the index is built",
        "CREATE INDEX CONCURRENTLY, which is what it becomes where it can.",
    ),
    alone("CREATE INDEX CONCURRENTLY", Lock::ShareUpdateExclusive).scans(),
    catalog("CREATE LANGUAGE"),
    catalog("CREATE MATERIALIZED VIEW").scans(),
    catalog("CREATE OPERATOR"),
    catalog("CREATE OPERATOR CLASS"),
    catalog("CREATE OPERATOR FAMILY"),
    brief("CREATE POLICY", Lock::AccessExclusive),
    catalog("CREATE PROCEDURE"),
    brief("CREATE PUBLICATION", Lock::ShareUpdateExclusive),
    catalog("CREATE ROLE").note(ROLES),
    brief("CREATE RULE", Lock::AccessExclusive),
    catalog("CREATE SCHEMA"),
    catalog("CREATE SEQUENCE"),
    catalog("CREATE SERVER"),
    brief("CREATE STATISTICS", Lock::ShareUpdateExclusive),
    catalog("CREATE SUBSCRIPTION").note("run again after an interruption it fails if it was done"),
    catalog("CREATE TABLE"),
    brief("CREATE TABLE INHERITS", Lock::ShareUpdateExclusive),
    brief("CREATE TABLE PARTITION OF", Lock::AccessExclusive),
    catalog("CREATE TABLE AS").scans(),
    foreign("CREATE TABLESPACE", SERVER, BY_HAND),
    catalog("CREATE TEXT SEARCH CONFIGURATION"),
    catalog("CREATE TEXT SEARCH DICTIONARY"),
    catalog("CREATE TEXT SEARCH PARSER"),
    catalog("CREATE TEXT SEARCH TEMPLATE"),
    catalog("CREATE TRANSFORM"),
    brief("CREATE TRIGGER", Lock::ShareRowExclusive),
    catalog("CREATE TYPE"),
    catalog("CREATE USER MAPPING"),
    catalog("CREATE VIEW"),
    brief("CREATE VIEW OR REPLACE", Lock::AccessExclusive),
    foreign("DEALLOCATE", SESSION, LEAVE_OUT).passing(),
    foreign("DEALLOCATE ALL", SESSION, LEAVE_OUT).passing(),
    foreign("DECLARE CURSOR", SESSION, LEAVE_OUT).passing(),
    brief("DELETE", Lock::RowExclusive)
        .scans()
        .note("deletes rows for good, in one statement"),
    foreign("DISCARD", SESSION, LEAVE_OUT).passing(),
    foreign("DISCARD ALL", SESSION, LEAVE_OUT).passing(),
    foreign("DISCARD PLANS", SESSION, LEAVE_OUT).passing(),
    foreign("DISCARD SEQUENCES", SESSION, LEAVE_OUT).passing(),
    foreign("DISCARD TEMP", SESSION, LEAVE_OUT).passing(),
    catalog("DO").note(UNKNOWN),
    drops("DROP ACCESS METHOD"),
    drops("DROP AGGREGATE"),
    drops("DROP CAST"),
    drops("DROP COLLATION"),
    drops("DROP CONVERSION"),
    foreign("DROP DATABASE", SERVER, BY_HAND),
    drops("DROP DOMAIN"),
    drops("DROP EVENT TRIGGER"),
    drops("DROP EXTENSION"),
    drops("DROP FOREIGN DATA WRAPPER"),
    drops("DROP FOREIGN TABLE"),
    drops("DROP FUNCTION"),
    brief("DROP INDEX", Lock::AccessExclusive),
    drops("DROP LANGUAGE"),
    drops("DROP MATERIALIZED VIEW"),
    drops("DROP OPERATOR"),
    drops("DROP OPERATOR CLASS"),
    drops("DROP OPERATOR FAMILY"),
    foreign(
        "DROP OWNED",
        "it drops what the script does not name",
        "Drop the objects by name.",
    ),
    brief("DROP POLICY", Lock::AccessExclusive),
    drops("DROP PROCEDURE"),
    drops("DROP PUBLICATION"),
    catalog("DROP ROLE").note(ROLES),
    drops("DROP ROUTINE"),
    brief("DROP RULE", Lock::AccessExclusive),
    drops("DROP SCHEMA"),
    drops("DROP SEQUENCE"),
    drops("DROP SERVER"),
    drops("DROP STATISTICS"),
    drops("DROP SUBSCRIPTION"),
    brief("DROP TABLE", Lock::AccessExclusive).note("destroys the table's data for good"),
    foreign("DROP TABLESPACE", SERVER, BY_HAND),
    drops("DROP TEXT SEARCH CONFIGURATION"),
    drops("DROP TEXT SEARCH DICTIONARY"),
    drops("DROP TEXT SEARCH PARSER"),
    drops("DROP TEXT SEARCH TEMPLATE"),
    drops("DROP TRANSFORM"),
    brief("DROP TRIGGER", Lock::AccessExclusive),
    drops("DROP TYPE"),
    drops("DROP USER MAPPING"),
    drops("DROP VIEW"),
    foreign("EXECUTE", SESSION, "Write the statement itself.").passing(),
    foreign("EXPLAIN", "it shows a plan to nobody", LEAVE_OUT).passing(),
    foreign("FETCH", SESSION, LEAVE_OUT).passing(),
    catalog("GRANT"),
    catalog("GRANT ROLE").note(ROLES),
    catalog("IMPORT FOREIGN SCHEMA").note(UNKNOWN),
    brief("INSERT", Lock::RowExclusive),
    foreign("LISTEN", SESSION, LEAVE_OUT).passing(),
    foreign("LOAD", SESSION, LEAVE_OUT).passing(),
    foreign(
        "LOCK TABLE",
        "each step takes the locks it needs, no longer than it needs them",
        LEAVE_OUT,
    )
    .passing(),
    brief("MERGE", Lock::RowExclusive).scans().note(LONG_DATA),
    foreign("MOVE", SESSION, LEAVE_OUT).passing(),
    catalog("NOTIFY").passing(),
    foreign("PREPARE", SESSION, "Write the statement itself.").passing(),
    catalog("REASSIGN OWNED")
        .note("it locks each table of the role, under ACCESS EXCLUSIVE, until its step ends"),
    never(
        "REFRESH MATERIALIZED VIEW",
        Lock::AccessExclusive,
        Work::Rewrites,
        "nobody reads the view until all its rows are computed",
        "CREATE UNIQUE INDEX on it first: then it is refreshed CONCURRENTLY.",
    )
    .passing(),
    alone("REFRESH MATERIALIZED VIEW CONCURRENTLY", Lock::Exclusive)
        .scans()
        .passing(),
    never(
        "REINDEX",
        Lock::Share,
        Work::Rewrites,
        "writes to the table wait until its indexes are built, and reads that would use them too",
        "REINDEX … CONCURRENTLY, which is what it becomes where it can.",
    )
    .passing(),
    alone("REINDEX CONCURRENTLY", Lock::ShareUpdateExclusive)
        .scans()
        .note("an interruption may leave an invalid index behind, whose name ends with _ccnew")
        .passing(),
    catalog("RESET").passing(),
    catalog("REVOKE"),
    catalog("REVOKE ROLE").note(ROLES),
    catalog("SECURITY LABEL"),
    catalog("SELECT").passing(),
    catalog("SELECT INTO").scans(),
    foreign("SET", SESSION, LEAVE_OUT).passing(),
    catalog("SET CONSTRAINTS")
        .note("it holds until the transaction of its step ends")
        .passing(),
    foreign("SHOW", "it shows a setting to nobody", LEAVE_OUT).passing(),
    never(
        "TRUNCATE TABLE",
        Lock::AccessExclusive,
        Work::Brief,
        "destroys the table's data for good",
        "-- migrate:immediately before the statement, if that is meant.",
    ),
    foreign("UNLISTEN", SESSION, LEAVE_OUT).passing(),
    brief("UPDATE", Lock::RowExclusive).scans().note(LONG_DATA),
    alone("VACUUM", Lock::ShareUpdateExclusive)
        .scans()
        .passing(),
    never(
        "VACUUM FULL",
        Lock::AccessExclusive,
        Work::Rewrites,
        "PostgreSQL writes the table and its indexes anew, and nobody reads or writes it meanwhile",
        REPACK,
    )
    .passing(),
];

const fn drops(key: &'static str) -> Fact {
    brief(key, Lock::AccessExclusive).note("drops for good")
}

/// The line for a statement; `None`: PostgreSQL has learnt a kind that this table does not know.
pub fn fact(tag: &str, what: &str, concurrently: bool) -> Option<&'static Fact> {
    let find = |key: &str| STATEMENTS.iter().find(|fact| fact.key == key);
    let more = if concurrently { "CONCURRENTLY" } else { what };
    (!more.is_empty())
        .then(|| find(&format!("{tag} {more}")))
        .flatten()
        .or_else(|| find(tag))
}

/// The line for a subcommand of ALTER TABLE and its kin.
pub fn change(what: &str) -> Option<&'static Fact> {
    TABLE_CHANGES.iter().find(|fact| fact.key == what)
}

#[cfg(test)]
mod tests;
