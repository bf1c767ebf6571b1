-- rule lock-timeout-missing
-- bad
ALTER TABLE users ADD COLUMN z int;
-- bad
SET LOCAL lock_timeout = '1s'; ALTER TABLE users ADD COLUMN z int;
-- good
SET lock_timeout = '2s'; ALTER TABLE users ADD COLUMN z int;
-- good
BEGIN; SET LOCAL lock_timeout = '2s'; ALTER TABLE users ADD COLUMN z int; COMMIT;
-- good
CREATE TABLE fresh (a int); ALTER TABLE fresh ADD COLUMN z int;
-- good
CREATE INDEX CONCURRENTLY i ON users (bio);
-- rule lock-timeout-zero
-- bad
SET lock_timeout = 0; ALTER TABLE users ADD COLUMN z int;
-- bad
SET lock_timeout = '2s'; RESET lock_timeout; ALTER TABLE users ADD COLUMN z int;
-- good
SET lock_timeout = 2000; ALTER TABLE users ADD COLUMN z int;
-- rule lock-timeout-long
-- bad
SET lock_timeout = '1min'; ALTER TABLE users ADD COLUMN z int;
-- good
SET lock_timeout = '5s'; ALTER TABLE users ADD COLUMN z int;
-- rule lock-timeout-late
-- bad
ALTER TABLE users ADD COLUMN z int; SET lock_timeout = '1s';
-- good
SET lock_timeout = '1s'; ALTER TABLE users ADD COLUMN z int; SET lock_timeout = '2s';
-- rule statement-timeout-missing
-- bad
ALTER TABLE users ADD COLUMN z int;
-- good
SET statement_timeout = '30s'; ALTER TABLE users ADD COLUMN z int;
-- rule idle-timeout-missing
-- bad
BEGIN; ALTER TABLE users ADD COLUMN z int; COMMIT;
-- good
ALTER TABLE users ADD COLUMN z int;
-- good
SET idle_in_transaction_session_timeout = '10s'; BEGIN; ALTER TABLE users ADD COLUMN z int; COMMIT;
