SELECT pg_catalog.format('ALTER %s OWNER TO %I', $3::text, pg_catalog.pg_get_userbyid(o.owner)) AS value
FROM (
    SELECT relowner AS owner FROM pg_catalog.pg_class WHERE $1 = 'pg_catalog.pg_class'::regclass::oid::int8 AND oid = $2::oid
    UNION ALL SELECT typowner FROM pg_catalog.pg_type WHERE $1 = 'pg_catalog.pg_type'::regclass::oid::int8 AND oid = $2::oid
    UNION ALL SELECT proowner FROM pg_catalog.pg_proc WHERE $1 = 'pg_catalog.pg_proc'::regclass::oid::int8 AND oid = $2::oid
    UNION ALL SELECT nspowner FROM pg_catalog.pg_namespace WHERE $1 = 'pg_catalog.pg_namespace'::regclass::oid::int8 AND oid = $2::oid
    UNION ALL SELECT stxowner FROM pg_catalog.pg_statistic_ext WHERE $1 = 'pg_catalog.pg_statistic_ext'::regclass::oid::int8 AND oid = $2::oid
    UNION ALL SELECT pubowner FROM pg_catalog.pg_publication WHERE $1 = 'pg_catalog.pg_publication'::regclass::oid::int8 AND oid = $2::oid
    UNION ALL SELECT collowner FROM pg_catalog.pg_collation WHERE $1 = 'pg_catalog.pg_collation'::regclass::oid::int8 AND oid = $2::oid
    UNION ALL SELECT evtowner FROM pg_catalog.pg_event_trigger WHERE $1 = 'pg_catalog.pg_event_trigger'::regclass::oid::int8 AND oid = $2::oid
) o WHERE $4::text[] IS NOT NULL AND $5::int8 IS NOT NULL
