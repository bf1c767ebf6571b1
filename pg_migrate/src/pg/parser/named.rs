//! The object that ALTER, COMMENT ON and DROP name: as `pg_get_object_address` takes it, and as SQL
//! text.

use super::raw::{self, cast, strings, text};
use super::read::{name, quote, sql};
use super::tree::{Name, Named};
use pgrx::pg_sys::{self, ObjectType};

/// How `pg_get_object_address` calls the kind, and how DDL does.
fn kind(code: ObjectType::Type) -> Option<(&'static str, &'static str)> {
    Some(match code {
        ObjectType::OBJECT_ACCESS_METHOD => ("access method", "ACCESS METHOD"),
        ObjectType::OBJECT_AGGREGATE => ("aggregate", "AGGREGATE"),
        ObjectType::OBJECT_COLLATION => ("collation", "COLLATION"),
        ObjectType::OBJECT_COLUMN => ("table column", "COLUMN"),
        ObjectType::OBJECT_CONVERSION => ("conversion", "CONVERSION"),
        ObjectType::OBJECT_DATABASE => ("database", "DATABASE"),
        ObjectType::OBJECT_DOMAIN => ("type", "DOMAIN"),
        ObjectType::OBJECT_EVENT_TRIGGER => ("event trigger", "EVENT TRIGGER"),
        ObjectType::OBJECT_EXTENSION => ("extension", "EXTENSION"),
        ObjectType::OBJECT_FDW => ("foreign-data wrapper", "FOREIGN DATA WRAPPER"),
        ObjectType::OBJECT_FOREIGN_SERVER => ("server", "SERVER"),
        ObjectType::OBJECT_FOREIGN_TABLE => ("foreign table", "FOREIGN TABLE"),
        ObjectType::OBJECT_FUNCTION => ("function", "FUNCTION"),
        ObjectType::OBJECT_INDEX => ("index", "INDEX"),
        ObjectType::OBJECT_LANGUAGE => ("language", "LANGUAGE"),
        ObjectType::OBJECT_MATVIEW => ("materialized view", "MATERIALIZED VIEW"),
        ObjectType::OBJECT_POLICY => ("policy", "POLICY"),
        ObjectType::OBJECT_PROCEDURE => ("procedure", "PROCEDURE"),
        ObjectType::OBJECT_PUBLICATION => ("publication", "PUBLICATION"),
        ObjectType::OBJECT_ROLE => ("role", "ROLE"),
        ObjectType::OBJECT_ROUTINE => ("routine", "ROUTINE"),
        ObjectType::OBJECT_RULE => ("rule", "RULE"),
        ObjectType::OBJECT_SCHEMA => ("schema", "SCHEMA"),
        ObjectType::OBJECT_SEQUENCE => ("sequence", "SEQUENCE"),
        ObjectType::OBJECT_STATISTIC_EXT => ("statistics object", "STATISTICS"),
        ObjectType::OBJECT_SUBSCRIPTION => ("subscription", "SUBSCRIPTION"),
        ObjectType::OBJECT_TABCONSTRAINT => ("table constraint", "CONSTRAINT"),
        ObjectType::OBJECT_TABLE => ("table", "TABLE"),
        ObjectType::OBJECT_TABLESPACE => ("tablespace", "TABLESPACE"),
        ObjectType::OBJECT_TRIGGER => ("trigger", "TRIGGER"),
        ObjectType::OBJECT_TSCONFIGURATION => {
            ("text search configuration", "TEXT SEARCH CONFIGURATION")
        }
        ObjectType::OBJECT_TSDICTIONARY => ("text search dictionary", "TEXT SEARCH DICTIONARY"),
        ObjectType::OBJECT_TSPARSER => ("text search parser", "TEXT SEARCH PARSER"),
        ObjectType::OBJECT_TSTEMPLATE => ("text search template", "TEXT SEARCH TEMPLATE"),
        ObjectType::OBJECT_TYPE => ("type", "TYPE"),
        ObjectType::OBJECT_VIEW => ("view", "VIEW"),
        _ => return None,
    })
}

/// An object that is known by a name alone.
pub fn named(kind: &'static str, name: &Name) -> Named {
    let mut names: Vec<String> = name.schema.iter().cloned().collect();
    names.push(name.name.clone());
    Named {
        kind,
        word: match kind {
            "statistics object" => "STATISTICS",
            _ => "TYPE",
        },
        text: sql(name),
        names,
        arguments: Vec::new(),
    }
}

pub fn type_name(node: *const pg_sys::Node) -> Option<String> {
    let node = cast::<pg_sys::TypeName>(node)?;
    // SAFETY: a raw TypeName, which has names; the string lives in the parse's memory context.
    text(unsafe { pg_sys::TypeNameToString(node) })
}

