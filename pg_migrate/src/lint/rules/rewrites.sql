-- rule volatile-default
-- bad
ALTER TABLE users ADD COLUMN z uuid DEFAULT gen_random_uuid();
-- bad
ALTER TABLE users ADD COLUMN z float DEFAULT random(), ADD COLUMN y int;
-- bad
ALTER TABLE not_here ADD COLUMN z timestamptz DEFAULT clock_timestamp();
-- good
ALTER TABLE users ADD COLUMN z timestamptz DEFAULT now();
-- good
ALTER TABLE users ADD COLUMN z int DEFAULT stable_f();
-- good
CREATE TABLE fresh (id int); ALTER TABLE fresh ADD COLUMN z uuid DEFAULT gen_random_uuid();
-- good
ALTER TABLE users ADD COLUMN z uuid; ALTER TABLE users ALTER COLUMN z SET DEFAULT gen_random_uuid();
-- rule stored-generated-column
-- bad
ALTER TABLE users ADD COLUMN z int GENERATED ALWAYS AS (age + 1) STORED;
-- good
ALTER TABLE users ADD COLUMN z int;
-- rule identity-column
-- bad
ALTER TABLE orders ADD COLUMN z bigint GENERATED ALWAYS AS IDENTITY;
-- bad
ALTER TABLE users ADD COLUMN z bigserial;
-- good
ALTER TABLE users ADD COLUMN z bigint;
-- rule constrained-domain-column
-- bad
ALTER TABLE users ADD COLUMN z posint_chk;
-- good
ALTER TABLE users ADD COLUMN z posint;
-- rule type-change-rewrites
-- bad
ALTER TABLE users ALTER COLUMN age TYPE bigint;
-- bad
ALTER TABLE users ALTER COLUMN email TYPE varchar(20);
-- bad
ALTER TABLE users ALTER COLUMN n TYPE numeric(12,3);
-- bad
ALTER TABLE users ALTER COLUMN age TYPE posint_chk;
-- bad
ALTER TABLE users ALTER COLUMN j TYPE jsonb;
-- bad
SET timezone = 'Europe/Paris'; ALTER TABLE users ALTER COLUMN ts TYPE timestamptz;
-- bad
ALTER TABLE not_here ALTER COLUMN a TYPE text;
-- bad
ALTER TABLE users ADD COLUMN later varchar(10); ALTER TABLE users ALTER COLUMN later TYPE varchar(5);
-- bad
ALTER TABLE users ALTER COLUMN bio TYPE text USING upper(bio);
-- good
ALTER TABLE users ALTER COLUMN email TYPE varchar(100);
-- good
ALTER TABLE users ALTER COLUMN email TYPE text;
-- good
ALTER TABLE users ALTER COLUMN n TYPE numeric(12,2);
-- good
ALTER TABLE users ALTER COLUMN bio TYPE text USING bio::text;
-- good
SET timezone = 'UTC'; ALTER TABLE users ALTER COLUMN ts TYPE timestamptz;
-- good
ALTER TABLE users ADD COLUMN later varchar(10); ALTER TABLE users ALTER COLUMN later TYPE varchar(20);
-- good
CREATE TABLE fresh (a int); ALTER TABLE fresh ALTER COLUMN a TYPE bigint;
-- rule type-change-rebuilds-indexes
-- bad
ALTER TABLE users ALTER COLUMN email TYPE citext;
-- bad
ALTER TABLE users ALTER COLUMN email TYPE varchar(50) COLLATE "C";
-- good
ALTER TABLE users ALTER COLUMN bio TYPE citext;
-- good
DROP INDEX users_email_idx; ALTER TABLE users ALTER COLUMN email TYPE citext;
-- rule set-logged
-- bad
ALTER TABLE orders SET UNLOGGED;
-- good
ALTER TABLE orders SET LOGGED;
-- rule set-access-method
-- bad
ALTER TABLE orders SET ACCESS METHOD other;
-- good
ALTER TABLE orders SET ACCESS METHOD heap;
-- rule set-tablespace
-- bad
ALTER TABLE orders SET TABLESPACE fast;
-- bad
ALTER TABLE ALL IN TABLESPACE pg_default SET TABLESPACE fast;
-- good
ALTER TABLE orders SET TABLESPACE pg_default;
-- rule set-expression
-- bad pg17
ALTER TABLE orders ALTER COLUMN qty SET EXPRESSION AS (1);
-- good
ALTER TABLE orders ALTER COLUMN qty SET DEFAULT 1;
-- rule vacuum-full
-- bad
VACUUM FULL users;
-- bad
VACUUM (FULL);
-- good
VACUUM (ANALYZE) users;
-- rule cluster
-- bad
CLUSTER users USING users_email_idx;
-- good
ALTER TABLE users CLUSTER ON users_email_idx;
