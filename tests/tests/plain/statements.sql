-- One statement, or a few, a block. Marks: refused (unless as written), one way, data (other rows
-- in each run), fails (as plain SQL too).

alter table app.orders rename column qty to quantity

alter table app.orders rename to purchases

alter table app.orders rename constraint qty_positive to qty_more

alter index app.orders_state rename to orders_by_state

alter table only app.orders add column extra text

alter table if exists app.orders add column extra text default 'x'

alter table if exists app.nosuch add column extra text

alter table app.orders add column if not exists qty int

alter table app.orders add column a int, add column b text default 'b', drop column tags

alter table app.orders add column c int not null default 7

alter table app.orders add column d app.amount

-- marks: data
alter table app.orders add column e uuid not null default gen_random_uuid()

alter table app.orders add column f text collate "C"

alter table app.orders add column g text compression pglz

alter table app.orders add column h bigint references app.customers

alter table app.orders add column i int check (i > 0) default 1

alter table app.orders add column j int unique

alter table app.orders add constraint k check (qty < 1000) not valid

alter table app.orders add constraint k check (qty < 1000)

alter table app.orders add check (qty < 1000), add check (total >= 0)

alter table app.orders add constraint l unique (id, qty) include (state)

alter table app.orders add constraint l unique (id, qty) deferrable initially deferred

alter table app.orders add constraint l unique nulls not distinct (id, qty)

alter table app.lines add constraint m foreign key (order_id) references app.orders (id) not valid

alter table app.lines add foreign key (order_id) references app.orders (id) on delete set null on update cascade

alter table app.lines add constraint m foreign key (order_id) references app.orders (id) match full

alter table app.orders drop constraint qty_positive

alter table app.orders drop constraint orders_unique

alter table app.lines drop constraint lines_order_id_fkey

alter table app.orders drop constraint if exists nosuch

alter table app.orders alter constraint orders_customer_id_fkey deferrable initially deferred

alter table app.orders alter column qty set not null

alter table app.orders alter column state drop not null

alter table app.orders alter column state set default 'paid'

alter table app.orders alter column state drop default

alter table app.orders alter column qty set default 3, alter column total drop default, alter column tags set default '{}'

alter table app.orders alter column qty set statistics 200

alter table app.orders alter column qty set (n_distinct = 5)

-- setup: alter table app.orders alter column qty set (n_distinct = 5)
alter table app.orders alter column qty reset (n_distinct)

alter table app.orders alter column tags set storage external

alter table app.orders alter column tags set compression pglz

alter table app.orders alter column tags type varchar[]

alter table app.lone alter column x type varchar(20)

alter table app.lone alter column y type bigint

alter table app.lone alter column y type bigint, alter column x type varchar(20), alter column id type bigint, add column z int default 7

alter table app.lone alter column y type bigint, alter column x type text collate "C"

alter table app.log_2025 alter column text type varchar collate "C"

alter table app.lone alter column y type text using y::text || '!'

alter table app.empty alter column b type bigint

alter table app.empty alter column b set not null

-- marks: fails
alter table app.empty add primary key using index nosuch

-- setup: create unique index lone_id on app.lone (id)
alter table app.lone add constraint lone_pk primary key using index lone_id

-- setup: create unique index lone_id on app.lone (id)
alter table app.lone add unique using index lone_id

alter table app.lone add primary key (id)

alter table app.orders set (fillfactor = 80, autovacuum_enabled = off)

-- setup: alter table app.orders set (fillfactor = 80)
alter table app.orders reset (fillfactor)

-- setup: alter table app.orders set (fillfactor = 80)
alter table app.orders set (fillfactor = 70, toast.autovacuum_enabled = off)

alter table app.orders cluster on orders_pkey

-- setup: alter table app.orders cluster on orders_pkey
alter table app.orders set without cluster

alter table app.orders replica identity full

alter table app.orders replica identity using index orders_pkey

alter table app.orders replica identity nothing

alter table app.customers disable trigger touched

alter table app.customers enable replica trigger touched

alter table app.customers disable trigger user

alter table app.customers disable trigger all

alter table app.lone disable rule quiet

alter table app.customers disable row level security

alter table app.customers force row level security

alter table app.orders enable row level security, force row level security

alter table app.orders owner to app_reader

alter table app.lone set schema public

alter table app.child no inherit app.parent

