//! What a statement is and what it names, for the statements that run as they are written.

use super::alter;
use super::cut::Cut;
use super::named;
use super::raw::{self, cast, strings, text};
use super::read::{name, name_of};
use super::table;
use super::tree::{Action, Name, Named, Setting};
use pgrx::pg_sys::{self, NodeTag, ObjectType};
use std::ffi::{CStr, c_char};

/// The kinds of statements that this file and `recipe::written` know are those of the server: with
/// one more, neither recipes nor lint could answer for it, and nothing is built.
const TAGS: u32 = if cfg!(any(feature = "pg17", feature = "pg18")) {
    193
} else {
    192
};
const _: () = assert!(pg_sys::CommandTag::COMMAND_TAG_NEXTTAG == TAGS);

/// PostgreSQL's own name of the statement.
fn tag(stmt: *const pg_sys::Node) -> String {
    // SAFETY: a raw parse tree, which the function only looks at; the name is a constant.
    unsafe {
        let tag = pg_sys::CreateCommandTag(stmt.cast_mut());
        CStr::from_ptr(pg_sys::GetCommandTagName(tag))
    }
    .to_string_lossy()
    .into_owned()
}

pub fn action(stmt: *const pg_sys::Node, cut: &Cut) -> Action {
    let mut made = Action {
        tag: tag(stmt),
        ..Action::default()
    };
    if let Some(node) = raw::at(stmt) {
        fill(&mut made, node.type_, stmt, cut);
    }
    made
}

/// Relations of a list of RangeVars.
fn relations(list: *const pg_sys::List) -> Vec<Name> {
    raw::items(list)
        .into_iter()
        .filter_map(|node| name(cast::<pg_sys::RangeVar>(node)?))
        .collect()
}

fn option(list: *const pg_sys::List, wanted: &str) -> bool {
    raw::items(list)
        .into_iter()
        .filter_map(cast::<pg_sys::DefElem>)
        .any(|element| {
            text(element.defname).as_deref() == Some(wanted)
                && cast::<pg_sys::String>(element.arg)
                    .and_then(|value| text(value.sval))
                    .is_none_or(|value| !matches!(value.to_lowercase().as_str(), "false" | "off"))
        })
}

