SELECT pg_catalog.format('ALTER %s OWNER TO %I', $2::text, pg_catalog.pg_get_userbyid(c.relowner)) AS value
FROM pg_catalog.pg_class c WHERE c.oid = $1::oid AND $3::text[] IS NOT NULL
