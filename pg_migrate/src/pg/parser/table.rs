//! CREATE TABLE and ALTER TABLE: columns, constraints, commands.

use super::constraint::{of_column, of_table};
use super::cut::Cut;
use super::raw;
use super::read::{name, relation};
use super::tree::{
    AlterTable, Column, Command, CommandKind, Constraint, ConstraintKind, CreateTable, Identity,
    Name, Node,
};
use pgrx::pg_sys::{self, AlterTableType as At, ConstrType as Kind};
use std::ops::Range;

/// `None` where the statement cannot be taken apart.
pub fn alter(stmt: &pg_sys::AlterTableStmt, cut: &Cut) -> Option<AlterTable> {
    if stmt.objtype != pg_sys::ObjectType::OBJECT_TABLE {
        return None;
    }
    let target = raw::at(stmt.relation)?;
    let mut start = cut.after_name(cut.at(target.location)?);
    // The old spelling of "with its children", and the parentheses that ONLY may have.
    while cut.symbol(start, b'*') || cut.symbol(start, b')') {
        start += 1;
    }
    let nodes = raw::items(stmt.cmds);
    let chunks = cut.chunks(&(start..cut.len()));
    if nodes.len() != chunks.len() {
        return None;
    }
    let table = relation(stmt.relation, stmt.missing_ok)?;
    let commands = nodes
        .into_iter()
        .zip(chunks)
        .map(|(node, chunk)| {
            let node = raw::cast::<pg_sys::AlterTableCmd>(node)?;
            Some(Command {
                text: cut.text(&chunk)?.to_owned(),
                kind: command(node, cut, &chunk)?,
            })
        })
        .collect::<Option<Vec<_>>>()?;
    Some(AlterTable { table, commands })
}

/// `chunk`: the tokens of the subcommand.
pub fn command(
    node: &pg_sys::AlterTableCmd,
    cut: &Cut,
    chunk: &Range<usize>,
) -> Option<CommandKind> {
    let named = || raw::text(node.name);
    let cascade = node.behavior == pg_sys::DropBehavior::DROP_CASCADE;
    // ALTER [COLUMN] name …
    let name_at = chunk.start + 1 + usize::from(cut.word(chunk.start + 1, "column"));
    Some(match node.subtype {
        At::AT_AddColumn => CommandKind::AddColumn {
            column: column(raw::cast(node.def)?, cut, chunk.end)?,
            if_not_exists: node.missing_ok,
        },
        At::AT_DropColumn => CommandKind::DropColumn {
            column: named()?,
            if_exists: node.missing_ok,
            cascade,
        },
        At::AT_AlterColumnType => {
            let definition = raw::cast::<pg_sys::ColumnDef>(node.def)?;
            let first = cut.at(raw::at(definition.typeName)?.location)?;
            let using = if definition.raw_default.is_null() {
                None
            } else {
                Some(cut.find(&(first..chunk.end), "using")?)
            };
            // Of a composite type: ALTER ATTRIBUTE … TYPE … CASCADE.
            let last = chunk.end - 1;
            let behaviour =
                last > first && (cut.word(last, "cascade") || cut.word(last, "restrict"));
            let end = if behaviour { last } else { chunk.end };
            CommandKind::SetType {
                column: named()?,
                data_type: cut.text(&(first..using.unwrap_or(end)))?.to_owned(),
                using: match using {
                    Some(using) => Some(cut.text(&(using + 1..chunk.end))?.to_owned()),
                    None => None,
                },
            }
        }
        At::AT_ColumnDefault => CommandKind::SetDefault {
            column: named()?,
            default: if node.def.is_null() {
                None
            } else {
                if !cut.word(name_at + 1, "set") || !cut.word(name_at + 2, "default") {
                    return None;
                }
                Some(cut.text(&(name_at + 3..chunk.end))?.to_owned())
            },
        },
        At::AT_SetNotNull => CommandKind::SetNotNull(named()?),
        At::AT_DropNotNull => CommandKind::DropNotNull(named()?),
        At::AT_AddConstraint => {
            let node = raw::cast::<pg_sys::Constraint>(node.def)?;
            match of_table(node, cut, &(chunk.start + 1..chunk.end)) {
                Some(constraint) => CommandKind::AddConstraint(constraint),
                None => CommandKind::Other,
            }
        }
        At::AT_DropConstraint => CommandKind::DropConstraint {
            name: named()?,
            if_exists: node.missing_ok,
            cascade,
        },
        At::AT_ValidateConstraint => CommandKind::ValidateConstraint,
        At::AT_AttachPartition => {
            let partition = raw::cast::<pg_sys::PartitionCmd>(node.def)?;
            let at = cut.after_name(cut.at(raw::at(partition.name)?.location)?);
            CommandKind::AttachPartition {
                partition: name(partition.name)?,
                bounds: cut.text(&(at..chunk.end))?.to_owned(),
            }
        }
        At::AT_DetachPartition => {
            let partition = raw::cast::<pg_sys::PartitionCmd>(node.def)?;
            CommandKind::DetachPartition(name(partition.name)?)
        }
        _ => CommandKind::Other,
    })
}

