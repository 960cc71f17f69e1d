//! What a measured step takes, its parts told apart, so that whoever counts keys as they are changed can.

use sp_weights::{RuntimeDbWeight, Weight};

/// Time and keys of a step of the close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Picoseconds.
    pub time: u64,
    /// Keys read.
    pub reads: u64,
    /// Keys written where it was measured.
    pub writes: u64,
}

impl Part {
    /// All of it.
    pub fn weight(self, db: RuntimeDbWeight) -> Weight {
        Weight::from_parts(self.time, 0).saturating_add(db.reads_writes(self.reads, self.writes))
    }

    /// All but the keys written, in picoseconds.
    pub fn computing(self, db: RuntimeDbWeight) -> u64 {
        db.reads(self.reads).ref_time().saturating_add(self.time)
    }

    /// This, and so many times another.
    pub fn with(self, other: Self, times: u32) -> Self {
        let times = u64::from(times);
        Self {
            time: self.time.saturating_add(other.time.saturating_mul(times)),
            reads: self.reads.saturating_add(other.reads.saturating_mul(times)),
            writes: self
                .writes
                .saturating_add(other.writes.saturating_mul(times)),
        }
    }

    /// So many steps of `of` on the way from this to `full`, or all the way; rounded up.
    pub fn towards(self, full: Self, steps: u32, of: u32) -> Self {
        let of = u64::from(of.max(1));
        let steps = u64::from(steps).min(of);
        let between = |from: u64, to: u64| {
            from.saturating_add(to.saturating_sub(from).saturating_mul(steps).div_ceil(of))
        };
        Self {
            time: between(self.time, full.time),
            reads: between(self.reads, full.reads),
            writes: between(self.writes, full.writes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_between_two_is_no_less_than_the_line() {
        let small = Part {
            time: 10,
            reads: 1,
            writes: 3,
        };
        let full = Part {
            time: 100,
            reads: 2,
            writes: 4,
        };
        assert_eq!(small.towards(full, 0, 3), small);
        assert_eq!(small.towards(full, 3, 3), full);
        assert_eq!(small.towards(full, 9, 3), full);
        let one = Part {
            time: 40,
            reads: 2,
            writes: 4,
        };
        assert_eq!(small.towards(full, 1, 3), one);
        // What costs less full than small is never less than small.
        assert_eq!(full.towards(small, 1, 3), full);
    }
}
