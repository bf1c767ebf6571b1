-- What hangs on columns, for changes that put another column in their place. The queries are long
-- and read little: compiling them would take longer by far than running them.

-- Everything that hangs on columns `numbers` of a table: what it is, the statements that take it
-- away and those that make it again, or why it cannot be carried to another column (`obstacle`).
-- One row for every object that pg_depend, pg_seclabel or a column's own row knows; a kind that is
-- not known here has an obstacle. `mark` changes when the object does. Every name is in full.
-- Of a partition: what it has of its own, not what came with the whole, and not what its columns are
-- told to be.
CREATE FUNCTION migrate.attached(relation oid, numbers int8[])
RETURNS TABLE (kind text, what text, mark text, relation_name text, rank int, drops text[], makes text[], detail jsonb, obstacle text)
LANGUAGE sql STABLE SET search_path = pg_catalog SET jit = off AS $$
WITH RECURSIVE direct AS (
    SELECT d.classid, d.objid, min(d.refobjsubid) AS number, bool_or(d.deptype = 'i') AS internal, NULL::oid AS via
    FROM pg_depend d
    WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = $1 AND d.refobjsubid = ANY ($2)
      AND NOT (d.classid = 'pg_class'::regclass AND d.objid = $1)
      AND NOT ((SELECT c.relispartition FROM pg_class c WHERE c.oid = $1) AND (
                  EXISTS (SELECT 1 FROM pg_trigger g WHERE d.classid = 'pg_trigger'::regclass AND g.oid = d.objid AND g.tgparentid <> 0)
               OR EXISTS (SELECT 1 FROM pg_constraint k WHERE d.classid = 'pg_constraint'::regclass AND k.oid = d.objid
                                                          AND (k.conparentid <> 0 OR (k.coninhcount > 0 AND NOT k.conislocal)))
               OR EXISTS (SELECT 1 FROM pg_inherits h JOIN pg_class i ON i.oid = h.inhrelid AND i.relkind IN ('i', 'I')
                          WHERE d.classid = 'pg_class'::regclass AND h.inhrelid = d.objid)))
    GROUP BY d.classid, d.objid
), closure AS (
    SELECT r.ev_class AS view, 1 AS depth
    FROM direct d JOIN pg_rewrite r ON r.oid = d.objid
    WHERE d.classid = 'pg_rewrite'::regclass AND r.rulename = '_RETURN'
    UNION
    SELECT r.ev_class, v.depth + 1
    FROM closure v
    JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = v.view AND d.classid = 'pg_rewrite'::regclass
    JOIN pg_rewrite r ON r.oid = d.objid AND r.rulename = '_RETURN' AND r.ev_class <> v.view
), views AS (
    SELECT c.*, v.depth, quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS q
    FROM (SELECT view, max(depth) AS depth FROM closure GROUP BY view) v
    JOIN pg_class c ON c.oid = v.view JOIN pg_namespace n ON n.oid = c.relnamespace
), items AS (
    SELECT * FROM direct
    UNION ALL
    -- What stands on a view must give way to it; on its row type, cannot.
    SELECT d.classid, d.objid, 0, false, v.oid
    FROM views v JOIN pg_depend d ON d.deptype <> 'i' AND (
            (d.refclassid = 'pg_class'::regclass AND d.refobjid = v.oid)
         OR (d.refclassid = 'pg_type'::regclass AND d.refobjid IN (SELECT t.oid FROM pg_type t WHERE v.reltype IN (t.oid, t.typelem))))
    WHERE NOT EXISTS (SELECT 1 FROM direct o WHERE o.classid = d.classid AND o.objid = d.objid)
      AND NOT (d.classid = 'pg_rewrite'::regclass AND EXISTS (SELECT 1 FROM pg_rewrite r WHERE r.oid = d.objid AND r.ev_class = v.oid))
      AND NOT (d.classid = 'pg_trigger'::regclass AND EXISTS (SELECT 1 FROM pg_trigger g WHERE g.oid = d.objid AND g.tgrelid = v.oid))
      AND NOT (d.classid = 'pg_attrdef'::regclass AND EXISTS (SELECT 1 FROM pg_attrdef a WHERE a.oid = d.objid AND a.adrelid = v.oid))
    UNION ALL
    -- What stands on a constraint of the columns: a view that groups by the primary key.
    SELECT DISTINCT d.classid, d.objid, 0, false, NULL::oid
    FROM direct o JOIN pg_depend d ON o.classid = 'pg_constraint'::regclass AND d.refclassid = o.classid AND d.refobjid = o.objid
                                  AND d.deptype = 'n'
    WHERE NOT EXISTS (SELECT 1 FROM direct x WHERE x.classid = d.classid AND x.objid = d.objid)
), rewrites AS (
    SELECT r.*, i.via, c.relkind, c.relowner, quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS q
    FROM (SELECT objid, min(via) AS via FROM items WHERE classid = 'pg_rewrite'::regclass GROUP BY objid) i
    JOIN pg_rewrite r ON r.oid = i.objid AND r.rulename <> '_RETURN'
    JOIN pg_class c ON c.oid = r.ev_class JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE r.ev_class NOT IN (SELECT oid FROM views)
), tables AS (
    SELECT c.oid, c.relowner, quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS q
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
), found AS (
    SELECT 'view' AS kind, 'pg_class'::regclass::oid AS classid, v.oid AS objid, v.q AS relation, v.depth AS rank,
           v.relowner AS owner,
           ARRAY['DROP VIEW ' || v.q] AS drops,
           ARRAY['CREATE VIEW ' || v.q || coalesce(' WITH (' || array_to_string(v.reloptions, ', ') || ')', '')
                 || ' AS ' || btrim(rtrim(btrim(pg_get_viewdef(v.oid)), ';'))]
           || CASE WHEN pg_get_userbyid(v.relowner) <> current_user
                   THEN ARRAY['ALTER VIEW ' || v.q || ' OWNER TO ' || quote_ident(pg_get_userbyid(v.relowner))] END
           -- What ALTER DEFAULT PRIVILEGES gives to everything new is not what this view has.
           || ARRAY(SELECT DISTINCT 'REVOKE ALL ON ' || v.q || ' FROM ' || CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(g.grantee)) END
                    FROM pg_default_acl da, aclexplode(da.defaclacl) g
                    WHERE da.defaclobjtype = 'r' AND g.grantee NOT IN (v.relowner, da.defaclrole))
           || CASE WHEN v.relacl IS NOT NULL
                   THEN ARRAY['REVOKE ALL ON ' || v.q || ' FROM PUBLIC, ' || quote_ident(pg_get_userbyid(v.relowner))] END
           || ARRAY(SELECT 'GRANT ' || string_agg(g.privilege_type, ', ' ORDER BY g.privilege_type) || ' ON ' || v.q || ' TO '
                           || CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(g.grantee)) END
                           || CASE WHEN g.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END
                    FROM aclexplode(v.relacl) g GROUP BY g.grantee, g.is_grantable ORDER BY g.grantee <> v.relowner, g.grantee)
           || ARRAY(SELECT 'GRANT ' || string_agg(g.privilege_type || ' (' || quote_ident(a.attname) || ')', ', ' ORDER BY g.privilege_type)
                           || ' ON ' || v.q || ' TO ' || CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(g.grantee)) END
                           || CASE WHEN g.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END
                    FROM pg_attribute a, aclexplode(a.attacl) g
                    WHERE a.attrelid = v.oid AND a.attnum > 0 GROUP BY a.attnum, a.attname, g.grantee, g.is_grantable ORDER BY a.attnum, g.grantee)
           || ARRAY(SELECT 'ALTER VIEW ' || v.q || ' ALTER COLUMN ' || quote_ident(a.attname) || ' SET DEFAULT ' || pg_get_expr(ad.adbin, ad.adrelid)
                    FROM pg_attrdef ad JOIN pg_attribute a ON a.attrelid = ad.adrelid AND a.attnum = ad.adnum
                    WHERE ad.adrelid = v.oid ORDER BY ad.adnum)
           || ARRAY(SELECT 'COMMENT ON ' || CASE s.objsubid WHEN 0 THEN 'VIEW ' || v.q ELSE 'COLUMN ' || v.q || '.' || quote_ident(a.attname) END
                           || ' IS ' || quote_literal(s.description)
                    FROM pg_description s LEFT JOIN pg_attribute a ON a.attrelid = s.objoid AND a.attnum = s.objsubid
                    WHERE s.classoid = 'pg_class'::regclass AND s.objoid = v.oid ORDER BY s.objsubid)
           || ARRAY(SELECT line FROM (
                        SELECT r.rulename AS name, 1 AS part, rtrim(pg_get_ruledef(r.oid), ';') AS line
                        FROM pg_rewrite r WHERE r.ev_class = v.oid AND r.rulename <> '_RETURN'
                        UNION ALL
                        SELECT r.rulename, 2, 'COMMENT ON RULE ' || quote_ident(r.rulename) || ' ON ' || v.q || ' IS ' || quote_literal(obj_description(r.oid, 'pg_rewrite'))
                        FROM pg_rewrite r WHERE r.ev_class = v.oid AND obj_description(r.oid, 'pg_rewrite') IS NOT NULL
                        UNION ALL
                        SELECT g.tgname, 3, pg_get_triggerdef(g.oid) FROM pg_trigger g WHERE g.tgrelid = v.oid AND NOT g.tgisinternal
                        UNION ALL
                        SELECT g.tgname, 4, 'COMMENT ON TRIGGER ' || quote_ident(g.tgname) || ' ON ' || v.q || ' IS ' || quote_literal(obj_description(g.oid, 'pg_trigger'))
                        FROM pg_trigger g WHERE g.tgrelid = v.oid AND obj_description(g.oid, 'pg_trigger') IS NOT NULL) l
                    ORDER BY part IN (3, 4), name, part) AS makes,
           CASE WHEN v.relkind <> 'v' THEN 'it would have to be filled anew: drop it before and make it again afterwards'
                WHEN EXISTS (SELECT 1 FROM aclexplode(v.relacl) g WHERE g.grantor <> v.relowner)
                  OR EXISTS (SELECT 1 FROM pg_attribute a, aclexplode(a.attacl) g WHERE a.attrelid = v.oid AND g.grantor <> v.relowner)
                THEN 'privileges on it were granted by another role than its owner'
           END AS obstacle,
           NULL::jsonb AS detail
    FROM views v
    UNION ALL
    SELECT 'rule', 'pg_rewrite'::regclass, r.oid, r.q, 0, r.relowner,
           ARRAY['DROP RULE ' || quote_ident(r.rulename) || ' ON ' || r.q],
           ARRAY[rtrim(pg_get_ruledef(r.oid), ';')]
           || CASE r.ev_enabled WHEN 'D' THEN ARRAY['ALTER TABLE ' || r.q || ' DISABLE RULE ' || quote_ident(r.rulename)]
                                WHEN 'R' THEN ARRAY['ALTER TABLE ' || r.q || ' ENABLE REPLICA RULE ' || quote_ident(r.rulename)]
                                WHEN 'A' THEN ARRAY['ALTER TABLE ' || r.q || ' ENABLE ALWAYS RULE ' || quote_ident(r.rulename)] END
           || CASE WHEN obj_description(r.oid, 'pg_rewrite') IS NOT NULL
                   THEN ARRAY['COMMENT ON RULE ' || quote_ident(r.rulename) || ' ON ' || r.q || ' IS ' || quote_literal(obj_description(r.oid, 'pg_rewrite'))] END,
           CASE WHEN r.relkind NOT IN ('r', 'p', 'v') THEN 'it is on a relation of another kind' END, NULL
    FROM rewrites r
    UNION ALL
    SELECT 'policy', 'pg_policy'::regclass, p.oid, t.q, 0, t.relowner,
           ARRAY['DROP POLICY ' || quote_ident(p.polname) || ' ON ' || t.q],
           ARRAY['CREATE POLICY ' || quote_ident(p.polname) || ' ON ' || t.q || CASE WHEN p.polpermissive THEN '' ELSE ' AS RESTRICTIVE' END
                 || ' FOR ' || CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' ELSE 'ALL' END
                 || ' TO ' || (SELECT string_agg(CASE u.role WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(u.role)) END, ', ' ORDER BY u.ord)
                               FROM unnest(p.polroles) WITH ORDINALITY u(role, ord))
                 || coalesce(' USING (' || pg_get_expr(p.polqual, p.polrelid) || ')', '')
                 || coalesce(' WITH CHECK (' || pg_get_expr(p.polwithcheck, p.polrelid) || ')', '')]
           || CASE WHEN obj_description(p.oid, 'pg_policy') IS NOT NULL
                   THEN ARRAY['COMMENT ON POLICY ' || quote_ident(p.polname) || ' ON ' || t.q || ' IS ' || quote_literal(obj_description(p.oid, 'pg_policy'))] END,
           NULL, NULL
    FROM (SELECT DISTINCT objid FROM items WHERE classid = 'pg_policy'::regclass) i
    JOIN pg_policy p ON p.oid = i.objid JOIN tables t ON t.oid = p.polrelid
    UNION ALL
    SELECT 'trigger', 'pg_trigger'::regclass, g.oid, t.q, 0, t.relowner,
           ARRAY['DROP TRIGGER ' || quote_ident(g.tgname) || ' ON ' || t.q],
           ARRAY[pg_get_triggerdef(g.oid)]
           || CASE g.tgenabled WHEN 'D' THEN ARRAY['ALTER TABLE ' || t.q || ' DISABLE TRIGGER ' || quote_ident(g.tgname)]
                               WHEN 'R' THEN ARRAY['ALTER TABLE ' || t.q || ' ENABLE REPLICA TRIGGER ' || quote_ident(g.tgname)]
                               WHEN 'A' THEN ARRAY['ALTER TABLE ' || t.q || ' ENABLE ALWAYS TRIGGER ' || quote_ident(g.tgname)] END
           || CASE WHEN obj_description(g.oid, 'pg_trigger') IS NOT NULL
                   THEN ARRAY['COMMENT ON TRIGGER ' || quote_ident(g.tgname) || ' ON ' || t.q || ' IS ' || quote_literal(obj_description(g.oid, 'pg_trigger'))] END,
           CASE WHEN i.via IS NOT NULL THEN 'it is on another table than the view it uses' END, NULL
    FROM (SELECT objid, min(via) AS via FROM items WHERE classid = 'pg_trigger'::regclass GROUP BY objid) i
    JOIN pg_trigger g ON g.oid = i.objid AND NOT g.tgisinternal JOIN tables t ON t.oid = g.tgrelid
    UNION ALL
    SELECT 'publication', 'pg_publication_rel'::regclass, r.oid, t.q, 0, p.pubowner,
           ARRAY['ALTER PUBLICATION ' || quote_ident(p.pubname) || ' DROP TABLE ' || t.q],
           ARRAY['ALTER PUBLICATION ' || quote_ident(p.pubname) || ' ADD TABLE ' || t.q
                 || coalesce(' (' || (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) FROM pg_attribute a
                                      WHERE a.attrelid = r.prrelid AND a.attnum = ANY (r.prattrs::int2[])) || ')', '')
                 || coalesce(' WHERE (' || pg_get_expr(r.prqual, r.prrelid) || ')', '')],
           NULL, NULL
    FROM (SELECT DISTINCT objid FROM items WHERE classid = 'pg_publication_rel'::regclass) i
    JOIN pg_publication_rel r ON r.oid = i.objid JOIN pg_publication p ON p.oid = r.prpubid JOIN tables t ON t.oid = r.prrelid
    UNION ALL
    SELECT 'statistics', 'pg_statistic_ext'::regclass, e.oid, t.q, 0, e.stxowner,
           ARRAY['DROP STATISTICS ' || quote_ident(n.nspname) || '.' || quote_ident(e.stxname)],
           ARRAY[]::text[], NULL,
           jsonb_build_object('schema', n.nspname, 'name', e.stxname, 'columns', pg_get_statisticsobjdef_columns(e.oid),
               'kinds', ARRAY(SELECT CASE k WHEN 'd' THEN 'ndistinct' WHEN 'f' THEN 'dependencies' ELSE 'mcv' END
                              FROM unnest(e.stxkind) k WHERE k IN ('d', 'f', 'm')),
               'target', nullif(e.stxstattarget, -1), 'comment', obj_description(e.oid, 'pg_statistic_ext'),
               'owner', CASE WHEN pg_get_userbyid(e.stxowner) <> current_user THEN quote_ident(pg_get_userbyid(e.stxowner)) END)
    FROM (SELECT DISTINCT objid FROM items WHERE classid = 'pg_statistic_ext'::regclass) i
    JOIN pg_statistic_ext e ON e.oid = i.objid JOIN pg_namespace n ON n.oid = e.stxnamespace JOIN tables t ON t.oid = e.stxrelid
    UNION ALL
    SELECT 'function', 'pg_proc'::regclass, p.oid, NULL, 0, p.proowner, ARRAY[]::text[],
           CASE WHEN p.prosqlbody IS NOT NULL AND i.via IS NULL THEN ARRAY[rtrim(btrim(pg_get_functiondef(p.oid), E' \n'), ';')] ELSE ARRAY[]::text[] END,
           CASE WHEN i.via IS NOT NULL THEN 'it uses a view that has to be made again: drop it before and make it again afterwards'
                WHEN p.prosqlbody IS NULL THEN 'it is not known what it does with the column' END, NULL
    FROM (SELECT objid, min(via) AS via FROM items WHERE classid = 'pg_proc'::regclass GROUP BY objid) i
    JOIN pg_proc p ON p.oid = i.objid
    UNION ALL
    SELECT CASE WHEN i.internal THEN 'identity' ELSE 'sequence' END, 'pg_class'::regclass, c.oid,
           quote_ident(n.nspname) || '.' || quote_ident(c.relname), 0, c.relowner, ARRAY[]::text[],
           CASE WHEN i.internal THEN ARRAY[]::text[] ELSE ARRAY['ALTER SEQUENCE ' || quote_ident(n.nspname) || '.' || quote_ident(c.relname)
               || ' OWNED BY ' || (SELECT t.q FROM tables t WHERE t.oid = $1) || '.' || quote_ident(a.attname)] END,
           CASE WHEN i.internal THEN (
               coalesce((SELECT 'its sequence is also used by ' || string_agg(pg_describe_object(o.classid, o.objid, o.objsubid), ', ')
                         FROM pg_depend o WHERE o.refclassid = 'pg_class'::regclass AND o.refobjid = c.oid AND o.deptype = 'n'),
                        (SELECT 'privileges on it were granted by another role than its owner'
                         FROM aclexplode(c.relacl) g WHERE g.grantor <> c.relowner LIMIT 1))) END,
           jsonb_build_object('column', a.attname, 'last', to_jsonb(pg_sequence_last_value(c.oid)), 'max', q.seqmax)
    FROM items i JOIN pg_class c ON c.oid = i.objid AND c.relkind = 'S' JOIN pg_sequence q ON q.seqrelid = c.oid JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_attribute a ON a.attrelid = $1 AND a.attnum = i.number
    WHERE i.classid = 'pg_class'::regclass AND i.via IS NULL
    UNION ALL
    SELECT 'index', 'pg_class'::regclass, c.oid, NULL, 0, c.relowner, ARRAY[]::text[], ARRAY[]::text[],
           CASE WHEN NOT x.indisvalid THEN 'it is invalid: drop it or build it again' END, jsonb_build_object('name', c.relname, 'definition', pg_get_indexdef(c.oid))
    FROM items i JOIN pg_class c ON c.oid = i.objid AND c.relkind IN ('i', 'I') JOIN pg_index x ON x.indexrelid = c.oid
    WHERE i.classid = 'pg_class'::regclass
    UNION ALL
    SELECT 'constraint', 'pg_constraint'::regclass, k.oid, t.q, 0, t.relowner, ARRAY[]::text[], ARRAY[]::text[],
           CASE WHEN i.via IS NOT NULL THEN 'it is not known how it uses a view' END,
           jsonb_build_object('name', k.conname, 'own', k.conrelid = $1, 'kind', k.contype, 'definition', pg_get_constraintdef(k.oid))
    FROM items i JOIN pg_constraint k ON k.oid = i.objid AND k.contype <> 't' JOIN tables t ON t.oid = k.conrelid
    WHERE i.classid = 'pg_constraint'::regclass
    UNION ALL
    SELECT 'default', 'pg_attrdef'::regclass, d.oid, NULL, 0, NULL, ARRAY[]::text[], ARRAY[]::text[],
           CASE WHEN a.attgenerated <> '' THEN 'a generated column would have to be computed anew under a lock: drop it before and add it again afterwards'
                WHEN NOT (d.adrelid = $1 AND d.adnum = ANY ($2)) THEN 'it is not known how it uses the column' END, NULL
    FROM items i JOIN pg_attrdef d ON d.oid = i.objid JOIN pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
    WHERE i.classid = 'pg_attrdef'::regclass
), known AS (
    SELECT classid, objid FROM found
    UNION ALL SELECT 'pg_rewrite'::regclass, r.oid FROM pg_rewrite r JOIN views v ON r.ev_class = v.oid
    -- Triggers of a foreign key and the constraint beside a constraint trigger.
    UNION ALL SELECT 'pg_trigger'::regclass, g.oid FROM pg_trigger g JOIN items i ON i.classid = 'pg_trigger'::regclass AND g.oid = i.objid AND g.tgisinternal
    UNION ALL SELECT 'pg_constraint'::regclass, k.oid FROM pg_constraint k JOIN items i ON i.classid = 'pg_constraint'::regclass AND k.oid = i.objid AND k.contype = 't'
)
SELECT f.kind, coalesce(pg_describe_object(f.classid, f.objid, 0), f.kind) AS what,
       (SELECT o.type || ' ' || o.identity FROM pg_identify_object(f.classid, f.objid, 0) o)
           || ' ' || md5(concat(array_to_string(f.makes, ';'), f.detail ->> 'definition', f.detail ->> 'comment', f.detail ->> 'target')) AS mark,
       f.relation, f.rank, f.drops, f.makes, f.detail,
       coalesce(f.obstacle,
                CASE WHEN f.kind NOT IN ('index', 'constraint', 'default', 'identity', 'sequence') AND NOT pg_has_role(f.owner, 'USAGE')
                     THEN 'it belongs to role ' || quote_ident(pg_get_userbyid(f.owner)) END,
                (SELECT 'it belongs to or depends on extension ' || quote_ident(x.extname)
                 FROM pg_depend d JOIN pg_extension x ON x.oid = d.refobjid
                 WHERE d.classid = f.classid AND d.objid = f.objid AND d.refclassid = 'pg_extension'::regclass AND f.kind <> 'function' LIMIT 1),
                (SELECT 'it has a security label' FROM pg_seclabel s
                 WHERE s.classoid = f.classid AND s.objoid = f.objid AND f.kind IN ('view', 'identity') LIMIT 1)) AS obstacle
