SELECT pg_catalog.string_agg(
           CASE WHEN o.option_value IS NULL
                THEN pg_catalog.format('ALTER %s ALTER COLUMN %I RESET (%I)', $2::text, a.attname, p.name)
                ELSE pg_catalog.format('ALTER %s ALTER COLUMN %I SET (%I = %L)', $2::text, a.attname, p.name, o.option_value) END,
           E';\n') AS value
FROM pg_catalog.pg_attribute a
CROSS JOIN pg_catalog.unnest(($3::text[])[2:]) p(name)
LEFT JOIN LATERAL pg_catalog.pg_options_to_table(a.attoptions) o ON o.option_name = p.name
WHERE a.attrelid = $1::oid AND a.attname = ($3::text[])[1] AND NOT a.attisdropped