#[allow(clippy::too_many_lines)] // one line or two for each kind of statement
fn fill(made: &mut Action, tag: NodeTag, stmt: *const pg_sys::Node, cut: &Cut) -> Option<()> {
    let cascades = |behavior| behavior == pg_sys::DropBehavior::DROP_CASCADE;
    match tag {
        NodeTag::T_AlterTableStmt => {
            let stmt = cast::<pg_sys::AlterTableStmt>(stmt)?;
            made.if_exists = stmt.missing_ok;
            made.only = !raw::at(stmt.relation)?.inh;
            made.on.push(name(stmt.relation)?);
            made.changes = alter::changes(stmt, cut);
            if stmt.objtype == ObjectType::OBJECT_TYPE {
                made.object = name(stmt.relation).map(|name| named::named("type", &name));
                made.on.clear();
            }
        }
        NodeTag::T_RenameStmt => {
            let stmt = cast::<pg_sys::RenameStmt>(stmt)?;
            made.what = match stmt.renameType {
                ObjectType::OBJECT_COLUMN => "RENAME COLUMN",
                ObjectType::OBJECT_ATTRIBUTE => "RENAME ATTRIBUTE",
                ObjectType::OBJECT_TABCONSTRAINT | ObjectType::OBJECT_DOMCONSTRAINT => {
                    "RENAME CONSTRAINT"
                }
                _ => "RENAME",
            };
            made.if_exists = stmt.missing_ok;
            made.cascade = cascades(stmt.behavior);
            made.to = text(stmt.newname);
            made.part = text(stmt.subname);
            if !matches!(
                stmt.renameType,
                ObjectType::OBJECT_ATTRIBUTE | ObjectType::OBJECT_TYPE
            ) {
                made.on.extend(name(stmt.relation));
            }
            made.object = named::renamed(stmt);
        }
        NodeTag::T_AlterOwnerStmt => {
            let stmt = cast::<pg_sys::AlterOwnerStmt>(stmt)?;
            made.what = "OWNER TO";
            made.on.extend(name(stmt.relation));
            made.object = named::of(stmt.objectType, stmt.relation, stmt.object);
        }
        NodeTag::T_AlterObjectSchemaStmt => {
            let stmt = cast::<pg_sys::AlterObjectSchemaStmt>(stmt)?;
            made.what = "SET SCHEMA";
            made.if_exists = stmt.missing_ok;
            made.to = text(stmt.newschema);
            made.on.extend(name(stmt.relation));
            made.object = named::of(stmt.objectType, stmt.relation, stmt.object);
        }
        NodeTag::T_CommentStmt => {
            let stmt = cast::<pg_sys::CommentStmt>(stmt)?;
            made.object = named::of(stmt.objtype, std::ptr::null(), stmt.object);
        }
        NodeTag::T_DropStmt => {
            let stmt = cast::<pg_sys::DropStmt>(stmt)?;
            made.if_exists = stmt.missing_ok;
            made.concurrent = stmt.concurrent;
            made.cascade = cascades(stmt.behavior);
            made.dropped = raw::items(stmt.objects)
                .into_iter()
                .filter_map(|node| named::of(stmt.removeType, std::ptr::null(), node))
                .collect();
            made.on = made.dropped.iter().filter_map(Named::relation).collect();
        }
        NodeTag::T_TruncateStmt => {
            let stmt = cast::<pg_sys::TruncateStmt>(stmt)?;
            made.cascade = cascades(stmt.behavior);
            made.on = relations(stmt.relations);
        }
        NodeTag::T_LockStmt => {
            let stmt = cast::<pg_sys::LockStmt>(stmt)?;
            made.on = relations(stmt.relations);
            made.mode = u8::try_from(stmt.mode).ok();
        }
        NodeTag::T_VacuumStmt => {
            let stmt = cast::<pg_sys::VacuumStmt>(stmt)?;
            made.on = raw::items(stmt.rels)
                .into_iter()
                .filter_map(cast::<pg_sys::VacuumRelation>)
                .filter_map(|found| name(found.relation))
                .collect();
            if stmt.is_vacuumcmd && option(stmt.options, "full") {
                made.what = "FULL";
            }
        }
        NodeTag::T_ClusterStmt => made
            .on
            .extend(name(cast::<pg_sys::ClusterStmt>(stmt)?.relation)),
        NodeTag::T_ReindexStmt => {
            let stmt = cast::<pg_sys::ReindexStmt>(stmt)?;
            made.on.extend(name(stmt.relation));
            made.concurrent = option(stmt.params, "concurrently");
            made.what = match stmt.kind {
                pg_sys::ReindexObjectType::REINDEX_OBJECT_INDEX => "INDEX",
                pg_sys::ReindexObjectType::REINDEX_OBJECT_TABLE => "TABLE",
                pg_sys::ReindexObjectType::REINDEX_OBJECT_SYSTEM => "SYSTEM",
                _ => "",
            };
        }
        NodeTag::T_RefreshMatViewStmt => {
            let stmt = cast::<pg_sys::RefreshMatViewStmt>(stmt)?;
            made.on.extend(name(stmt.relation));
            made.concurrent = stmt.concurrent;
            made.no_data = stmt.skipData;
        }
        NodeTag::T_CreateStmt => create_table(made, cast(stmt)?, cut),
        NodeTag::T_CreateForeignTableStmt => {
            let stmt = cast::<pg_sys::CreateForeignTableStmt>(stmt)?;
            made.if_exists = stmt.base.if_not_exists;
            made.makes = name(stmt.base.relation);
        }
        NodeTag::T_IndexStmt => {
            let stmt = cast::<pg_sys::IndexStmt>(stmt)?;
            made.only = !raw::at(stmt.relation)?.inh;
            made.concurrent = stmt.concurrent;
            made.if_exists = stmt.if_not_exists;
            made.to = text(stmt.idxname);
            made.on.extend(name(stmt.relation));
        }
        NodeTag::T_CreateTrigStmt => {
            let stmt = cast::<pg_sys::CreateTrigStmt>(stmt)?;
            made.replace = stmt.replace;
            made.part = text(stmt.trigname);
            made.on.extend(name(stmt.relation));
            made.reads.extend(name(stmt.constrrel));
        }
        NodeTag::T_CreatePolicyStmt => {
            let stmt = cast::<pg_sys::CreatePolicyStmt>(stmt)?;
            made.part = text(stmt.policy_name);
            made.on.extend(name(stmt.table));
        }
        NodeTag::T_AlterPolicyStmt => {
            let stmt = cast::<pg_sys::AlterPolicyStmt>(stmt)?;
            made.part = text(stmt.policy_name);
            made.on.extend(name(stmt.table));
        }
        NodeTag::T_RuleStmt => {
            let stmt = cast::<pg_sys::RuleStmt>(stmt)?;
            made.replace = stmt.replace;
            made.part = text(stmt.rulename);
            made.on.extend(name(stmt.relation));
        }
        NodeTag::T_CreateStatsStmt => {
            let stmt = cast::<pg_sys::CreateStatsStmt>(stmt)?;
            made.if_exists = stmt.if_not_exists;
            made.on = relations(stmt.relations);
        }
        NodeTag::T_AlterStatsStmt => {
            let stmt = cast::<pg_sys::AlterStatsStmt>(stmt)?;
            made.object =
                name_of(&strings(stmt.defnames)).map(|n| named::named("statistics object", &n));
        }
        NodeTag::T_CreatePublicationStmt => {
            let stmt = cast::<pg_sys::CreatePublicationStmt>(stmt)?;
            made.on = published(stmt.pubobjects);
        }
        NodeTag::T_AlterPublicationStmt => {
            let stmt = cast::<pg_sys::AlterPublicationStmt>(stmt)?;
            made.part = text(stmt.pubname);
            made.on = published(stmt.pubobjects);
        }
        NodeTag::T_AlterSeqStmt => {
            let stmt = cast::<pg_sys::AlterSeqStmt>(stmt)?;
            made.if_exists = stmt.missing_ok;
            made.on.extend(name(stmt.sequence));
        }
        NodeTag::T_CreateSeqStmt => {
            let stmt = cast::<pg_sys::CreateSeqStmt>(stmt)?;
            made.if_exists = stmt.if_not_exists;
            made.makes = name(stmt.sequence);
        }
        NodeTag::T_CreateSchemaStmt => {
            made.if_exists = cast::<pg_sys::CreateSchemaStmt>(stmt)?.if_not_exists;
        }
        NodeTag::T_CreateExtensionStmt => {
            made.if_exists = cast::<pg_sys::CreateExtensionStmt>(stmt)?.if_not_exists;
        }
        NodeTag::T_AlterDomainStmt => {
            let stmt = cast::<pg_sys::AlterDomainStmt>(stmt)?;
            made.what = match stmt.subtype as u8 {
                b'T' => "SET DEFAULT",
                b'N' => "DROP NOT NULL",
                b'O' => "SET NOT NULL",
                b'C' => "ADD CONSTRAINT",
                b'X' => "DROP CONSTRAINT",
                _ => "VALIDATE CONSTRAINT",
            };
            made.if_exists = stmt.missing_ok;
            made.cascade = cascades(stmt.behavior);
            made.part = text(stmt.name);
            if let Some(constraint) = cast::<pg_sys::Constraint>(stmt.def) {
                made.part = text(constraint.conname);
                made.not_valid = constraint.skip_validation;
            }
            made.object = name_of(&strings(stmt.typeName)).map(|n| named::named("type", &n));
        }
        NodeTag::T_AlterEnumStmt => {
            let stmt = cast::<pg_sys::AlterEnumStmt>(stmt)?;
            made.object = name_of(&strings(stmt.typeName)).map(|n| named::named("type", &n));
            made.if_exists = stmt.skipIfNewValExists;
            made.part = text(stmt.oldVal);
            made.to = text(stmt.newVal);
            made.what = match made.part {
                Some(_) => "RENAME VALUE",
                None => "ADD VALUE",
            };
        }
        NodeTag::T_AlterFunctionStmt => {
            let stmt = cast::<pg_sys::AlterFunctionStmt>(stmt)?;
            made.object = named::of(stmt.objtype, std::ptr::null(), stmt.func.cast());
        }
        NodeTag::T_CreateFunctionStmt => {
            let stmt = cast::<pg_sys::CreateFunctionStmt>(stmt)?;
            made.replace = stmt.replace;
            made.object = named::routine(stmt);
        }
        NodeTag::T_ViewStmt => {
            let stmt = cast::<pg_sys::ViewStmt>(stmt)?;
            made.replace = stmt.replace;
            made.makes = name(stmt.view);
            if temporary(stmt.view) {
                made.what = "TEMPORARY";
            } else if stmt.replace {
                made.what = "OR REPLACE";
                made.on.extend(name(stmt.view));
            }
        }
        NodeTag::T_AlterDatabaseStmt
            if option(
                cast::<pg_sys::AlterDatabaseStmt>(stmt)?.options,
                "tablespace",
            ) =>
        {
            made.what = "SET TABLESPACE";
        }
        NodeTag::T_AlterTableMoveAllStmt => made.what = "ALL IN TABLESPACE",
        NodeTag::T_VariableSetStmt => {
            let stmt = cast::<pg_sys::VariableSetStmt>(stmt)?;
            made.setting = setting(stmt, cut);
        }
        NodeTag::T_TransactionStmt => {
            let stmt = cast::<pg_sys::TransactionStmt>(stmt)?;
            made.part = text(stmt.savepoint_name);
            made.what = match stmt.kind {
                pg_sys::TransactionStmtKind::TRANS_STMT_ROLLBACK_TO => "TO SAVEPOINT",
                _ if stmt.chain => "AND CHAIN",
                _ => "",
            };
        }
        NodeTag::T_SelectStmt => {
            let select = cast::<pg_sys::SelectStmt>(stmt)?;
            made.setting = set_config(cut);
            made.reads = raw::relations(stmt);
            made.row_locks = !raw::is_empty(select.lockingClause);
            if let Some(into) = raw::at(select.intoClause) {
                // As it is called once it is analysed.
                "SELECT INTO".clone_into(&mut made.tag);
                made.makes = name(into.rel);
                made.reads.retain(|read| Some(read) != made.makes.as_ref());
                if temporary(into.rel) {
                    made.what = "TEMPORARY";
                }
            }
        }
        NodeTag::T_InsertStmt => {
            let insert = cast::<pg_sys::InsertStmt>(stmt)?;
            made.on.extend(name(insert.relation));
            made.rows = match cast::<pg_sys::SelectStmt>(insert.selectStmt) {
                Some(query) => Some(raw::items(query.valuesLists).len()).filter(|rows| *rows > 0),
                // DEFAULT VALUES
                None => Some(1),
            };
            made.reads = raw::relations(stmt);
        }
        NodeTag::T_UpdateStmt => {
            let update = cast::<pg_sys::UpdateStmt>(stmt)?;
            made.on.extend(name(update.relation));
            made.unconditional = update.whereClause.is_null() && raw::is_empty(update.fromClause);
            made.reads = raw::relations(stmt);
        }
        NodeTag::T_DeleteStmt => {
            let delete = cast::<pg_sys::DeleteStmt>(stmt)?;
            made.on.extend(name(delete.relation));
            made.unconditional = delete.whereClause.is_null() && raw::is_empty(delete.usingClause);
            made.reads = raw::relations(stmt);
        }
        NodeTag::T_MergeStmt => {
            made.on
                .extend(name(cast::<pg_sys::MergeStmt>(stmt)?.relation));
            made.reads = raw::relations(stmt);
        }
        NodeTag::T_CopyStmt => {
            let stmt = cast::<pg_sys::CopyStmt>(stmt)?;
            if stmt.is_from {
                made.what = "FROM";
                made.on.extend(name(stmt.relation));
            } else {
                made.reads.extend(name(stmt.relation));
            }
        }
        NodeTag::T_CreateTableAsStmt => {
            let stmt = cast::<pg_sys::CreateTableAsStmt>(stmt)?;
            made.if_exists = stmt.if_not_exists;
            made.no_data = raw::at(stmt.into)?.skipData;
            made.makes = name(raw::at(stmt.into)?.rel);
            if temporary(raw::at(stmt.into)?.rel) {
                made.what = "TEMPORARY";
            }
            made.reads = raw::relations(stmt.query);
        }
        _ => {}
    }
    made.on.dedup();
    Some(())
}

