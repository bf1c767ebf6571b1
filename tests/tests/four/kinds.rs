//! No kind of operation is left out.

use crate::{alter, columns, constraints, data, indexes, tables};

/// Kinds whose four ways are tested in another file, and where.
const ELSEWHERE: &[(&str, &str)] = &[
    ("add_enum_value", "beyond/objects.rs"),
    ("rename_enum_value", "beyond/objects.rs"),
    ("set_schema", "beyond/objects.rs"),
    ("create_view", "beyond/views.rs"),
    ("replace_view", "beyond/views.rs"),
    ("drop_view", "beyond/views.rs"),
    ("create_materialized_view", "beyond/views.rs"),
    ("refresh_materialized_view", "beyond/views.rs"),
    ("create_type", "beyond/objects.rs"),
    ("create_function", "beyond/objects.rs"),
    ("create_trigger", "beyond/objects.rs"),
    ("drop_trigger", "beyond/objects.rs"),
    ("grant", "beyond/objects.rs"),
    ("revoke", "beyond/objects.rs"),
    ("reindex", "beyond/objects.rs"),
    ("drop_multicolumn_constraint", "vocabulary/drops.rs"),
    ("rename_constraint", "vocabulary/drops.rs"),
    ("set_replica_identity", "vocabulary/fields.rs"),
    ("attach_partition", "partitions/attach.rs"),
    ("create_partition", "partitions/attach.rs"),
    ("detach_partition", "partitions/attach.rs"),
    ("merge_columns", "beyond/merge.rs"),
    ("unmerge_columns", "beyond/merge.rs"),
    (
        "statement",
        "plain: what stands for each statement of a script",
    ),
    ("split_table", "beyond/split.rs"),
    ("unsplit_table", "beyond/split.rs"),
    ("untouch_column", "four: the way back of touch_column"),
    (
        "restore",
        "four: the way back of drop_table and drop_column",
    ),
];

#[test]
fn every_kind_of_operation_has_a_case() {
    let model = include_str!("../../../pg_migrate/src/document/model.rs");
    let kinds: Vec<&str> = model
        .lines()
        .filter_map(|line| line.trim().strip_prefix("Operation::"))
        .filter_map(|line| line.split_once("=> \""))
        .filter_map(|(_, rest)| rest.split('"').next())
        .collect();
    assert!(
        kinds.len() > 15,
        "the list of kinds was not found: {kinds:?}"
    );
    let cases: Vec<_> = [
        tables::cases(),
        columns::cases(),
        alter::cases(),
        indexes::cases(),
        constraints::cases(),
        data::cases(),
    ]
    .concat();
    for kind in kinds {
        let here = cases
            .iter()
            .any(|case| !case.shapes.is_empty() && case.json.contains(&format!("{{\"{kind}\":")));
        let elsewhere = ELSEWHERE.iter().any(|(name, _)| *name == kind);
        assert!(
            here != elsewhere,
            "{kind}: give it a case here, or name the file of its test in ELSEWHERE (not both)"
        );
    }
}
