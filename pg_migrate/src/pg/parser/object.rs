//! Statements on objects other than tables that have recipes.

use super::cut::Cut;
use super::raw::{self, cast, strings, text};
use super::read::{name, name_of, sql};
use super::tree::{Grant, Object, View};
use pgrx::pg_sys::{self, NodeTag, ObjectType};
use std::ffi::c_char;
use std::ops::Range;

pub fn object(stmt: *const pg_sys::Node, cut: &Cut) -> Option<Object> {
    match raw::at(stmt)?.type_ {
        NodeTag::T_AlterEnumStmt => alter_enum(cast(stmt)?),
        NodeTag::T_AlterObjectSchemaStmt => set_schema(cast(stmt)?, cut),
        NodeTag::T_ViewStmt => view(cast(stmt)?, cut),
        NodeTag::T_CreateTableAsStmt => materialized(cast(stmt)?, cut),
        NodeTag::T_RefreshMatViewStmt => {
            let stmt = cast::<pg_sys::RefreshMatViewStmt>(stmt)?;
            (!stmt.skipData).then_some(())?;
            Some(Object::Refresh(sql(&name(stmt.relation)?)))
        }
        NodeTag::T_CreateFunctionStmt => {
            let stmt = cast::<pg_sys::CreateFunctionStmt>(stmt)?;
            stmt.replace.then_some(())?;
            Some(Object::Function(sql(&name_of(&strings(stmt.funcname))?)))
        }
        NodeTag::T_CreateTrigStmt => {
            let stmt = cast::<pg_sys::CreateTrigStmt>(stmt)?;
            Some(Object::Trigger {
                name: text(stmt.trigname)?,
                table: sql(&name(stmt.relation)?),
                replace: stmt.replace,
            })
        }
        NodeTag::T_DropStmt => drop_trigger(cast(stmt)?),
        NodeTag::T_GrantStmt => grant(cast(stmt)?, cut),
        NodeTag::T_ReindexStmt => reindex(cast(stmt)?),
        NodeTag::T_CommentStmt => {
            let all = 0..cut.len();
            let at = cut.find(&all, "is")?;
            Some(Object::Comment(cut.text(&(0..at))?.to_owned()))
        }
        _ => None,
    }
}

fn alter_enum(stmt: &pg_sys::AlterEnumStmt) -> Option<Object> {
    let data_type = sql(&name_of(&strings(stmt.typeName))?);
    let new = text(stmt.newVal)?;
    if let Some(old) = text(stmt.oldVal) {
        return Some(Object::RenameEnumValue {
            data_type,
            from: old,
            to: new,
        });
    }
    let neighbour = text(stmt.newValNeighbor);
    let (before, after) = match stmt.newValIsAfter {
        true => (None, neighbour),
        false => (neighbour, None),
    };
    Some(Object::AddEnumValue {
        data_type,
        value: new,
        before,
        after,
        if_not_exists: stmt.skipIfNewValExists,
    })
}

fn set_schema(stmt: &pg_sys::AlterObjectSchemaStmt, cut: &Cut) -> Option<Object> {
    (!stmt.missing_ok).then_some(())?;
    let kind = match stmt.objectType {
        ObjectType::OBJECT_TABLE
        | ObjectType::OBJECT_VIEW
        | ObjectType::OBJECT_MATVIEW
        | ObjectType::OBJECT_SEQUENCE
        | ObjectType::OBJECT_FOREIGN_TABLE => "table",
        ObjectType::OBJECT_TYPE | ObjectType::OBJECT_DOMAIN => "type",
        ObjectType::OBJECT_FUNCTION
        | ObjectType::OBJECT_PROCEDURE
        | ObjectType::OBJECT_AGGREGATE => "function",
        _ => return None,
    };
    let object = match kind {
        "table" => sql(&name(stmt.relation)?),
        // ALTER FUNCTION name SET SCHEMA
        _ => {
            let set = cut.find(&(2..cut.len()), "set")?;
            cut.text(&(2..set))?.to_owned()
        }
    };
    Some(Object::SetSchema {
        kind,
        name: object,
        schema: text(stmt.newschema)?,
    })
}

/// The inside of `WITH (…)` in the run.
fn options(cut: &Cut, run: &Range<usize>) -> Option<String> {
    if run.is_empty() {
        return None;
    }
    let with = cut.find(run, "with")?;
    cut.text(&cut.inside(with + 1)?).map(str::to_owned)
}

fn lasting(range: *const pg_sys::RangeVar) -> Option<()> {
    (raw::at(range)?.relpersistence != pg_sys::RELPERSISTENCE_TEMP as c_char).then_some(())
}

fn view(stmt: &pg_sys::ViewStmt, cut: &Cut) -> Option<Object> {
    lasting(stmt.view)?;
    let start = cut.at(raw::at(stmt.view)?.location)?;
    // The parser has rewritten a recursive one by now.
    if (0..start).any(|at| cut.word(at, "recursive")) {
        return None;
    }
    let head = cut.after_name(start)..cut.len();
    let at = cut.find(&head, "as")?;
    Some(Object::View(View {
        name: sql(&name(stmt.view)?),
        columns: strings(stmt.aliases),
        options: options(cut, &(head.start..at)),
        definition: cut.text(&(at + 1..cut.len()))?.to_owned(),
        replace: stmt.replace,
        ..View::default()
    }))
}

