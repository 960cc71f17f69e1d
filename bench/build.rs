//! Compiles `guest` into WebAssembly as the runtime is compiled, for scenario 11 to run: link-time optimisation, no overflow checks.

use std::{env, fs, path::PathBuf, process::Command};

/// What the guest is made of.
const SOURCES: [&str; 9] = [
    "guest",
    "../Cargo.toml",
    "../Cargo.lock",
    "../primitives/heap/src",
    "../primitives/math/src",
    "../primitives/math/tests/common",
    "../primitives/risk/benches/common",
    "../primitives/risk/src",
    "../primitives/types/src",
];

fn main() {
    for path in SOURCES {
        println!("cargo:rerun-if-changed={path}");
    }
    println!("cargo:rerun-if-env-changed=SKIP_WASM_BUILD");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo names it"));
    let guest = out.join("guest.wasm");
    if env::var_os("SKIP_WASM_BUILD").is_some() {
        fs::write(guest, []).expect("OUT_DIR can be written");
        return;
    }
    // A directory of its own: cargo holds the other one until this has ended.
    let target = out.join("guest");
    let built = Command::new(env::var_os("CARGO").expect("cargo names itself"))
        .args([
            "rustc",
            "--locked",
            "--offline",
            "--package",
            "novate-bench-guest",
        ])
        .args(["--lib", "--crate-type", "cdylib", "--no-default-features"])
        .args(["--profile", "production", "--target", "wasm32v1-none"])
        .arg("--target-dir")
        .arg(&target)
        // In place of flags meant for the machine, and for lints.
        .env("RUSTFLAGS", "--cfg substrate_runtime")
        .env("CARGO_PROFILE_PRODUCTION_OVERFLOW_CHECKS", "false")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("RUSTC_WORKSPACE_WRAPPER")
        .status()
        .expect("cargo runs");
    assert!(
        built.success(),
        "bench/guest builds for wasm32v1-none (`make setup` adds the target)"
    );
    let wasm = target.join("wasm32v1-none/production/novate_bench_guest.wasm");
    fs::copy(wasm, guest).expect("the guest was built");
}
