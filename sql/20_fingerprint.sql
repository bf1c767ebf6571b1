-- Comparing schemas, and looking for what would be lost with a column.

-- One row for every object of the application's schemas that the current user can see: its name
-- and everything about it that a migration could change and should give back. What is set aside
-- is passed over; so are objects of extensions.
CREATE FUNCTION migrate.fingerprint() RETURNS TABLE (object text, definition text)
LANGUAGE sql STABLE SET search_path = pg_catalog SET jit = off AS $$
WITH schemas AS (
    SELECT n.oid, n.nspname, n.nspacl
    FROM pg_namespace n
    WHERE n.nspname NOT IN ('information_schema', 'migrate', 'migrate_aside') AND n.nspname !~ '^pg_'
      AND NOT EXISTS (SELECT 1 FROM pg_depend d
                      WHERE d.classid = 'pg_namespace'::regclass AND d.objid = n.oid AND d.deptype = 'e')
), relations AS (
    SELECT c.*, quote_ident(s.nspname) || '.' || quote_ident(c.relname) AS name
    FROM pg_class c JOIN schemas s ON s.oid = c.relnamespace
    WHERE NOT EXISTS (SELECT 1 FROM pg_depend d
                      WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
)
SELECT 'schema ' || quote_ident(nspname), 'privileges ' || coalesce(nspacl::text, '') FROM schemas
UNION ALL
SELECT CASE c.relkind WHEN 'r' THEN 'table ' WHEN 'p' THEN 'partitioned table ' WHEN 'v' THEN 'view '
                      WHEN 'm' THEN 'materialized view ' ELSE 'foreign table ' END || c.name,
       concat_ws(', ',
           'owner ' || pg_get_userbyid(c.relowner),
           'persistence ' || c.relpersistence::text,
           'options ' || c.reloptions::text,
           'privileges ' || (SELECT string_agg(a::text, ' ' ORDER BY a::text) FROM unnest(c.relacl) a),
           'replica identity ' || c.relreplident::text,
           CASE WHEN c.relrowsecurity THEN 'row security' END,
           CASE WHEN c.relforcerowsecurity THEN 'forced row security' END,
           'partition by ' || pg_get_partkeydef(c.oid),
           'partition ' || pg_get_expr(c.relpartbound, c.oid),
           'inherits ' || (SELECT string_agg(i.inhparent::regclass::text, ' ' ORDER BY i.inhseqno)
                           FROM pg_inherits i WHERE i.inhrelid = c.oid),
           'comment ' || obj_description(c.oid, 'pg_class'),
           CASE WHEN c.relkind IN ('v', 'm') THEN 'as ' || pg_get_viewdef(c.oid) END)
FROM relations c WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
UNION ALL
SELECT 'column ' || c.name || '.' || quote_ident(a.attname),
       concat_ws(', ',
           'position ' || row_number() OVER (PARTITION BY c.oid ORDER BY a.attnum),
           format_type(a.atttypid, a.atttypmod),
           CASE WHEN a.attcollation <> t.typcollation THEN 'collation ' || a.attcollation::regcollation::text END,
           CASE WHEN a.attnotnull THEN 'not null' END,
           CASE a.attgenerated WHEN '' THEN 'default ' WHEN 's' THEN 'generated ' ELSE 'virtually generated ' END || pg_get_expr(d.adbin, d.adrelid),
           'identity ' || nullif(a.attidentity::text, ''),
           'storage ' || a.attstorage::text,
           'compression ' || nullif(a.attcompression::text, ''),
           'statistics ' || nullif(a.attstattarget, -1),
           -- Those that ALTER COLUMN SET knows; the server keeps marks of its own beside them.
           'options ' || (SELECT string_agg(o.option_name || '=' || o.option_value, ' ' ORDER BY o.option_name)
                          FROM pg_options_to_table(a.attoptions) o WHERE o.option_name ~ '^n_distinct'),
           'privileges ' || (SELECT string_agg(p::text, ' ' ORDER BY p::text) FROM unnest(a.attacl) p),
           'comment ' || col_description(a.attrelid, a.attnum))
FROM relations c
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attname !~ '^_pgm_aside_'
JOIN pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
UNION ALL
SELECT 'index ' || c.name,
       concat_ws(', ', pg_get_indexdef(c.oid), CASE WHEN NOT i.indisvalid THEN 'invalid' END,
                 CASE WHEN i.indisclustered THEN 'clustered' END, CASE WHEN i.indisreplident THEN 'replica identity' END,
                 'comment ' || obj_description(c.oid, 'pg_class'))
FROM relations c JOIN pg_index i ON i.indexrelid = c.oid
UNION ALL
SELECT 'constraint ' || quote_ident(k.conname) || ' on ' || c.name,
       concat_ws(', ', pg_get_constraintdef(k.oid), CASE WHEN NOT k.convalidated THEN 'not validated' END,
                 'comment ' || obj_description(k.oid, 'pg_constraint'))
FROM relations c JOIN pg_constraint k ON k.conrelid = c.oid
WHERE k.contype <> 't'
UNION ALL
SELECT 'trigger ' || quote_ident(g.tgname) || ' on ' || c.name,
       concat_ws(', ', pg_get_triggerdef(g.oid), 'enabled ' || g.tgenabled::text,
                 'comment ' || obj_description(g.oid, 'pg_trigger'))
FROM relations c JOIN pg_trigger g ON g.tgrelid = c.oid WHERE NOT g.tgisinternal
UNION ALL
SELECT 'policy ' || quote_ident(p.polname) || ' on ' || c.name,
       concat_ws(', ', p.polcmd::text, CASE WHEN p.polpermissive THEN 'permissive' ELSE 'restrictive' END,
                 'roles ' || p.polroles::regrole[]::text, 'using ' || pg_get_expr(p.polqual, p.polrelid),
                 'check ' || pg_get_expr(p.polwithcheck, p.polrelid))
FROM relations c JOIN pg_policy p ON p.polrelid = c.oid
UNION ALL
SELECT 'rule ' || quote_ident(r.rulename) || ' on ' || c.name,
       concat_ws(', ', pg_get_ruledef(r.oid), 'enabled ' || r.ev_enabled::text)
FROM relations c JOIN pg_rewrite r ON r.ev_class = c.oid WHERE r.rulename <> '_RETURN'
UNION ALL
SELECT 'statistics ' || quote_ident(s.nspname) || '.' || quote_ident(e.stxname), pg_get_statisticsobjdef(e.oid)
FROM pg_statistic_ext e JOIN schemas s ON s.oid = e.stxnamespace
UNION ALL
SELECT 'sequence ' || c.name,
       concat_ws(', ', format_type(q.seqtypid, NULL), 'start ' || q.seqstart, 'increment ' || q.seqincrement,
                 'min ' || q.seqmin, 'max ' || q.seqmax, 'cache ' || q.seqcache, CASE WHEN q.seqcycle THEN 'cycle' END,
                 'privileges ' || (SELECT string_agg(a::text, ' ' ORDER BY a::text) FROM unnest(c.relacl) a),
                 'owned by ' || (SELECT d.refobjid::regclass::text || '.' || quote_ident(a.attname)
                                 FROM pg_depend d
                                 JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
                                 WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
                                   AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')))
FROM relations c JOIN pg_sequence q ON q.seqrelid = c.oid
UNION ALL
SELECT 'function ' || p.oid::regprocedure::text,
       concat_ws(', ', CASE WHEN p.prokind <> 'a' THEN pg_get_functiondef(p.oid) END, 'owner ' || pg_get_userbyid(p.proowner),
                 'privileges ' || p.proacl::text, 'comment ' || obj_description(p.oid, 'pg_proc'))
FROM pg_proc p JOIN schemas s ON s.oid = p.pronamespace
WHERE NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
UNION ALL
SELECT 'type ' || t.oid::regtype::text,
       concat_ws(', ', t.typtype::text,
                 'labels ' || (SELECT string_agg(quote_literal(e.enumlabel), ' ' ORDER BY e.enumsortorder)
                               FROM pg_enum e WHERE e.enumtypid = t.oid),
                 'base ' || nullif(t.typbasetype, 0)::regtype::text,
                 CASE WHEN t.typnotnull THEN 'not null' END, 'default ' || t.typdefault,
                 (SELECT string_agg(quote_ident(k.conname) || ' ' || pg_get_constraintdef(k.oid), ' ' ORDER BY k.conname)
                  FROM pg_constraint k WHERE k.contypid = t.oid),
                 'privileges ' || t.typacl::text, 'comment ' || obj_description(t.oid, 'pg_type'))
FROM pg_type t JOIN schemas s ON s.oid = t.typnamespace
WHERE t.typtype IN ('d', 'e', 'r', 'm') OR (t.typtype = 'c' AND EXISTS (
        SELECT 1 FROM pg_class k WHERE k.oid = t.typrelid AND k.relkind = 'c'))
UNION ALL
SELECT 'publication ' || quote_ident(p.pubname) || ' of ' || c.name,
       concat_ws(', ', 'where ' || pg_get_expr(r.prqual, r.prrelid),
                 'columns ' || (SELECT string_agg(quote_ident(a.attname), ' ' ORDER BY a.attname)
                                FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum = ANY (r.prattrs::int2[])))
FROM relations c JOIN pg_publication_rel r ON r.prrelid = c.oid JOIN pg_publication p ON p.oid = r.prpubid
$$;

-- What would be lost if the column were dropped, but for `ours`: the helpers a migration made.
CREATE FUNCTION migrate.unexpected_dependents("table" text, "column" text, ours text[]) RETURNS SETOF text
LANGUAGE sql STABLE AS $$
    SELECT pg_catalog.pg_describe_object(d.classid, d.objid, d.objsubid)
    FROM pg_catalog.pg_attribute a
    JOIN pg_catalog.pg_depend d ON d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
                               AND d.refobjid = a.attrelid AND d.refobjsubid = a.attnum
    WHERE a.attrelid = pg_catalog.to_regclass($1) AND a.attname = $2::pg_catalog.name
      AND d.deptype IN ('n', 'a')
      AND NOT (d.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass)
      AND NOT (d.classid = 'pg_catalog.pg_trigger'::pg_catalog.regclass AND EXISTS (
            SELECT 1 FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_proc p ON p.oid = t.tgfoid
            JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
            WHERE t.oid = d.objid AND n.nspname = 'migrate'))
      AND NOT coalesce(
            (SELECT c.relname::text FROM pg_catalog.pg_class c
             WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND c.oid = d.objid) = ANY ($3), false)
      AND NOT coalesce(
            (SELECT k.conname::text FROM pg_catalog.pg_constraint k
             WHERE d.classid = 'pg_catalog.pg_constraint'::pg_catalog.regclass AND k.oid = d.objid) = ANY ($3), false)
    ORDER BY 1
$$;
