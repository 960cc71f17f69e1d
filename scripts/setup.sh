#!/usr/bin/env bash
# Installs what is missing: the Debian packages named as arguments, and Rust's WebAssembly target.
set -euo pipefail

missing=()
if command -v dpkg-query >/dev/null; then
    for package in "$@"; do
        dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
    done
fi
if ((${#missing[@]})); then
    echo "== setup: installing ${missing[*]}"
    as_root=()
    ((EUID == 0)) || as_root=(sudo)
    "${as_root[@]}" apt-get update -qq
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"
fi

if ! command -v cargo >/dev/null; then
    echo "setup: no cargo on the PATH. Install Rust with rustup (https://rustup.rs); the version is in rust-toolchain.toml." >&2
    exit 1
fi
if command -v rustup >/dev/null && ! rustup target list --installed | grep -qx wasm32v1-none; then
    echo "== setup: adding the target wasm32v1-none"
    rustup target add wasm32v1-none
fi
