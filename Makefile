# make demo      a rename on a million rows under live writes, on a throw-away cluster
# make test      every check; ends with "N passed, N failed"
# make install   into the PostgreSQL of PG_CONFIG (default: Debian's 15)
# make package   the files of an installation, under target/package
# make bench     measurements against the plain statements
# make torture   hundreds of faults by seed; SEEDS=200, FIRST_SEED=1, MUTANTS=off or only
#
# PROFILE=release builds the demo's extension as installations do (minutes longer).

SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help setup demo test bench torture install package

# Its effect is in pg_migrate/build.rs, where it does not compile every dependency twice.
export CARGO_PGRX_DISABLE_GC_SECTIONS_WORKAROUND = 1

help:
	@sed -n 's/^# \{0,1\}//p' Makefile | head -8

setup:
	@tests/tools/setup

demo: setup
	@bin=$$(tests/tools/prefix) && PG_MIGRATE_BIN=$$bin cargo run -q -p pg_migrate_tests --bin demo

test: setup
	@tests/tools/test

bench: setup
	@bin=$$(PROFILE=release tests/tools/prefix) && PG_MIGRATE_BIN=$$bin cargo run -q -p pg_migrate_tests --release --bin bench

torture: setup
	@bin=$$(tests/tools/prefix) && PG_MIGRATE_BIN=$$bin cargo run -q -p pg_migrate_tests --bin torture

install: setup
	@tests/tools/install

package: setup
	@tests/tools/install package target/package
