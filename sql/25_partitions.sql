-- Leaves under a table that have no valid unique index of that definition (after ON table).
CREATE FUNCTION migrate.leaves_without_index("table" text, definition text) RETURNS SETOF text
LANGUAGE sql STABLE SET search_path = pg_catalog AS $$
    WITH RECURSIVE tree(oid) AS (
        SELECT to_regclass($1)::oid
        UNION ALL
        SELECT h.inhrelid FROM tree JOIN pg_inherits h ON h.inhparent = tree.oid AND NOT h.inhdetachpending
    )
    SELECT tree.oid::regclass::text
    FROM tree JOIN pg_class c ON c.oid = tree.oid AND c.relkind <> 'p'
    WHERE NOT EXISTS (
        SELECT 1 FROM pg_index i
        WHERE i.indrelid = c.oid AND i.indisvalid AND i.indisunique
          AND substr(pg_get_indexdef(i.indexrelid), strpos(pg_get_indexdef(i.indexrelid), ' USING ') + 1) = $2)
    ORDER BY 1
$$;

-- Partitions under the table of a partitioned index that have no part of it, or one that is not
-- valid: what an index still waits for before it is valid itself.
CREATE FUNCTION migrate.partitions_without_index("index" text) RETURNS SETOF text
LANGUAGE sql STABLE AS $$
    WITH RECURSIVE tree(relation, part, valid, kind) AS (
        SELECT i.indrelid, i.indexrelid, true, c.relkind
        FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indrelid
        WHERE i.indexrelid = pg_catalog.to_regclass($1)
        UNION ALL
        SELECT h.inhrelid, p.part, coalesce(p.valid, false), c.relkind
        FROM tree
        JOIN pg_catalog.pg_inherits h ON h.inhparent = tree.relation AND NOT h.inhdetachpending
        JOIN pg_catalog.pg_class c ON c.oid = h.inhrelid
        LEFT JOIN LATERAL (
            SELECT i.indexrelid AS part, i.indisvalid AS valid
            FROM pg_catalog.pg_inherits ih JOIN pg_catalog.pg_index i ON i.indexrelid = ih.inhrelid
            WHERE ih.inhparent = tree.part AND i.indrelid = h.inhrelid) p ON true
        WHERE tree.part IS NOT NULL
    )
    SELECT relation::pg_catalog.regclass::text FROM tree
    WHERE part IS NULL OR (NOT valid AND kind <> 'p')
    ORDER BY 1
$$;
