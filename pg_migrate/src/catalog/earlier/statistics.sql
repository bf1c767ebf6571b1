-- Columns of indexes go by number.
SELECT pg_catalog.format('ALTER %s ALTER COLUMN %s SET STATISTICS %s', $2::text,
           CASE WHEN c.relkind IN ('i', 'I') THEN a.attnum::text ELSE pg_catalog.quote_ident(a.attname) END,
           coalesce(a.attstattarget, -1)) AS value
FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
WHERE a.attrelid = $1::oid AND NOT a.attisdropped AND a.attnum > 0
  AND ($3::text[])[1] = CASE WHEN c.relkind IN ('i', 'I') THEN a.attnum::text ELSE a.attname::text END
