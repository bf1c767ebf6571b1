//! reads and writes migrate.* tables; the only room that knows their columns.
