SELECT pg_catalog.concat_ws(E';\n',
    pg_catalog.format('ALTER PUBLICATION %I SET (publish = %L, publish_via_partition_root = %L)', p.pubname,
        pg_catalog.concat_ws(', ', CASE WHEN p.pubinsert THEN 'insert' END, CASE WHEN p.pubupdate THEN 'update' END,
                             CASE WHEN p.pubdelete THEN 'delete' END, CASE WHEN p.pubtruncate THEN 'truncate' END), p.pubviaroot::text),
    CASE WHEN t.list IS NOT NULL THEN pg_catalog.format('ALTER PUBLICATION %I SET %s', p.pubname, t.list) END,
    CASE WHEN t.list IS NULL AND NOT p.puballtables THEN (
        -- It had nothing: what it has by then goes.
        pg_catalog.format('DO $pgm$DECLARE r record; BEGIN FOR r IN SELECT prrelid::pg_catalog.regclass AS name FROM pg_catalog.pg_publication_rel k JOIN pg_catalog.pg_publication p ON p.oid = k.prpubid WHERE p.pubname = %L LOOP EXECUTE pg_catalog.format(''ALTER PUBLICATION %%I DROP TABLE %%s'', %L, r.name); END LOOP; END$pgm$', p.pubname, p.pubname)) END) AS value
FROM pg_catalog.pg_publication p
CROSS JOIN LATERAL (
    SELECT pg_catalog.string_agg(item, ', ') AS list FROM (
        SELECT pg_catalog.format('TABLE %s%s%s%s', pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname), '',
                   (SELECT ' (' || pg_catalog.string_agg(pg_catalog.quote_ident(a.attname), ', ' ORDER BY a.attnum) || ')'
                    FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attnum = ANY (r.prattrs::int2[])),
                   ' WHERE (' || pg_catalog.pg_get_expr(r.prqual, r.prrelid) || ')') AS item
        FROM pg_catalog.pg_publication_rel r JOIN pg_catalog.pg_class c ON c.oid = r.prrelid
        JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE r.prpubid = p.oid
        UNION ALL
        SELECT pg_catalog.format('TABLES IN SCHEMA %I', n.nspname)
        FROM pg_catalog.pg_publication_namespace s JOIN pg_catalog.pg_namespace n ON n.oid = s.pnnspid WHERE s.pnpubid = p.oid) q) t
WHERE p.pubname = $1
