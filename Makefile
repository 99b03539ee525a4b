# Table of contents of everything one does with this repository. `make` alone prints it.
#
# Needs Rust (rust-toolchain.toml) and a C compiler; nothing else to build and to run the demo.
# Variables: ONCE=1 ends the demo with a summary; RELEASE=1 builds optimised binaries; RECORDS= and
# BENCH= (more options, --help lists them) are for bench-journal and bench-replication;
# FUZZ_SECONDS= and FUZZ= (targets) for fuzz; SEEDS= (how many), FIRST= and SEED= (one alone, with
# its trace) for sim.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help build demo test lint audit verify interop torture links sim sim-broken bench-journal \
  bench-evidence bench-replication fuzz clean test-packages

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
	  $(call suite,crates/* services/* tests/bench tests/fuzz))
	$(call stage,examples in the documentation,$(CARGO) test $(FLAGS) --workspace --doc)
	$(call stage,architecture,$(CARGO) test $(FLAGS) --workspace $(call suite,tests/architecture))
	$(call stage,compatibility,$(CARGO) test $(FLAGS) --workspace $(call suite,tests/compatibility))
	$(call stage,simulation,$(CARGO) test $(FLAGS) --workspace $(call suite,tests/simulation))
	$(call stage,torture,$(CARGO) test $(FLAGS) --workspace $(call suite,tests/torture) -- --nocapture)
	$(call stage,interop,$(CARGO) test $(FLAGS) --workspace $(call suite,tests/interop))
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

# Also runs pymerkle and sigstore, which pip installs in a virtual environment below target/.
interop: test-packages ## Check bundles of real offices with Go, Python and Rust of others; print a matrix
	$(CARGO) build $(FLAGS) --workspace --bins
	$(CARGO) test $(FLAGS) --workspace $(call suite,tests/interop) -- --include-ignored --nocapture

# As root it mounts a file system of its own (FUSE) and an ext4 image; elsewhere it says what ran.
torture: ## A hundred kills, a hundred power cuts, every damage, against the journal's real files
	$(CARGO) test $(FLAGS) --workspace $(call suite,tests/torture) -- \
	  --include-ignored --nocapture --test-threads=1

# On simulated time; RELEASE=1 takes longer to build and runs several times as fast.
SEEDS := 100
# As root, with ip and tc (iproute2) and nft (nftables); elsewhere it says why it did nothing.
links: ## 5,000 records over long, lossy, slow and cut links between network namespaces (LINK=name)
	$(CARGO) build $(FLAGS) --workspace --bins
	$(CARGO) test $(FLAGS) --workspace $(call suite,tests/links) -- \
	  --ignored --nocapture --test-threads=1 $(LINK)

sim: ## A country of real offices under faults, SEEDS= of them; SEED=17 replays one
	$(CARGO) run $(FLAGS) --quiet --bin adal-sim -- --threads $$(nproc) \
	  $(if $(SEED),--seed $(SEED) --lines 400,--seeds $(SEEDS) --first $(or $(FIRST),0))

sim-broken: ## Break the program one way at a time: the simulation must notice each
	tests/simulation/broken/run.sh

# The folder decides which disk is measured; the default is the folder of the binary.
bench-journal: ## Measure the journal beside a bare file and plain sled (RECORDS=10000000: all)
	$(CARGO) run --locked --release --quiet --bin adal-bench -- \
	  $(if $(RECORDS),--records $(RECORDS)) --json target/bench-journal.json \
	  --svg target/bench-journal.svg $(BENCH)

bench-evidence: ## Measure hashing, signing, proving and checking, beside the design's figures
	$(CARGO) run --locked --release --quiet --bin adal-bench -- evidence \
	  --json target/bench-evidence.json $(BENCH)

# The folder of the binaries decides which disk is measured.
bench-replication: ## Measure catch-up, lag and return of real nodes beside an import and a bare file
	$(CARGO) build --locked --release --quiet --bin adal-region --bin adal-coordinator
	$(CARGO) run --locked --release --quiet --bin adal-bench -- replication \
	  $(if $(RECORDS),--records $(RECORDS)) --json target/bench-replication.json $(BENCH)

# Coverage by the compiler's own pass, so that the stable toolchain does; libFuzzer is C++.
FUZZ_SECONDS := 60
FUZZ_HOST = $(shell rustc -vV | sed -n 's/^host: //p')
FUZZ_FLAGS := -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
  -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
  -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1 --cfg fuzzing
FUZZ_DIR := target/fuzz

# What is found is kept in target/fuzz/<target>.found, an input that breaks a target as a crash file
# beside it: it becomes a test of the parser that it breaks.
fuzz: ## Coverage-guided fuzzing of every parser and verifier of evidence (needs a C++ compiler)
	cd tests/fuzz/guided && CARGO_TARGET_DIR=../../../$(FUZZ_DIR)/build $(CARGO) test --locked
	cd tests/fuzz/guided && CARGO_TARGET_DIR=../../../$(FUZZ_DIR)/build RUSTFLAGS="$(FUZZ_FLAGS)" \
	  $(CARGO) build --locked --release --target $(FUZZ_HOST)
	$(CARGO) run --locked --quiet --bin adal-fuzz-seeds -- $(FUZZ_DIR)/seeds > $(FUZZ_DIR)/names
	@for target in $(or $(FUZZ),$$(cat $(FUZZ_DIR)/names)); do \
	  mkdir -p $(FUZZ_DIR)/$$target.found; \
	  $(FUZZ_DIR)/build/$(FUZZ_HOST)/release/adal-fuzz --target=$$target -max_len=8192 -timeout=10 \
	    -max_total_time=$(FUZZ_SECONDS) -print_final_stats=1 \
	    -artifact_prefix=$(FUZZ_DIR)/$$target.crash- $(FUZZ_DIR)/$$target.found \
	    $(FUZZ_DIR)/seeds/$$target 2> $(FUZZ_DIR)/$$target.log \
	    || { echo "$$target: BROKEN, see $(FUZZ_DIR)/$$target.log"; exit 1; }; \
	  echo "$$target: ok, $$(sed -n 's/^stat::number_of_executed_units: *//p' \
	    $(FUZZ_DIR)/$$target.log) inputs"; done

clean: ## Remove build output and what the demo left
	$(CARGO) clean
	rm -rf demo

# Tools that others wrote, from the system's packages: the foreign gRPC client of the end-to-end
# tests is Python's; tests/interop checks evidence with Go's sumdb and with Python's cryptography.
DEBS := python3-grpcio python3-protobuf python3-cryptography golang-go golang-golang-x-mod-dev
SUMDB := /usr/share/gocode/src/golang.org/x/mod/sumdb/tlog/tlog.go

test-packages:
	@if /usr/bin/python3 -c 'import grpc, google.protobuf, cryptography' 2>/dev/null && \
	  command -v go >/dev/null && [ -e $(SUMDB) ]; then exit 0; fi; \
	if ! command -v apt-get >/dev/null; then \
	  echo "make test needs Python's grpcio, protobuf and cryptography for /usr/bin/python3,"; \
	  echo "Go, and golang.org/x/mod in $(SUMDB);"; \
	  echo "this is not a Debian system: install them with its package manager"; exit 1; fi; \
	as=; if [ "$$(id -u)" != 0 ]; then as=sudo; fi; \
	echo "make test installs the Debian packages that its outside tools need: $(DEBS)"; \
	install="env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends"; \
	$$as $$install $(DEBS) </dev/null >/dev/null 2>&1 || \
	  { $$as apt-get update -q </dev/null && $$as $$install $(DEBS) </dev/null; }
