//! What is said about an index or a constraint beside its definition, and has to be said again when
//! it is made anew: comments, CLUSTER, the replica identity.

use crate::document::model::{Operation, Sql};
use crate::recipe::facts::{Constraint, Index, Table};
use crate::recipe::quote::{ident, literal, qualified};

/// Statements for an index that was just made.
pub fn of_index(key: &str, table: &Table, index: &Index) -> Vec<String> {
    let mut sql = Vec::new();
    if let Some(comment) = &index.comment {
        let name = qualified(&table.schema, &index.name);
        sql.push(format!("COMMENT ON INDEX {name} IS {}", literal(comment)));
    }
    let name = ident(&index.name);
    if index.clustered {
        sql.push(format!("ALTER TABLE {key} CLUSTER ON {name}"));
    }
    if index.replica_identity {
        sql.push(format!(
            "ALTER TABLE {key} REPLICA IDENTITY USING INDEX {name}"
        ));
    }
    sql
}

/// Statements for a constraint that was just made, and for its index.
pub fn of_constraint(key: &str, table: &Table, constraint: &Constraint) -> Vec<String> {
    let mut sql = Vec::new();
    if let Some(comment) = &constraint.comment {
        sql.push(format!(
            "COMMENT ON CONSTRAINT {} ON {key} IS {}",
            ident(&constraint.name),
            literal(comment)
        ));
    }
    for index in &table.indexes {
        if index.constraint.as_ref() == Some(&constraint.name) {
            sql.extend(of_index(key, table, index));
        }
    }
    sql
}

/// The same as operations; taking them back takes the object away.
pub fn operations(statements: Vec<String>) -> Vec<Operation> {
    statements
        .into_iter()
        .map(|up| {
            Operation::Sql(Sql {
                up,
                down: Some("SELECT 1".into()),
                ..Sql::default()
            })
        })
        .collect()
}