FROM found f
UNION ALL
-- Not an object, but what the column is told to be besides its type.
SELECT 'settings', 'the default, comment, privileges or statistics target of column ' || quote_ident(a.attname),
       'settings of ' || quote_ident(a.attname) || ' '
           || md5(concat_ws(',', pg_get_expr(d.adbin, d.adrelid), col_description(a.attrelid, a.attnum), a.attacl, a.attstattarget, a.attnotnull, a.attidentity,
                            -- Those that ALTER COLUMN SET knows; the server keeps marks of its own beside them.
                            (SELECT string_agg(o.option_name || '=' || o.option_value, ' ' ORDER BY o.option_name)
                             FROM pg_options_to_table(a.attoptions) o WHERE o.option_name ~ '^n_distinct'))),
       NULL, 0, ARRAY[]::text[], ARRAY[]::text[], NULL, NULL
FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
JOIN pg_class c ON c.oid = a.attrelid AND NOT c.relispartition
WHERE a.attrelid = $1 AND a.attnum = ANY ($2)
UNION ALL
SELECT 'other', pg_describe_object(i.classid, i.objid, 0), NULL, NULL, 0, ARRAY[]::text[], ARRAY[]::text[], NULL,
       'it is not known how it uses the column'
FROM (SELECT DISTINCT classid, objid FROM items) i
WHERE NOT EXISTS (SELECT 1 FROM known k WHERE k.classid = i.classid AND k.objid = i.objid)
UNION ALL
SELECT 'other', why.what, NULL, NULL, 0, ARRAY[]::text[], ARRAY[]::text[], NULL, why.obstacle
FROM pg_class c, LATERAL (
    SELECT 'the partition key of ' || c.relname AS what, 'rows would have to move' AS obstacle
    FROM pg_partitioned_table p
    WHERE p.partrelid = c.oid AND (p.partattrs::int2[] && ARRAY(SELECT n::int2 FROM unnest($2) n) OR EXISTS (
              SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
                 AND d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid AND d.refobjsubid = ANY ($2)))
    UNION ALL
    SELECT 'type ' || format_type(c.reloftype, NULL), 'the table is of that type and has the type''s columns' WHERE c.reloftype <> 0
    UNION ALL
    SELECT 'a parent table', 'the column is inherited: change the parent' FROM pg_attribute a
    WHERE a.attrelid = c.oid AND a.attnum = ANY ($2) AND a.attinhcount > 0 AND NOT c.relispartition
    UNION ALL
    SELECT 'a security label', 'only its provider can give it to another column' FROM pg_seclabel s
    WHERE s.classoid = 'pg_class'::regclass AND s.objoid = c.oid AND s.objsubid = ANY ($2)
) why
WHERE c.oid = $1
ORDER BY 5, 2
$$;