/// A column definition that ends before token `end`.
fn column(node: &pg_sys::ColumnDef, cut: &Cut, end: usize) -> Option<Column> {
    let name_at = cut.at(node.location)?;
    let constraints: Vec<_> = raw::items(node.constraints)
        .into_iter()
        .filter_map(raw::cast::<pg_sys::Constraint>)
        .collect();
    // Every clause of a column says where it begins, and ends where the next one does.
    let mut starts = vec![end];
    for constraint in &constraints {
        starts.push(cut.at(constraint.location)?);
    }
    let collation = match raw::at(node.collClause) {
        Some(clause) => Some(cut.at(clause.location)?),
        None => None,
    };
    starts.extend(collation);
    starts.sort_unstable();
    let next = |at: usize| starts.iter().copied().find(|start| *start > at);

    let mut found = Column {
        name: raw::text(node.colname)?,
        data_type: cut.text(&(name_at + 1..*starts.first()?))?.to_owned(),
        more: !node.compression.is_null() || node.storage != 0 || !raw::is_empty(node.fdwoptions),
        ..Column::default()
    };
    #[cfg(not(feature = "pg15"))]
    {
        found.more |= !node.storage_name.is_null();
    }
    if let Some(at) = collation {
        found.data_type = format!("{} {}", found.data_type, cut.text(&(at..next(at)?))?);
    }
    for node in constraints {
        let start = cut.at(node.location)?;
        let run = start..next(start)?;
        column_clause(&mut found, node, cut, run)?;
    }
    Some(found)
}

fn column_clause(
    column: &mut Column,
    node: &pg_sys::Constraint,
    cut: &Cut,
    run: Range<usize>,
) -> Option<()> {
    // CONSTRAINT name …
    let body = if node.conname.is_null() {
        run.clone()
    } else {
        run.start + 2..run.end
    };
    match node.contype {
        Kind::CONSTR_NULL => {}
        Kind::CONSTR_NOTNULL => {
            column.not_null = true;
            // From PostgreSQL 18 on its name lasts.
            let named = cfg!(feature = "pg18") && !node.conname.is_null();
            column.more |= node.is_no_inherit || named;
        }
        Kind::CONSTR_DEFAULT => {
            column.default = Some(cut.text(&(body.start + 1..body.end))?.into())
        }
        Kind::CONSTR_GENERATED => {
            let open = cut.parenthesis(&body)?;
            let expression = cut.inside(open)?;
            column.more |= cut.find(&body, "stored").is_none();
            column.generated = Some(cut.text(&expression)?.to_owned());
        }
        Kind::CONSTR_IDENTITY => {
            let options = match cut.parenthesis(&body) {
                Some(open) => Some(cut.text(&cut.inside(open)?)?.to_owned()),
                None => None,
            };
            column.identity = Some(Identity {
                always: node.generated_when
                    == pg_sys::ATTRIBUTE_IDENTITY_ALWAYS as std::ffi::c_char,
                options,
            });
        }
        Kind::CONSTR_ATTR_DEFERRABLE
        | Kind::CONSTR_ATTR_NOT_DEFERRABLE
        | Kind::CONSTR_ATTR_DEFERRED
        | Kind::CONSTR_ATTR_IMMEDIATE => {
            let last = column.constraints.last_mut()?;
            match node.contype {
                Kind::CONSTR_ATTR_DEFERRABLE => last.deferrable = true,
                Kind::CONSTR_ATTR_DEFERRED => {
                    last.deferrable = true;
                    last.initially_deferred = true;
                }
                _ => {}
            }
            last.definition = format!("{} {}", last.definition, cut.text(&run)?);
            last.span.end = cut.span(&run)?.end;
        }
        Kind::CONSTR_CHECK | Kind::CONSTR_UNIQUE | Kind::CONSTR_PRIMARY | Kind::CONSTR_FOREIGN => {
            let mut made = of_column(node, cut, &body, &column.name)?;
            made.span = cut.span(&run)?;
            column.constraints.push(made);
        }
        // Only later versions have others (ENFORCED and its kin).
        _ => column.more = true,
    }
    Some(())
}

pub fn create(stmt: &pg_sys::CreateStmt, cut: &Cut) -> Option<Node> {
    let target = raw::at(stmt.relation)?;
    let mut made = CreateTable {
        name: name(stmt.relation)?,
        if_not_exists: stmt.if_not_exists,
        temporary: target.relpersistence == pg_sys::RELPERSISTENCE_TEMP as std::ffi::c_char,
        ..CreateTable::default()
    };
    let plain = raw::is_empty(stmt.inhRelations)
        && stmt.partbound.is_null()
        && stmt.partspec.is_null()
        && stmt.ofTypename.is_null()
        && !made.if_not_exists
        && !made.temporary;
    if plain && let Some((keys, rest)) = without_foreign_keys(stmt, cut, &made) {
        made.foreign_keys = keys;
        made.without_foreign_keys = Some(rest);
    }
    made.partition_of = partition_of(stmt, cut, &made);
    Some(Node::CreateTable(made))
}

