SELECT pg_catalog.format('ALTER %s ALTER COLUMN %I SET STORAGE %s', $2::text, a.attname,
           CASE a.attstorage WHEN 'p' THEN 'PLAIN' WHEN 'e' THEN 'EXTERNAL' WHEN 'm' THEN 'MAIN' ELSE 'EXTENDED' END) AS value
FROM pg_catalog.pg_attribute a WHERE a.attrelid = $1::oid AND a.attname = ($3::text[])[1] AND NOT a.attisdropped
