# What a person or a CI types. `make` alone lists the targets.

JOB      = jobs/flight-delay.toml
DATABASE = sqlite://lamplighter.db

TARGET      = $(or $(CARGO_TARGET_DIR),target)
LAMPLIGHTER = $(TARGET)/release/lamplighter
# On CI the lock file is the truth; at a desk it may follow Cargo.toml.
LOCKED = $(if $(CI),--locked)

CARGO_DENY = 0.20.2
CARGO_CYCLONEDX = 0.5.9
export PATH := $(CURDIR)/target/tools/bin:$(PATH)

.PHONY: help build run test programs chaos container smoke check fmt lint doc deny sbom bench bench-peers dist fixtures
.DEFAULT_GOAL := help

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  make \1	\2/p' $(MAKEFILE_LIST) | expand -t 20

build:
	cargo build --release $(LOCKED)

# The report that is shown is that of the run that JOB and the date stand for, also if another run
# is newer. A night that was withheld is shown too, and then fails.
run: build ## score the flights of the fixtures for today into lamplighter.db, show the report
	@mkdir -p $(TARGET)
	@status=0; \
	$(LAMPLIGHTER) run $(JOB) --database $(DATABASE) --format json >$(TARGET)/run.json || status=$$?; \
	run=$$(sed -n 's/.*"run":"\([^"]*\)".*/\1/p' $(TARGET)/run.json); \
	if [ -n "$$run" ]; then $(LAMPLIGHTER) report "$$run" --database $(DATABASE) || exit; fi; \
	exit $$status

# What can not be tested here, because a program could not be installed, is said at the end.
TEST = untested=$$(tests/programs.sh untested); \
    env $$(echo "$$untested" | sed -n 's/^\([A-Z_]*\) .*/\1=1/p') cargo test --release $(LOCKED)
SAY_UNTESTED = echo "$$untested" | sed -n 's/^[A-Z_]* \(.*\)/NOT tested, for want of a program: \1/p' >&2

test: programs ## all tests; those that score once more on each instruction set that this processor would not choose
	@$(TEST) && for set in $$(grep -qw avx512f /proc/cpuinfo && echo avx2; echo portable); do \
	    echo "LAMPLIGHTER_NUMERICS=$$set" && LAMPLIGHTER_NUMERICS=$$set $(TEST_SCORING) || exit; \
	done && $(SAY_UNTESTED)

# Without those of thousands of texts: portable code takes minutes for them.
TEST_SCORING = cargo test --release $(LOCKED) --test it -- smoke:: same_bits:: text:: check::vectors \
    --skip minilm --skip reviews_are_pytorchs --skip workers_shards

# The tests start servers of their own and need no running one.
programs: ## install the programs that tests start (postgresql, strace and others) if they are missing (asks sudo)
	@tests/programs.sh

CHAOS = 500
chaos: programs ## every fault many times over, on both databases; writes tests/CHAOS.md (CHAOS=500 kills of each kind)
	@LAMPLIGHTER_CHAOS=$(CHAOS); export LAMPLIGHTER_CHAOS; \
	$(TEST) --test it chaos:: -- --nocapture && $(SAY_UNTESTED)

# Without a container engine: tests/container.sh.
container: programs ## the nights of cron/'s manifests in the last stage of Dockerfile (needs root)
	@$(TEST) --test it schedules::container && $(SAY_UNTESTED)

smoke: ## the fixtures' jobs against PyTorch's predictions, in seconds once built
	cargo test --release $(LOCKED) --test it smoke::

check: fmt lint doc deny ## formatting, lints, docs, licences, banned crates, advisories

fmt:
	cargo fmt --check

lint:
	cargo clippy --release $(LOCKED) --all-targets -- -D warnings

# Private items are documented too, so that links to them lead somewhere.
doc:
	RUSTDOCFLAGS="-D warnings -A rustdoc::private_intra_doc_links" cargo doc --release $(LOCKED) --no-deps --document-private-items

