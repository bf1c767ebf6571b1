-- $4: what is asked for, and names. What is dropped comes back at its place: it and what stands behind
-- it are added again, in their order.
WITH attributes AS (
    SELECT a.attname, a.attnum,
           pg_catalog.format_type(a.atttypid, a.atttypmod)
           || CASE WHEN a.attcollation <> y.typcollation THEN ' COLLATE ' || a.attcollation::pg_catalog.regcollation::text ELSE '' END AS type
    FROM pg_catalog.pg_type t
    JOIN pg_catalog.pg_attribute a ON a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped
    JOIN pg_catalog.pg_type y ON y.oid = a.atttypid
    WHERE t.oid = $2::oid
)
SELECT CASE ($4::text[])[1]
           WHEN 'DROP COLUMN' THEN (
               SELECT pg_catalog.string_agg(line.text, ', ' ORDER BY line.part, a.attnum)
               FROM attributes a
               CROSS JOIN LATERAL (VALUES
                   (1, CASE WHEN a.attname <> ALL (($4::text[])[2:]) THEN pg_catalog.format('DROP ATTRIBUTE %I', a.attname) END),
                   (2, pg_catalog.format('ADD ATTRIBUTE %I %s', a.attname, a.type))) line(part, text)
               WHERE a.attnum >= first.dropped)
           WHEN 'SET DATA TYPE' THEN (
               SELECT CASE WHEN a.attnum >= first.dropped THEN ''
                           ELSE pg_catalog.format('ALTER ATTRIBUTE %I TYPE %s', a.attname, a.type) END
               FROM attributes a WHERE a.attname = ($4::text[])[2])
           WHEN 'OWNER TO' THEN pg_catalog.format('OWNER TO %I', pg_catalog.pg_get_userbyid(t.typowner)) END AS value
FROM pg_catalog.pg_type t
CROSS JOIN LATERAL (
    SELECT min(a.attnum) AS dropped FROM attributes a
    WHERE a.attname = ANY (CASE ($4::text[])[1] WHEN 'DROP COLUMN' THEN ($4::text[])[2:] ELSE ($4::text[])[3:] END)) first
WHERE t.oid = $2::oid AND $1::int8 IS NOT NULL AND $3::text IS NOT NULL AND $5::int8 IS NOT NULL
