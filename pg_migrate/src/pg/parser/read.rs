//! From a raw statement to a plain node.

use super::comment;
use super::cut::Cut;
use super::object;
use super::raw::{self, cast, strings, text};
use super::table;
use super::tree::{Drop, DropKind, Index, Name, Node, Relation, Update};
use crate::pg::{assign, spi};
use pgrx::pg_sys::{self, NodeTag, ObjectType};
use std::ffi::c_char;

pub fn quote(name: &str) -> String {
    spi::ident(name)
}

/// `None` for a name with a database in front.
pub fn name_of(parts: &[String]) -> Option<Name> {
    match parts {
        [name] => Some(Name {
            schema: None,
            name: name.clone(),
        }),
        [schema, name] => Some(Name {
            schema: Some(schema.clone()),
            name: name.clone(),
        }),
        _ => None,
    }
}

pub fn name(range: *const pg_sys::RangeVar) -> Option<Name> {
    let range = raw::at(range)?;
    if !range.catalogname.is_null() {
        return None;
    }
    Some(Name {
        schema: text(range.schemaname),
        name: text(range.relname)?,
    })
}

pub fn relation(range: *const pg_sys::RangeVar, if_exists: bool) -> Option<Relation> {
    Some(Relation {
        name: name(range)?,
        only: !raw::at(range)?.inh,
        if_exists,
    })
}

/// What PostgreSQL calls the key of an index in the index's default name.
pub fn key(element: &pg_sys::IndexElem) -> String {
    text(element.name)
        .or_else(|| raw::figure_name(element.expr))
        .unwrap_or_else(|| "expr".to_owned())
}

pub fn node(stmt: *const pg_sys::Node, cut: &Cut) -> Node {
    recipe_node(stmt, cut)
        .or_else(|| object::object(stmt, cut).map(Node::Object))
        .or_else(|| create(stmt, cut))
        .unwrap_or(Node::Other)
}

/// The statements that have recipes.
fn recipe_node(stmt: *const pg_sys::Node, cut: &Cut) -> Option<Node> {
    match raw::at(stmt)?.type_ {
        NodeTag::T_AlterTableStmt => table::alter(cast(stmt)?, cut).map(Node::AlterTable),
        NodeTag::T_CreateStmt => table::create(cast(stmt)?, cut),
        NodeTag::T_IndexStmt => index(cast(stmt)?, cut).map(Node::CreateIndex),
        NodeTag::T_DropStmt => {
            let stmt = cast::<pg_sys::DropStmt>(stmt)?;
            match stmt.removeType {
                ObjectType::OBJECT_TRIGGER
                    if stmt.behavior != pg_sys::DropBehavior::DROP_CASCADE =>
                {
                    None
                }
                _ => drop_of(stmt).map(Node::Drop),
            }
        }
        NodeTag::T_RenameStmt => rename(cast(stmt)?),
        NodeTag::T_UpdateStmt => update(cast(stmt)?, cut).map(Node::Update),
        NodeTag::T_CommentStmt => comment::comment(cast(stmt)?).map(Node::Comment),
        NodeTag::T_TransactionStmt => {
            let two = cut.word(0, "start") || cut.word(0, "prepare");
            let words = 0..if two { 2 } else { 1 };
            Some(Node::Transaction(cut.text(&words)?.to_uppercase()))
        }
        NodeTag::T_CopyStmt => {
            let copy = cast::<pg_sys::CopyStmt>(stmt)?;
            (copy.is_from && copy.filename.is_null()).then_some(Node::CopyFromStdin)
        }
        _ => None,
    }
}

fn index(stmt: &pg_sys::IndexStmt, cut: &Cut) -> Option<Index> {
    let table = relation(stmt.relation, false)?;
    let mut after = cut.after_name(cut.at(raw::at(stmt.relation)?.location)?);
    while cut.symbol(after, b'*') || cut.symbol(after, b')') {
        after += 1;
    }
    let keys = raw::items(stmt.indexParams)
        .into_iter()
        .chain(raw::items(stmt.indexIncludingParams))
        .filter_map(cast::<pg_sys::IndexElem>)
        .map(key)
        .collect();
    Some(Index {
        name: text(stmt.idxname),
        table,
        unique: stmt.unique,
        if_not_exists: stmt.if_not_exists,
        keys,
        definition: cut.text(&(after..cut.len()))?.to_owned(),
    })
}

fn drop_of(stmt: &pg_sys::DropStmt) -> Option<Drop> {
    let kind = match stmt.removeType {
        ObjectType::OBJECT_TABLE => DropKind::Table,
        ObjectType::OBJECT_INDEX => DropKind::Index,
        ObjectType::OBJECT_VIEW | ObjectType::OBJECT_MATVIEW => DropKind::View,
        _ => DropKind::Other,
    };
    let names = match kind {
        DropKind::Other => Vec::new(),
        _ => raw::items(stmt.objects)
            .into_iter()
            .map(|parts| name_of(&strings(parts.cast())))
            .collect::<Option<_>>()?,
    };
    Some(Drop {
        kind,
        names,
        if_exists: stmt.missing_ok,
        cascade: stmt.behavior == pg_sys::DropBehavior::DROP_CASCADE,
    })
}

