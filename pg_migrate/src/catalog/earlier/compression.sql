SELECT pg_catalog.format('ALTER %s ALTER COLUMN %I SET COMPRESSION %s', $2::text, a.attname,
           CASE a.attcompression WHEN 'p' THEN 'pglz' WHEN 'l' THEN 'lz4' ELSE 'default' END) AS value
FROM pg_catalog.pg_attribute a WHERE a.attrelid = $1::oid AND a.attname = ($3::text[])[1] AND NOT a.attisdropped
