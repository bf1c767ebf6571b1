SELECT pg_catalog.format('ALTER %s SET SCHEMA %I', $3::text, n.nspname) AS value
FROM (
    SELECT relnamespace AS oid FROM pg_catalog.pg_class WHERE $1 = 'pg_catalog.pg_class'::regclass::oid::int8 AND oid = $2::oid
    UNION ALL SELECT typnamespace FROM pg_catalog.pg_type WHERE $1 = 'pg_catalog.pg_type'::regclass::oid::int8 AND oid = $2::oid
    UNION ALL SELECT pronamespace FROM pg_catalog.pg_proc WHERE $1 = 'pg_catalog.pg_proc'::regclass::oid::int8 AND oid = $2::oid
    UNION ALL SELECT stxnamespace FROM pg_catalog.pg_statistic_ext WHERE $1 = 'pg_catalog.pg_statistic_ext'::regclass::oid::int8 AND oid = $2::oid
    UNION ALL SELECT collnamespace FROM pg_catalog.pg_collation WHERE $1 = 'pg_catalog.pg_collation'::regclass::oid::int8 AND oid = $2::oid
    UNION ALL SELECT extnamespace FROM pg_catalog.pg_extension WHERE $1 = 'pg_catalog.pg_extension'::regclass::oid::int8 AND oid = $2::oid
) o JOIN pg_catalog.pg_namespace n ON n.oid = o.oid
WHERE $4::text[] IS NOT NULL AND $5::int8 IS NOT NULL