fn rename(stmt: &pg_sys::RenameStmt) -> Option<Node> {
    let to = text(stmt.newname)?;
    match stmt.renameType {
        ObjectType::OBJECT_COLUMN if stmt.relationType == ObjectType::OBJECT_TABLE => {
            Some(Node::RenameColumn {
                table: relation(stmt.relation, stmt.missing_ok)?,
                from: text(stmt.subname)?,
                to,
            })
        }
        ObjectType::OBJECT_TABLE => Some(Node::RenameTable {
            table: relation(stmt.relation, stmt.missing_ok)?,
            to,
        }),
        _ => None,
    }
}

/// Functions of PostgreSQL and of its common extensions that give another value in another
/// transaction. Those of users are for the planner, which has the catalog.
const CHANGING: [&str; 15] = [
    "clock_timestamp",
    "currval",
    "gen_random_bytes",
    "gen_random_uuid",
    "nextval",
    "now",
    "pg_current_xact_id",
    "random",
    "statement_timestamp",
    "timeofday",
    "transaction_timestamp",
    "txid_current",
    "uuid_generate_v1",
    "uuid_generate_v4",
    "uuidv7",
];

fn update(stmt: &pg_sys::UpdateStmt, cut: &Cut) -> Option<Update> {
    let table = relation(stmt.relation, false)?;
    let mut found = Update {
        table,
        ..Update::default()
    };
    let all = 0..cut.len();
    let from = cut.find(&all, "set")?;
    let to = match stmt.whereClause.is_null() {
        true => cut.len(),
        false => cut.find(&(from..cut.len()), "where")?,
    };
    let targets: Vec<_> = raw::items(stmt.targetList)
        .into_iter()
        .filter_map(cast::<pg_sys::ResTarget>)
        .collect();
    let special = |node: *const pg_sys::Node| {
        raw::at(node).is_none_or(|node| {
            matches!(
                node.type_,
                NodeTag::T_MultiAssignRef | NodeTag::T_SetToDefault
            )
        })
    };
    let current_of =
        raw::at(stmt.whereClause).is_some_and(|node| node.type_ == NodeTag::T_CurrentOfExpr);
    if !stmt.withClause.is_null()
        || !raw::is_empty(stmt.fromClause)
        || assign::returns_rows(stmt)
        || !raw::at(stmt.relation)?.alias.is_null()
        || current_of
        || targets
            .iter()
            .any(|target| !raw::is_empty(target.indirection) || special(target.val))
    {
        return Some(found);
    }
    let chunks = cut.chunks(&(from + 1..to));
    if chunks.len() != targets.len() {
        return Some(found);
    }
    for (target, chunk) in targets.iter().zip(chunks) {
        // column = expression
        if !cut.symbol(chunk.start + 1, b'=') {
            return Some(found);
        }
        let value = cut.text(&(chunk.start + 2..chunk.end))?.to_owned();
        found.set.push((text(target.name)?, value));
    }
    let assigns = |parts: &Vec<String>| {
        // `other.column` is another table's; what a bare name means only the catalog knows.
        let own = match parts.as_slice() {
            [.., table, _] => *table == found.table.name.name,
            _ => true,
        };
        let assigned = |column| found.set.iter().any(|(name, _)| name == column);
        own && parts.last().is_some_and(assigned)
    };
    let Some(condition) = raw::mentions(stmt.whereClause) else {
        return Some(found);
    };
    let tells_done = condition.columns.iter().any(assigns);
    let mut once = false;
    for target in &targets {
        let Some(value) = raw::mentions(target.val) else {
            return Some(found);
        };
        let changes = value
            .functions
            .iter()
            .any(|name| CHANGING.contains(&name.as_str()));
        once |= value.columns.iter().any(assigns) || (changes && !tells_done);
    }
    found.once = once;
    if to < cut.len() {
        found.predicate = Some(cut.text(&(to + 1..cut.len()))?.to_owned());
    }
    found.plain = true;
    Some(found)
}

