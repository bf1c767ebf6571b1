-- The statements that make the object as it is: itself, its owner, its privileges, its comment.
WITH acl(kind, acl) AS (
    SELECT CASE WHEN c.relkind = 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, c.relacl FROM pg_catalog.pg_class c
    WHERE $1 = 'pg_catalog.pg_class'::regclass::oid::int8 AND c.oid = $2::oid AND c.relkind <> 'i'
    UNION ALL
    SELECT CASE WHEN p.prokind = 'p' THEN 'PROCEDURE' ELSE 'FUNCTION' END, p.proacl FROM pg_catalog.pg_proc p
    WHERE $1 = 'pg_catalog.pg_proc'::regclass::oid::int8 AND p.oid = $2::oid
    UNION ALL
    SELECT 'TYPE', t.typacl FROM pg_catalog.pg_type t WHERE $1 = 'pg_catalog.pg_type'::regclass::oid::int8 AND t.oid = $2::oid
    UNION ALL
    SELECT 'SCHEMA', n.nspacl FROM pg_catalog.pg_namespace n WHERE $1 = 'pg_catalog.pg_namespace'::regclass::oid::int8 AND n.oid = $2::oid
), bare AS (
    SELECT pg_catalog.regexp_replace($3::text,
        '^(MATERIALIZED VIEW|VIEW|SEQUENCE|FUNCTION|PROCEDURE|ROUTINE|TYPE|DOMAIN|SCHEMA|TRIGGER|POLICY|RULE|STATISTICS|INDEX|EXTENSION|PUBLICATION) ', '') AS name
), made AS (
    -- pg_class
    SELECT CASE c.relkind
             WHEN 'v' THEN pg_catalog.format('CREATE VIEW %s%s AS %s', b.name,
                 ' WITH (' || pg_catalog.array_to_string(c.reloptions, ', ') || ')', pg_catalog.rtrim(pg_catalog.pg_get_viewdef(c.oid), ';'))
             WHEN 'm' THEN pg_catalog.concat_ws(E';\n',
                 pg_catalog.format('CREATE MATERIALIZED VIEW %s%s AS %s%s', b.name,
                     ' WITH (' || pg_catalog.array_to_string(c.reloptions, ', ') || ')', pg_catalog.rtrim(pg_catalog.pg_get_viewdef(c.oid), ';'),
                     CASE WHEN NOT c.relispopulated THEN ' WITH NO DATA' END),
                 (SELECT pg_catalog.string_agg(pg_catalog.pg_get_indexdef(i.indexrelid), E';\n' ORDER BY i.indexrelid)
                  FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid))
             WHEN 'i' THEN pg_catalog.pg_get_indexdef(c.oid)
             WHEN 'S' THEN (
                 SELECT pg_catalog.format('CREATE %sSEQUENCE %s AS %s INCREMENT BY %s MINVALUE %s MAXVALUE %s START WITH %s CACHE %s %s',
                            CASE WHEN c.relpersistence = 'u' THEN 'UNLOGGED ' END, b.name, pg_catalog.format_type(q.seqtypid, NULL),
                            q.seqincrement, q.seqmin, q.seqmax, q.seqstart, q.seqcache, CASE WHEN q.seqcycle THEN 'CYCLE' ELSE 'NO CYCLE' END)
                        || CASE WHEN pg_catalog.pg_sequence_last_value(c.oid) IS NULL THEN ''
                                ELSE pg_catalog.format(E';\nSELECT pg_catalog.setval(%L, %s)', b.name, pg_catalog.pg_sequence_last_value(c.oid)) END
                 FROM pg_catalog.pg_sequence q WHERE q.seqrelid = c.oid) END AS text,
           c.relowner AS owner
    FROM pg_catalog.pg_class c, bare b WHERE $1 = 'pg_catalog.pg_class'::regclass::oid::int8 AND c.oid = $2::oid
    UNION ALL
    SELECT pg_catalog.pg_get_functiondef(p.oid), p.proowner
    FROM pg_catalog.pg_proc p WHERE $1 = 'pg_catalog.pg_proc'::regclass::oid::int8 AND p.oid = $2::oid AND p.prokind IN ('f', 'p', 'w')
    UNION ALL
    SELECT CASE t.typtype
             WHEN 'e' THEN pg_catalog.format('CREATE TYPE %s AS ENUM (%s)', b.name,
                 (SELECT pg_catalog.string_agg(pg_catalog.quote_literal(e.enumlabel), ', ' ORDER BY e.enumsortorder)
                  FROM pg_catalog.pg_enum e WHERE e.enumtypid = t.oid))
             WHEN 'c' THEN pg_catalog.format('CREATE TYPE %s AS (%s)', b.name,
                 (SELECT pg_catalog.string_agg(pg_catalog.format('%I %s', a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod)), ', ' ORDER BY a.attnum)
                  FROM pg_catalog.pg_attribute a WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped))
             WHEN 'd' THEN pg_catalog.format('CREATE DOMAIN %s AS %s%s%s%s', b.name, pg_catalog.format_type(t.typbasetype, t.typtypmod),
                 ' DEFAULT ' || t.typdefault, CASE WHEN t.typnotnull THEN ' NOT NULL' END,
                 (SELECT pg_catalog.string_agg(pg_catalog.format(' CONSTRAINT %I %s', k.conname, pg_catalog.pg_get_constraintdef(k.oid)), '' ORDER BY k.conname)
                  FROM pg_catalog.pg_constraint k WHERE k.contypid = t.oid AND k.contype = 'c')) END,
           t.typowner
    FROM pg_catalog.pg_type t, bare b WHERE $1 = 'pg_catalog.pg_type'::regclass::oid::int8 AND t.oid = $2::oid
    UNION ALL
    SELECT pg_catalog.format('CREATE SCHEMA %I', n.nspname), n.nspowner
    FROM pg_catalog.pg_namespace n WHERE $1 = 'pg_catalog.pg_namespace'::regclass::oid::int8 AND n.oid = $2::oid
    UNION ALL
    SELECT pg_catalog.concat_ws(E';\n', pg_catalog.pg_get_triggerdef(t.oid),
               CASE WHEN t.tgenabled <> 'O' THEN pg_catalog.format('ALTER TABLE %s %s TRIGGER %I', t.tgrelid::regclass,
                   CASE t.tgenabled WHEN 'D' THEN 'DISABLE' WHEN 'A' THEN 'ENABLE ALWAYS' ELSE 'ENABLE REPLICA' END, t.tgname) END), NULL
    FROM pg_catalog.pg_trigger t WHERE $1 = 'pg_catalog.pg_trigger'::regclass::oid::int8 AND t.oid = $2::oid
    UNION ALL
    SELECT pg_catalog.concat_ws(E';\n', pg_catalog.rtrim(pg_catalog.pg_get_ruledef(r.oid), ';'),
               CASE WHEN r.ev_enabled <> 'O' THEN pg_catalog.format('ALTER TABLE %s %s RULE %I', r.ev_class::regclass,
                   CASE r.ev_enabled WHEN 'D' THEN 'DISABLE' WHEN 'A' THEN 'ENABLE ALWAYS' ELSE 'ENABLE REPLICA' END, r.rulename) END), NULL
    FROM pg_catalog.pg_rewrite r WHERE $1 = 'pg_catalog.pg_rewrite'::regclass::oid::int8 AND r.oid = $2::oid
    UNION ALL
    SELECT pg_catalog.format('CREATE POLICY %I ON %s AS %s FOR %s TO %s%s%s', p.polname,
               pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname),
               CASE WHEN p.polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END,
               CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
               (SELECT pg_catalog.string_agg(CASE WHEN r = 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(r)) END, ', ')
                FROM pg_catalog.unnest(p.polroles) r),
               ' USING (' || pg_catalog.pg_get_expr(p.polqual, p.polrelid) || ')',
               ' WITH CHECK (' || pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid) || ')'), NULL
    FROM pg_catalog.pg_policy p JOIN pg_catalog.pg_class c ON c.oid = p.polrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE $1 = 'pg_catalog.pg_policy'::regclass::oid::int8 AND p.oid = $2::oid
    UNION ALL
    SELECT pg_catalog.concat_ws(E';\n', pg_catalog.pg_get_statisticsobjdef(s.oid),
               CASE WHEN s.stxstattarget >= 0 THEN pg_catalog.format('ALTER %s SET STATISTICS %s', $3::text, s.stxstattarget) END), s.stxowner
    FROM pg_catalog.pg_statistic_ext s WHERE $1 = 'pg_catalog.pg_statistic_ext'::regclass::oid::int8 AND s.oid = $2::oid
    UNION ALL
    SELECT pg_catalog.format('CREATE EXTENSION %I SCHEMA %I VERSION %L', e.extname, n.nspname, e.extversion), NULL
    FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace
    WHERE $1 = 'pg_catalog.pg_extension'::regclass::oid::int8 AND e.oid = $2::oid
)
SELECT pg_catalog.concat_ws(E';\n', made.text,
           CASE WHEN made.owner IS NOT NULL AND $3::text !~ '^INDEX '
                THEN pg_catalog.format('ALTER %s OWNER TO %I', $3::text, pg_catalog.pg_get_userbyid(made.owner)) END,
           (SELECT pg_catalog.format('REVOKE ALL ON %s %s FROM PUBLIC, %I', acl.kind, b.name, pg_catalog.pg_get_userbyid(made.owner))
            FROM acl, bare b WHERE acl.acl IS NOT NULL),
           (SELECT pg_catalog.string_agg(pg_catalog.format('GRANT %s ON %s %s TO %s%s', g.privilege_type, acl.kind, b.name,
                       CASE WHEN g.grantee = 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(g.grantee)) END,
                       CASE WHEN g.is_grantable THEN ' WITH GRANT OPTION' END), E';\n')
            FROM acl, bare b, pg_catalog.aclexplode(acl.acl) g),
           (SELECT pg_catalog.format('COMMENT ON %s IS %L', $3::text, d.text)
            FROM (SELECT pg_catalog.obj_description($2::oid, c.relname) AS text FROM pg_catalog.pg_class c WHERE c.oid = $1::oid) d
            WHERE d.text IS NOT NULL)) AS value
FROM made WHERE made.text IS NOT NULL AND $4::text[] IS NOT NULL AND $5::int8 IS NOT NULL
