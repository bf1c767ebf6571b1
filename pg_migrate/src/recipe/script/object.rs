//! Statements on objects other than tables.

use crate::document::model::{
    AddEnumValue, Comments, CreateFunction, CreateMaterializedView, CreateTrigger, CreateView,
    DropTrigger, Operation, Privileges, RefreshMaterializedView, Reindex, RenameEnumValue,
    SetSchema, Sql,
};
use crate::pg::parser::tree::{Grant, Object, Statement, View};

pub fn operations(statement: &Statement, object: &Object) -> Vec<Operation> {
    let one = match object.clone() {
        Object::AddEnumValue {
            data_type,
            value,
            before,
            after,
            if_not_exists,
        } => Operation::AddEnumValue(AddEnumValue {
            data_type,
            value,
            before,
            after,
            if_not_exists,
        }),
        Object::RenameEnumValue {
            data_type,
            from,
            to,
        } => Operation::RenameEnumValue(RenameEnumValue {
            data_type,
            from,
            to,
        }),
        Object::SetSchema { kind, name, schema } => Operation::SetSchema(SetSchema {
            kind: kind.to_owned(),
            name,
            schema,
        }),
        Object::View(found) => view(found),
        Object::Refresh(name) => Operation::RefreshMaterializedView(RefreshMaterializedView {
            name,
            concurrently: true,
        }),
        Object::Function(name) => Operation::CreateFunction(CreateFunction {
            name,
            definition: Some(statement.text.clone()),
            ..CreateFunction::default()
        }),
        Object::Trigger {
            name,
            table,
            replace,
        } => Operation::CreateTrigger(CreateTrigger {
            name,
            table,
            replace,
            definition: Some(statement.text.clone()),
            ..CreateTrigger::default()
        }),
        Object::DropTrigger {
            name,
            table,
            if_exists,
        } => Operation::DropTrigger(DropTrigger {
            name,
            table,
            if_exists,
        }),
        Object::Grant(found) => return grants(&found),
        Object::Reindex { name, table: true } => Operation::Reindex(Reindex {
            table: Some(name),
            index: None,
        }),
        Object::Reindex { name, table: false } => Operation::Reindex(Reindex {
            index: Some(name),
            table: None,
        }),
        Object::Comment(head) => Operation::Sql(Sql {
            up: statement.text.clone(),
            comments: Some(Comments {
                kind: "other".into(),
                relation: head,
                part: None,
                text: None,
            }),
            ..Sql::default()
        }),
    };
    vec![one]
}

fn view(found: View) -> Operation {
    if found.materialized {
        return Operation::CreateMaterializedView(CreateMaterializedView {
            name: found.name,
            columns: found.columns,
            options: found.options,
            definition: found.definition,
            with_data: found.with_data,
            if_not_exists: found.if_not_exists,
            attributes: Vec::new(),
        });
    }
    let view = CreateView {
        name: found.name,
        columns: found.columns,
        // Without WITH the statement takes every option away.
        options: Some(found.options.unwrap_or_default()),
        definition: found.definition,
        ..CreateView::default()
    };
    match found.replace {
        true => Operation::ReplaceView(view),
        false => Operation::CreateView(view),
    }
}

fn grants(found: &Grant) -> Vec<Operation> {
    let each = |(privileges, columns): &(Vec<String>, Vec<String>)| {
        let one = Privileges {
            privileges: privileges.clone(),
            columns: columns.clone(),
            kind: found.kind.to_owned(),
            on: found.on.clone(),
            roles: found.roles.clone(),
            grant_option: found.option,
        };
        match found.grant {
            true => Operation::Grant(one),
            false => Operation::Revoke(one),
        }
    };
    found.privileges.iter().map(each).collect()
}
