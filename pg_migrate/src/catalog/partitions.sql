-- Table $1 and every partition under it, parents first; not what is being detached.
WITH RECURSIVE tree(oid, parent, level) AS (
    SELECT $1::oid, NULL::oid, 0
    UNION ALL
    SELECT h.inhrelid, h.inhparent, tree.level + 1
    FROM tree JOIN pg_catalog.pg_inherits h ON h.inhparent = tree.oid
    WHERE NOT h.inhdetachpending
)
SELECT pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname) AS key,
       n.nspname AS schema,
       c.relname AS name,
       (SELECT pg_catalog.quote_ident(pn.nspname) || '.' || pg_catalog.quote_ident(pc.relname)
        FROM pg_catalog.pg_class pc JOIN pg_catalog.pg_namespace pn ON pn.oid = pc.relnamespace
        WHERE pc.oid = tree.parent) AS parent,
       c.relkind AS kind,
       coalesce(pg_catalog.pg_get_expr(c.relpartbound, c.oid), '') AS bounds,
       coalesce((
           SELECT pg_catalog.jsonb_agg(a.attname ORDER BY a.attnum)
           FROM pg_catalog.pg_partitioned_table p
           JOIN pg_catalog.pg_attribute a ON a.attrelid = p.partrelid AND a.attnum = ANY (p.partattrs::int2[])
           WHERE p.partrelid = c.oid), '[]'::jsonb) AS columns,
       coalesce((
           SELECT p.partexprs IS NOT NULL FROM pg_catalog.pg_partitioned_table p WHERE p.partrelid = c.oid), false) AS expressions,
       coalesce((
           SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
                      'name', ic.relname,
                      'definition', pg_catalog.pg_get_indexdef(i.indexrelid),
                      'unique', i.indisunique AND NOT i.indisexclusion,
                      'valid', i.indisvalid,
                      'constraint', k.conname,
                      'part_of', (SELECT pg_catalog.quote_ident(pin.nspname) || '.' || pg_catalog.quote_ident(pic.relname)
                                  FROM pg_catalog.pg_inherits h JOIN pg_catalog.pg_class pic ON pic.oid = h.inhparent
                                  JOIN pg_catalog.pg_namespace pin ON pin.oid = pic.relnamespace
                                  WHERE h.inhrelid = i.indexrelid)
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
                      'validated', k.convalidated,
                      'inherited', k.coninhcount > 0
                  ) ORDER BY k.conname)
           FROM pg_catalog.pg_constraint k
           WHERE k.conrelid = c.oid AND k.contype IN ('c', 'f', 'p', 'u', 'x')
             -- Not what a foreign key to a partitioned table has for each of its partitions.
             AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_constraint kp WHERE kp.oid = k.conparentid AND kp.conrelid = k.conrelid)), '[]'::jsonb) AS constraints
FROM tree
JOIN pg_catalog.pg_class c ON c.oid = tree.oid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
ORDER BY tree.level, c.oid
