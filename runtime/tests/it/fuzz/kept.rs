//! Cases that failed once, shrunk, as data.

use super::step::{Scene, Step};

/// A case that was found.
pub struct Kept {
    /// What was wrong.
    pub what: &'static str,
    pub scene: Scene,
    pub steps: fn() -> Vec<Step>,
}

/// All of them, oldest first.
pub const KEPT: &[Kept] = &[];
