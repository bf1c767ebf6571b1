SELECT pg_catalog.format('ALTER %s SET ACCESS METHOD %I', $2::text, m.amname) AS value
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_am m ON m.oid = c.relam
WHERE c.oid = $1::oid AND $3::text[] IS NOT NULL
