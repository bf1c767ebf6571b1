//! Which statements PostgreSQL refuses to run in a transaction block.

use super::raw::{self, cast, text};
use pgrx::pg_sys::{self, NodeTag};

/// Whether the statement may run in a transaction block, as far as its text tells. (Some may not
/// because of what they name: REINDEX of a partitioned index, a procedure that commits.)
pub fn transactional(stmt: *const pg_sys::Node) -> bool {
    !refuses_block(stmt).unwrap_or(false)
}

fn refuses_block(stmt: *const pg_sys::Node) -> Option<bool> {
    use pg_sys::{AlterSubscriptionType as Subscription, ReindexObjectType as Reindex};
    Some(match raw::at(stmt)?.type_ {
        NodeTag::T_IndexStmt => cast::<pg_sys::IndexStmt>(stmt)?.concurrent,
        NodeTag::T_DropStmt => cast::<pg_sys::DropStmt>(stmt)?.concurrent,
        NodeTag::T_ReindexStmt => {
            let stmt = cast::<pg_sys::ReindexStmt>(stmt)?;
            !matches!(
                stmt.kind,
                Reindex::REINDEX_OBJECT_INDEX | Reindex::REINDEX_OBJECT_TABLE
            ) || option(stmt.params, "concurrently")
        }
        NodeTag::T_VacuumStmt => cast::<pg_sys::VacuumStmt>(stmt)?.is_vacuumcmd,
        NodeTag::T_ClusterStmt => cast::<pg_sys::ClusterStmt>(stmt)?.relation.is_null(),
        NodeTag::T_AlterTableStmt => raw::items(cast::<pg_sys::AlterTableStmt>(stmt)?.cmds)
            .into_iter()
            .filter_map(cast::<pg_sys::AlterTableCmd>)
            .filter(|command| command.subtype == pg_sys::AlterTableType::AT_DetachPartition)
            .filter_map(|command| cast::<pg_sys::PartitionCmd>(command.def))
            .any(|partition| partition.concurrent),
        NodeTag::T_AlterDatabaseStmt => option(
            cast::<pg_sys::AlterDatabaseStmt>(stmt)?.options,
            "tablespace",
        ),
        NodeTag::T_AlterSubscriptionStmt => matches!(
            cast::<pg_sys::AlterSubscriptionStmt>(stmt)?.kind,
            Subscription::ALTER_SUBSCRIPTION_REFRESH
                | Subscription::ALTER_SUBSCRIPTION_SET_PUBLICATION
                | Subscription::ALTER_SUBSCRIPTION_ADD_PUBLICATION
                | Subscription::ALTER_SUBSCRIPTION_DROP_PUBLICATION
        ),
        NodeTag::T_DiscardStmt => {
            cast::<pg_sys::DiscardStmt>(stmt)?.target == pg_sys::DiscardMode::DISCARD_ALL
        }
        NodeTag::T_CreatedbStmt
        | NodeTag::T_DropdbStmt
        | NodeTag::T_AlterSystemStmt
        | NodeTag::T_CreateTableSpaceStmt
        | NodeTag::T_DropTableSpaceStmt
        | NodeTag::T_CreateSubscriptionStmt
        | NodeTag::T_DropSubscriptionStmt => true,
        _ => false,
    })
}

/// Whether a parenthesised option is on: given, and not as `false`, `off` or `0`.
fn option(list: *const pg_sys::List, name: &str) -> bool {
    raw::items(list)
        .into_iter()
        .filter_map(cast::<pg_sys::DefElem>)
        .any(|element| {
            let off = strings_of(element.arg).is_some_and(|value| {
                matches!(value.to_lowercase().as_str(), "false" | "off" | "0")
            });
            text(element.defname).as_deref() == Some(name) && !off
        })
}

fn strings_of(value: *const pg_sys::Node) -> Option<String> {
    cast::<pg_sys::String>(value).and_then(|value| text(value.sval))
}
