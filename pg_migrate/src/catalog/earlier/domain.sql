SELECT pg_catalog.format('ALTER DOMAIN %s ', pg_catalog.format_type(t.oid, NULL)) || CASE ($4::text[])[1]
           WHEN 'SET DEFAULT' THEN coalesce('SET DEFAULT ' || t.typdefault, 'DROP DEFAULT')
           WHEN 'DROP CONSTRAINT' THEN (
               SELECT pg_catalog.format('ADD CONSTRAINT %I %s', k.conname, pg_catalog.pg_get_constraintdef(k.oid))
               FROM pg_catalog.pg_constraint k WHERE k.contypid = t.oid AND k.conname = ($4::text[])[2])
           ELSE CASE WHEN t.typnotnull THEN 'SET NOT NULL' ELSE 'DROP NOT NULL' END END AS value
FROM pg_catalog.pg_type t
WHERE t.oid = $2::oid AND t.typtype = 'd' AND $1::int8 IS NOT NULL AND $3::text IS NOT NULL AND $5::int8 IS NOT NULL
