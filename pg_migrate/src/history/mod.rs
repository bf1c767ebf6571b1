//! the revision graph: heads, paths, targets.