fn materialized(stmt: &pg_sys::CreateTableAsStmt, cut: &Cut) -> Option<Object> {
    (stmt.objtype == ObjectType::OBJECT_MATVIEW).then_some(())?;
    let into = raw::at(stmt.into)?;
    if !into.accessMethod.is_null() || !into.tableSpaceName.is_null() {
        return None;
    }
    let head = cut.after_name(cut.at(raw::at(into.rel)?.location)?)..cut.len();
    let at = cut.find(&head, "as")?;
    let mut end = cut.len();
    if cut.word(end - 1, "data") {
        end -= 1;
        if cut.word(end - 1, "no") {
            end -= 1;
        }
        end -= 1;
    }
    Some(Object::View(View {
        name: sql(&name(into.rel)?),
        columns: strings(into.colNames),
        options: options(cut, &(head.start..at)),
        definition: cut.text(&(at + 1..end))?.to_owned(),
        materialized: true,
        with_data: !into.skipData,
        if_not_exists: stmt.if_not_exists,
        ..View::default()
    }))
}

fn drop_trigger(stmt: &pg_sys::DropStmt) -> Option<Object> {
    if stmt.removeType != ObjectType::OBJECT_TRIGGER
        || stmt.behavior == pg_sys::DropBehavior::DROP_CASCADE
    {
        return None;
    }
    let [parts] = raw::items(stmt.objects)[..] else {
        return None;
    };
    let mut parts = strings(parts.cast());
    let trigger = parts.pop()?;
    Some(Object::DropTrigger {
        name: trigger,
        table: sql(&name_of(&parts)?),
        if_exists: stmt.missing_ok,
    })
}

fn grant(stmt: &pg_sys::GrantStmt, cut: &Cut) -> Option<Object> {
    if stmt.targtype != pg_sys::GrantTargetType::ACL_TARGET_OBJECT
        || stmt.behavior == pg_sys::DropBehavior::DROP_CASCADE
        || !stmt.grantor.is_null()
    {
        return None;
    }
    let (kind, named) = match stmt.objtype {
        ObjectType::OBJECT_TABLE => ("table", true),
        ObjectType::OBJECT_SEQUENCE => ("sequence", false),
        ObjectType::OBJECT_FUNCTION => ("function", false),
        ObjectType::OBJECT_PROCEDURE => ("procedure", false),
        ObjectType::OBJECT_ROUTINE => ("routine", false),
        ObjectType::OBJECT_SCHEMA => ("schema", false),
        ObjectType::OBJECT_TYPE => ("type", false),
        ObjectType::OBJECT_DOMAIN => ("domain", false),
        _ => return None,
    };
    let all = 0..cut.len();
    let on = cut.find(&all, "on")?;
    let to = cut.find(&(on..cut.len()), if stmt.is_grant { "to" } else { "from" })?;
    // TABLE may be left out.
    let first = if named && !cut.word(on + 1, "table") {
        on + 1
    } else {
        on + 2
    };
    let end = (to + 1..cut.len())
        .find(|at| {
            ["with", "restrict", "granted"]
                .iter()
                .any(|word| cut.word(*at, word))
        })
        .unwrap_or(cut.len());
    let pieces = |run: Range<usize>| {
        cut.chunks(&run)
            .into_iter()
            .map(|chunk| cut.text(&chunk).map(str::to_owned))
            .collect::<Option<Vec<_>>>()
    };
    let mut privileges: Vec<(Vec<String>, Vec<String>)> = Vec::new();
    for one in raw::items(stmt.privileges) {
        let one = cast::<pg_sys::AccessPriv>(one)?;
        let columns = strings(one.cols);
        let word = text(one.priv_name)
            .unwrap_or_else(|| "ALL".to_owned())
            .to_uppercase();
        match privileges.iter_mut().find(|(_, of)| *of == columns) {
            Some((words, _)) => words.push(word),
            None => privileges.push((vec![word], columns)),
        }
    }
    if privileges.is_empty() {
        privileges.push((vec!["ALL".to_owned()], Vec::new()));
    }
    Some(Object::Grant(Grant {
        grant: stmt.is_grant,
        privileges,
        kind,
        on: pieces(first..to)?,
        roles: pieces(to + 1..end)?,
        option: stmt.grant_option,
    }))
}

fn reindex(stmt: &pg_sys::ReindexStmt) -> Option<Object> {
    use pg_sys::ReindexObjectType as Reindex;
    let plain = raw::items(stmt.params)
        .into_iter()
        .filter_map(cast::<pg_sys::DefElem>)
        .all(|option| text(option.defname).as_deref() == Some("concurrently"));
    plain.then_some(())?;
    let table = match stmt.kind {
        Reindex::REINDEX_OBJECT_INDEX => false,
        Reindex::REINDEX_OBJECT_TABLE => true,
        _ => return None,
    };
    Some(Object::Reindex {
        name: sql(&name(stmt.relation)?),
        table,
    })
}
