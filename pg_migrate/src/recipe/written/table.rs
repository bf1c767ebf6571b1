//! The subcommands of ALTER TABLE and of its kin: one line for each, in words of the grammar.

use super::statements::{Fact, REPACK, Work, alone, brief, never};
use crate::recipe::step::Lock::{AccessExclusive, ShareRowExclusive, ShareUpdateExclusive};

const ANEW: &str =
    "PostgreSQL writes the table and its indexes anew, and nobody reads or writes it meanwhile";
const READ_ALL: &str = "PostgreSQL reads the whole table under ACCESS EXCLUSIVE, and nobody reads or writes it meanwhile";
const NEW_COLUMN: &str =
    "Add a plain column, fill it by up or by an UPDATE, and keep it by a trigger of your own.";

pub const TABLE_CHANGES: &[Fact] = &[
    // Rewrites or scans as its default, its type and its constraints say: see `changes`.
    brief("ADD COLUMN", AccessExclusive),
    brief("SET DEFAULT", AccessExclusive),
    brief("DROP NOT NULL", AccessExclusive),
    never(
        "SET NOT NULL",
        AccessExclusive,
        Work::Scans,
        READ_ALL,
        "Leave ONLY out: then a validated CHECK proves it.",
    ),
    brief("DROP EXPRESSION", AccessExclusive),
    never(
        "SET EXPRESSION",
        AccessExclusive,
        Work::Rewrites,
        ANEW,
        NEW_COLUMN,
    ),
    brief("SET STATISTICS", ShareUpdateExclusive),
    brief("SET COLUMN OPTIONS", ShareUpdateExclusive),
    brief("RESET COLUMN OPTIONS", ShareUpdateExclusive),
    brief("SET STORAGE", AccessExclusive),
    brief("SET COMPRESSION", AccessExclusive),
    brief("DROP COLUMN", AccessExclusive),
    // Scans or not as its kind says.
    brief("ADD CONSTRAINT", AccessExclusive),
    brief("ALTER CONSTRAINT", AccessExclusive),
    Fact {
        work: Work::Scans,
        ..alone("VALIDATE CONSTRAINT", ShareUpdateExclusive)
    },
    brief("ADD CONSTRAINT USING INDEX", AccessExclusive),
    brief("DROP CONSTRAINT", AccessExclusive),
    // Rewrites or not as the types say.
    brief("SET DATA TYPE", AccessExclusive),
    brief("COLUMN OPTIONS", AccessExclusive),
    brief("OWNER TO", AccessExclusive),
    brief("CLUSTER ON", ShareUpdateExclusive),
    brief("SET WITHOUT CLUSTER", ShareUpdateExclusive),
    never(
        "SET LOGGED",
        AccessExclusive,
        Work::Rewrites,
        ANEW,
        "Make a new table, copy the rows, rename.",
    ),
    never(
        "SET UNLOGGED",
        AccessExclusive,
        Work::Rewrites,
        ANEW,
        "Make a new table, copy the rows, rename.",
    ),
    brief("SET WITHOUT OIDS", AccessExclusive),
    never(
        "SET ACCESS METHOD",
        AccessExclusive,
        Work::Rewrites,
        ANEW,
        "Make a new table, copy the rows, rename.",
    ),
    never(
        "SET TABLESPACE",
        AccessExclusive,
        Work::Rewrites,
        "PostgreSQL copies the whole table, and nobody reads or writes it meanwhile",
        REPACK,
    ),
    brief("SET OPTIONS", ShareUpdateExclusive),
    brief("RESET OPTIONS", ShareUpdateExclusive),
    brief("ENABLE TRIGGER", ShareRowExclusive),
    brief("DISABLE TRIGGER", ShareRowExclusive),
    brief("ENABLE TRIGGERS", ShareRowExclusive),
    brief("DISABLE TRIGGERS", ShareRowExclusive),
    brief("ENABLE RULE", AccessExclusive),
    brief("DISABLE RULE", AccessExclusive),
    brief("INHERIT", AccessExclusive),
    brief("NO INHERIT", AccessExclusive),
    brief("OF", AccessExclusive),
    brief("NOT OF", AccessExclusive),
    brief("REPLICA IDENTITY", AccessExclusive),
    brief("ENABLE ROW LEVEL SECURITY", AccessExclusive),
    brief("DISABLE ROW LEVEL SECURITY", AccessExclusive),
    brief("FORCE ROW LEVEL SECURITY", AccessExclusive),
    brief("NO FORCE ROW LEVEL SECURITY", AccessExclusive),
    brief("OPTIONS", AccessExclusive),
    never(
        "ATTACH PARTITION",
        ShareUpdateExclusive,
        Work::Scans,
        "PostgreSQL reads the new partition under ACCESS EXCLUSIVE to see that its rows belong there",
        "Add a CHECK that says the same as the bounds first: then it is not read.",
    ),
    brief("DETACH PARTITION", AccessExclusive),
    brief("DETACH PARTITION FINALIZE", ShareUpdateExclusive),
    brief("ADD IDENTITY", AccessExclusive),
    brief("SET IDENTITY", AccessExclusive),
    brief("DROP IDENTITY", AccessExclusive),
];

/// Storage parameters whose change locks out readers too, as those of views do.
pub const STRONG_OPTIONS: &[&str] = &[
    "user_catalog_table",
    "security_barrier",
    "security_invoker",
    "check_option",
];
