-- The trigger functions. They do nothing but compute the row that is written: safe for everyone.

CREATE FUNCTION migrate.sync_column_trigger() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'pg_migrate_sync_column';

CREATE FUNCTION migrate.touch_column() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'pg_migrate_touch_column';

-- Applications fire the triggers without any right in the schema; whoever creates one needs EXECUTE.
GRANT EXECUTE ON FUNCTION migrate.sync_column_trigger(), migrate.touch_column() TO PUBLIC;

-- ALTER TABLE that rewrites a table tells its sync triggers.
CREATE FUNCTION migrate.table_rewritten() RETURNS event_trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'pg_migrate_table_rewritten';

CREATE EVENT TRIGGER pg_migrate_table_rewritten ON table_rewrite EXECUTE FUNCTION migrate.table_rewritten();
-- Or replicas' sessions pass by it.
ALTER EVENT TRIGGER pg_migrate_table_rewritten ENABLE ALWAYS;
