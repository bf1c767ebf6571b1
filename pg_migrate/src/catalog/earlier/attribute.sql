SELECT CASE ($4::text[])[1]
           WHEN 'DROP COLUMN' THEN pg_catalog.format('ADD ATTRIBUTE %I %s', a.attname, f.type)
           WHEN 'SET DATA TYPE' THEN pg_catalog.format('ALTER ATTRIBUTE %I TYPE %s', a.attname, f.type)
           WHEN 'OWNER TO' THEN pg_catalog.format('OWNER TO %I', pg_catalog.pg_get_userbyid(t.typowner)) END AS value
FROM pg_catalog.pg_type t
JOIN pg_catalog.pg_attribute a ON a.attrelid = t.typrelid AND NOT a.attisdropped
                              AND (a.attname = ($4::text[])[2] OR (($4::text[])[1] = 'OWNER TO' AND a.attnum = 1))
CROSS JOIN LATERAL (SELECT pg_catalog.format_type(a.atttypid, a.atttypmod) AS type) f
WHERE t.oid = $2::oid AND $1::int8 IS NOT NULL AND $3::text IS NOT NULL AND $5::int8 IS NOT NULL
