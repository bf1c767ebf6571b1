-- The indexes of table $1, or ($2 false) index $1 and what an interrupted rebuilding left of it.
SELECT pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(ic.relname) AS name,
       pg_catalog.quote_ident(tn.nspname) || '.' || pg_catalog.quote_ident(tc.relname) AS "table",
       i.indisexclusion AS exclusion, ic.relkind = 'I' AS partitioned,
       NOT i.indisvalid AND ic.relname ~ '_cc(new|old)[0-9]*$' AS leftover
FROM pg_catalog.pg_index i
JOIN pg_catalog.pg_class ic ON ic.oid = i.indexrelid
JOIN pg_catalog.pg_namespace n ON n.oid = ic.relnamespace
JOIN pg_catalog.pg_class tc ON tc.oid = i.indrelid
JOIN pg_catalog.pg_namespace tn ON tn.oid = tc.relnamespace
WHERE CASE WHEN $2 THEN i.indrelid = $1::oid
      ELSE i.indexrelid = $1::oid OR (
          i.indrelid = (SELECT b.indrelid FROM pg_catalog.pg_index b WHERE b.indexrelid = $1::oid)
          AND NOT i.indisvalid
          -- The server cuts a long name to make room for the suffix.
          AND ic.relname ~ '_cc(new|old)[0-9]*$'
          AND pg_catalog.starts_with((SELECT b.relname FROM pg_catalog.pg_class b WHERE b.oid = $1::oid)::text,
                                     pg_catalog.regexp_replace(ic.relname, '_cc(new|old)[0-9]*$', ''))) END
ORDER BY 1