-- setup: create table app.kid (id int, x text)
alter table app.kid inherit app.parent

-- setup: create type app.pair as (a int, b text); create table app.typed (a int, b text)
alter table app.typed of app.pair

-- setup: create type app.pair as (a int, b text); create table app.typed of app.pair
alter table app.typed not of

-- marks: refused
alter table app.cache set logged

-- marks: refused
alter table app.lone set unlogged

alter table app.lone set logged

alter table app.lone set tablespace pg_default

alter table app.lone set access method heap

-- marks: fails
alter table app.lone alter column id add generated by default as identity

-- setup: alter table app.lone alter column id set not null
alter table app.lone alter column id add generated by default as identity

alter table app.customers alter column id set generated always

alter table app.customers alter column id set increment by 10 set cache 5

alter table app.customers alter column id drop identity

-- marks: one way
alter table app.customers alter column full_name drop expression

alter table app.log add column z int

alter table app.log add constraint z check (level < 100)

alter table app.log alter column level set default 3

alter table app.log_2024 set (fillfactor = 50)

create table app.log_2026 partition of app.log for values from ('2026-01-01') to ('2027-01-01')

-- marks: fails
alter table only app.log add column z int

-- marks: fails
alter table only app.parent add column z int

alter table only app.parent alter column x set default 'y'

alter table app.parent alter column x set default 'y'

create index only_level on only app.log (level, at)

create index on app.totals (n)

-- marks: fails
create index on app.orders (lower(state::text))

create index on app.customers (lower(name), score desc nulls last) where score > 1

create unique index concurrently customers_mail on app.customers (mail)

create index if not exists orders_state on app.orders (state)

create index if not exists orders_total on app.orders (total)

drop index app.orders_state

drop index app.orders_state, app.lines_price

drop index if exists app.nosuch

alter index app.orders_state set (fillfactor = 60)

alter index app.lines_price alter column 1 set statistics 300

alter index app.orders_state set tablespace pg_default

reindex index app.orders_state

reindex table app.orders

reindex (verbose) table concurrently app.orders

refresh materialized view app.totals

refresh materialized view concurrently app.totals

-- marks: refused
refresh materialized view app.plain_totals

refresh materialized view app.unread

-- marks: refused
vacuum full app.lone

vacuum (analyze) app.lone

analyze app.lone, app.orders (qty)

-- marks: refused
cluster app.orders using orders_pkey

-- marks: refused, one way
truncate app.lone

-- marks: one way
truncate app.empty

-- marks: refused
lock table app.lone

create table app.fresh (id bigint generated always as identity primary key, a text unique, b int check (b > 0))

create table if not exists app.fresh (id int)

create table if not exists app.orders (id int)

create table app.fresh (id int primary key, order_id bigint references app.orders, customer bigint, foreign key (customer) references app.customers (id))

create table app.fresh (like app.orders including all)

create table app.fresh as select * from app.orders where id < 10

create table app.fresh (z int) inherits (app.parent)

create table app.fresh (id int, at date) partition by range (at);
create table app.fresh_1 partition of app.fresh for values from ('2024-01-01') to ('2025-01-01');
create index on app.fresh (at)

-- marks: fails
create table app.fresh (id int);
alter table app.fresh add column a text not null;
alter table app.fresh rename column a to b;
alter table app.fresh add primary key (id);
alter table app.fresh alter column b type varchar(30);
alter table app.fresh add constraint f foreign key (id) references app.empty (id);
create index on app.fresh (b);
insert into app.fresh values (1, 'x')

create table app.fresh (id int);
alter table app.fresh add column a text not null;
alter table app.fresh rename column a to b;
alter table only app.fresh add constraint fresh_pkey primary key (id);
alter table app.fresh alter column b type varchar(30);
create index on app.fresh (b);
insert into app.fresh values (1, 'x');
update app.fresh set b = b || 'y';
alter table app.fresh rename to fresher;
create index on app.fresher (id);
comment on table app.fresher is 'renamed'

create table app.fresh (id int, at date, primary key (id, at)) partition by range (at);
create table app.fresh_1 partition of app.fresh for values from ('2024-01-01') to ('2025-01-01');
create table app.fresh_2 partition of app.fresh default partition by list (id);
create table app.fresh_3 partition of app.fresh_2 for values in (1, 2);
alter table app.fresh add column note text default 'x';
insert into app.fresh values (1, '2024-05-01'), (2, '2026-05-01')

