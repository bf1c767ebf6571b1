//! Operations on one column.

use super::{Check, Column, References};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddColumn {
    pub table: String,
    pub column: Column,
    /// Value for existing rows, and for rows written by an application that does not know the column.
    #[serde(default)]
    pub up: Option<String>,
    #[serde(default)]
    pub if_not_exists: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DropColumn {
    pub table: String,
    pub column: String,
    /// Value of the column for rows written by an application that no longer knows it.
    #[serde(default)]
    pub down: Option<String>,
    /// Ours: drop for good instead of setting aside.
    #[serde(default)]
    pub immediately: bool,
    #[serde(default)]
    pub if_exists: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RenameColumn {
    pub table: String,
    pub from: String,
    pub to: String,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlterColumn {
    pub table: String,
    pub column: String,
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub data_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nullable: Option<bool>,
    /// Absent: unchanged. `null`: dropped.
    #[serde(
        default,
        deserialize_with = "crate::document::json::present",
        skip_serializing_if = "Option::is_none"
    )]
    pub default: Option<Option<String>>,
    /// Absent: unchanged. `null`: removed.
    #[serde(
        default,
        deserialize_with = "crate::document::json::present",
        skip_serializing_if = "Option::is_none"
    )]
    pub comment: Option<Option<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unique: Option<Unique>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<Check>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub references: Option<References>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub up: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub down: Option<String>,
}

impl AlterColumn {
    /// Whether it changes anything but the default and the comment.
    pub fn needs_column(&self) -> bool {
        let settings = AlterColumn {
            table: self.table.clone(),
            column: self.column.clone(),
            default: self.default.clone(),
            comment: self.comment.clone(),
            ..AlterColumn::default()
        };
        *self != settings
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unique {
    pub name: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ColumnOf {
    pub table: String,
    pub column: String,
}

/// Several columns become one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MergeColumns {
    pub table: String,
    /// The new column.
    pub into: Column,
    /// Its value, from the old ones.
    pub up: String,
    pub columns: Vec<MergedColumn>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MergedColumn {
    pub column: String,
    /// Its value, from the new one.
    pub down: String,
}

/// The way back of `merge_columns`. Written by the extension.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnmergeColumns {
    pub table: String,
    pub column: String,
    pub up: String,
    pub columns: Vec<MergedColumn>,
    /// One for each of the columns.
    pub restore: Vec<super::Restore>,
}