-- What hangs on the columns and was not there, or was otherwise, when `marks` was written; and what
-- was there and is gone. A mark without its digest stands for the object in any shape. Foreign keys
-- are not looked at here: see foreign_key_twins.
CREATE FUNCTION migrate.not_carried("table" text, "columns" text[], marks text[]) RETURNS SETOF text
LANGUAGE sql STABLE SET search_path = pg_catalog SET jit = off AS $$
WITH now AS (
    SELECT a.what, coalesce(a.mark, a.what) AS mark, regexp_replace(coalesce(a.mark, a.what), ' [0-9a-f]{32}$', '') AS bare
    FROM migrate.attached(to_regclass($1), ARRAY(
        SELECT attnum::int8 FROM pg_attribute WHERE attrelid = to_regclass($1) AND attname = ANY ($2) AND NOT attisdropped)) a
    WHERE coalesce(a.detail ->> 'kind', '') <> 'f' AND (a.kind <> 'default' OR a.obstacle IS NOT NULL)
)
SELECT what FROM now WHERE mark <> ALL ($3) AND bare <> ALL ($3)
UNION
SELECT regexp_replace(m, ' [0-9a-f]{32}$', '') FROM unnest($3) m
WHERE m NOT IN (SELECT mark FROM now UNION SELECT bare FROM now)
$$;

