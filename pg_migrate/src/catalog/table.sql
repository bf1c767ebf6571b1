SELECT c.oid::int8 AS oid,
       n.nspname AS schema,
       c.relname AS name,
       c.relkind AS kind,
       greatest(c.reltuples, 0)::float8 AS rows,
       CASE WHEN c.relkind IN ('r', 'm', 't') THEN pg_catalog.pg_table_size(c.oid) ELSE 0 END AS bytes,
       (n.nspname IN ('pg_catalog', 'information_schema', 'pg_toast', 'migrate')) AS system,
       pg_catalog.obj_description(c.oid, 'pg_class') AS comment,
       c.relpersistence = 't' AS temporary,
       c.relreplident AS replica_identity,
       c.relpersistence = 'u' AS unlogged,
       pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(c.relowner)) AS owner,
       c.relispopulated AS populated,
       c.relrowsecurity AS row_security,
       (c.relkind = 'r' AND EXISTS (SELECT 1 FROM pg_catalog.pg_inherits h WHERE h.inhparent = c.oid)) AS inherited,
       (SELECT pg_catalog.quote_ident(pn.nspname) || '.' || pg_catalog.quote_ident(pc.relname)
        FROM pg_catalog.pg_inherits h JOIN pg_catalog.pg_class pc ON pc.oid = h.inhparent
        JOIN pg_catalog.pg_namespace pn ON pn.oid = pc.relnamespace
        WHERE h.inhrelid = c.oid AND c.relispartition) AS partition_of,
       coalesce((
           SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
                      'name', a.attname,
                      'data_type', pg_catalog.format_type(a.atttypid, a.atttypmod),
                      'collation', CASE WHEN a.attcollation <> t.typcollation THEN (
                          SELECT pg_catalog.quote_ident(cn.nspname) || '.' || pg_catalog.quote_ident(co.collname)
                          FROM pg_catalog.pg_collation co JOIN pg_catalog.pg_namespace cn ON cn.oid = co.collnamespace
                          WHERE co.oid = a.attcollation) END,
                      -- From 18 on NOT NULL is a constraint, and may be NOT VALID while attnotnull is set.
                      'not_null', a.attnotnull AND NOT EXISTS (
                          SELECT 1 FROM pg_catalog.pg_constraint nn
                          WHERE nn.conrelid = c.oid AND nn.contype = 'n' AND nn.conkey[1] = a.attnum AND NOT nn.convalidated),
                      'not_null_name', (
                          SELECT nn.conname FROM pg_catalog.pg_constraint nn
                          WHERE nn.conrelid = c.oid AND nn.contype = 'n' AND nn.conkey[1] = a.attnum),
                      'default', CASE WHEN a.attgenerated = '' THEN pg_catalog.pg_get_expr(d.adbin, d.adrelid) END,
                      'generated', CASE WHEN a.attgenerated <> '' THEN pg_catalog.pg_get_expr(d.adbin, d.adrelid) END,
                      'identity', nullif(a.attidentity, ''),
                      'comment', pg_catalog.col_description(a.attrelid, a.attnum),
                      'grants', coalesce((
                          SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
                                     'privilege', g.privilege_type,
                                     'grantee', CASE WHEN g.grantee = 0 THEN 'PUBLIC'
                                                     ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(g.grantee)) END,
                                     'grantable', g.is_grantable) ORDER BY g.privilege_type, g.grantee)
                          FROM pg_catalog.aclexplode(a.attacl) g), '[]'::jsonb),
                      'statistics', nullif(a.attstattarget, -1),
                      'storage', CASE WHEN a.attstorage <> t.typstorage THEN
                          CASE a.attstorage WHEN 'p' THEN 'plain' WHEN 'e' THEN 'external' WHEN 'm' THEN 'main' ELSE 'extended' END END,
                      'compression', CASE a.attcompression WHEN 'p' THEN 'pglz' WHEN 'l' THEN 'lz4' END,
                      'options', coalesce((
                          SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('name', o.option_name, 'value', o.option_value)
                                                      ORDER BY o.option_name)
                          FROM pg_catalog.pg_options_to_table(a.attoptions) o
                          WHERE o.option_name ~ '^n_distinct'), '[]'::jsonb)
                  ) ORDER BY a.attnum)
           FROM pg_catalog.pg_attribute a
           JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
           LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
           WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped), '[]'::jsonb) AS columns,
       coalesce((
           SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
                      'name', ic.relname,
                      'definition', pg_catalog.pg_get_indexdef(i.indexrelid),
                      'columns', coalesce((
                          SELECT pg_catalog.jsonb_agg(DISTINCT a.attname)
                          FROM pg_catalog.pg_attribute a
                          WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
                            AND (a.attnum = ANY (i.indkey::int2[]) OR EXISTS (
                                SELECT 1 FROM pg_catalog.pg_depend pd
                                WHERE pd.classid = 'pg_catalog.pg_class'::regclass AND pd.objid = i.indexrelid
                                  AND pd.refclassid = 'pg_catalog.pg_class'::regclass AND pd.refobjid = c.oid
                                  AND pd.refobjsubid = a.attnum))), '[]'::jsonb),
                      -- A temporal key (18) says it is unique, but is enforced like an exclusion constraint.
                      'unique', i.indisunique AND NOT i.indisexclusion,
                      'valid', i.indisvalid,
                      'constraint', k.conname,
                      'comment', pg_catalog.obj_description(i.indexrelid, 'pg_class'),
                      'clustered', i.indisclustered,
                      'replica_identity', i.indisreplident,
                      'part_of', (SELECT pg_catalog.quote_ident(pin.nspname) || '.' || pg_catalog.quote_ident(pic.relname)
                                  FROM pg_catalog.pg_inherits h JOIN pg_catalog.pg_class pic ON pic.oid = h.inhparent
                                  JOIN pg_catalog.pg_namespace pin ON pin.oid = pic.relnamespace
                                  WHERE h.inhrelid = i.indexrelid),
                      'tablespace', (SELECT pg_catalog.quote_ident(ts.spcname) FROM pg_catalog.pg_tablespace ts WHERE ts.oid = ic.reltablespace),
                      'targets', coalesce((
                          SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('number', ia.attnum, 'target', ia.attstattarget) ORDER BY ia.attnum)
                          FROM pg_catalog.pg_attribute ia WHERE ia.attrelid = i.indexrelid AND ia.attstattarget >= 0), '[]'::jsonb)
                  ) ORDER BY ic.relname)
           FROM pg_catalog.pg_index i
           JOIN pg_catalog.pg_class ic ON ic.oid = i.indexrelid
           LEFT JOIN pg_catalog.pg_constraint k ON k.conindid = i.indexrelid AND k.conrelid = c.oid AND k.contype IN ('p', 'u', 'x')
           WHERE i.indrelid = c.oid), '[]'::jsonb) AS indexes,
       coalesce((
           SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
                      'name', k.conname,
                      'kind', k.contype,
                      'definition', pg_catalog.regexp_replace(pg_catalog.pg_get_constraintdef(k.oid), ' NOT VALID$', ''),
                      'columns', coalesce((
                          SELECT pg_catalog.jsonb_agg(a.attname ORDER BY u.ord)
                          FROM pg_catalog.unnest(k.conkey) WITH ORDINALITY u(num, ord)
                          JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = u.num), '[]'::jsonb),
                      'validated', k.convalidated,
                      'deferrable', k.condeferrable,
                      'deferred', k.condeferred,
                      'inherited', k.coninhcount > 0,
                      'references', (SELECT pg_catalog.quote_ident(rn.nspname) || '.' || pg_catalog.quote_ident(rc.relname)
                                     FROM pg_catalog.pg_class rc JOIN pg_catalog.pg_namespace rn ON rn.oid = rc.relnamespace
                                     WHERE rc.oid = nullif(k.confrelid, 0)),
                      'comment', pg_catalog.obj_description(k.oid, 'pg_constraint')
                  ) ORDER BY k.conname)
           FROM pg_catalog.pg_constraint k
           WHERE k.conrelid = c.oid AND k.contype IN ('c', 'f', 'p', 'u', 'x')
             -- Not what a foreign key to a partitioned table has for each of its partitions.
             AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_constraint kp WHERE kp.oid = k.conparentid AND kp.conrelid = k.conrelid)), '[]'::jsonb) AS constraints
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid = $1::oid
