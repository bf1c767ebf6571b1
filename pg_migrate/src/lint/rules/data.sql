-- rule write-without-where
-- bad
UPDATE users SET bio = 'x';
-- bad
DELETE FROM orders;
-- good
UPDATE users SET bio = 'x' WHERE id = 1;
-- good
CREATE TABLE fresh (a int); UPDATE fresh SET a = 1;
-- rule write-many-rows
-- bad
UPDATE many SET a = 1 WHERE a > 10;
-- good
UPDATE many SET a = 1 WHERE id = 10;
-- rule write-in-ddl-transaction
-- bad
BEGIN; ALTER TABLE users ADD COLUMN z int; UPDATE users SET z = 1 WHERE id < 10; COMMIT;
-- bad
BEGIN; ALTER TABLE users ADD COLUMN z int; INSERT INTO orders SELECT id + 99999, user_id, qty FROM orders; COMMIT;
-- bad
BEGIN; ALTER TABLE users ADD COLUMN z int; DELETE FROM orders; COMMIT;
-- good
BEGIN; ALTER TABLE users ADD COLUMN z int; INSERT INTO orders VALUES (99999, 1, 1) RETURNING id; UPDATE orders SET qty = 1 WHERE id = 7; COMMIT;
-- good
BEGIN; ALTER TABLE users ADD COLUMN z int; COMMIT; UPDATE users SET z = 1 WHERE id < 10;
-- good
BEGIN; CREATE TABLE fresh (a int); INSERT INTO fresh VALUES (1); COMMIT;
-- rule enum-value-used
-- bad
BEGIN; ALTER TYPE mood ADD VALUE 'great'; UPDATE users SET st = 'great' WHERE id = 1; COMMIT;
-- good
ALTER TYPE mood ADD VALUE 'great'; UPDATE users SET st = 'great' WHERE id = 1;
-- good
BEGIN; ALTER TYPE mood ADD VALUE 'great'; UPDATE users SET st = 'ok' WHERE id = 1; COMMIT;
-- rule dynamic-sql
-- bad
DO $$BEGIN EXECUTE 'ALTER TABLE users ALTER COLUMN age TYPE bigint'; END$$;
-- good
DO $$BEGIN PERFORM 1; END$$;
-- rule do-block
-- bad
DO $$BEGIN PERFORM 1; END$$;
-- good
SELECT 1;
-- rule truncate
-- bad
TRUNCATE orders;
-- good
CREATE TABLE fresh (a int); TRUNCATE fresh;
