//! Statements that make an object of one of the rarer kinds.

use super::cut::Cut;
use super::raw::{self, cast, strings, text};
use super::read::{name, name_of, quote, sql};
use super::tree::Node;
use pgrx::pg_sys::{self, NodeTag, ObjectType};

/// `None`: not of these kinds, or what DROP would have to say is not known.
pub fn create(tag: NodeTag, stmt: *const pg_sys::Node, cut: &Cut) -> Option<Node> {
    let one = |name| Some(quote(&text(name)?));
    let (kind, name) = match tag {
        NodeTag::T_CreateForeignTableStmt => {
            let stmt = cast::<pg_sys::CreateForeignTableStmt>(stmt)?;
            ("foreign_table", sql(&name(stmt.base.relation)?))
        }
        NodeTag::T_CreateForeignServerStmt => {
            let stmt = cast::<pg_sys::CreateForeignServerStmt>(stmt)?;
            unless(stmt.if_not_exists)?;
            ("server", one(stmt.servername)?)
        }
        NodeTag::T_CreateFdwStmt => (
            "foreign_data_wrapper",
            one(cast::<pg_sys::CreateFdwStmt>(stmt)?.fdwname)?,
        ),
        NodeTag::T_CreateUserMappingStmt => {
            let stmt = cast::<pg_sys::CreateUserMappingStmt>(stmt)?;
            unless(stmt.if_not_exists)?;
            let all = 0..cut.len();
            let (from, to) = (cut.find(&all, "for")?, cut.find(&all, "server")?);
            ("user_mapping", cut.text(&(from..to + 2))?.to_owned())
        }
        NodeTag::T_CreateEventTrigStmt => (
            "event_trigger",
            one(cast::<pg_sys::CreateEventTrigStmt>(stmt)?.trigname)?,
        ),
        NodeTag::T_CreateRoleStmt => ("role", one(cast::<pg_sys::CreateRoleStmt>(stmt)?.role)?),
        NodeTag::T_CreateAmStmt => (
            "access_method",
            one(cast::<pg_sys::CreateAmStmt>(stmt)?.amname)?,
        ),
        NodeTag::T_CreatePLangStmt => {
            let stmt = cast::<pg_sys::CreatePLangStmt>(stmt)?;
            unless(stmt.replace)?;
            ("language", one(stmt.plname)?)
        }
        NodeTag::T_CreateConversionStmt => {
            let stmt = cast::<pg_sys::CreateConversionStmt>(stmt)?;
            ("conversion", sql(&name_of(&strings(stmt.conversion_name))?))
        }
        NodeTag::T_CreateCastStmt => {
            // CREATE CAST (a AS b) …
            let inside = cut.inside(2)?;
            ("cast", format!("({})", cut.text(&inside)?))
        }
        NodeTag::T_CreateTransformStmt => {
            unless(cast::<pg_sys::CreateTransformStmt>(stmt)?.replace)?;
            let all = 0..cut.len();
            let (from, to) = (cut.find(&all, "for")?, cut.find(&all, "language")?);
            ("transform", cut.text(&(from..to + 2))?.to_owned())
        }
        NodeTag::T_DefineStmt => return define(cast(stmt)?, cut),
        _ => return None,
    };
    Some(Node::Create { kind, name })
}

fn unless(perhaps_there: bool) -> Option<()> {
    (!perhaps_there).then_some(())
}

/// CREATE AGGREGATE, OPERATOR, TYPE, COLLATION and TEXT SEARCH ….
fn define(stmt: &pg_sys::DefineStmt, cut: &Cut) -> Option<Node> {
    unless(stmt.replace || stmt.if_not_exists)?;
    let names = strings(stmt.defnames);
    let (kind, name) = match stmt.kind {
        ObjectType::OBJECT_COLLATION => ("collation", sql(&name_of(&names)?)),
        ObjectType::OBJECT_TSCONFIGURATION => ("text_search_configuration", sql(&name_of(&names)?)),
        ObjectType::OBJECT_TSDICTIONARY => ("text_search_dictionary", sql(&name_of(&names)?)),
        ObjectType::OBJECT_TSPARSER => ("text_search_parser", sql(&name_of(&names)?)),
        ObjectType::OBJECT_TSTEMPLATE => ("text_search_template", sql(&name_of(&names)?)),
        ObjectType::OBJECT_AGGREGATE if !stmt.oldstyle => {
            // CREATE AGGREGATE name (arguments) (definition)
            let open = cut.parenthesis(&(2..cut.len()))?;
            let inside = cut.inside(open)?;
            let arguments = match inside.is_empty() {
                true => String::new(),
                false => cut.text(&inside)?.to_owned(),
            };
            (
                "aggregate",
                format!("{}({arguments})", sql(&name_of(&names)?)),
            )
        }
        ObjectType::OBJECT_OPERATOR => {
            let side = |wanted: &str| {
                raw::items(stmt.definition)
                    .into_iter()
                    .filter_map(cast::<pg_sys::DefElem>)
                    .find(|element| text(element.defname).as_deref() == Some(wanted))
                    .and_then(|element| super::named::type_name(element.arg))
                    .unwrap_or_else(|| "NONE".to_owned())
            };
            let (symbol, before) = names.split_last()?;
            let schema: Vec<String> = before
                .iter()
                .map(|part| format!("{}.", quote(part)))
                .collect();
            (
                "operator",
                format!(
                    "{}{symbol} ({}, {})",
                    schema.concat(),
                    side("leftarg"),
                    side("rightarg")
                ),
            )
        }
        _ => return None,
    };
    Some(Node::Create { kind, name })
}
