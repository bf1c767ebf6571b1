SELECT pg_catalog.format('ALTER %s SET STATISTICS %s', $3::text, coalesce(s.stxstattarget, -1)) AS value
FROM pg_catalog.pg_statistic_ext s
WHERE s.oid = $2::oid AND $1::int8 IS NOT NULL AND $4::text[] IS NOT NULL AND $5::int8 IS NOT NULL
