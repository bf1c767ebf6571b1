-- Every privilege on the objects $2 of kind $1 that their owners gave: object, column, grantee,
-- privilege and whether it can be passed on.
SELECT o.name, c.part, CASE WHEN x.grantee = 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(x.grantee)) END AS grantee,
       x.privilege_type AS privilege, x.is_grantable AND x.grantee <> o.owner AS grantable
FROM pg_catalog.unnest($2::text[]) o_name (name),
LATERAL (
    SELECT o_name.name, t.relowner AS owner, 'pg_class' AS class, t.oid,
           coalesce(t.relacl, pg_catalog.acldefault(CASE t.relkind WHEN 'S' THEN 's'::"char" ELSE 'r'::"char" END, t.relowner)) AS acl
    FROM pg_catalog.pg_class t WHERE $1 IN ('table', 'sequence') AND t.oid = pg_catalog.to_regclass(o_name.name)
    UNION ALL
    SELECT o_name.name, p.proowner, 'pg_proc', p.oid, coalesce(p.proacl, pg_catalog.acldefault('f', p.proowner))
    FROM pg_catalog.pg_proc p
    WHERE $1 IN ('function', 'procedure', 'routine')
      AND p.oid = CASE WHEN o_name.name LIKE '%(%' THEN pg_catalog.to_regprocedure(o_name.name)::oid ELSE pg_catalog.to_regproc(o_name.name)::oid END
    UNION ALL
    SELECT o_name.name, n.nspowner, 'pg_namespace', n.oid, coalesce(n.nspacl, pg_catalog.acldefault('n', n.nspowner))
    FROM pg_catalog.pg_namespace n WHERE $1 = 'schema' AND n.oid = pg_catalog.to_regnamespace(o_name.name)
    UNION ALL
    SELECT o_name.name, t.typowner, 'pg_type', t.oid, coalesce(t.typacl, pg_catalog.acldefault('T', t.typowner))
    FROM pg_catalog.pg_type t WHERE $1 IN ('type', 'domain') AND t.oid = pg_catalog.to_regtype(o_name.name)
) o,
LATERAL (
    SELECT NULL::text AS part, o.acl
    UNION ALL
    SELECT a.attname::text, a.attacl FROM pg_catalog.pg_attribute a
    WHERE o.class = 'pg_class' AND a.attrelid = o.oid AND a.attacl IS NOT NULL AND NOT a.attisdropped
) c,
pg_catalog.aclexplode(c.acl) x
WHERE x.grantor = o.owner
