-- Every foreign key from or to table $1.
SELECT k.conname AS name,
       quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS "table",
       ARRAY(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY u(num, ord)
             JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.num ORDER BY u.ord) AS columns,
       quote_ident(rn.nspname) || '.' || quote_ident(rc.relname) AS "references",
       ARRAY(SELECT a.attname::text FROM unnest(k.confkey) WITH ORDINALITY u(num, ord)
             JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.num ORDER BY u.ord) AS referenced,
       k.confmatchtype = 'f' AS match_full,
       CASE k.confupdtype WHEN 'r' THEN 'RESTRICT' WHEN 'c' THEN 'CASCADE' WHEN 'n' THEN 'SET NULL' WHEN 'd' THEN 'SET DEFAULT' END AS on_update,
       CASE k.confdeltype WHEN 'r' THEN 'RESTRICT' WHEN 'c' THEN 'CASCADE' WHEN 'n' THEN 'SET NULL' WHEN 'd' THEN 'SET DEFAULT' END AS on_delete,
       ARRAY(SELECT a.attname::text FROM unnest(k.confdelsetcols) WITH ORDINALITY u(num, ord)
             JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.num ORDER BY u.ord) AS set_columns,
       k.condeferrable AS deferrable, k.condeferred AS deferred, k.convalidated AS validated,
       obj_description(k.oid, 'pg_constraint') AS comment,
       CASE WHEN NOT pg_has_role(c.relowner, 'USAGE') THEN 'its table belongs to role ' || quote_ident(pg_get_userbyid(c.relowner))
            WHEN c.relispartition OR rc.relispartition THEN 'it is that of a partition alone'
            WHEN coalesce((to_jsonb(k) ->> 'conperiod')::boolean, false) THEN 'it is temporal'
            WHEN NOT coalesce((to_jsonb(k) ->> 'conenforced')::boolean, true) THEN 'it is not enforced'
       END AS obstacle,
       'p' IN (c.relkind, rc.relkind) AS partitioned
FROM pg_constraint k
JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_class rc ON rc.oid = k.confrelid JOIN pg_namespace rn ON rn.oid = rc.relnamespace
WHERE k.contype = 'f' AND k.conparentid = 0 AND (k.conrelid = $1::oid OR k.confrelid = $1::oid)
ORDER BY 2, 1
