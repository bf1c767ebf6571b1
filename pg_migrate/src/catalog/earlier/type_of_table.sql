SELECT pg_catalog.format('ALTER %s OF %s', $2::text, pg_catalog.format_type(c.reloftype, NULL)) AS value
FROM pg_catalog.pg_class c WHERE c.oid = $1::oid AND c.reloftype <> 0 AND $3::text[] IS NOT NULL