create unlogged table app.fresh (id int)

create temp table scratch (id int)

select * into app.fresh from app.lone

drop table app.lone

drop table if exists app.nosuch

create view app.v as select id from app.orders

create or replace view app.names as select id, name, score from app.customers

create or replace view app.brand_new as select 1 as one

-- marks: fails
create view app.v with (security_barrier) as select id from app.orders with check option

alter view app.names rename to names2

alter view app.names rename column name to called

alter view app.names alter column id set default 5

alter view app.names set (security_barrier = true)

alter view app.open_orders owner to app_reader

alter view app.names set schema public

drop view app.names

drop view if exists app.nosuch

create materialized view app.mv as select * from app.lone

create materialized view app.mv as select * from app.lone with no data

create materialized view if not exists app.totals as select 1

alter materialized view app.totals rename to totals2

alter materialized view app.totals set (fillfactor = 70)

alter materialized view app.totals owner to app_reader

drop materialized view app.totals

create sequence app.s2 as int increment by 3 cache 7

create sequence if not exists app.numbers

alter sequence app.numbers increment by 7 maxvalue 1000 cycle

alter sequence app.numbers owned by app.lone.id

alter sequence app.numbers rename to figures

alter sequence app.numbers owner to app_reader

alter sequence app.numbers set schema public

drop sequence app.numbers

create type app.colour as enum ('red', 'green')

create type app.point3 as (x int, y int, z int)

create type app.span as range (subtype = int4)

alter type app.state add value 'back' after 'sent'

alter type app.state add value if not exists 'new'

alter type app.state rename value 'new' to 'fresh'

alter type app.state rename to status

alter type app.state set schema public

alter type app.state owner to app_reader

alter type app.address add attribute zip text

alter type app.address rename attribute city to town

-- marks: one way
alter type app.address drop attribute city

-- setup: create type app.loose as (a int, b text)
alter type app.loose alter attribute b type varchar(10), drop attribute a

-- setup: create type app.loose as (a int, b text collate "C", c int, d date)
alter type app.loose drop attribute b, add attribute e int, alter attribute a type bigint, alter attribute c type bigint, drop attribute d

-- setup: create type app.loose as (a int, b text)
drop type app.loose

-- setup: create type app.loose as enum ('a', 'b')
drop type app.loose

-- marks: refused
alter domain app.email add constraint longer check (length(value) > 3)

alter domain app.email add constraint longer check (length(value) > 3) not valid

-- marks: refused
alter domain app.email set not null

alter domain app.email set default 'a@b'

alter domain app.amount drop default

alter domain app.email drop constraint email_check

alter domain app.email rename to mail

alter domain app.email rename constraint email_check to has_at

alter domain app.email owner to app_reader

create domain app.positive as int check (value > 0)

-- setup: create domain app.positive as int constraint p check (value > 0) not null default 1
drop domain app.positive

create function app.f(a int, b text default 'x') returns int language sql as 'select a'

create or replace function app.twice(int) returns int language sql immutable as 'select $1 * 3'

create or replace function app.thrice(int) returns int language sql immutable as 'select $1 * 3'

create function app.g() returns int language sql begin atomic select 1; select 2; end

alter function app.twice(int) stable strict cost 7

alter function app.twice(int) rename to doubled

alter function app.twice(int) owner to app_reader

alter function app.twice(int) set schema public

alter function app.twice(int) set search_path = app

drop function app.twice(int)

drop function if exists app.nosuch(int)

create procedure app.p(a int) language sql as 'select 1'

alter procedure app.tidy() rename to clean

drop procedure app.tidy()

create aggregate app.total(int) (sfunc = int4pl, stype = int, initcond = '0')

-- setup: create aggregate app.total(int) (sfunc = int4pl, stype = int)
alter aggregate app.total(int) rename to summed

create trigger t2 after insert on app.orders for each row execute function app.touch()

create or replace trigger touched before insert on app.customers for each row execute function app.touch()

create or replace trigger touched2 before insert on app.customers for each row execute function app.touch()

alter trigger touched on app.customers rename to touching

drop trigger touched on app.customers

drop trigger if exists nosuch on app.customers

create constraint trigger ct after insert on app.orders deferrable initially deferred for each row execute function app.touch()

