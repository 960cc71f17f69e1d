//! Builds `tests/guest` for WebAssembly, as the runtime is built, and runs it.

#![allow(dead_code)]

use std::{path::Path, process::Command};
use wasmtime::{Engine, Instance, Module, Store, TypedFunc, WasmParams, WasmResults};

/// The guest, running.
pub struct Guest {
    store: Store<()>,
    instance: Instance,
}

impl Guest {
    /// Compiles it with the cargo that compiled this, offline: it depends on nothing but the crate.
    pub fn build(target_dir: &Path) -> Self {
        let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/guest/Cargo.toml");
        let built = Command::new(env!("CARGO"))
            .args(["build", "--release", "--locked", "--offline"])
            .args(["--target", "wasm32v1-none", "--manifest-path", manifest])
            .arg("--target-dir")
            .arg(target_dir)
            // Flags meant for the machine, and for coverage, are not meant for WebAssembly.
            .env_remove("RUSTFLAGS")
            .env_remove("CARGO_ENCODED_RUSTFLAGS")
            .env_remove("RUSTC_WORKSPACE_WRAPPER")
            .status()
            .expect("cargo runs");
        assert!(
            built.success(),
            "tests/guest builds for wasm32v1-none (`make setup` adds the target)"
        );
        let wasm = target_dir.join("wasm32v1-none/release/novate_math_guest.wasm");
        let engine = Engine::default();
        let module = Module::from_file(&engine, wasm).expect("the guest is a module");
        let mut store = Store::new(&engine, ());
        let instance = Instance::new(&mut store, &module, &[]).expect("the guest imports nothing");
        Self { store, instance }
    }

    /// An exported function.
    pub fn function<P: WasmParams, R: WasmResults>(&mut self, name: &str) -> TypedFunc<P, R> {
        self.instance
            .get_typed_func(&mut self.store, name)
            .expect("the guest exports it")
    }

    /// Calls one.
    pub fn call<P: WasmParams, R: WasmResults>(&mut self, f: &TypedFunc<P, R>, input: P) -> R {
        f.call(&mut self.store, input)
            .expect("the guest does not trap")
    }

    /// Words of the guest's memory.
    pub fn words(&mut self, address: u32, count: usize) -> Vec<u64> {
        let memory = self
            .instance
            .get_memory(&mut self.store, "memory")
            .expect("the guest exports its memory");
        let from = address as usize;
        memory.data(&self.store)[from..from + 8 * count]
            .chunks_exact(8)
            .map(|word| u64::from_le_bytes(word.try_into().unwrap()))
            .collect()
    }
}
