//! create_index, drop_index.

use crate::document::model::{CreateIndex, DropIndex, IndexColumn, Operation};
use crate::fault::{Fault, Result, state};
use crate::recipe::constraint::mentioned;
use crate::recipe::facts::Index;
use crate::recipe::plan::{Planner, concurrent, unlocked};
use crate::recipe::quote::{ident, qualified};
use crate::recipe::remarks;
use crate::recipe::step::{Kind, Phase, Step};
use serde_json::json;
use std::collections::BTreeMap;

fn key(column: &IndexColumn) -> String {
    let mut sql = ident(&column.column);
    if let Some(collate) = &column.collate {
        sql.push_str(&format!(" COLLATE {collate}"));
    }
    if let Some(opclass) = &column.opclass {
        sql.push_str(&format!(" {opclass}"));
    }
    if let Some(sort) = &column.sort {
        sql.push_str(&format!(" {}", sort.to_uppercase()));
    }
    if let Some(nulls) = &column.nulls {
        sql.push_str(&format!(" NULLS {}", nulls.to_uppercase()));
    }
    sql
}

/// Everything after `ON table`.
pub fn definition(op: &CreateIndex) -> String {
    if let Some(definition) = &op.definition {
        return definition.clone();
    }
    let keys: Vec<_> = op.columns.iter().map(key).collect();
    let mut sql = format!(
        "USING {} ({})",
        op.method.as_deref().unwrap_or("btree"),
        keys.join(", ")
    );
    if let Some(parameters) = &op.storage_parameters {
        sql.push_str(&format!(" WITH ({parameters})"));
    }
    if let Some(predicate) = &op.predicate {
        sql.push_str(&format!(" WHERE {predicate}"));
    }
    sql
}

/// A concurrent drop.
pub fn drop_index_concurrently(phase: Phase, table: &str, index: &str) -> Step {
    Step {
        args: json!({ "drops": index }),
        ..concurrent(
            phase,
            table,
            None,
            format!("DROP INDEX CONCURRENTLY {index}"),
        )
    }
}

fn exists(index: &str) -> Fault {
    Fault::new("42P07", format!("relation {index} already exists"))
        .hint("Choose another name, or stamp the revision if this migration ran before.")
}