fn list_names(node: *const pg_sys::Node) -> Vec<String> {
    strings(node.cast())
}

/// `None`: of a kind that is not told here.
pub fn of(
    code: ObjectType::Type,
    relation: *const pg_sys::RangeVar,
    node: *const pg_sys::Node,
) -> Option<Named> {
    let (kind, word) = kind(code)?;
    let mut arguments = Vec::new();
    let names = if let Some(routine) = cast::<pg_sys::ObjectWithArgs>(node) {
        if routine.args_unspecified {
            return None;
        }
        for argument in raw::items(routine.objargs) {
            arguments.push(type_name(argument)?);
        }
        strings(routine.objname)
    } else if let Some(found) = cast::<pg_sys::TypeName>(node) {
        strings(found.names)
    } else if let Some(found) = cast::<pg_sys::String>(node) {
        vec![text(found.sval)?]
    } else {
        list_names(node)
    };
    let names = match name(relation) {
        // Rules, policies, triggers, constraints and columns come with their relation beside them.
        Some(on) => {
            let mut all: Vec<String> = on.schema.into_iter().collect();
            all.push(on.name);
            all.extend(names);
            all
        }
        None => names,
    };
    if names.is_empty() {
        return None;
    }
    let quoted: Vec<String> = names.iter().map(|part| quote(part)).collect();
    let text = match code {
        ObjectType::OBJECT_POLICY
        | ObjectType::OBJECT_RULE
        | ObjectType::OBJECT_TRIGGER
        | ObjectType::OBJECT_TABCONSTRAINT => {
            let (last, on) = quoted.split_last()?;
            format!("{last} ON {}", on.join("."))
        }
        ObjectType::OBJECT_FUNCTION
        | ObjectType::OBJECT_PROCEDURE
        | ObjectType::OBJECT_ROUTINE
        | ObjectType::OBJECT_AGGREGATE => {
            let starred = code == ObjectType::OBJECT_AGGREGATE && arguments.is_empty();
            let list = if starred {
                "*".to_owned()
            } else {
                arguments.join(", ")
            };
            format!("{}({list})", quoted.join("."))
        }
        _ => quoted.join("."),
    };
    Some(Named {
        kind,
        word,
        names,
        arguments,
        text,
    })
}

/// What RENAME is about; where a part of it gets another name, the object itself.
pub fn renamed(stmt: &pg_sys::RenameStmt) -> Option<Named> {
    let part = || text(stmt.subname);
    match stmt.renameType {
        ObjectType::OBJECT_ATTRIBUTE => Some(named("type", &name(stmt.relation)?)),
        ObjectType::OBJECT_DOMCONSTRAINT => Some(named(
            "type",
            &super::read::name_of(&list_names(stmt.object))?,
        )),
        ObjectType::OBJECT_SCHEMA | ObjectType::OBJECT_ROLE | ObjectType::OBJECT_DATABASE => {
            let (kind, word) = kind(stmt.renameType)?;
            Some(Named {
                kind,
                word,
                text: quote(&part()?),
                names: vec![part()?],
                arguments: Vec::new(),
            })
        }
        ObjectType::OBJECT_TRIGGER | ObjectType::OBJECT_POLICY | ObjectType::OBJECT_RULE => {
            let mut found = of(ObjectType::OBJECT_TABLE, stmt.relation, std::ptr::null())?;
            (found.kind, found.word) = kind(stmt.renameType)?;
            found.text = format!("{} ON {}", quote(&part()?), found.text);
            found.names.push(part()?);
            Some(found)
        }
        _ => of(stmt.renameType, stmt.relation, stmt.object),
    }
}

/// The routine that CREATE FUNCTION or CREATE PROCEDURE makes or replaces.
pub fn routine(stmt: &pg_sys::CreateFunctionStmt) -> Option<Named> {
    use pg_sys::FunctionParameterMode as Mode;
    let names = strings(stmt.funcname);
    let mut arguments = Vec::new();
    for parameter in raw::items(stmt.parameters) {
        let parameter = cast::<pg_sys::FunctionParameter>(parameter)?;
        if !matches!(
            parameter.mode,
            Mode::FUNC_PARAM_OUT | Mode::FUNC_PARAM_TABLE
        ) {
            arguments.push(type_name(parameter.argType.cast_const().cast())?);
        }
    }
    let quoted: Vec<String> = names.iter().map(|part| quote(part)).collect();
    let (kind, word) = match stmt.is_procedure {
        true => ("procedure", "PROCEDURE"),
        false => ("function", "FUNCTION"),
    };
    Some(Named {
        kind,
        word,
        text: format!("{}({})", quoted.join("."), arguments.join(", ")),
        names,
        arguments,
    })
}