-- What partitions under a table, all but the `known` ones, have of their own on the columns.
CREATE FUNCTION migrate.own_of_partitions("table" text, "columns" text[], known text[]) RETURNS SETOF text
LANGUAGE sql STABLE SET search_path = pg_catalog SET jit = off AS $$
WITH RECURSIVE tree(oid) AS (
    SELECT h.inhrelid FROM pg_inherits h WHERE h.inhparent = to_regclass($1) AND NOT h.inhdetachpending
    UNION ALL
    SELECT h.inhrelid FROM tree JOIN pg_inherits h ON h.inhparent = tree.oid AND NOT h.inhdetachpending
)
SELECT tree.oid::regclass || ': ' || a.what
FROM tree, LATERAL migrate.attached(tree.oid, ARRAY(
    SELECT attnum::int8 FROM pg_attribute WHERE attrelid = tree.oid AND attname = ANY ($2) AND NOT attisdropped)) a
WHERE tree.oid <> ALL (ARRAY(SELECT to_regclass(k)::oid FROM unnest($3) k WHERE to_regclass(k) IS NOT NULL))
  AND (a.kind <> 'default' OR a.obstacle IS NOT NULL)
$$;

-- The foreign keys over columns `old` of a table, on either side, each with the one that says the
-- same over columns `new`, if it is there. `repointed`: it goes to the primary key of a partitioned
-- table, which has one only, and can go to the new columns from the swap on.
CREATE FUNCTION migrate.foreign_key_twins("table" text, old text[], new text[])
RETURNS TABLE (key_name text, referencing text, twin text, comment text, repointed boolean)
LANGUAGE sql STABLE SET search_path = pg_catalog SET jit = off AS $$
WITH pairs AS (
    SELECT o.attnum AS was, n.attnum AS becomes
    FROM unnest($2, $3) u(old, new)
    JOIN pg_attribute o ON o.attrelid = to_regclass($1) AND o.attname = u.old AND NOT o.attisdropped
    JOIN pg_attribute n ON n.attrelid = to_regclass($1) AND n.attname = u.new AND NOT n.attisdropped
), keys AS (
    SELECT k.oid, k.conname, k.conrelid, k.confrelid, k.conkey, k.confkey, k.convalidated,
           k.confrelid = to_regclass($1)
               AND EXISTS (SELECT 1 FROM pg_constraint p JOIN pg_class c ON c.oid = p.conrelid AND c.relkind = 'p'
                           WHERE p.conindid = k.conindid AND p.conrelid = k.confrelid AND p.contype = 'p'
                             AND p.conkey && ARRAY(SELECT was FROM pairs)) AS repointed,
           -- Everything else they have to agree in.
           concat_ws(' ', k.confupdtype, k.confdeltype, k.confmatchtype, k.condeferrable, k.condeferred) AS rest,
           CASE WHEN k.conrelid = to_regclass($1) THEN (
                    SELECT array_agg(coalesce(p.becomes, c.num) ORDER BY c.ord)
                    FROM unnest(k.conkey) WITH ORDINALITY c(num, ord) LEFT JOIN pairs p ON p.was = c.num) ELSE k.conkey END AS image,
           CASE WHEN k.confrelid = to_regclass($1) THEN (
                    SELECT array_agg(coalesce(p.becomes, c.num) ORDER BY c.ord)
                    FROM unnest(k.confkey) WITH ORDINALITY c(num, ord) LEFT JOIN pairs p ON p.was = c.num) ELSE k.confkey END AS target
    FROM pg_constraint k
    WHERE k.contype = 'f' AND k.conparentid = 0 AND to_regclass($1) IN (k.conrelid, k.confrelid)
), numbered AS (
    -- There may be several that say the same.
    SELECT k.*, row_number() OVER (PARTITION BY conrelid, confrelid, conkey, confkey, rest ORDER BY oid) AS number FROM keys k
)
SELECT a.conname, a.conrelid::regclass::text, b.conname, obj_description(a.oid, 'pg_constraint'),
       a.repointed AND b.oid IS NULL
FROM numbered a
LEFT JOIN numbered b ON b.conrelid = a.conrelid AND b.confrelid = a.confrelid AND b.conkey = a.image AND b.confkey = a.target
                    AND b.rest = a.rest AND b.number = a.number AND (b.convalidated OR NOT a.convalidated)
WHERE (a.image, a.target) IS DISTINCT FROM (a.conkey, a.confkey)
ORDER BY a.oid
$$;