/// An object that a DROP of the same kind takes away. Not for OR REPLACE, which may have found it
/// there, and not for what ends with the session.
fn create(stmt: *const pg_sys::Node, cut: &Cut) -> Option<Node> {
    let lasting = |range: *const pg_sys::RangeVar| {
        let range = raw::at(range)?;
        (range.relpersistence != pg_sys::RELPERSISTENCE_TEMP as c_char).then_some(())?;
        name(range).map(|name| sql(&name))
    };
    let listed = |list| name_of(&strings(list)).map(|name| sql(&name));
    let on = |object: *const c_char, range| {
        let table = sql(&name(range)?);
        Some(format!("{} ON {table}", quote(&text(object)?)))
    };
    let (kind, name) = match raw::at(stmt)?.type_ {
        NodeTag::T_CreateTableAsStmt => {
            let stmt = cast::<pg_sys::CreateTableAsStmt>(stmt)?;
            let kind = match stmt.objtype {
                ObjectType::OBJECT_MATVIEW => "materialized_view",
                _ => "table",
            };
            (kind, lasting(raw::at(stmt.into)?.rel)?)
        }
        NodeTag::T_SelectStmt => {
            let into = raw::at(cast::<pg_sys::SelectStmt>(stmt)?.intoClause)?;
            ("table", lasting(into.rel)?)
        }
        NodeTag::T_ViewStmt => {
            let stmt = cast::<pg_sys::ViewStmt>(stmt)?;
            fresh(stmt.replace)?;
            ("view", lasting(stmt.view)?)
        }
        NodeTag::T_CreateSeqStmt => {
            let stmt = cast::<pg_sys::CreateSeqStmt>(stmt)?;
            ("sequence", lasting(stmt.sequence)?)
        }
        NodeTag::T_CreateEnumStmt => (
            "type",
            listed(cast::<pg_sys::CreateEnumStmt>(stmt)?.typeName)?,
        ),
        NodeTag::T_CompositeTypeStmt => (
            "type",
            lasting(cast::<pg_sys::CompositeTypeStmt>(stmt)?.typevar)?,
        ),
        NodeTag::T_CreateRangeStmt => (
            "type",
            listed(cast::<pg_sys::CreateRangeStmt>(stmt)?.typeName)?,
        ),
        NodeTag::T_CreateDomainStmt => (
            "domain",
            listed(cast::<pg_sys::CreateDomainStmt>(stmt)?.domainname)?,
        ),
        NodeTag::T_CreateSchemaStmt => {
            let stmt = cast::<pg_sys::CreateSchemaStmt>(stmt)?;
            fresh(!raw::is_empty(stmt.schemaElts))?;
            ("schema", quote(&text(stmt.schemaname)?))
        }
        NodeTag::T_CreateExtensionStmt => {
            let stmt = cast::<pg_sys::CreateExtensionStmt>(stmt)?;
            ("extension", quote(&text(stmt.extname)?))
        }
        NodeTag::T_CreateFunctionStmt => {
            let stmt = cast::<pg_sys::CreateFunctionStmt>(stmt)?;
            fresh(stmt.replace)?;
            let kind = if stmt.is_procedure {
                "procedure"
            } else {
                "function"
            };
            let arguments = arguments(cut)?;
            (kind, format!("{}({arguments})", listed(stmt.funcname)?))
        }
        NodeTag::T_CreateTrigStmt => {
            let stmt = cast::<pg_sys::CreateTrigStmt>(stmt)?;
            fresh(stmt.replace)?;
            ("trigger", on(stmt.trigname, stmt.relation)?)
        }
        NodeTag::T_CreatePolicyStmt => {
            let stmt = cast::<pg_sys::CreatePolicyStmt>(stmt)?;
            ("policy", on(stmt.policy_name, stmt.table)?)
        }
        NodeTag::T_RuleStmt => {
            let stmt = cast::<pg_sys::RuleStmt>(stmt)?;
            fresh(stmt.replace)?;
            ("rule", on(stmt.rulename, stmt.relation)?)
        }
        NodeTag::T_CreateStatsStmt => {
            let stmt = cast::<pg_sys::CreateStatsStmt>(stmt)?;
            ("statistics", listed(stmt.defnames)?)
        }
        NodeTag::T_CreatePublicationStmt => (
            "publication",
            quote(&text(cast::<pg_sys::CreatePublicationStmt>(stmt)?.pubname)?),
        ),
        other => return super::made::create(other, stmt, cut),
    };
    Some(Node::Create { kind, name })
}

fn fresh(perhaps_there: bool) -> Option<()> {
    (!perhaps_there).then_some(())
}

pub fn sql(name: &Name) -> String {
    match &name.schema {
        Some(schema) => spi::qualified(schema, &name.name),
        None => quote(&name.name),
    }
}

/// The arguments of CREATE FUNCTION as DROP FUNCTION takes them: without defaults.
fn arguments(cut: &Cut) -> Option<String> {
    let inside = cut.inside(cut.parenthesis(&(0..cut.len()))?)?;
    if inside.is_empty() {
        return Some(String::new());
    }
    let depth = cut.tokens.get(inside.start)?.depth;
    let without_default = |chunk: std::ops::Range<usize>| {
        let end = chunk
            .clone()
            .find(|at| {
                cut.word(*at, "default")
                    || (cut.symbol(*at, b'=') && cut.tokens[*at].depth == depth)
            })
            .unwrap_or(chunk.end);
        cut.text(&(chunk.start..end)).map(str::to_owned)
    };
    let parts: Option<Vec<_>> = cut
        .chunks(&inside)
        .into_iter()
        .map(without_default)
        .collect();
    Some(parts?.join(", "))
}