fn create_table(made: &mut Action, stmt: &pg_sys::CreateStmt, cut: &Cut) {
    made.if_exists = stmt.if_not_exists;
    made.makes = name(stmt.relation);
    made.partitioned = !stmt.partspec.is_null();
    made.more_columns = !raw::is_empty(stmt.inhRelations) || !stmt.ofTypename.is_null();
    match table::elements(stmt, cut) {
        Some((columns, constraints, whole)) => {
            made.columns = columns;
            made.constraints = constraints;
            made.more_columns |= !whole;
        }
        None => made.more_columns = true,
    }
    for element in raw::items(stmt.tableElts) {
        let column = cast::<pg_sys::ColumnDef>(element);
        let inline = column.map(|column| raw::items(column.constraints));
        for constraint in inline.unwrap_or_else(|| vec![element]) {
            let constraint = cast::<pg_sys::Constraint>(constraint);
            made.refers
                .extend(constraint.and_then(|constraint| name(constraint.pktable)));
        }
    }
    if temporary(stmt.relation) {
        made.what = "TEMPORARY";
    } else if stmt.partbound.is_null() {
        made.reads = relations(stmt.inhRelations);
        if !made.reads.is_empty() {
            made.what = "INHERITS";
        }
    } else {
        made.what = "PARTITION OF";
        made.on = relations(stmt.inhRelations);
    }
}

