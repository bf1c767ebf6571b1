-- rule whole-server
-- bad
ALTER SYSTEM SET work_mem = '8MB';
-- bad
CREATE DATABASE other;
-- bad
CREATE ROLE somebody;
-- good
CREATE SCHEMA other;
-- rule unknown-inside
-- bad
CREATE EXTENSION hstore;
-- good
CREATE EXTENSION IF NOT EXISTS citext;
-- rule unnamed-tables
-- bad
REASSIGN OWNED BY app_reader TO CURRENT_USER;
-- good
ALTER TABLE users OWNER TO CURRENT_USER;