/// Columns and constraints of CREATE TABLE as it says them, and whether that is all it says.
/// `None`: they cannot be cut out.
pub fn elements(
    stmt: &pg_sys::CreateStmt,
    cut: &Cut,
) -> Option<(Vec<Column>, Vec<Constraint>, bool)> {
    let (mut columns, mut constraints, mut whole) = (Vec::new(), Vec::new(), true);
    let elements = raw::items(stmt.tableElts);
    if elements.is_empty() {
        return Some((columns, constraints, whole));
    }
    let name_at = cut.at(raw::at(stmt.relation)?.location)?;
    let open = cut.parenthesis(&(cut.after_name(name_at)..cut.len()))?;
    let chunks = cut.chunks(&cut.inside(open)?);
    if elements.len() != chunks.len() {
        return None;
    }
    for (element, chunk) in elements.into_iter().zip(chunks) {
        let made = if let Some(node) = raw::cast::<pg_sys::ColumnDef>(element) {
            column(node, cut, chunk.end).map(|column| columns.push(column))
        } else {
            raw::cast::<pg_sys::Constraint>(element)
                .and_then(|node| of_table(node, cut, &chunk))
                .map(|constraint| constraints.push(constraint))
        };
        whole &= made.is_some();
    }
    Some((columns, constraints, whole))
}

/// CREATE TABLE … PARTITION OF … without columns, options or partitions of its own.
fn partition_of(
    stmt: &pg_sys::CreateStmt,
    cut: &Cut,
    made: &CreateTable,
) -> Option<(Name, String)> {
    let bare = raw::is_empty(stmt.tableElts)
        && stmt.partspec.is_null()
        && raw::is_empty(stmt.options)
        && stmt.tablespacename.is_null()
        && stmt.accessMethod.is_null()
        && raw::at(stmt.relation)?.relpersistence
            == pg_sys::RELPERSISTENCE_PERMANENT as std::ffi::c_char;
    if stmt.partbound.is_null() || !bare || made.if_not_exists {
        return None;
    }
    let parent = raw::cast::<pg_sys::RangeVar>(*raw::items(stmt.inhRelations).first()?)?;
    let at = cut.after_name(cut.at(parent.location)?);
    Some((name(parent)?, cut.text(&(at..cut.len()))?.to_owned()))
}

/// The foreign keys to other tables, and the statement without them. `None`: there are none, or
/// they cannot be cut out.
fn without_foreign_keys(
    stmt: &pg_sys::CreateStmt,
    cut: &Cut,
    table: &CreateTable,
) -> Option<(Vec<Constraint>, String)> {
    let open = cut.after_name(cut.at(raw::at(stmt.relation)?.location)?);
    let inside = cut.inside(open)?;
    let elements = raw::items(stmt.tableElts);
    let chunks = cut.chunks(&inside);
    if elements.len() != chunks.len() {
        return None;
    }
    let elsewhere = |constraint: &Constraint| {
        constraint.kind == ConstraintKind::ForeignKey
            && constraint
                .references
                .as_ref()
                .is_some_and(|references| references.table.name != table.name.name)
    };
    let (mut keys, mut dropped): (Vec<Constraint>, Vec<Range<usize>>) = (Vec::new(), Vec::new());
    let mut kept_before = false;
    for (element, chunk) in elements.into_iter().zip(chunks) {
        if let Some(node) = raw::cast::<pg_sys::ColumnDef>(element) {
            let column = column(node, cut, chunk.end)?;
            for constraint in column.constraints.into_iter().filter(&elsewhere) {
                dropped.push(constraint.span.clone());
                keys.push(constraint);
            }
            kept_before = true;
        } else if let Some(constraint) = raw::cast::<pg_sys::Constraint>(element)
            .and_then(|node| of_table(node, cut, &chunk))
            .filter(&elsewhere)
        {
            // With the comma before it, or, while nothing is kept yet, the one after it.
            dropped.push(if kept_before {
                cut.span(&(chunk.start - 1..chunk.end))?
            } else {
                cut.span(&(chunk.start..chunk.end + 1))?
            });
            keys.push(constraint);
        } else {
            kept_before = true;
        }
    }
    if keys.is_empty() || !kept_before {
        return None;
    }
    let mut rest = String::new();
    let all = cut.span(&(0..cut.len()))?;
    let mut at = all.start;
    for span in dropped {
        rest.push_str(cut.script.get(at..span.start)?);
        at = span.end;
    }
    rest.push_str(cut.script.get(at..all.end)?);
    Some((keys, rest))
}
