-- What a synced column costs per row, against the ways one would otherwise do it.
-- Run against a release build, on a quiet machine:  psql -X -f tests/bench/sync.sql
-- Each figure is microseconds per row over a bare table, the best of five runs of 200,000 rows.

\set ON_ERROR_STOP on
CREATE EXTENSION IF NOT EXISTS pg_migrate;
SET synchronous_commit = off;
SET client_min_messages = warning;

DROP SCHEMA IF EXISTS sync_bench CASCADE;
CREATE SCHEMA sync_bench;
SET search_path = sync_bench, public;

CREATE UNLOGGED TABLE bare      (id int, a int, b int, pad text);
CREATE UNLOGGED TABLE copied    (id int, a int, b int, pad text);
CREATE UNLOGGED TABLE computed  (id int, a int, b int, pad text);
CREATE UNLOGGED TABLE generated (id int, a int, b int GENERATED ALWAYS AS (a * 2 + 1) STORED, pad text);
CREATE UNLOGGED TABLE procedural (id int, a int, b int, pad text);
CREATE UNLOGGED TABLE procedural_both (id int, a int, b int, pad text);

SELECT migrate.sync_column_trigger('copied', 'a', 'b');
SELECT migrate.sync_column_trigger('computed', 'a', 'b', 'a * 2 + 1', '(b - 1) / 2');

CREATE FUNCTION smallest() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN NEW.b := NEW.a; RETURN NEW; END $$;
CREATE TRIGGER t BEFORE INSERT OR UPDATE ON procedural FOR EACH ROW EXECUTE FUNCTION smallest();

CREATE FUNCTION both_ways() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.b IS NULL THEN NEW.b := NEW.a; ELSIF NEW.a IS NULL THEN NEW.a := NEW.b; END IF;
    ELSIF NEW.a IS DISTINCT FROM OLD.a THEN NEW.b := NEW.a;
    ELSIF NEW.b IS DISTINCT FROM OLD.b THEN NEW.a := NEW.b;
    ELSIF NEW.b IS NULL THEN NEW.b := NEW.a;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER t BEFORE INSERT OR UPDATE ON procedural_both FOR EACH ROW EXECUTE FUNCTION both_ways();

CREATE TABLE result (tab text, verb text, us double precision);

DO $$
DECLARE
    tab text;
    started timestamptz;
    n int := 200000;
BEGIN
    FOR run IN 1..5 LOOP
        FOREACH tab IN ARRAY ARRAY['bare', 'copied', 'computed', 'generated', 'procedural', 'procedural_both'] LOOP
            EXECUTE format('TRUNCATE %I', tab);
            started := clock_timestamp();
            EXECUTE format('INSERT INTO %I (id, a, pad) SELECT i, i, ''padding'' FROM generate_series(1, %s) i', tab, n);
            INSERT INTO result VALUES (tab, 'insert', extract(epoch FROM clock_timestamp() - started) * 1e6 / n);
            started := clock_timestamp();
            EXECUTE format('UPDATE %I SET a = a + 1', tab);
            INSERT INTO result VALUES (tab, 'update', extract(epoch FROM clock_timestamp() - started) * 1e6 / n);
        END LOOP;
    END LOOP;
END $$;

SELECT tab, verb, round(min(us)::numeric, 2) AS us_per_row,
       round((min(us) - (SELECT min(b.us) FROM result b WHERE b.tab = 'bare' AND b.verb = r.verb))::numeric, 2) AS added
FROM result r GROUP BY tab, verb ORDER BY verb, us_per_row;

DROP SCHEMA sync_bench CASCADE;
