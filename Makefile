# What a person types: `make test` to know that it works.

export CARGO_TARGET_DIR ?= $(HOME)/.cache/novate-target
BIN := $(CARGO_TARGET_DIR)/release

# One selection of packages for every build and test: cargo unifies features per selection, and another one would compile
# half of the dependencies again.
ALL := --workspace --release --all-targets --locked

# Code that takes part in consensus, and is linted strictly.
CONSENSUS := novate-types novate-matching novate-risk novate-runtime-api pallet-instruments pallet-price-oracle \
	pallet-margin pallet-order-book pallet-clearing pallet-liquidation

DEBIAN := build-essential ca-certificates clang cmake git libssl-dev pkg-config protobuf-compiler

.PHONY: help test check setup build fmt lint node

help: ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/' | expand -t 12

test: check build ## everything; the last part is a run on the real node
	@echo "== tests of every crate, on the WASM runtime where it matters"
	cargo test $(ALL)
	cargo test --manifest-path vendor/wasm-opt/Cargo.toml --release

check: setup ## format, lints, and the tests of the pure crates
	@echo "== format"
	cargo fmt --all -- --check
	@echo "== lints"
	SKIP_WASM_BUILD=1 cargo clippy --release --locked --no-deps $(addprefix -p ,$(CONSENSUS)) -- -D warnings

build: setup ## every binary and every test
	@echo "== build (from nothing about 25 minutes on two cores; afterwards what changed)"
	cargo build $(ALL)

setup: ## what a fresh Debian lacks: packages and the WebAssembly target
	@scripts/setup.sh $(DEBIAN)

fmt: ## format the code
	cargo fmt --all
