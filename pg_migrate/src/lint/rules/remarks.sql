-- rule ignore-unknown-rule
-- bad
-- migrate:ignore drop-tabel it is empty
DROP TABLE orders;
-- good
-- migrate:ignore drop-table it is empty
DROP TABLE orders;
-- rule ignore-unused
-- bad
-- migrate:ignore drop-table it is empty
SELECT 1;
-- good
-- migrate:ignore drop-table it is empty
DROP TABLE orders;
-- rule ignore-without-reason
-- bad
-- migrate:ignore drop-table
DROP TABLE orders;
-- good
-- migrate:ignore drop-table it is empty
DROP TABLE orders;
