SELECT pg_catalog.format('ALTER %s SET TABLESPACE %I', $2::text, s.spcname) AS value
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_database d ON d.datname = pg_catalog.current_database()
JOIN pg_catalog.pg_tablespace s ON s.oid = CASE WHEN c.reltablespace = 0 THEN d.dattablespace ELSE c.reltablespace END
WHERE c.oid = $1::oid AND $3::text[] IS NOT NULL
