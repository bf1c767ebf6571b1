//! The subcommands of ALTER TABLE and of its kin, in words of the grammar.

use super::cut::Cut;
use super::raw::{self, cast, text};
use super::read::{name, sql};
use super::table;
use super::tree::{Change, CommandKind};
use pgrx::pg_sys::{self, AlterTableType as At};
use std::ops::Range;

/// What a subcommand does. Several codes of the server share the words of one. `None`: a code that
/// the server makes for itself, no script has it.
pub fn words(code: At::Type) -> Option<&'static str> {
    Some(match code {
        At::AT_AddColumn => "ADD COLUMN",
        At::AT_ColumnDefault => "SET DEFAULT",
        At::AT_DropNotNull => "DROP NOT NULL",
        At::AT_SetNotNull => "SET NOT NULL",
        At::AT_DropExpression => "DROP EXPRESSION",
        At::AT_SetStatistics => "SET STATISTICS",
        At::AT_SetOptions => "SET COLUMN OPTIONS",
        At::AT_ResetOptions => "RESET COLUMN OPTIONS",
        At::AT_SetStorage => "SET STORAGE",
        At::AT_SetCompression => "SET COMPRESSION",
        At::AT_DropColumn => "DROP COLUMN",
        At::AT_AddConstraint => "ADD CONSTRAINT",
        At::AT_AlterConstraint => "ALTER CONSTRAINT",
        At::AT_ValidateConstraint => "VALIDATE CONSTRAINT",
        At::AT_AddIndexConstraint => "ADD CONSTRAINT USING INDEX",
        At::AT_DropConstraint => "DROP CONSTRAINT",
        At::AT_AlterColumnType => "SET DATA TYPE",
        At::AT_AlterColumnGenericOptions => "COLUMN OPTIONS",
        At::AT_ChangeOwner => "OWNER TO",
        At::AT_ClusterOn => "CLUSTER ON",
        At::AT_DropCluster => "SET WITHOUT CLUSTER",
        At::AT_SetLogged => "SET LOGGED",
        At::AT_SetUnLogged => "SET UNLOGGED",
        At::AT_DropOids => "SET WITHOUT OIDS",
        At::AT_SetAccessMethod => "SET ACCESS METHOD",
        At::AT_SetTableSpace => "SET TABLESPACE",
        At::AT_SetRelOptions | At::AT_ReplaceRelOptions => "SET OPTIONS",
        At::AT_ResetRelOptions => "RESET OPTIONS",
        At::AT_EnableTrig | At::AT_EnableAlwaysTrig | At::AT_EnableReplicaTrig => "ENABLE TRIGGER",
        At::AT_DisableTrig => "DISABLE TRIGGER",
        At::AT_EnableTrigAll | At::AT_EnableTrigUser => "ENABLE TRIGGERS",
        At::AT_DisableTrigAll | At::AT_DisableTrigUser => "DISABLE TRIGGERS",
        At::AT_EnableRule | At::AT_EnableAlwaysRule | At::AT_EnableReplicaRule => "ENABLE RULE",
        At::AT_DisableRule => "DISABLE RULE",
        At::AT_AddInherit => "INHERIT",
        At::AT_DropInherit => "NO INHERIT",
        At::AT_AddOf => "OF",
        At::AT_DropOf => "NOT OF",
        At::AT_ReplicaIdentity => "REPLICA IDENTITY",
        At::AT_EnableRowSecurity => "ENABLE ROW LEVEL SECURITY",
        At::AT_DisableRowSecurity => "DISABLE ROW LEVEL SECURITY",
        At::AT_ForceRowSecurity => "FORCE ROW LEVEL SECURITY",
        At::AT_NoForceRowSecurity => "NO FORCE ROW LEVEL SECURITY",
        At::AT_GenericOptions => "OPTIONS",
        At::AT_AttachPartition => "ATTACH PARTITION",
        At::AT_DetachPartition => "DETACH PARTITION",
        At::AT_DetachPartitionFinalize => "DETACH PARTITION FINALIZE",
        At::AT_AddIdentity => "ADD IDENTITY",
        At::AT_SetIdentity => "SET IDENTITY",
        At::AT_DropIdentity => "DROP IDENTITY",
        #[cfg(any(feature = "pg17", feature = "pg18"))]
        At::AT_SetExpression => "SET EXPRESSION",
        _ => return None,
    })
}

