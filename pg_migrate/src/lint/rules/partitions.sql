-- rule attach-reads-partition
-- bad
ALTER TABLE p ATTACH PARTITION cand FOR VALUES FROM (100) TO (200);
-- good
ALTER TABLE p ATTACH PARTITION cand2 FOR VALUES FROM (200) TO (300);
-- good
CREATE TABLE fresh (id int, k int); ALTER TABLE p ATTACH PARTITION fresh FOR VALUES FROM (100) TO (200);
-- rule attach-reads-default
-- bad
ALTER TABLE pd ATTACH PARTITION cand FOR VALUES FROM (100) TO (200);
-- good
ALTER TABLE p ATTACH PARTITION cand FOR VALUES FROM (100) TO (200);
-- rule create-partition-of
-- bad
CREATE TABLE p9 PARTITION OF p FOR VALUES FROM (900) TO (1000);
-- good
CREATE TABLE p9 (LIKE p INCLUDING ALL);
-- good
CREATE TABLE q (a int) PARTITION BY LIST (a); CREATE TABLE q1 PARTITION OF q FOR VALUES IN (1);
-- rule create-partition-reads-default
-- bad
CREATE TABLE pd9 PARTITION OF pd FOR VALUES FROM (900) TO (1000);
-- good
CREATE TABLE p9 PARTITION OF p FOR VALUES FROM (900) TO (1000);
-- rule detach-without-concurrently
-- bad
ALTER TABLE p DETACH PARTITION p1;
-- good
ALTER TABLE p DETACH PARTITION p1 CONCURRENTLY;
-- rule drop-partition
-- bad
DROP TABLE p1;
-- good
DROP TABLE cand;
-- rule not-valid-on-partitioned
-- bad before18
ALTER TABLE p ADD CONSTRAINT fk FOREIGN KEY (id) REFERENCES orders (id) NOT VALID;
-- good
ALTER TABLE p1 ADD CONSTRAINT fk FOREIGN KEY (id) REFERENCES orders (id) NOT VALID;
-- rule attach-builds-indexes
-- bad
CREATE INDEX ON p (id); ALTER TABLE p ATTACH PARTITION cand FOR VALUES FROM (100) TO (200);
-- good
ALTER TABLE p ATTACH PARTITION cand FOR VALUES FROM (100) TO (200);
-- rule attach-checks-foreign-keys
-- bad
ALTER TABLE p ADD CONSTRAINT to_users FOREIGN KEY (id) REFERENCES users (id); ALTER TABLE p ATTACH PARTITION cand FOR VALUES FROM (100) TO (200);
-- good
ALTER TABLE p ATTACH PARTITION cand FOR VALUES FROM (100) TO (200);
