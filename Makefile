# The front door: each target does all the set-up that it needs. The work itself is done by CMake presets and by scripts/.
CONNECTIONS ?= 100000
JOBS ?= $(shell nproc)

.DEFAULT_GOAL := help
.PHONY: help demo test sanitize build check bench format

help:
	@echo "make demo    build, tune, hold $(CONNECTIONS) connections here and prove it (CONNECTIONS=600000 for the full thing)"
	@echo "make test    build, and run every test: units, real clients, 100,000 connections, drain, reaping"
	@echo "make sanitize  the same tests under ASan and UBSan, then under TSan; all but the largest loads (40 minutes)"
	@echo "make build   the program, build/release/holdfast, and what \`cmake --install build/release\` needs; no tests"
	@echo "make check   what CI runs (tests, sanitizers), and format, tidy, rooms, fuzzers, fresh seeds"
	@echo "make bench   the benchmarks, each beside the floor program"
	@echo "make format  clang-format over our sources"

demo:
	@CONNECTIONS=$(CONNECTIONS) scripts/demo

test:
	@scripts/bootstrap --tests
	@cmake --preset release >/dev/null
	@cmake --build --preset release -j $(JOBS)
	@scripts/run_tests release

sanitize:
	@scripts/bootstrap --tests
	@for preset in dev tsan; do \
	  cmake --preset $$preset >/dev/null && cmake --build --preset $$preset -j $(JOBS) && scripts/run_tests $$preset || exit 1; \
	done

build:
	@scripts/bootstrap
	@cmake --preset release >/dev/null
	@cmake --build --preset release -j $(JOBS) --target installable

check:
	@scripts/check

bench:
	@scripts/bench

format:
	@scripts/bootstrap --check
	@git ls-files '*.h' '*.cc' | xargs clang-format-19 -i
