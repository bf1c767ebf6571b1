SELECT pg_catalog.format('COMMENT ON %s IS %s', $3::text, coalesce(pg_catalog.quote_literal(
           CASE WHEN $5 = 0 THEN pg_catalog.obj_description($2::oid, c.relname)
                ELSE pg_catalog.col_description($2::oid, $5::int4) END), 'NULL')) AS value
FROM pg_catalog.pg_class c WHERE c.oid = $1::oid AND $4::text[] IS NOT NULL
