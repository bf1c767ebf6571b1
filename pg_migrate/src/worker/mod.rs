//! background worker, top-level statements.
