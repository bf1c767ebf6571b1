SELECT pg_catalog.pg_get_functiondef(p.oid) AS value
FROM pg_catalog.pg_proc p
WHERE p.oid = $2::oid AND p.prokind IN ('f', 'p', 'w') AND $1::int8 IS NOT NULL AND $3::text IS NOT NULL AND $4::text[] IS NOT NULL
  AND $5::int8 IS NOT NULL
