SELECT pg_catalog.format(E'ALTER %1$s %2$s ROW LEVEL SECURITY;\nALTER %1$s %3$s ROW LEVEL SECURITY', $2::text,
           CASE WHEN c.relrowsecurity THEN 'ENABLE' ELSE 'DISABLE' END,
           CASE WHEN c.relforcerowsecurity THEN 'FORCE' ELSE 'NO FORCE' END) AS value
FROM pg_catalog.pg_class c WHERE c.oid = $1::oid AND $3::text[] IS NOT NULL
