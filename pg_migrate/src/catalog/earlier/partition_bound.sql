SELECT pg_catalog.format('ALTER %s ATTACH PARTITION %s %s', $2::text, ($3::text[])[1],
                         pg_catalog.pg_get_expr(p.relpartbound, p.oid)) AS value
FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class p ON p.oid = i.inhrelid
WHERE i.inhparent = $1::oid AND p.oid = pg_catalog.to_regclass(($3::text[])[1])
