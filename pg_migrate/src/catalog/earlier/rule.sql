SELECT pg_catalog.format('ALTER %s %s RULE %I', $2::text,
           CASE r.ev_enabled WHEN 'D' THEN 'DISABLE' WHEN 'A' THEN 'ENABLE ALWAYS' WHEN 'R' THEN 'ENABLE REPLICA' ELSE 'ENABLE' END,
           r.rulename) AS value
FROM pg_catalog.pg_rewrite r WHERE r.ev_class = $1::oid AND r.rulename = ($3::text[])[1]