impl Planner<'_> {
    pub fn create_index(&mut self, op: &CreateIndex) -> Result<()> {
        let (table_key, table) = self.relation(&op.table, &["r", "p", "m"])?;
        let index = qualified(&table.schema, &op.name);
        if !self.gone.contains(&index) && self.facts.relation_exists(&table.schema, &op.name)? {
            if op.if_not_exists {
                return Ok(());
            }
            return Err(exists(&index));
        }
        for column in &op.columns {
            let physical = self.physical(&table_key, &column.column);
            self.column(&table_key, &table, &physical)?;
        }
        let mut body = definition(op);
        if !table.fresh {
            // It follows the column that takes the old one's place.
            body = self.index_on_shadows(&table_key, body)?;
        }
        let made = Index {
            name: op.name.clone(),
            definition: body.clone(),
            columns: mentioned(&table, &body),
            unique: op.unique,
            valid: true,
            ..Index::default()
        };
        if table.indexes.iter().any(|index| index.name == op.name) {
            return Err(exists(&index));
        }
        let unique = if op.unique { "UNIQUE " } else { "" };
        let name = ident(&op.name);
        if table.fresh {
            // No inverse: it leaves with its table.
            let phase = self.now();
            self.push(
                unlocked(
                    phase,
                    format!("CREATE {unique}INDEX {name} ON {table_key} {body}"),
                )
                .undo(format!("DROP INDEX IF EXISTS {index}")),
            );
            self.change(&table_key, |table| table.indexes.push(made));
            return Ok(());
        }
        self.plan.inverse.push(Operation::DropIndex(DropIndex {
            name: index.clone(),
            if_exists: false,
        }));
        // While a rename is in flight the data lives under the old name, and so must the index;
        // the new application is served by a copy on the new column that leaves at contract.
        let mut bodies = vec![(op.name.clone(), body.clone())];
        if let Some((found, lasting)) = self.renaming_of(&table_key, &body)? {
            bodies[0].1 = lasting;
            bodies.push((self.free_name(&table.schema, &op.name, "_pgm_new")?, body));
            self.renamings[found].helpers.push(bodies[1].0.clone());
        } else if !table.empty || !op.columns.is_empty() {
            self.check_definition(&table_key, &body)?;
        }
        for (name, body) in bodies {
            let index = qualified(&table.schema, &name);
            if table.kind == "p" {
                let names = if name == op.name {
                    op.partitions.clone()
                } else {
                    BTreeMap::new()
                };
                self.partitioned_index(&table_key, &table, &name, op.unique, &body, &names)?;
                continue;
            }
            self.push(
                concurrent(
                    Phase::Migrate,
                    &table_key,
                    Some(&index),
                    format!(
                        "CREATE {unique}INDEX CONCURRENTLY {} ON {table_key} {body}",
                        ident(&name)
                    ),
                )
                .undo_as(
                    Kind::Concurrent,
                    format!("DROP INDEX CONCURRENTLY IF EXISTS {index}"),
                ),
            );
        }
        self.made.insert(format!("index {index}"));
        self.change(&table_key, |table| table.indexes.push(made));
        Ok(())
    }

    /// The table of an index that an earlier operation makes.
    fn made_here(&self, schema: &str, name: &str) -> Option<String> {
        self.known_tables()
            .find(|(_, table)| {
                table.schema == schema && table.indexes.iter().any(|index| index.name == name)
            })
            .map(|(key, _)| key.clone())
    }

    /// A definition that PostgreSQL would refuse is refused before anything runs.
    fn check_definition(&self, table: &str, body: &str) -> Result<()> {
        // What this migration makes is not there yet to try it on: a type, an enum's value, a column.
        if self.barrier
            || self.objects.mentions_label(body)
            || !self.made_objects.is_empty()
            || self.half_known(table)
            || self.plan.touches.iter().any(|touch| touch.table == table)
        {
            return Ok(());
        }
        self.index_renamed(table, body, "", "").map(drop)
    }

    /// If the index mentions a column that a rename in flight will produce: the number of that
    /// rename, and the definition over the column where the data is now.
    fn renaming_of(&self, table: &str, body: &str) -> Result<Option<(usize, String)>> {
        for (number, found) in self.renamings.iter().enumerate() {
            if found.table != table {
                continue;
            }
            let lasting = self.index_renamed(table, body, &found.new, &found.old)?;
            // It mentions the column if giving that yet another name changes it.
            let other = self.index_renamed(table, &lasting, &found.old, "pg_migrate_other")?;
            if lasting != other {
                return Ok(Some((number, lasting)));
            }
        }
        Ok(None)
    }

    pub fn drop_index(&mut self, op: &DropIndex) -> Result<()> {
        let (schema, bare) = self.landing(&op.name)?;
        let found = match self.made_here(&schema, &bare) {
            Some(table) => Some(table),
            None => self.facts.table_of_index(&op.name)?,
        };
        let Some(table_name) = found else {
            if op.if_exists {
                return Ok(());
            }
            return Err(Fault::new(
                state::UNDEFINED_OBJECT,
                format!("index {} does not exist", op.name),
            ));
        };
        let (table_key, table) = self.relation(&table_name, &["r", "p", "m"])?;
        let Some(index) = table
            .indexes
            .iter()
            .find(|index| index.name == bare)
            .cloned()
        else {
            return Err(Fault::new(
                state::UNDEFINED_OBJECT,
                format!("index {} of table {table_key} does not exist", op.name),
            ));
        };
        if let Some(constraint) = &index.constraint {
            return Err(Fault::new(
                state::DEPENDENT_OBJECTS,
                format!("index {bare} belongs to constraint \"{constraint}\" of table {table_key}"),
            )
            .hint("Use drop_constraint: the index goes with it."));
        }
        let said = remarks::of_index(&table_key, &table, &index);
        self.plan.inverse.extend(remarks::operations(said));
        self.drops(&table_key, &index.name, Phase::Contract);
        self.change(&table_key, |table| {
            table.indexes.retain(|found| found.name != index.name);
        });
        if table.fresh {
            let name = qualified(&table.schema, &index.name);
            self.gone.insert(name.clone());
            let phase = self.now();
            self.push(unlocked(phase, format!("DROP INDEX {name}")));
            return Ok(());
        }
        let qualified = qualified(&table.schema, &index.name);
        self.not_a_part(&qualified, index.part_of.as_deref())?;
        let partitions = match table.kind.as_str() {
            "p" => self.parts_of_index(&table_key, &qualified)?,
            _ => BTreeMap::new(),
        };
        self.plan.inverse.push(Operation::CreateIndex(CreateIndex {
            name: index.name.clone(),
            table: table_key.clone(),
            unique: index.unique,
            definition: Some(index.definition.clone()),
            partitions,
            ..CreateIndex::default()
        }));
        self.change(&table_key, |table| {
            table.indexes.retain(|other| other.name != index.name);
        });
        if table.kind == "p" {
            let step = self.drop_partitioned_index(Phase::Contract, &table_key, &qualified);
            self.push(step);
            return Ok(());
        }
        self.push(drop_index_concurrently(
            Phase::Contract,
            &table_key,
            &qualified,
        ));
        // What drops its columns later in this migration need not drop it.
        self.change(&table_key, |table| {
            table.indexes.retain(|index| index.name != bare);
        });
        Ok(())
    }
}