# What is allowed, and why, is in .deny.toml.
deny:
	@command -v cargo-deny >/dev/null || cargo install --locked cargo-deny@$(CARGO_DENY) --root target/tools
	cargo deny $(LOCKED) check bans licenses sources
	@tests/banned.sh
	@if cargo deny $(LOCKED) fetch db >/dev/null 2>&1; then \
	    echo "cargo deny check advisories"; \
	    cargo deny $(LOCKED) check advisories; \
	else \
	    echo "advisories NOT checked: their database cannot be reached from here"; \
	fi

# For the system that it is made on, like the binary. Where this directory is on this machine concerns
# nobody who gets it.
SBOM = $(TARGET)/sbom/lamplighter.cdx.json
sbom: ## the bill of materials of the locked dependencies (CycloneDX), into target/sbom/
	@command -v cargo-cyclonedx >/dev/null || cargo install --locked cargo-cyclonedx@$(CARGO_CYCLONEDX) --root target/tools || { \
	    echo "NOT made: cargo-cyclonedx is not installed and can not be fetched from here" >&2; exit 1; }
	@mkdir -p $(dir $(SBOM))
	cargo cyclonedx --format json --spec-version 1.5 --no-build-deps -q --override-filename lamplighter-sbom
	@sed 's|file://$(CURDIR)|file:///lamplighter|g' lamplighter-sbom.json >$(SBOM) && rm lamplighter-sbom.json
	@tests/sbom.sh $(abspath $(SBOM))

RUNS = 10
BENCH_DATABASE = $(TARGET)/bench.db
BENCH = $(LAMPLIGHTER) run $(JOB) --database sqlite://$(BENCH_DATABASE)

# From the start of the process to its end, a new database each time. Both ways print wall time.
# OPTIONS go to tests/bench/tables: --cases numeric,categories,…, --records 1000000,10000000, --pairs 9.
bench: build programs ## time the flight job from start to finish; tables beside what the database alone takes; the kernels of text models
	@if command -v hyperfine >/dev/null; then \
	    hyperfine --warmup 1 --runs $(RUNS) --prepare 'rm -f $(BENCH_DATABASE)*' '$(BENCH)'; \
	else \
	    for run in $$(seq 0 $(RUNS)); do \
	        rm -f $(BENCH_DATABASE)*; \
	        begun=$$(date +%s%N); \
	        $(BENCH) >/dev/null 2>$(TARGET)/bench.log || { cat $(TARGET)/bench.log >&2; exit 1; }; \
	        ended=$$(date +%s%N); \
	        [ $$run -eq 0 ] || echo $$(((ended - begun) / 1000)); \
	    done >$(TARGET)/bench.txt && \
	    sort -n $(TARGET)/bench.txt | awk '{ t[NR] = $$1 / 1000 } END { \
	        printf "%d runs after one to warm up: median %.0f ms, fastest %.0f ms, slowest %.0f ms\n", \
	            NR, (t[int((NR + 1) / 2)] + t[int(NR / 2) + 1]) / 2, t[1], t[NR] }'; \
	fi
	@rm -f $(BENCH_DATABASE)*
	cargo bench $(LOCKED) --bench tables -- $(OPTIONS)
	cargo bench $(LOCKED) --bench kernels

# OPTIONS go to tests/bench/peers/text.py: --limit, --rounds, --texts hutto, …; TABLES to tests/bench/tables.
TABLES = --cases numeric --databases postgres
bench-peers: build programs ## tables beside ADBC and Spark, texts beside sentence-transformers, ONNX Runtime and OpenVINO (needs Python and the network)
	tests/bench/peers/tables.sh $(TABLES)
	tests/bench/peers/text.sh $(OPTIONS)

dist: ## the binary to ship: smaller and faster, takes several times longer to build
	cargo build --profile dist $(LOCKED)
	@ls -l $(TARGET)/dist/lamplighter

fixtures: ## make data, models, golden files and references anew (needs Python 3.11 and the network)
	fixtures/train/make.sh
	$(MAKE) build
	LAMPLIGHTER=$(LAMPLIGHTER) fixtures/train/references.sh
