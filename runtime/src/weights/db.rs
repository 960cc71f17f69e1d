//! What the database costs. Written by `make weights`.

use frame_support::{parameter_types, weights::RuntimeDbWeight};

parameter_types! {
    /// Measured on AMD EPYC, 2 cores, on a ParityDB of 1_000_000 keys of 512 bytes with a warm trie cache.
    /// A read: 1463 ns (cold: 44371 ns). A write: 49225 ns of storage root, 29581 ns of commit and finalisation.
    pub const DbWeight: RuntimeDbWeight = RuntimeDbWeight {
        read: 1_463_000,
        write: 78_806_000,
    };
}
