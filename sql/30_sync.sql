-- The trigger functions. They do nothing but compute the row that is written: safe for everyone.

CREATE FUNCTION migrate.sync_column_trigger() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'pg_migrate_sync_column';

CREATE FUNCTION migrate.touch_column() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'pg_migrate_touch_column';

-- Keeps two tables in step that share a row. Its statements run with the rights of the tables' owners.
CREATE FUNCTION migrate.sync_split_trigger() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'pg_migrate_sync_split';

-- Applications fire the triggers without any right in the schema; whoever creates one needs EXECUTE.
GRANT EXECUTE ON FUNCTION migrate.sync_column_trigger(), migrate.touch_column(), migrate.sync_split_trigger() TO PUBLIC;

-- ALTER TABLE that rewrites a table tells its sync triggers.
CREATE FUNCTION migrate.table_rewritten() RETURNS event_trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'pg_migrate_table_rewritten';

CREATE EVENT TRIGGER pg_migrate_table_rewritten ON table_rewrite EXECUTE FUNCTION migrate.table_rewritten();
-- Or replicas' sessions pass by it.
ALTER EVENT TRIGGER pg_migrate_table_rewritten ENABLE ALWAYS;
