-- rule not-in-transaction
-- bad
BEGIN; CREATE INDEX CONCURRENTLY i ON users (bio); COMMIT;
-- bad
BEGIN; VACUUM users; COMMIT;
-- bad
BEGIN; ALTER TABLE p DETACH PARTITION p1 CONCURRENTLY; COMMIT;
-- good
CREATE INDEX CONCURRENTLY i ON users (bio);
-- good
BEGIN; SELECT 1; COMMIT; CREATE INDEX CONCURRENTLY i ON users (bio);
-- rule several-locks
-- bad
BEGIN; ALTER TABLE users ADD COLUMN z int; ALTER TABLE orders ADD COLUMN z int; COMMIT;
-- good
ALTER TABLE users ADD COLUMN z int; ALTER TABLE orders ADD COLUMN z int;
-- good
BEGIN; ALTER TABLE users ADD COLUMN z int; CREATE TABLE fresh (a int); ALTER TABLE fresh ADD COLUMN z int; COMMIT;
-- good
BEGIN; ALTER TABLE users ADD COLUMN z int; COMMIT; BEGIN; ALTER TABLE orders ADD COLUMN z int; COMMIT;
-- rule work-under-lock
-- bad
BEGIN; ALTER TABLE users ADD COLUMN z int; CREATE INDEX ON orders (qty); COMMIT;
-- bad
BEGIN; ALTER TABLE users ADD COLUMN z int; SELECT count(*) FROM orders; COMMIT;
-- good
BEGIN; CREATE TABLE fresh (a int); CREATE INDEX ON fresh (a); SELECT count(*) FROM orders; COMMIT;
-- rule nested-transaction
-- bad
BEGIN; BEGIN; COMMIT;
-- bad
COMMIT;
-- good
BEGIN; COMMIT; BEGIN; ROLLBACK;
-- rule transaction-not-ended
-- bad
BEGIN; ALTER TABLE users ADD COLUMN z int;
-- good
BEGIN; ALTER TABLE users ADD COLUMN z int; COMMIT;
-- rule alter-table-twice
-- bad
BEGIN; ALTER TABLE users ADD COLUMN y int; ALTER TABLE users ADD COLUMN z int; COMMIT;
-- good
BEGIN; ALTER TABLE users ADD COLUMN y int, ADD COLUMN z int; COMMIT;

-- rule no-such-savepoint
-- bad
SAVEPOINT s;
-- bad
BEGIN; SAVEPOINT s; ROLLBACK; BEGIN; ROLLBACK TO s; COMMIT;
-- bad
BEGIN; SAVEPOINT a; SAVEPOINT b; RELEASE a; ROLLBACK TO b; COMMIT;
-- good
BEGIN; SAVEPOINT a; SAVEPOINT "B"; ROLLBACK TO a; ROLLBACK TO a; RELEASE a; COMMIT;
-- good
BEGIN; SAVEPOINT a; SAVEPOINT a; RELEASE a; ROLLBACK TO a; COMMIT;