fn published(list: *const pg_sys::List) -> Vec<Name> {
    raw::items(list)
        .into_iter()
        .filter_map(cast::<pg_sys::PublicationObjSpec>)
        .filter_map(|object| raw::at(object.pubtable))
        .filter_map(|table| name(table.relation))
        .collect()
}

/// SET and RESET of one setting; `None` for SET TRANSACTION and its kin.
fn setting(stmt: &pg_sys::VariableSetStmt, cut: &Cut) -> Option<Setting> {
    use pg_sys::VariableSetKind as Kind;
    let value = match stmt.kind {
        Kind::VAR_SET_VALUE => {
            // SET [SESSION | LOCAL] name { TO | = } value, …; a few have words of their own.
            let all = 0..cut.len();
            let equals = all.clone().find(|at| cut.symbol(*at, b'='));
            let from = equals
                .or_else(|| cut.find(&all, "to"))
                .map_or(2, |at| at + 1);
            Some(cut.text(&(from..cut.len()))?.to_owned())
        }
        Kind::VAR_SET_DEFAULT | Kind::VAR_RESET => None,
        Kind::VAR_RESET_ALL => {
            return Some(Setting {
                name: "all".into(),
                ..Setting::default()
            });
        }
        _ => return None,
    };
    Some(Setting {
        name: text(stmt.name)?.to_lowercase(),
        value,
        local: stmt.is_local,
    })
}

/// `SELECT pg_catalog.set_config('name', 'value', …)`, as pg_dump writes it.
fn set_config(cut: &Cut) -> Option<Setting> {
    let at = if cut.symbol(2, b'.') { 3 } else { 1 };
    if !cut.word(at, "set_config") || cut.len() != at + 8 || !cut.symbol(at + 7, b')') {
        return None;
    }
    let literal = |at: usize| {
        let text = cut.text(&(at..at + 1))?;
        text.starts_with('\'').then(|| text.to_owned())
    };
    Some(Setting {
        name: literal(at + 2)?.trim_matches('\'').to_lowercase(),
        value: Some(literal(at + 4)?),
        local: cut.word(at + 6, "true"),
    })
}

/// Whether a relation goes away with the session.
fn temporary(range: *const pg_sys::RangeVar) -> bool {
    raw::at(range)
        .is_some_and(|range| range.relpersistence == pg_sys::RELPERSISTENCE_TEMP as c_char)
}
