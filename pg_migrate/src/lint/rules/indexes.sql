-- rule index-without-concurrently
-- bad
CREATE INDEX ON users (bio);
-- bad
CREATE UNIQUE INDEX i ON users (bio, id);
-- bad
CREATE INDEX ON p (k);
-- bad
CREATE INDEX ON mv (name);
-- bad
CREATE INDEX ON not_here (a);
-- good
CREATE INDEX CONCURRENTLY i ON users (bio);
-- good
CREATE INDEX ON ONLY p (k);
-- good
CREATE TABLE fresh (a int); CREATE INDEX ON fresh (a);
-- rule drop-index-without-concurrently
-- bad
DROP INDEX users_email_idx;
-- good
DROP INDEX CONCURRENTLY users_email_idx;
-- good
CREATE TABLE fresh (a int); CREATE INDEX i ON fresh (a); DROP INDEX i;
-- good
DROP INDEX IF EXISTS not_here;
-- rule reindex-without-concurrently
-- bad
REINDEX TABLE users;
-- bad
REINDEX INDEX users_email_idx;
-- good
REINDEX TABLE CONCURRENTLY users;
-- rule refresh-without-concurrently
-- bad
REFRESH MATERIALIZED VIEW mv;
-- good
REFRESH MATERIALIZED VIEW CONCURRENTLY mv;
-- good
CREATE MATERIALIZED VIEW fresh AS SELECT 1; REFRESH MATERIALIZED VIEW fresh;
-- rule concurrently-on-partitioned
-- bad
CREATE INDEX CONCURRENTLY i ON p (k);
-- good
CREATE INDEX CONCURRENTLY i ON p1 (k);
-- rule wide-index
-- bad
CREATE INDEX CONCURRENTLY i ON users (id, age, nn, chk);
-- good
CREATE INDEX CONCURRENTLY i ON users (id, age, nn);
-- rule unique-index-may-fail
-- bad
CREATE UNIQUE INDEX CONCURRENTLY i ON users (bio);
-- good
CREATE INDEX CONCURRENTLY i ON users (bio);
