-- Comparing schemas, and looking for what would be lost with a column.

-- One row for every object of the application's schemas that the current user can see: its name
-- and everything about it that a migration could change and should give back. What is set aside
-- is passed over; so are objects of extensions. Privileges nobody granted or revoked read like the
-- same privileges granted.
CREATE FUNCTION migrate.fingerprint() RETURNS TABLE (object text, definition text)
LANGUAGE sql STABLE SET search_path = pg_catalog SET jit = off AS $$
WITH schemas AS (
    SELECT n.oid, n.nspname, n.nspowner, n.nspacl
    FROM pg_namespace n
    WHERE n.nspname NOT IN ('information_schema', 'migrate', 'migrate_aside') AND n.nspname !~ '^pg_'
      AND NOT EXISTS (SELECT 1 FROM pg_depend d
                      WHERE d.classid = 'pg_namespace'::regclass AND d.objid = n.oid AND d.deptype = 'e')
), relations AS (
    SELECT c.*, quote_ident(s.nspname) || '.' || quote_ident(c.relname) AS name
    FROM pg_class c JOIN schemas s ON s.oid = c.relnamespace
    WHERE c.relname !~ '^_pgm_aside_'
      AND NOT EXISTS (SELECT 1 FROM pg_depend d
                      WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
)
SELECT 'schema ' || quote_ident(nspname),
       concat_ws(', ', 'owner ' || pg_get_userbyid(nspowner),
           'privileges ' || (SELECT string_agg(a::text, ' ' ORDER BY a::text) FROM unnest(coalesce(nspacl, acldefault('n', nspowner))) a),
           'comment ' || obj_description(oid, 'pg_namespace'))
FROM schemas
UNION ALL
SELECT CASE c.relkind WHEN 'r' THEN 'table ' WHEN 'p' THEN 'partitioned table ' WHEN 'v' THEN 'view '
                      WHEN 'm' THEN 'materialized view ' ELSE 'foreign table ' END || c.name,
       concat_ws(', ',
           'owner ' || pg_get_userbyid(c.relowner),
           'persistence ' || c.relpersistence::text,
           'method ' || (SELECT m.amname FROM pg_am m WHERE m.oid = c.relam AND m.amname <> 'heap'),
           'tablespace ' || (SELECT quote_ident(ts.spcname) FROM pg_tablespace ts WHERE ts.oid = c.reltablespace),
           'of type ' || nullif(c.reloftype, 0)::regtype::text,
           'options ' || c.reloptions::text,
           'toast options ' || (SELECT o.reloptions::text FROM pg_class o WHERE o.oid = c.reltoastrelid),
           'privileges ' || (SELECT string_agg(a::text, ' ' ORDER BY a::text) FROM unnest(coalesce(c.relacl, acldefault('r', c.relowner))) a),
           'replica identity ' || c.relreplident::text,
           CASE WHEN c.relrowsecurity THEN 'row security' END,
           CASE WHEN c.relforcerowsecurity THEN 'forced row security' END,
           CASE WHEN NOT c.relispopulated THEN 'not populated' END,
           'partition by ' || pg_get_partkeydef(c.oid),
           'partition ' || pg_get_expr(c.relpartbound, c.oid),
           'inherits ' || (SELECT string_agg(i.inhparent::regclass::text, ' ' ORDER BY i.inhseqno)
                           FROM pg_inherits i WHERE i.inhrelid = c.oid),
           'server ' || (SELECT quote_ident(v.srvname) || ' ' || coalesce(ft.ftoptions::text, '')
                         FROM pg_foreign_table ft JOIN pg_foreign_server v ON v.oid = ft.ftserver WHERE ft.ftrelid = c.oid),
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
           CASE WHEN NOT a.attislocal THEN 'inherited' WHEN a.attinhcount > 0 THEN 'merged' END,
           'storage ' || a.attstorage::text,
           'compression ' || nullif(a.attcompression::text, ''),
           'statistics ' || nullif(a.attstattarget, -1),
           -- Those that ALTER COLUMN SET knows; the server keeps marks of its own beside them.
           'options ' || (SELECT string_agg(o.option_name || '=' || o.option_value, ' ' ORDER BY o.option_name)
                          FROM pg_options_to_table(a.attoptions) o WHERE o.option_name ~ '^n_distinct'),
           'server options ' || a.attfdwoptions::text,
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
                 'part of ' || (SELECT h.inhparent::regclass::text FROM pg_inherits h WHERE h.inhrelid = c.oid),
                 'tablespace ' || (SELECT quote_ident(ts.spcname) FROM pg_tablespace ts WHERE ts.oid = c.reltablespace),
                 'statistics ' || (SELECT string_agg(a.attnum || ':' || a.attstattarget, ' ' ORDER BY a.attnum)
                                   FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attstattarget >= 0),
                 'comment ' || obj_description(c.oid, 'pg_class'))
FROM relations c JOIN pg_index i ON i.indexrelid = c.oid
UNION ALL
SELECT 'constraint ' || quote_ident(k.conname) || ' on ' || c.name,
       concat_ws(', ', pg_get_constraintdef(k.oid), CASE WHEN NOT k.convalidated THEN 'not validated' END,
                 CASE WHEN NOT k.conislocal THEN 'inherited' WHEN k.coninhcount > 0 THEN 'merged' END,
                 'comment ' || obj_description(k.oid, 'pg_constraint'))
FROM relations c JOIN pg_constraint k ON k.conrelid = c.oid
WHERE k.contype <> 't'
  -- Not what a foreign key to a partitioned table has for each of its partitions: PostgreSQL names
  -- them by number, and before 18 they do not tell whether it is validated.
  AND NOT EXISTS (SELECT 1 FROM pg_constraint kp WHERE kp.oid = k.conparentid AND kp.conrelid = k.conrelid)
UNION ALL
SELECT 'trigger ' || quote_ident(g.tgname) || ' on ' || c.name,
       concat_ws(', ', pg_get_triggerdef(g.oid), 'enabled ' || g.tgenabled::text,
                 CASE WHEN g.tgparentid <> 0 THEN 'of the parent' END,
                 'comment ' || obj_description(g.oid, 'pg_trigger'))
FROM relations c JOIN pg_trigger g ON g.tgrelid = c.oid WHERE NOT g.tgisinternal
UNION ALL
SELECT 'policy ' || quote_ident(p.polname) || ' on ' || c.name,
       concat_ws(', ', p.polcmd::text, CASE WHEN p.polpermissive THEN 'permissive' ELSE 'restrictive' END,
                 'roles ' || p.polroles::regrole[]::text, 'using ' || pg_get_expr(p.polqual, p.polrelid),
                 'check ' || pg_get_expr(p.polwithcheck, p.polrelid), 'comment ' || obj_description(p.oid, 'pg_policy'))
FROM relations c JOIN pg_policy p ON p.polrelid = c.oid
UNION ALL
SELECT 'rule ' || quote_ident(r.rulename) || ' on ' || c.name,
       concat_ws(', ', pg_get_ruledef(r.oid), 'enabled ' || r.ev_enabled::text, 'comment ' || obj_description(r.oid, 'pg_rewrite'))
FROM relations c JOIN pg_rewrite r ON r.ev_class = c.oid WHERE r.rulename <> '_RETURN'
UNION ALL
SELECT 'statistics ' || quote_ident(s.nspname) || '.' || quote_ident(e.stxname),
       concat_ws(', ', pg_get_statisticsobjdef(e.oid), 'owner ' || pg_get_userbyid(e.stxowner),
                 'target ' || nullif(e.stxstattarget, -1), 'comment ' || obj_description(e.oid, 'pg_statistic_ext'))
FROM pg_statistic_ext e JOIN schemas s ON s.oid = e.stxnamespace
UNION ALL
SELECT 'sequence ' || c.name,
       concat_ws(', ', format_type(q.seqtypid, NULL), 'start ' || q.seqstart, 'increment ' || q.seqincrement,
                 'min ' || q.seqmin, 'max ' || q.seqmax, 'cache ' || q.seqcache, CASE WHEN q.seqcycle THEN 'cycle' END,
                 'owner ' || pg_get_userbyid(c.relowner), 'persistence ' || c.relpersistence::text,
                 'privileges ' || (SELECT string_agg(a::text, ' ' ORDER BY a::text) FROM unnest(coalesce(c.relacl, acldefault('s', c.relowner))) a),
                 'owned by ' || (SELECT d.refobjid::regclass::text || '.' || quote_ident(a.attname)
                                 FROM pg_depend d
                                 JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
                                 WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
                                   AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')),
                 'comment ' || obj_description(c.oid, 'pg_class'))
FROM relations c JOIN pg_sequence q ON q.seqrelid = c.oid
UNION ALL
SELECT 'function ' || p.oid::regprocedure::text,
       concat_ws(', ', CASE WHEN p.prokind <> 'a' THEN pg_get_functiondef(p.oid) END,
                 (SELECT concat_ws(' ', g.aggtransfn::text, g.aggfinalfn::text, g.aggcombinefn::text, g.aggtranstype::regtype::text,
                                   g.agginitval, g.aggsortop::text) FROM pg_aggregate g WHERE g.aggfnoid = p.oid),
                 'owner ' || pg_get_userbyid(p.proowner),
                 'privileges ' || (SELECT string_agg(a::text, ' ' ORDER BY a::text) FROM unnest(coalesce(p.proacl, acldefault('f', p.proowner))) a),
                 'comment ' || obj_description(p.oid, 'pg_proc'))
FROM pg_proc p JOIN schemas s ON s.oid = p.pronamespace
WHERE NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
UNION ALL
SELECT 'type ' || t.oid::regtype::text,
       concat_ws(', ', t.typtype::text, 'owner ' || pg_get_userbyid(t.typowner),
                 'labels ' || (SELECT string_agg(quote_literal(e.enumlabel), ' ' ORDER BY e.enumsortorder)
                               FROM pg_enum e WHERE e.enumtypid = t.oid),
                 'attributes ' || (SELECT string_agg(quote_ident(a.attname) || ' ' || format_type(a.atttypid, a.atttypmod)
                                                     || CASE WHEN a.attcollation <> at.typcollation THEN ' ' || a.attcollation::regcollation::text ELSE '' END
                                                     || coalesce(' comment ' || col_description(a.attrelid, a.attnum), ''), ' ' ORDER BY a.attnum)
                                   FROM pg_attribute a JOIN pg_type at ON at.oid = a.atttypid
                                   WHERE a.attrelid = nullif(t.typrelid, 0) AND a.attnum > 0 AND NOT a.attisdropped),
                 (SELECT concat_ws(' ', 'range of ' || g.rngsubtype::regtype::text, nullif(g.rngcollation, 0)::regcollation::text,
                                   nullif(g.rngcanonical::oid, 0)::regproc::text, nullif(g.rngsubdiff::oid, 0)::regproc::text,
                                   (SELECT opc.opcname FROM pg_opclass opc WHERE opc.oid = g.rngsubopc), g.rngmultitypid::regtype::text)
                  FROM pg_range g WHERE g.rngtypid = t.oid),
                 'base ' || format_type(nullif(t.typbasetype, 0), t.typtypmod),
                 CASE WHEN t.typtype = 'd' THEN 'collation ' || nullif(t.typcollation, 0)::regcollation::text END,
                 CASE WHEN t.typnotnull THEN 'not null' END, 'default ' || t.typdefault,
                 (SELECT string_agg(quote_ident(k.conname) || ' ' || pg_get_constraintdef(k.oid)
                                    || CASE WHEN k.convalidated THEN '' ELSE ' not validated' END
                                    || coalesce(' comment ' || obj_description(k.oid, 'pg_constraint'), ''), ' ' ORDER BY k.conname)
                  FROM pg_constraint k WHERE k.contypid = t.oid),
                 'privileges ' || (SELECT string_agg(a::text, ' ' ORDER BY a::text) FROM unnest(coalesce(t.typacl, acldefault('T', t.typowner))) a),
                 'comment ' || obj_description(t.oid, 'pg_type'))
FROM pg_type t JOIN schemas s ON s.oid = t.typnamespace
WHERE (t.typtype IN ('d', 'e', 'r', 'm') OR (t.typtype = 'c' AND EXISTS (
        SELECT 1 FROM pg_class k WHERE k.oid = t.typrelid AND k.relkind = 'c')))
  AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_type'::regclass AND d.objid = t.oid AND d.deptype = 'e')
UNION ALL
SELECT 'publication ' || quote_ident(p.pubname),
       concat_ws(', ', 'owner ' || pg_get_userbyid(p.pubowner), CASE WHEN p.puballtables THEN 'all tables' END,
                 CASE WHEN p.pubinsert THEN 'insert' END, CASE WHEN p.pubupdate THEN 'update' END,
                 CASE WHEN p.pubdelete THEN 'delete' END, CASE WHEN p.pubtruncate THEN 'truncate' END,
                 CASE WHEN p.pubviaroot THEN 'via root' END,
                 'schemas ' || (SELECT string_agg(quote_ident(n.nspname), ' ' ORDER BY n.nspname)
                                FROM pg_publication_namespace pn JOIN pg_namespace n ON n.oid = pn.pnnspid WHERE pn.pnpubid = p.oid),
                 'comment ' || obj_description(p.oid, 'pg_publication'))
FROM pg_publication p
UNION ALL
SELECT 'publication ' || quote_ident(p.pubname) || ' of ' || c.name,
       concat_ws(', ', 'where ' || pg_get_expr(r.prqual, r.prrelid),
                 'columns ' || (SELECT string_agg(quote_ident(a.attname), ' ' ORDER BY a.attname)
                                FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum = ANY (r.prattrs::int2[])))
FROM relations c JOIN pg_publication_rel r ON r.prrelid = c.oid JOIN pg_publication p ON p.oid = r.prpubid
UNION ALL
SELECT 'extension ' || quote_ident(e.extname),
       concat_ws(', ', e.extversion, 'schema ' || e.extnamespace::regnamespace::text, 'owner ' || pg_get_userbyid(e.extowner),
                 'comment ' || obj_description(e.oid, 'pg_extension'))
FROM pg_extension e
UNION ALL
SELECT 'event trigger ' || quote_ident(v.evtname),
       concat_ws(', ', v.evtevent, v.evtfoid::regprocedure::text, v.evttags::text, 'enabled ' || v.evtenabled::text,
                 'owner ' || pg_get_userbyid(v.evtowner), 'comment ' || obj_description(v.oid, 'pg_event_trigger'))
FROM pg_event_trigger v
WHERE NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_event_trigger'::regclass AND d.objid = v.oid AND d.deptype = 'e')
UNION ALL
SELECT 'default privileges of ' || pg_get_userbyid(f.defaclrole)
           || coalesce(' in schema ' || quote_ident((SELECT n.nspname FROM pg_namespace n WHERE n.oid = f.defaclnamespace)), '')
           || ' on ' || f.defaclobjtype::text,
       (SELECT string_agg(a::text, ' ' ORDER BY a::text) FROM unnest(f.defaclacl) a)
FROM pg_default_acl f
UNION ALL
-- Kinds whose objects are made and dropped, hardly ever changed.
SELECT i.type || ' ' || i.identity, concat_ws(', ', 'owner ' || pg_get_userbyid(o.owner), o.more, 'comment ' || obj_description(o.oid, o.class))
FROM (SELECT oid, 'pg_operator' AS class, oprowner AS owner, oprnamespace AS space, oprcode::text AS more FROM pg_operator
      UNION ALL SELECT oid, 'pg_opclass', opcowner, opcnamespace, CASE WHEN opcdefault THEN 'default' END FROM pg_opclass
      UNION ALL SELECT oid, 'pg_opfamily', opfowner, opfnamespace, NULL FROM pg_opfamily
      UNION ALL SELECT oid, 'pg_collation', collowner, collnamespace, concat_ws(' ', collprovider, collisdeterministic, collcollate, collctype) FROM pg_collation
      UNION ALL SELECT oid, 'pg_conversion', conowner, connamespace, conproc::text FROM pg_conversion
      UNION ALL SELECT oid, 'pg_ts_config', cfgowner, cfgnamespace,
                    (SELECT string_agg(concat_ws(' ', m.maptokentype, m.mapseqno, m.mapdict::regdictionary), ', ' ORDER BY m.maptokentype, m.mapseqno)
                     FROM pg_ts_config_map m WHERE m.mapcfg = cf.oid) FROM pg_ts_config cf
      UNION ALL SELECT oid, 'pg_ts_dict', dictowner, dictnamespace, dictinitoption FROM pg_ts_dict
      UNION ALL SELECT c.oid, 'pg_cast', NULL, NULL, concat_ws(' ', nullif(castfunc, 0)::regprocedure, castcontext, castmethod) FROM pg_cast c
                WHERE c.oid >= 16384
      UNION ALL SELECT oid, 'pg_foreign_server', srvowner, NULL,
                    concat_ws(' ', srvtype, srvversion, srvoptions, (SELECT string_agg(a::text, ' ' ORDER BY a::text) FROM unnest(srvacl) a)) FROM pg_foreign_server
     ) o,
     pg_identify_object(o.class::regclass, o.oid, 0) i
WHERE (o.space IS NULL OR o.space IN (SELECT s.oid FROM schemas s))
  AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = o.class::regclass AND d.objid = o.oid AND d.deptype IN ('e', 'i'))
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
