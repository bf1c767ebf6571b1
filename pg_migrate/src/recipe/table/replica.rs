//! set_replica_identity.

use crate::document::model::{Operation, ReplicaIdentity, SetReplicaIdentity};
use crate::document::nearest;
use crate::fault::{Fault, Result, state};
use crate::recipe::facts::Table;
use crate::recipe::plan::{Planner, ddl};
use crate::recipe::quote::ident;
use crate::recipe::step::Lock;

/// As it is now.
fn identity_of(table: &Table) -> ReplicaIdentity {
    let index = table.indexes.iter().find(|index| index.replica_identity);
    let kind = match (table.replica_identity.as_str(), index) {
        ("n", _) => "nothing",
        ("f", _) => "full",
        ("i", Some(_)) => "index",
        // PostgreSQL takes one whose index was dropped for nothing.
        ("i", None) => "nothing",
        _ => "default",
    };
    ReplicaIdentity {
        kind: kind.to_owned(),
        index: index
            .filter(|_| kind == "index")
            .map(|index| index.name.clone()),
    }
}

fn statement(key: &str, identity: &ReplicaIdentity) -> String {
    let what = match &identity.index {
        Some(index) if !index.is_empty() => format!("USING INDEX {}", ident(index)),
        _ => identity.kind.to_uppercase(),
    };
    format!("ALTER TABLE {key} REPLICA IDENTITY {what}")
}

impl Planner<'_> {
    pub fn set_replica_identity(&mut self, op: &SetReplicaIdentity) -> Result<()> {
        let (key, table) = self.table(&op.table)?;
        let wanted = op.identity.index.as_deref().filter(|name| !name.is_empty());
        if let Some(wanted) = wanted
            && !(table.fresh && table.indexes.is_empty())
        {
            usable(&key, &table, wanted)?;
        }
        let before = identity_of(&table);
        let phase = self.now();
        let step = ddl(
            phase,
            &key,
            Lock::AccessExclusive,
            statement(&key, &op.identity),
        );
        self.push(step.undo(statement(&key, &before)));
        self.plan
            .inverse
            .push(Operation::SetReplicaIdentity(SetReplicaIdentity {
                table: key.clone(),
                identity: before,
            }));
        self.change(&key, |table| {
            let kind = op.identity.kind.chars().next().unwrap_or('d');
            table.replica_identity = kind.to_ascii_lowercase().to_string();
            for index in &mut table.indexes {
                index.replica_identity = Some(index.name.as_str()) == wanted;
            }
        });
        Ok(())
    }
}

/// Whether PostgreSQL will take the index for it, as far as can be told before.
fn usable(key: &str, table: &Table, wanted: &str) -> Result<()> {
    let Some(index) = table.indexes.iter().find(|index| index.name == wanted) else {
        let fault = Fault::new(
            state::UNDEFINED_OBJECT,
            format!("index \"{wanted}\" of table {key} does not exist"),
        );
        let names = table.indexes.iter().map(|index| index.name.as_str());
        return Err(match nearest(wanted, names) {
            Some(near) => fault.hint(format!("Did you mean \"{near}\"?")),
            None => fault,
        });
    };
    let refuse = |why: &str| {
        Err(Fault::new(
            state::WRONG_OBJECT_TYPE,
            format!("index \"{wanted}\" of table {key} cannot be its replica identity"),
        )
        .detail(why.to_owned())
        .hint("It must be unique, over all rows, not deferrable, and its columns NOT NULL; or use full."))
    };
    if !index.unique {
        return refuse("It is not unique.");
    }
    if index.definition.contains(" WHERE ") {
        return refuse("It is not over all rows.");
    }
    let owner = index.constraint.as_ref();
    if table
        .constraints
        .iter()
        .any(|found| owner == Some(&found.name) && found.deferrable)
    {
        return refuse("Its constraint is deferrable.");
    }
    Ok(())
}
