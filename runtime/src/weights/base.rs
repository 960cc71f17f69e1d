//! What a block and an extrinsic cost before they do anything. Written by `make weights`.

use frame_support::{parameter_types, weights::Weight};

parameter_types! {
    /// An empty block, executed on AMD EPYC, 2 cores.
    pub const BlockExecutionWeight: Weight = Weight::from_parts(292_276_000, 0);
    /// An extrinsic that does nothing, of an account of its own.
    pub const ExtrinsicBaseWeight: Weight = Weight::from_parts(59_761_000, 0);
}
