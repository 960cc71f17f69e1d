//! Quotes, depth and levels.

use crate::{mock::*, Pallet};
use novate_types::{OrderBook as _, *};

fn quotes() -> RestedQuotes {
    Pallet::<Test>::rested(BTC)
}

#[test]
fn quote_counts_only_when_it_stood_after_two_closes() {
    new_test_ext().execute_with(|| {
        place(1, limit(1, Side::Bid, 1_000, MARK - 10)).unwrap();
        close();
        assert_eq!(quotes(), RestedQuotes::default());
        place(2, limit(1, Side::Bid, 1_000, MARK - 5)).unwrap();
        close();
        assert_eq!(quotes().bid, Some(MARK - 10));
        // No change in between.
        close();
        assert_eq!((quotes().bid, quotes().ask), (Some(MARK - 5), None));
        let half = Price::from_rational(1, 2);
        assert_eq!(quotes().impact_bid, math::price_of(MARK - 5, half).ok());
        assert_eq!(quotes().impact_ask, None);
        // Pulling it changes nothing before the close.
        operate(2, Operation::Cancel(OrderTarget::Client(1))).unwrap();
        assert_eq!(quotes().bid, Some(MARK - 5));
        close();
        assert_eq!(quotes().bid, Some(MARK - 10));
    });
}

#[test]
fn size_counts_at_the_smaller_when_it_shrank() {
    new_test_ext().execute_with(|| {
        place(1, limit(1, Side::Ask, 100, MARK + 10)).unwrap();
        close();
        close();
        assert!(quotes().impact_ask.is_some());
        let less = Operation::Amend {
            target: OrderTarget::Client(1),
            price: None,
            lots: Some(99),
        };
        operate(1, less).unwrap();
        assert!(quotes().impact_ask.is_some());
        close();
        // 99 lots are 594 USD and a little.
        assert_eq!((quotes().ask, quotes().impact_ask), (Some(MARK + 10), None));
    });
}

#[test]
fn impact_price_is_the_mean_over_levels_when_one_is_too_thin() {
    new_test_ext().execute_with(|| {
        // 600 USD: 50 lots at 120,000 are 300 USD; the other 300 USD at 150,000 are 40 lots.
        MockView::change(BTC, |m| m.price_band = 900_000);
        place(1, limit(1, Side::Ask, 50, 120_000)).unwrap();
        place(2, limit(1, Side::Ask, 50, 150_000)).unwrap();
        place(1, limit(2, Side::Bid, 50, 100_000)).unwrap();
        place(2, limit(2, Side::Bid, 50, 90_000)).unwrap();
        close();
        close();
        // 600 USD / 90 lots of 0.0001 units.
        assert_eq!(
            quotes().impact_ask,
            Some(Price::from_inner(66_666_666_666_666_666_666_667))
        );
        // 250 + 225 USD are not enough.
        assert_eq!(quotes().impact_bid, None);
        assert_eq!(quotes().bid, Some(100_000));
    });
}

#[test]
fn reduce_only_orders_are_no_quotes_when_they_rest() {
    new_test_ext().execute_with(|| {
        place(1, limit(100, Side::Bid, 1_000, MARK)).unwrap();
        place(2, limit(100, Side::Ask, 1_000, MARK)).unwrap();
        close();
        let reducing = NewOrder {
            reduce_only: true,
            ..limit(1, Side::Bid, 1_000, MARK - 1)
        };
        place(2, reducing).unwrap();
        place(3, limit(1, Side::Bid, 1_000, MARK - 20)).unwrap();
        close();
        close();
        assert_eq!(book().0.first(), Some(&(MARK - 1, 1_000, 1)));
        let half = Price::from_rational(1, 2);
        assert_eq!(quotes().bid, Some(MARK - 20));
        assert_eq!(quotes().impact_bid, math::price_of(MARK - 20, half).ok());
    });
}

#[test]
fn expired_orders_count_as_read_when_depth_is_looked_at() {
    new_test_ext().execute_with(|| {
        UpkeepPages::set(0);
        for n in 0..2 {
            let expiring = NewOrder {
                time_in_force: TimeInForce::GoodTilBlock(2),
                ..limit(n, Side::Bid, 10, MARK - 1)
            };
            place(1, expiring).unwrap();
        }
        place(2, limit(1, Side::Bid, 10, MARK / 2)).unwrap();
        MockView::change(BTC, |m| m.price_band = 900_000);
        close();
        System::set_block_number(2);
        let depth = || Pallet::<Test>::depth(BTC, Side::Bid, 0);
        assert_eq!(depth(), 10);
        QuoteDepth::set(2);
        assert_eq!(depth(), 0);
        QuoteDepth::set(256);
        UpkeepPages::set(2);
    });
}

#[test]
fn depth_adds_up_what_a_limit_reaches_within_its_bound() {
    new_test_ext().execute_with(|| {
        for (owner, ticks) in [(1, MARK - 1), (2, MARK - 2), (3, MARK - 3)] {
            place(owner, limit(1, Side::Bid, 10, ticks)).unwrap();
        }
        close();
        let depth = |limit| Pallet::<Test>::depth(BTC, Side::Bid, limit);
        assert_eq!([MARK, MARK - 1, MARK - 2, 0].map(depth), [0, 10, 20, 30]);
        assert_eq!(Pallet::<Test>::depth(BTC, Side::Ask, Ticks::MAX), 0);
        QuoteDepth::set(2);
        assert_eq!(depth(0), 20);
        assert_eq!(
            Pallet::<Test>::book(BTC, 1),
            (vec![(MARK - 1, 10, 1)], vec![])
        );
        QuoteDepth::set(256);
    });
}
