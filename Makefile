# Table of contents of everything one does with this repository. `make` alone prints it.
#
# Needs Rust (rust-toolchain.toml) and a C compiler; nothing else to build and to run the demo.
# Variables: ONCE=1 ends the demo with a summary; RELEASE=1 builds optimised binaries; RECORDS= and
# BENCH= (more options, --help lists them) are for bench-journal.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help build demo test lint audit verify torture bench-journal clean test-packages

# --locked: what is built is what Cargo.lock says.
CARGO := cargo
FLAGS := --locked $(if $(RELEASE),--release)

# $(call suite,FOLDERS): one --test for each integration test of the folders. Selecting tests by
# name from the whole workspace, not by package, keeps one set of features: nothing compiles twice.
suite = $(or $(patsubst %,--test %,$(notdir $(patsubst %/main,%,$(basename \
  $(wildcard $(1:%=%/tests/*.rs) $(1:%=%/tests/*/main.rs)))))),--test no_test_in_$(firstword $(1)))

# $(call stage,NAME,COMMAND): run the command and print how long it took.
define stage
	@echo "== $(1)"; begin=$$(date +%s); $(2) || { echo "== $(1): FAILED"; exit 1; }; \
	echo "== $(1): ok in $$(( $$(date +%s) - begin )) s"
endef

help: ## Print this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 15

build: ## Build the binaries: adal-region, adal-coordinator, adal
	$(CARGO) build $(FLAGS) --bins

demo: build ## Run a coordinator and three regions on this machine, with faults (ONCE=1: then stop)
	$(CARGO) run $(FLAGS) --quiet --bin adal-demo -- $(if $(ONCE),--once)

test: test-packages ## Run all tests but the long ones, with a time for each stage
	$(call stage,build,$(CARGO) build $(FLAGS) --workspace --all-targets)
	$(call stage,unit and property tests,$(CARGO) test $(FLAGS) --workspace --lib --bins \
	  $(call suite,crates/* services/* tests/bench))
	$(call stage,examples in the documentation,$(CARGO) test $(FLAGS) --workspace --doc)
	$(call stage,architecture,$(CARGO) test $(FLAGS) --workspace $(call suite,tests/architecture))
	$(call stage,compatibility,$(CARGO) test $(FLAGS) --workspace $(call suite,tests/compatibility))
	$(call stage,torture,$(CARGO) test $(FLAGS) --workspace $(call suite,tests/torture) -- --nocapture)
	$(call stage,end to end,$(CARGO) test $(FLAGS) --workspace $(call suite,tests/end_to_end))

lint: ## Check formatting, clippy on all targets, and that everything public is documented
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings -D missing_docs

audit: ## Ask cargo-deny about advisories, licences, bans and sources (needs the network)
	@$(CARGO) deny --version >/dev/null 2>&1 || \
	  { echo "make audit needs cargo-deny: cargo install --locked cargo-deny"; exit 1; }
	$(CARGO) deny check

verify: test-packages ## Run the long tests; needs ADAL_REGISTERS (RELEASE=1: figures of a release)
	$(CARGO) build $(FLAGS) --workspace --all-targets
	$(CARGO) test $(FLAGS) --workspace $(call suite,tests/end_to_end) -- \
	  --ignored --nocapture --test-threads=1

# As root it mounts a file system of its own (FUSE) and an ext4 image; elsewhere it says what ran.
torture: ## A hundred kills, a hundred power cuts, every damage, against the journal's real files
	$(CARGO) test $(FLAGS) --workspace $(call suite,tests/torture) -- \
	  --include-ignored --nocapture --test-threads=1

# The folder decides which disk is measured; the default is the folder of the binary.
bench-journal: ## Measure the journal beside a bare file and plain sled (RECORDS=10000000: all)
	$(CARGO) run --locked --release --quiet --bin adal-bench -- \
	  $(if $(RECORDS),--records $(RECORDS)) --json target/bench-journal.json \
	  --svg target/bench-journal.svg $(BENCH)

clean: ## Remove build output and what the demo left
	$(CARGO) clean
	rm -rf demo

# The foreign gRPC client of the end-to-end tests is Python's, from the system's packages.
DEBS := python3-grpcio python3-protobuf

test-packages:
	@if /usr/bin/python3 -c 'import grpc, google.protobuf' 2>/dev/null; then exit 0; fi; \
	if ! command -v apt-get >/dev/null; then \
	  echo "make test needs Python's grpcio and protobuf for /usr/bin/python3;"; \
	  echo "this is not a Debian system: install them with its package manager"; exit 1; fi; \
	as=; if [ "$$(id -u)" != 0 ]; then as=sudo; fi; \
	echo "make test installs the Debian packages its gRPC client test needs: $(DEBS)"; \
	install="env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends"; \
	$$as $$install $(DEBS) </dev/null >/dev/null 2>&1 || \
	  { $$as apt-get update -q </dev/null && $$as $$install $(DEBS) </dev/null; }
