-- The triggers named; none named: all of them; `*`: those of foreign keys too.
SELECT pg_catalog.concat_ws(E';\n',
           CASE WHEN '*' = ANY ($3::text[]) THEN pg_catalog.format('ALTER %s ENABLE TRIGGER ALL', $2::text) END,
           pg_catalog.string_agg(
               pg_catalog.format('ALTER %s %s TRIGGER %I', $2::text,
                   CASE t.tgenabled WHEN 'D' THEN 'DISABLE' WHEN 'A' THEN 'ENABLE ALWAYS' WHEN 'R' THEN 'ENABLE REPLICA' ELSE 'ENABLE' END,
                   t.tgname), E';\n' ORDER BY t.tgname)) AS value
FROM pg_catalog.pg_trigger t
WHERE t.tgrelid = $1::oid AND NOT t.tgisinternal
  AND ($3::text[] <@ ARRAY['*'] OR t.tgname::text = ANY ($3::text[]))
