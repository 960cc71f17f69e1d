# What a person types: `make run` to see the exchange work, `make test` to know that it does. The rest serves these two.

export CARGO_TARGET_DIR ?= $(HOME)/.cache/novate-target
BIN := $(CARGO_TARGET_DIR)/release

# One selection of packages for every build and test: cargo unifies features per selection, and another one would compile
# half of the dependencies again.
ALL := --workspace --release --all-targets --locked

# Code that takes part in consensus, and is linted strictly.
CONSENSUS := novate-types novate-heap novate-math novate-matching novate-risk novate-runtime-api pallet-instruments pallet-price-oracle \
	pallet-margin pallet-order-book pallet-clearing pallet-liquidation

# The runtime's blob for measuring weights, compiled as substrate-wasm-builder compiles the node's, with a directory of its own
# because `runtime-benchmarks` is a feature of all of FRAME.
WEIGHTS := $(CARGO_TARGET_DIR)/weights
BLOB := $(WEIGHTS)/wasm32v1-none/production/novate_runtime.wasm
BLOB_FLAGS := -C link-arg=--export-table -C link-arg=--export=__heap_base -C link-arg=--import-memory --cfg substrate_runtime

DEBIAN := build-essential ca-certificates clang cmake git libssl-dev pkg-config protobuf-compiler

.PHONY: help run dev test check format lint build setup fmt bench bench-check weights replay fuzz

help: ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/' | expand -t 12

run: build ## three minutes of the whole chain on recorded prices: trades, a fall, a liquidation, options to their expiry, the books checked
	@$(BIN)/novate-demo run

dev: build ## the same, and it stays up for you to trade on
	@$(BIN)/novate-demo dev

test: format lint build ## everything; the last part is runs on the real node
	@echo "== tests of every crate, on the WASM runtime and the node's binary where it matters"
	cargo test $(ALL)
	cargo test --manifest-path vendor/wasm-opt/Cargo.toml --release
	@echo "== four validators: one with lying sources, one stopped (two minutes)"
	$(BIN)/novate-demo network
	@echo "== a liquidator, as a process of its own, bids for an account on the real node (one minute)"
	$(BIN)/novate-demo compete
	@echo "== the real node on recorded prices (three minutes)"
	$(BIN)/novate-demo run

check: format lint ## format, lints, and the tests beside the code
	@echo "== tests beside the code"
	cargo test --workspace --release --locked --lib

format: setup
	@echo "== format"
	cargo fmt --all -- --check

lint: setup
	@echo "== lints of the consensus crates"
	SKIP_WASM_BUILD=1 cargo clippy --release --locked --no-deps $(addprefix -p ,$(CONSENSUS)) -- -D warnings

build: setup ## every binary and every test
	@echo "== build (from nothing about 25 minutes on two cores; afterwards what changed)"
	cargo build $(ALL)

weights: build ## measure what calls, hooks and the database cost, and write it into the source (eight minutes once built)
	@echo "== the runtime's WASM with its benchmarks, and nothing else"
	RUSTFLAGS="$(BLOB_FLAGS)" CARGO_PROFILE_PRODUCTION_OVERFLOW_CHECKS=false CARGO_TARGET_DIR=$(WEIGHTS) \
		cargo rustc --locked --package novate-runtime --lib --crate-type cdylib --profile production \
		--target wasm32v1-none --no-default-features --features runtime-benchmarks
	$(BIN)/novate-weights db
	$(BIN)/novate-weights overhead --wasm $(BLOB)
	$(BIN)/novate-weights calls --wasm $(BLOB)

setup: ## what a fresh Debian lacks: packages and the WebAssembly target
	@scripts/setup.sh $(DEBIAN)

fmt: ## format the code
	cargo fmt --all

# Which scenario `make bench` runs; all of them if it is not set.
SCENARIO ?=
FIGURES := $(CARGO_TARGET_DIR)/bench.json

bench: build ## throughput, crashes and options, measured; SCENARIO=n for one of them
ifeq ($(SCENARIO),)
	$(BIN)/novate-bench --json $(FIGURES)
	$(BIN)/novate-bench rpc
else ifeq ($(SCENARIO),9)
	$(BIN)/novate-bench rpc
else
	$(BIN)/novate-bench --scenario $(SCENARIO)
endif

bench-check: build ## measures, and compares the ratios with the committed table
	$(BIN)/novate-bench --json $(FIGURES)
	$(BIN)/novate-bench check --baseline bench/baseline.json $(FIGURES)

# The six hours of each recorded crash's deepest fall; with USDC first as settlement currency, then as collateral.
CRASH := bench/data/crash_2022-11_ftx_1m.csv.gz
DEPEG := bench/data/usdc_depeg_2023-03_1m.csv.gz

# Where its pictures of prices, queue and funds are.
PICTURES := $(CARGO_TARGET_DIR)/replay

replay: build ## recorded crashes through the whole chain, and an oracle that falls silent (docs/risk.md)
	$(BIN)/novate-bench replay $(CRASH) --bots 4 --png $(PICTURES)/crash-bots.png
	$(BIN)/novate-bench replay $(DEPEG) --png $(PICTURES)/depeg.png
	$(BIN)/novate-bench replay $(DEPEG) --settlement usdt --png $(PICTURES)/depeg-usdt.png
	for silence in 19:31:30,30 19:30:30,120 18:32:00,3600; do \
		$(BIN)/novate-bench replay $(CRASH) --from 2022-11-08T18:15 --to 2022-11-08T19:50 --outage 2022-11-08T$$silence \
			--png $(PICTURES)/silence-$${silence#*,}.png || exit 1; \
	done

# A million steps, from the case of this seed on.
STEPS ?= 1000000
SEED ?= 1

fuzz: setup ## random steps on the whole runtime, the equalities after each; STEPS=n of them, from SEED=n on
	NOVATE_STEPS=$(STEPS) NOVATE_SEED=$(SEED) cargo test --workspace --release --locked --test it -- --nocapture nothing_breaks_when_anything_happens
