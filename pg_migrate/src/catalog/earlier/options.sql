WITH now AS (
    SELECT o.option_name AS name, o.option_value AS value
    FROM pg_catalog.pg_class c, pg_catalog.pg_options_to_table(c.reloptions) o WHERE c.oid = $1::oid
    UNION ALL
    SELECT 'toast.' || o.option_name, o.option_value
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_class s ON s.oid = c.reltoastrelid,
         pg_catalog.pg_options_to_table(s.reloptions) o WHERE c.oid = $1::oid
)
SELECT pg_catalog.string_agg(
           CASE WHEN now.value IS NULL THEN pg_catalog.format('ALTER %s RESET (%s)', $2::text, q.name)
                ELSE pg_catalog.format('ALTER %s SET (%s = %L)', $2::text, q.name, now.value) END, E';\n') AS value
FROM pg_catalog.unnest($3::text[]) p
CROSS JOIN LATERAL (SELECT pg_catalog.string_agg(pg_catalog.quote_ident(x), '.') AS name
                    FROM pg_catalog.unnest(pg_catalog.string_to_array(p, '.')) x) q
LEFT JOIN now ON now.name = p
