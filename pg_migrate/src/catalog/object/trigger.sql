-- The statements that make trigger $2 of table $1 as it is now.
SELECT s.sql
FROM (SELECT t.*, pg_catalog.quote_ident(t.tgname) AS name,
             (SELECT pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname)
              FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = t.tgrelid) AS "table"
      FROM pg_catalog.pg_trigger t WHERE t.tgrelid = $1::oid AND t.tgname = $2 AND NOT t.tgisinternal) t,
LATERAL (VALUES
    (1, pg_catalog.pg_get_triggerdef(t.oid)),
    (2, CASE t.tgenabled WHEN 'D' THEN 'ALTER TABLE ' || t."table" || ' DISABLE TRIGGER ' || t.name
                         WHEN 'A' THEN 'ALTER TABLE ' || t."table" || ' ENABLE ALWAYS TRIGGER ' || t.name
                         WHEN 'R' THEN 'ALTER TABLE ' || t."table" || ' ENABLE REPLICA TRIGGER ' || t.name END),
    (3, 'COMMENT ON TRIGGER ' || t.name || ' ON ' || t."table" || ' IS ' || pg_catalog.quote_literal(pg_catalog.obj_description(t.oid, 'pg_trigger')))
) s (turn, sql)
WHERE s.sql IS NOT NULL
ORDER BY s.turn
