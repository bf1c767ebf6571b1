SELECT pg_catalog.format(
           CASE WHEN ($3::text[])[2] = 'add' THEN
               'ALTER %1$s ALTER COLUMN %2$I ADD GENERATED %3$s AS IDENTITY (SEQUENCE NAME %4$s START WITH %5$s INCREMENT BY %6$s MINVALUE %7$s MAXVALUE %8$s CACHE %9$s %10$s);'
               || E'\nSELECT pg_catalog.setval(%11$L, greatest((SELECT max(%2$I) FROM %12$s), %5$s))'
           ELSE
               'ALTER %1$s ALTER COLUMN %2$I SET GENERATED %3$s SET START WITH %5$s SET INCREMENT BY %6$s SET MINVALUE %7$s SET MAXVALUE %8$s SET CACHE %9$s SET %10$s'
           END,
           $2::text, a.attname, CASE a.attidentity WHEN 'a' THEN 'ALWAYS' ELSE 'BY DEFAULT' END,
           pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(s.relname),
           q.seqstart, q.seqincrement, q.seqmin, q.seqmax, q.seqcache, CASE WHEN q.seqcycle THEN 'CYCLE' ELSE 'NO CYCLE' END,
           pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(s.relname), c.oid::regclass) AS value
FROM pg_catalog.pg_attribute a
JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
JOIN pg_catalog.pg_depend d ON d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = a.attrelid
                           AND d.refobjsubid = a.attnum AND d.deptype = 'i' AND d.classid = 'pg_catalog.pg_class'::regclass
JOIN pg_catalog.pg_class s ON s.oid = d.objid AND s.relkind = 'S'
JOIN pg_catalog.pg_namespace n ON n.oid = s.relnamespace
JOIN pg_catalog.pg_sequence q ON q.seqrelid = s.oid
WHERE a.attrelid = $1::oid AND a.attname = ($3::text[])[1] AND a.attidentity <> ''
