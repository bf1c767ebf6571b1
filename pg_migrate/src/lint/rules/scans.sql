-- rule not-null-without-default
-- bad
ALTER TABLE users ADD COLUMN z int NOT NULL;
-- bad
ALTER TABLE not_here ADD COLUMN z int NOT NULL;
-- good
ALTER TABLE users ADD COLUMN z int NOT NULL DEFAULT 0;
-- good
ALTER TABLE users ADD COLUMN z int;
-- good
CREATE TABLE fresh (id int); ALTER TABLE fresh ADD COLUMN z int NOT NULL;
-- rule inline-check
-- bad
ALTER TABLE users ADD COLUMN z int CHECK (z > 0);
-- good
ALTER TABLE users ADD COLUMN z int; ALTER TABLE users ADD CONSTRAINT zc CHECK (z > 0) NOT VALID;
-- rule inline-foreign-key
-- bad
ALTER TABLE users ADD COLUMN z bigint DEFAULT 1 REFERENCES orders (id);
-- good
ALTER TABLE users ADD COLUMN z bigint REFERENCES orders (id);
-- rule inline-unique
-- bad
ALTER TABLE users ADD COLUMN z int UNIQUE;
-- good
ALTER TABLE users ADD COLUMN z int;
-- rule set-not-null
-- bad
ALTER TABLE users ALTER COLUMN name SET NOT NULL;
-- bad
ALTER TABLE not_here ALTER COLUMN name SET NOT NULL;
-- bad
ALTER TABLE users ADD CONSTRAINT nn CHECK (name IS NOT NULL) NOT VALID; ALTER TABLE users ALTER COLUMN name SET NOT NULL;
-- good
ALTER TABLE users ALTER COLUMN chk SET NOT NULL;
-- good
ALTER TABLE users ALTER COLUMN nn SET NOT NULL;
-- good
ALTER TABLE users ADD CONSTRAINT named CHECK (name IS NOT NULL) NOT VALID;
ALTER TABLE users VALIDATE CONSTRAINT named;
ALTER TABLE users ALTER COLUMN name SET NOT NULL;
-- good
ALTER TABLE not_here ADD CONSTRAINT named CHECK (name IS NOT NULL) NOT VALID;
ALTER TABLE not_here VALIDATE CONSTRAINT named;
ALTER TABLE not_here ALTER COLUMN name SET NOT NULL;
-- good
ALTER TABLE users ADD CONSTRAINT two CHECK (name IS NOT NULL AND length(name) > 2) NOT VALID;
ALTER TABLE users VALIDATE CONSTRAINT two;
ALTER TABLE users ALTER COLUMN name SET NOT NULL;
-- rule check-without-not-valid
-- bad
ALTER TABLE users ADD CONSTRAINT c CHECK (nn > 0);
-- good
ALTER TABLE users ADD CONSTRAINT c CHECK (nn > 0) NOT VALID;
-- good
CREATE TABLE fresh (a int); ALTER TABLE fresh ADD CHECK (a > 0);
-- rule foreign-key-without-not-valid
-- bad
ALTER TABLE orders ADD CONSTRAINT fk FOREIGN KEY (user_id) REFERENCES users (id);
-- good
ALTER TABLE orders ADD CONSTRAINT fk FOREIGN KEY (user_id) REFERENCES users (id) NOT VALID;
-- rule unique-builds-index
-- bad
ALTER TABLE users ADD CONSTRAINT uq UNIQUE (email);
-- bad
ALTER TABLE fknv ADD PRIMARY KEY (user_id);
-- good
ALTER TABLE users ADD CONSTRAINT uq UNIQUE USING INDEX users_name_uq;
-- rule exclude-builds-index
-- bad
ALTER TABLE users ADD CONSTRAINT ex EXCLUDE USING gist (id WITH =);
-- good
CREATE TABLE fresh (id int); ALTER TABLE fresh ADD CONSTRAINT ex EXCLUDE USING gist (id WITH =);
-- rule primary-key-nullable
-- bad
CREATE UNIQUE INDEX CONCURRENTLY fknv_key ON fknv (user_id); ALTER TABLE fknv ADD PRIMARY KEY USING INDEX fknv_key;
-- good
ALTER TABLE owned DROP CONSTRAINT owned_pkey;
CREATE UNIQUE INDEX CONCURRENTLY owned_key ON owned (id); ALTER TABLE owned ADD PRIMARY KEY USING INDEX owned_key;
-- rule validate-in-same-transaction
-- bad
BEGIN; ALTER TABLE users ADD CONSTRAINT c CHECK (nn > 0) NOT VALID; ALTER TABLE users VALIDATE CONSTRAINT c; COMMIT;
-- bad
ALTER TABLE users ADD CONSTRAINT c CHECK (nn > 0) NOT VALID, VALIDATE CONSTRAINT c;
-- good
BEGIN; ALTER TABLE users ADD CONSTRAINT c CHECK (nn > 0) NOT VALID; COMMIT; ALTER TABLE users VALIDATE CONSTRAINT c;
-- good
ALTER TABLE users ADD CONSTRAINT c CHECK (nn > 0) NOT VALID; ALTER TABLE users VALIDATE CONSTRAINT c;
-- rule type-change-rechecks
-- bad
ALTER TABLE users ALTER COLUMN age TYPE posint;
-- good
ALTER TABLE users ALTER COLUMN d TYPE int;
-- good
ALTER TABLE users DROP CONSTRAINT age_pos; ALTER TABLE users ALTER COLUMN age TYPE posint;
-- rule domain-constraint
-- bad
ALTER DOMAIN posint ADD CONSTRAINT dpos CHECK (value > 0);
-- good
ALTER DOMAIN posint ADD CONSTRAINT dpos CHECK (value > 0) NOT VALID;
