-- The view or materialized view $1, and the statements that make everything of it but the query.
WITH rel AS (
    SELECT c.*, pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname) AS sql,
           CASE c.relkind WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE 'VIEW' END AS noun
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE c.oid = $1::oid AND c.relkind IN ('v', 'm')
), attributes AS (
    SELECT a.*, pg_catalog.quote_ident(a.attname) AS sql
    FROM rel JOIN pg_catalog.pg_attribute a ON a.attrelid = rel.oid AND a.attnum > 0 AND NOT a.attisdropped
), pieces AS (
    SELECT 1 AS turn, a.attnum::int AS sub, a.attname::text AS part,
           'ALTER VIEW ' || rel.sql || ' ALTER COLUMN ' || a.sql || ' SET DEFAULT ' || pg_catalog.pg_get_expr(d.adbin, d.adrelid) AS sql
    FROM rel, attributes a JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    UNION ALL
    SELECT 2, 0, NULL, pg_catalog.pg_get_indexdef(i.indexrelid)
    FROM rel JOIN pg_catalog.pg_index i ON i.indrelid = rel.oid
    UNION ALL
    SELECT 3, 0, NULL, 'COMMENT ON INDEX ' || i.indexrelid::regclass || ' IS ' || pg_catalog.quote_literal(pg_catalog.obj_description(i.indexrelid, 'pg_class'))
    FROM rel JOIN pg_catalog.pg_index i ON i.indrelid = rel.oid
    UNION ALL
    SELECT 3, 1, NULL, 'ALTER MATERIALIZED VIEW ' || rel.sql || ' CLUSTER ON ' || pg_catalog.quote_ident(ic.relname)
    FROM rel JOIN pg_catalog.pg_index i ON i.indrelid = rel.oid AND i.indisclustered JOIN pg_catalog.pg_class ic ON ic.oid = i.indexrelid
    UNION ALL
    SELECT 4, a.attnum, a.attname, 'ALTER MATERIALIZED VIEW ' || rel.sql || ' ALTER COLUMN ' || a.sql || ' SET STATISTICS ' || a.attstattarget
    FROM rel, attributes a WHERE rel.relkind = 'm' AND a.attstattarget >= 0
    UNION ALL
    SELECT 5, 0, NULL, pg_catalog.pg_get_triggerdef(t.oid)
    FROM rel JOIN pg_catalog.pg_trigger t ON t.tgrelid = rel.oid AND NOT t.tgisinternal
    UNION ALL
    SELECT 6, 0, NULL, 'COMMENT ON TRIGGER ' || pg_catalog.quote_ident(t.tgname) || ' ON ' || rel.sql || ' IS '
                       || pg_catalog.quote_literal(pg_catalog.obj_description(t.oid, 'pg_trigger'))
    FROM rel JOIN pg_catalog.pg_trigger t ON t.tgrelid = rel.oid AND NOT t.tgisinternal
    UNION ALL
    SELECT 7, 0, NULL, pg_catalog.rtrim(pg_catalog.pg_get_ruledef(r.oid), ';')
    FROM rel JOIN pg_catalog.pg_rewrite r ON r.ev_class = rel.oid AND r.rulename <> '_RETURN'
    UNION ALL
    SELECT 8, 0, NULL, 'COMMENT ON RULE ' || pg_catalog.quote_ident(r.rulename) || ' ON ' || rel.sql || ' IS '
                       || pg_catalog.quote_literal(pg_catalog.obj_description(r.oid, 'pg_rewrite'))
    FROM rel JOIN pg_catalog.pg_rewrite r ON r.ev_class = rel.oid AND r.rulename <> '_RETURN'
    UNION ALL
    SELECT 9, 0, NULL, 'COMMENT ON ' || rel.noun || ' ' || rel.sql || ' IS ' || pg_catalog.quote_literal(pg_catalog.obj_description(rel.oid, 'pg_class'))
    FROM rel
    UNION ALL
    SELECT 9, a.attnum, a.attname, 'COMMENT ON COLUMN ' || rel.sql || '.' || a.sql || ' IS '
                                   || pg_catalog.quote_literal(pg_catalog.col_description(a.attrelid, a.attnum))
    FROM rel, attributes a
    UNION ALL
    SELECT 10, 0, NULL, 'ALTER ' || rel.noun || ' ' || rel.sql || ' OWNER TO ' || pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(rel.relowner))
    FROM rel
    UNION ALL
    -- What default privileges give to every new relation is taken away again where it was not there.
    SELECT 11, 0, NULL, 'REVOKE ALL ON ' || rel.sql || ' FROM '
                        || CASE WHEN g.grantee = 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(g.grantee)) END
    FROM rel, LATERAL (
        SELECT rel.relowner AS grantee WHERE rel.relacl IS NOT NULL
        UNION
        SELECT x.grantee FROM pg_catalog.pg_default_acl d, pg_catalog.aclexplode(d.defaclacl) x
        WHERE d.defaclrole = rel.relowner AND d.defaclobjtype = 'r' AND d.defaclnamespace IN (0, rel.relnamespace)
          AND x.grantee <> rel.relowner) g
    UNION ALL
    SELECT 12, 0, NULL, 'GRANT ' || x.privilege_type || ' ON ' || rel.sql || ' TO '
                        || CASE WHEN x.grantee = 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(x.grantee)) END
                        || CASE WHEN x.is_grantable AND x.grantee <> rel.relowner THEN ' WITH GRANT OPTION' ELSE '' END
    FROM rel, pg_catalog.aclexplode(rel.relacl) x
    UNION ALL
    SELECT 13, a.attnum, a.attname, 'GRANT ' || x.privilege_type || ' (' || a.sql || ') ON ' || rel.sql || ' TO '
                        || CASE WHEN x.grantee = 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(x.grantee)) END
                        || CASE WHEN x.is_grantable AND x.grantee <> rel.relowner THEN ' WITH GRANT OPTION' ELSE '' END
    FROM rel, attributes a, pg_catalog.aclexplode(a.attacl) x
)
SELECT rel.sql AS name, rel.relkind = 'm' AS materialized, rel.relispopulated AS populated,
       pg_catalog.rtrim(pg_catalog.btrim(pg_catalog.pg_get_viewdef(rel.oid), E' \n'), ';') AS definition,
       (SELECT pg_catalog.string_agg(o.option_name || '=' || pg_catalog.quote_literal(o.option_value), ', ')
        FROM pg_catalog.pg_options_to_table(rel.reloptions) o) AS options,
       (SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array(a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod)) ORDER BY a.attnum), '[]')
        FROM attributes a) AS columns,
       EXISTS (SELECT 1 FROM pg_catalog.pg_index i WHERE i.indrelid = rel.oid AND i.indisunique AND i.indisvalid
                 AND i.indimmediate AND i.indpred IS NULL AND i.indexprs IS NULL) AS "unique",
       (SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('sql', p.sql, 'part', p.part) ORDER BY p.turn, p.sub, p.sql), '[]')
        FROM pieces p WHERE p.sql IS NOT NULL) AS pieces
FROM rel
