-- rule foreign-key-locks-target
-- bad
ALTER TABLE orders ADD CONSTRAINT fk FOREIGN KEY (user_id) REFERENCES users (id) NOT VALID;
-- bad
CREATE TABLE fresh (user_id bigint REFERENCES users (id));
-- good
CREATE TABLE one (id int PRIMARY KEY); CREATE TABLE two (one_id int REFERENCES one (id));
-- rule drop-foreign-key-locks-target
-- bad
ALTER TABLE owned DROP CONSTRAINT owned_user_id_fkey;
-- good
ALTER TABLE users DROP CONSTRAINT age_pos;
-- rule drop-table-locks-target
-- bad
DROP TABLE owned;
-- good
DROP TABLE orders;
-- rule truncate-cascade
-- bad
TRUNCATE users CASCADE;
-- good
TRUNCATE orders;
-- rule if-not-exists-locks
-- bad
ALTER TABLE users ADD COLUMN IF NOT EXISTS age int;
-- bad
CREATE INDEX IF NOT EXISTS users_email_idx ON users (email);
-- bad
ALTER TABLE users DROP CONSTRAINT IF EXISTS not_here;
-- good
ALTER TABLE users ADD COLUMN IF NOT EXISTS fresh int;
-- good
DROP TABLE IF EXISTS not_here;
-- rule trigger-locks-table
-- bad
CREATE TRIGGER t1 BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION trgf();
-- bad
DROP TRIGGER t0 ON users;
-- bad
ALTER TABLE users DISABLE TRIGGER t0;
-- good
CREATE TABLE fresh (a int); CREATE TRIGGER t1 BEFORE INSERT ON fresh FOR EACH ROW EXECUTE FUNCTION trgf();
-- rule policy-locks-table
-- bad
CREATE POLICY po ON users USING (true);
-- bad
CREATE RULE r1 AS ON UPDATE TO orders DO ALSO SELECT 1;
-- good
CREATE TABLE fresh (a int); CREATE POLICY po ON fresh USING (true);
-- rule row-level-security
-- bad
ALTER TABLE users ENABLE ROW LEVEL SECURITY;
-- good
CREATE TABLE fresh (a int); ALTER TABLE fresh ENABLE ROW LEVEL SECURITY;
-- rule lock-table
-- bad
LOCK TABLE users;
-- good
LOCK TABLE users IN ROW EXCLUSIVE MODE;
