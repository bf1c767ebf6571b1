//! Operations on partitions, ours.

use serde::{Deserialize, Serialize};

/// `attach_partition`: a table becomes a partition. `create_partition`: a new, empty one.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttachPartition {
    /// The partitioned table.
    pub table: String,
    pub partition: String,
    /// As in SQL: `FOR VALUES FROM (…) TO (…)`, `FOR VALUES IN (…)`, `FOR VALUES WITH (…)` or
    /// `DEFAULT`.
    pub bounds: String,
}

/// `detach_partition`: a partition becomes a table of its own.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DetachPartition {
    pub table: String,
    pub partition: String,
}
