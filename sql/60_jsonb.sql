-- The same functions for documents that are jsonb.

CREATE FUNCTION migrate.apply(document jsonb, revision text DEFAULT NULL, down_revision text[] DEFAULT NULL)
RETURNS TABLE (revision text, step int, phase text, kind text, sql text, state text, detail text)
LANGUAGE sql AS $$ SELECT * FROM migrate.apply($1::pg_catalog.text, $2, $3) $$;

CREATE FUNCTION migrate.add(document jsonb, revision text DEFAULT NULL, down_revision text[] DEFAULT NULL)
RETURNS text LANGUAGE sql AS $$ SELECT migrate.add($1::pg_catalog.text, $2, $3) $$;

CREATE FUNCTION migrate.plan(document jsonb)
RETURNS TABLE (step int, phase text, kind text, sql text, lock text, rewrites boolean, scans boolean,
               in_transaction boolean, rows bigint, estimate text, warning text)
LANGUAGE sql AS $$ SELECT * FROM migrate.plan($1::pg_catalog.text) $$;

CREATE FUNCTION migrate.plan_sql(document jsonb, phase text DEFAULT NULL) RETURNS SETOF text
LANGUAGE sql AS $$ SELECT migrate.plan_sql($1::pg_catalog.text, $2) $$;

CREATE FUNCTION migrate.test(document jsonb)
RETURNS TABLE (turn text, object text, expected text, found text)
LANGUAGE sql AS $$ SELECT * FROM migrate.test($1::pg_catalog.text) $$;
