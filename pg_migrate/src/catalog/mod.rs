//! reads pg_catalog into plain structs; the only room that knows catalog columns.
