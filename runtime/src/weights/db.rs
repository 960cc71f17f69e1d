//! What the database costs. Written by `make weights`.

use frame_support::{parameter_types, weights::RuntimeDbWeight};

parameter_types! {
    /// Measured on AMD EPYC, 2 cores, on a ParityDB of 250_000 keys of 512 bytes with a warm trie cache.
    /// A read: 1108 ns (cold: 7182 ns). A write: 25212 ns of storage root, 12789 ns of commit and finalisation.
    pub const DbWeight: RuntimeDbWeight = RuntimeDbWeight {
        read: 1_108_000,
        write: 38_001_000,
    };
}
