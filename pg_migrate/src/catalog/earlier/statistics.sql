SELECT pg_catalog.format('ALTER %s ALTER COLUMN %I SET STATISTICS %s', $2::text, a.attname, coalesce(a.attstattarget, -1)) AS value
FROM pg_catalog.pg_attribute a WHERE a.attrelid = $1::oid AND a.attname = ($3::text[])[1] AND NOT a.attisdropped
