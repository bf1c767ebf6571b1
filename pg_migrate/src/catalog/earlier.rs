//! The statement that puts back what is now, read from the catalog before it is changed.
//! Each query gives one text, or no row (or null) where no statement could put it back; an empty
//! text says that there is nothing to put back.

use super::relation;
use crate::fault::Result;
use crate::pg::spi::{self, Arg};
use crate::pg::subtransaction;
use crate::recipe::written::Earlier;
use serde::Deserialize;

#[derive(Deserialize)]
struct Text {
    value: Option<String>,
}

/// Of a relation: `$1` its OID, `$2` its kind and name as DDL has them, `$3` what is asked for.
const RELATIONS: &[(&str, &str)] = &[
    ("relation owner", include_str!("earlier/relation_owner.sql")),
    ("options", include_str!("earlier/options.sql")),
    ("column options", include_str!("earlier/column_options.sql")),
    ("statistics", include_str!("earlier/statistics.sql")),
    ("storage", include_str!("earlier/storage.sql")),
    ("compression", include_str!("earlier/compression.sql")),
    ("access method", include_str!("earlier/access_method.sql")),
    ("tablespace", include_str!("earlier/tablespace.sql")),
    ("triggers", include_str!("earlier/triggers.sql")),
    ("rule", include_str!("earlier/rule.sql")),
    ("row security", include_str!("earlier/row_security.sql")),
    (
        "replica identity",
        include_str!("earlier/replica_identity.sql"),
    ),
    ("type of table", include_str!("earlier/type_of_table.sql")),
    (
        "partition bound",
        include_str!("earlier/partition_bound.sql"),
    ),
    ("identity", include_str!("earlier/identity.sql")),
    ("sequence", include_str!("earlier/sequence.sql")),
];

/// Of any object: `$1`, `$2` its class and OID, `$3` its kind and name as DDL has them, `$4` what
/// is asked for, `$5` the number of its column.
const OBJECTS: &[(&str, &str)] = &[
    ("owner", include_str!("earlier/owner.sql")),
    ("schema", include_str!("earlier/schema.sql")),
    ("comment", include_str!("earlier/comment.sql")),
    ("routine", include_str!("earlier/routine.sql")),
    (
        "statistics target",
        include_str!("earlier/statistics_target.sql"),
    ),
    ("domain", include_str!("earlier/domain.sql")),
    ("attribute", include_str!("earlier/attribute.sql")),
    ("definition", include_str!("earlier/definition.sql")),
];

pub fn earlier(ask: &Earlier) -> Result<Option<String>> {
    let find = |list: &'static [(&str, &'static str)]| {
        list.iter()
            .find(|(what, _)| *what == ask.what)
            .map(|(_, sql)| *sql)
    };
    let found = match ask.what {
        "view" => return view(ask),
        "publication" => spi::first::<Text>(
            include_str!("earlier/publication.sql"),
            &[Arg::Text(ask.parts.first().map_or("", String::as_str))],
        )?,
        _ => match (find(RELATIONS), find(OBJECTS)) {
            (Some(sql), _) => {
                let Some(oid) = relation::resolve(ask.names.first().map_or("", String::as_str))?
                else {
                    return Ok(None);
                };
                spi::first::<Text>(
                    sql,
                    &[
                        Arg::Oid(oid),
                        Arg::Text(&ask.text),
                        Arg::Texts(ask.parts.clone()),
                    ],
                )?
            }
            (None, Some(sql)) => return object(ask, sql),
            (None, None) => None,
        },
    };
    Ok(found.and_then(|row| row.value))
}

/// An object's class, OID and column; `None`: there is none of that name.
fn address(ask: &Earlier) -> Result<Option<(i64, i64, i64)>> {
    #[derive(Deserialize)]
    struct Address {
        classid: i64,
        objid: i64,
        objsubid: i64,
    }
    // A type is taken as one name.
    let names = match (ask.kind, ask.names.as_slice()) {
        ("type", [schema, name]) => vec![spi::qualified(schema, name)],
        ("type", [name]) => vec![spi::ident(name)],
        (_, names) => names.to_vec(),
    };
    let found = subtransaction::attempt(|| {
        spi::first::<Address>(
            "SELECT a.classid::int8 AS classid, a.objid::int8 AS objid, a.objsubid::int8 AS objsubid \
             FROM pg_catalog.pg_get_object_address($1, $2, $3) a",
            &[
                Arg::Text(ask.kind),
                Arg::Texts(names.clone()),
                Arg::Texts(ask.arguments.clone()),
            ],
        )
    });
    match found {
        Ok(row) => Ok(row.map(|row| (row.classid, row.objid, row.objsubid))),
        Err(fault) if fault.is_interruption() => Err(fault),
        // It is made by this migration, or the statement itself will say that it is not there.
        Err(_) => Ok(None),
    }
}

fn object(ask: &Earlier, sql: &str) -> Result<Option<String>> {
    let Some((class, oid, column)) = address(ask)? else {
        return Ok(None);
    };
    let found = spi::first::<Text>(
        sql,
        &[
            Arg::Int(class),
            Arg::Int(oid),
            Arg::Text(&ask.text),
            Arg::Texts(ask.parts.clone()),
            Arg::Int(column),
        ],
    )?;
    Ok(found.and_then(|row| row.value))
}

/// A view that is replaced may have got columns, which CREATE OR REPLACE cannot take away.
fn view(ask: &Earlier) -> Result<Option<String>> {
    let Some(key) = ask.names.first() else {
        return Ok(None);
    };
    let made = object(
        &Earlier {
            kind: "view",
            names: relation::name_parts(key)?,
            text: ask.text.clone(),
            ..Earlier::default()
        },
        include_str!("earlier/definition.sql"),
    )?;
    Ok(made.map(|made| format!("DROP VIEW {key};\n{made}")))
}