/// The subcommands of the statement, each with its own text where it can be cut out.
pub fn changes(stmt: &pg_sys::AlterTableStmt, cut: &Cut) -> Vec<Change> {
    let nodes = raw::items(stmt.cmds);
    let chunks = chunks(stmt, cut, nodes.len());
    nodes
        .into_iter()
        .enumerate()
        .filter_map(|(at, node)| {
            let node = cast::<pg_sys::AlterTableCmd>(node)?;
            Some(change(node, cut, chunks.get(at)))
        })
        .collect()
}

fn chunks(stmt: &pg_sys::AlterTableStmt, cut: &Cut, wanted: usize) -> Vec<Range<usize>> {
    let start = raw::at(stmt.relation)
        .and_then(|target| cut.at(target.location))
        .map(|at| cut.after_name(at));
    let Some(mut start) = start else {
        return Vec::new();
    };
    while cut.symbol(start, b'*') || cut.symbol(start, b')') {
        start += 1;
    }
    let found = cut.chunks(&(start..cut.len()));
    if found.len() == wanted {
        found
    } else {
        Vec::new()
    }
}

fn change(node: &pg_sys::AlterTableCmd, cut: &Cut, chunk: Option<&Range<usize>>) -> Change {
    let partition = cast::<pg_sys::PartitionCmd>(node.def);
    let mut options: Vec<String> = raw::items(node.def.cast_const().cast())
        .into_iter()
        .filter_map(cast::<pg_sys::DefElem>)
        .filter_map(|element| {
            let name = text(element.defname)?;
            Some(match text(element.defnamespace) {
                Some(space) => format!("{space}.{name}"),
                None => name,
            })
        })
        .collect();
    options.dedup();
    let other = partition
        .and_then(|partition| name(partition.name))
        .or_else(|| name(cast::<pg_sys::RangeVar>(node.def)?))
        .map(|name| sql(&name));
    let kind = chunk.and_then(|chunk| table::command(node, cut, chunk));
    Change {
        what: words(node.subtype).unwrap_or("ALTER"),
        name: text(node.name)
            .or_else(|| text(cast::<pg_sys::Constraint>(node.def)?.conname))
            // A column of an index.
            .or_else(|| (node.num > 0).then(|| node.num.to_string())),
        other,
        options,
        text: chunk.and_then(|chunk| cut.text(chunk)).map(str::to_owned),
        if_exists: node.missing_ok,
        cascade: node.behavior == pg_sys::DropBehavior::DROP_CASCADE,
        concurrent: partition.is_some_and(|partition| partition.concurrent),
        kind: kind.unwrap_or(CommandKind::Other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_subcommand_of_the_grammar_has_words() {
        // Codes that the server makes for itself, while it works.
        let internal = [
            At::AT_AddColumnRecurse,
            At::AT_AddColumnToView,
            At::AT_CookedColumnDefault,
            At::AT_CheckNotNull,
            At::AT_DropColumnRecurse,
            At::AT_AddIndex,
            At::AT_ReAddIndex,
            At::AT_AddConstraintRecurse,
            At::AT_ReAddConstraint,
            At::AT_ReAddDomainConstraint,
            At::AT_ValidateConstraintRecurse,
            At::AT_DropConstraintRecurse,
            At::AT_ReAddComment,
            At::AT_ReAddStatistics,
        ];
        for code in 0..=At::AT_ReAddStatistics {
            assert_eq!(
                words(code).is_none(),
                internal.contains(&code),
                "AlterTableType {code}"
            );
        }
    }
}