create policy p2 on app.orders for all to public using (qty > 0) with check (qty < 100)

alter policy readable on app.customers using (score > 3)

alter policy readable on app.customers rename to reading

alter policy readable on app.customers to public

drop policy readable on app.customers

create rule r2 as on insert to app.empty do also select 1

create or replace rule quiet as on delete to app.lone do instead select 1

alter rule quiet on app.lone rename to silent

drop rule quiet on app.lone

create statistics app.st2 (ndistinct) on qty, total from app.orders

create statistics if not exists app.order_stats on customer_id, state from app.orders

alter statistics app.order_stats set statistics 55

alter statistics app.order_stats rename to stats2

alter statistics app.order_stats owner to app_reader

drop statistics app.order_stats

create publication p3 for table app.lone, app.orders (id, qty) where (id > 5)

alter publication feed add table app.lone

alter publication feed drop table app.orders

alter publication bare add table app.lone

alter publication feed set (publish = 'insert')

alter publication feed rename to stream

alter publication feed owner to postgres

-- marks: one way
drop publication feed

create schema app2

create schema if not exists app

-- marks: one way
create schema app3 create table t (id int)

alter schema app rename to application

alter schema app owner to app_reader

-- setup: create schema bare_schema
drop schema bare_schema

create extension pg_trgm

create extension if not exists citext

-- setup: create extension pg_trgm
drop extension pg_trgm

-- setup: create schema ext; create extension pg_trgm
alter extension pg_trgm set schema ext

create collation app.german (locale = 'C')

create foreign data wrapper w

-- setup: create foreign data wrapper w
create server srv foreign data wrapper w

-- setup: create foreign data wrapper w; create server srv foreign data wrapper w
create foreign table app.ft (id int) server srv

-- setup: create foreign data wrapper w; create server srv foreign data wrapper w
create user mapping for app_reader server srv

create text search configuration app.ts (copy = simple)

create text search dictionary app.td (template = simple)

create operator app.### (leftarg = int, rightarg = int, function = int4pl)

create cast (app.state as int) with inout

-- marks: fails
create event trigger et on ddl_command_end execute function event_f()

-- setup: create function app.ev() returns event_trigger language plpgsql as $$begin end$$
create event trigger et on sql_drop execute function app.ev()

comment on view app.names is 'other'

comment on function app.twice(int) is null

comment on type app.state is 'states'

comment on schema app is 'the schema'

comment on trigger touched on app.customers is 't'

comment on policy readable on app.customers is 'p'

comment on sequence app.numbers is 's'

comment on domain app.email is 'd'

comment on materialized view app.totals is 'm'

comment on column app.names.name is 'c'

comment on constraint qty_positive on app.orders is 'k'

comment on index app.orders_state is 'i'

comment on publication feed is 'f'

comment on statistics app.order_stats is 'x'

-- marks: one way
insert into app.empty values (1, 'a', 2)

-- marks: one way
insert into app.empty select i, 'x', i from generate_series(1, 50) i

-- marks: one way
delete from app.lone where id > 10

update app.lone set x = 'new' where id < 5 and x <> 'new'

-- marks: one way
update app.lone set y = y + 1

-- marks: one way
update app.lone l set x = c.x from app.child c where c.id = l.id

-- marks: one way
merge into app.empty e using app.lone l on l.id = e.id when not matched then insert values (l.id, l.x, l.y)

-- marks: one way
do $$ begin update app.lone set x = 'done'; end $$

-- marks: one way
call app.tidy()

select app.twice(3)

select count(*) from app.orders;
with x as (select 1) select * from x

set check_function_bodies = off;
create function app.later() returns int language sql as 'select n from app.not_yet';
set lock_timeout = '5s';
create table app.not_yet (n int)

notify news, 'x'

checkpoint

-- marks: refused
listen news

-- marks: refused
prepare q as select 1

-- marks: refused
explain select 1

set constraints all deferred

-- marks: fails
import foreign schema s from server nosuch into app

create role app_writer nologin

grant insert on app.lone to app_reader

revoke select on app.names from app_reader

grant usage on schema app to app_reader

-- marks: one way
alter default privileges in schema app grant select on tables to app_reader

grant execute on function app.twice(int) to app_reader

create table app.a1 (id int primary key); create table app.a2 (id int references app.a1)
