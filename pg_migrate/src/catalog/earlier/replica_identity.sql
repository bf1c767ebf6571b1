SELECT pg_catalog.format('ALTER %s REPLICA IDENTITY %s', $2::text,
           CASE c.relreplident WHEN 'd' THEN 'DEFAULT' WHEN 'n' THEN 'NOTHING' WHEN 'f' THEN 'FULL'
                ELSE 'USING INDEX ' || (SELECT pg_catalog.quote_ident(x.relname)
                                        FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
                                        WHERE i.indrelid = c.oid AND i.indisreplident) END) AS value
FROM pg_catalog.pg_class c WHERE c.oid = $1::oid AND $3::text[] IS NOT NULL
