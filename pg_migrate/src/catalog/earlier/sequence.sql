SELECT pg_catalog.format('ALTER %s AS %s INCREMENT BY %s MINVALUE %s MAXVALUE %s START WITH %s CACHE %s %s', $2::text,
           pg_catalog.format_type(q.seqtypid, NULL), q.seqincrement, q.seqmin, q.seqmax, q.seqstart, q.seqcache,
           CASE WHEN q.seqcycle THEN 'CYCLE' ELSE 'NO CYCLE' END)
       -- The sequence of an identity column cannot change hands.
       || CASE WHEN o.deptype = 'i' THEN '' ELSE ' OWNED BY ' || coalesce(o.owner, 'NONE') END AS value
FROM pg_catalog.pg_sequence q
LEFT JOIN LATERAL (
    SELECT d.deptype, pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname) || '.'
                      || pg_catalog.quote_ident(a.attname) AS owner
    FROM pg_catalog.pg_depend d
    JOIN pg_catalog.pg_class c ON c.oid = d.refobjid
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = d.refobjsubid
    WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = q.seqrelid
      AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.deptype IN ('a', 'i')) o ON true
WHERE q.seqrelid = $1::oid AND $3::text[] IS NOT NULL
