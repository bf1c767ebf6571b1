-- What hangs on table $1 (column number $2; 0: the table as a whole) and does not move by itself.
SELECT DISTINCT what, relation FROM (
    SELECT CASE
             WHEN d.classid = 'pg_catalog.pg_rewrite'::regclass THEN (
                 SELECT CASE WHEN r.rulename = '_RETURN' THEN CASE rc.relkind WHEN 'm' THEN 'materialized view ' ELSE 'view ' END || rc.oid::regclass::text
                             ELSE 'rule ' || r.rulename || ' on ' || rc.oid::regclass::text END
                 FROM pg_catalog.pg_rewrite r JOIN pg_catalog.pg_class rc ON rc.oid = r.ev_class WHERE r.oid = d.objid)
             ELSE pg_catalog.pg_describe_object(d.classid, d.objid, d.objsubid)
           END AS what,
           CASE WHEN d.classid = 'pg_catalog.pg_rewrite'::regclass THEN (
                 SELECT pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(rc.relname)
                 FROM pg_catalog.pg_rewrite r JOIN pg_catalog.pg_class rc ON rc.oid = r.ev_class
                 JOIN pg_catalog.pg_namespace n ON n.oid = rc.relnamespace
                 WHERE r.oid = d.objid AND r.rulename = '_RETURN')
                WHEN d.classid = 'pg_catalog.pg_constraint'::regclass THEN (
                 SELECT pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(kc.relname)
                 FROM pg_catalog.pg_constraint k JOIN pg_catalog.pg_class kc ON kc.oid = k.conrelid
                 JOIN pg_catalog.pg_namespace n ON n.oid = kc.relnamespace WHERE k.oid = d.objid)
           END AS relation
    FROM pg_catalog.pg_depend d
    WHERE d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = $1::oid
      AND ($2 = 0 OR d.refobjsubid = $2)
      AND d.deptype IN ('n', 'a')
      AND (
           (d.classid = 'pg_catalog.pg_rewrite'::regclass
              AND EXISTS (SELECT 1 FROM pg_catalog.pg_rewrite r WHERE r.oid = d.objid AND (r.ev_class <> $1::oid OR $2 <> 0)))
        OR (d.classid = 'pg_catalog.pg_policy'::regclass AND $2 <> 0)
        OR (d.classid = 'pg_catalog.pg_trigger'::regclass AND $2 <> 0)
        OR d.classid = 'pg_catalog.pg_proc'::regclass
        OR (d.classid = 'pg_catalog.pg_publication_rel'::regclass AND $2 <> 0)
        OR (d.classid = 'pg_catalog.pg_statistic_ext'::regclass AND $2 <> 0)
        OR (d.classid = 'pg_catalog.pg_attrdef'::regclass AND EXISTS (
                SELECT 1 FROM pg_catalog.pg_attrdef ad WHERE ad.oid = d.objid AND (ad.adrelid <> $1::oid OR ($2 <> 0 AND ad.adnum <> $2))))
        OR (d.classid = 'pg_catalog.pg_constraint'::regclass AND EXISTS (
                SELECT 1 FROM pg_catalog.pg_constraint k WHERE k.oid = d.objid AND k.contype = 'f' AND k.confrelid = $1::oid
                  AND (k.conrelid <> $1::oid OR $2 <> 0)
                  AND ($2 = 0 OR $2 = ANY (k.confkey))))
        OR (d.classid = 'pg_catalog.pg_class'::regclass AND d.deptype = 'n' AND EXISTS (
                SELECT 1 FROM pg_catalog.pg_class dc WHERE dc.oid = d.objid AND dc.relkind IN ('r', 'p', 'f') AND dc.oid <> $1::oid))
      )
    UNION ALL
    SELECT 'partition key of table ' || p.partrelid::regclass::text, NULL
    FROM pg_catalog.pg_partitioned_table p
    WHERE p.partrelid = $1::oid AND $2 <> 0 AND $2 = ANY (p.partattrs::int2[])
    UNION ALL
    SELECT 'inherited by table ' || i.inhrelid::regclass::text, NULL
    FROM pg_catalog.pg_inherits i
    JOIN pg_catalog.pg_class ic ON ic.oid = i.inhrelid
    WHERE i.inhparent = $1::oid AND NOT ic.relispartition
) q
WHERE what IS NOT NULL
ORDER BY what
