//! Volatility and stress on the whole runtime, an hour a block.

use crate::common::*;
use novate_runtime::{Instruments, Runtime};
use pallet_instruments::{Change, Pending};

#[test]
fn margin_follows_a_wild_price_and_stress_is_published_every_hour() {
    opened_at(usd(20_000)).execute_with(|| {
        for hour in 0..122u64 {
            begin(3_600_000);
            observe(usd(20_000 + hour % 2 * 1_000));
            end();
        }
        let (_, at, kept) = pallet_liquidation::Volatilities::<Runtime>::get()[0];
        assert_eq!(at, view().now);
        assert!(kept.samples >= 120, "{} samples", kept.samples);
        let pending = Pending::<Runtime>::get();
        let follows = Change::Follow(0, 1_250_000);
        assert!(
            pending.iter().any(|p| p.change == follows),
            "{pending:?} does not follow"
        );
        assert_eq!(Instruments::maintenance_ahead(BTC_PERP), Some(37_500));
        let report = pallet_liquidation::Stress::<Runtime>::get().expect("a sweep is done");
        assert!(report.completed + 8 > view().block, "{report:?}");
        assert!(report.default_fund <= report.available);
        conserved();
    });
}
