//! Answers against slow references of the families' own rules, and prices against their inverse.

mod common;

use novate_calc::answer;
use novate_math::Scaled;
use proptest::prelude::*;
use serde_json::{json, Value};

fn ask(family: &str, kind: &str, input: Value) -> Value {
    let line = json!({ "id": "x", "family": family, "kind": kind, "in": input }).to_string();
    serde_json::from_str(&answer(&line)).unwrap()
}

/// `⌈a·ppm/10⁶⌉`.
fn ppm_ceil(a: i128, ppm: i128) -> i128 {
    (a * ppm + 999_999).div_euclid(1_000_000)
}

/// A perpetual in plain integers: size, price, power of ten, fractions.
#[derive(Clone, Copy, Debug)]
struct Perpetual {
    size: i128,
    price: i128,
    power: i32,
    imf: i128,
    part: i128,
}

impl Perpetual {
    fn value(&self, size: i128) -> i128 {
        let product = size * self.price;
        match 10i128.pow(self.power.unsigned_abs()) {
            unit if self.power < 0 => product / unit,
            unit => product * unit,
        }
    }
    fn maintenance(&self, size: i128) -> i128 {
        ppm_ceil(ppm_ceil(self.value(size).abs(), self.imf), self.part)
    }
    fn json(&self) -> Value {
        json!({
            "resolution": (self.power - 3).to_string(), "exponent": "-3", "price": self.price.to_string(),
            "im_ppm": self.imf.to_string(), "maintenance_fraction_ppm": self.part.to_string(),
        })
    }
}

fn any_perpetual() -> impl Strategy<Value = Perpetual> {
    let size = prop_oneof![-50i128..50, -1_000_000_000i128..1_000_000_000];
    (
        size,
        1i128..100_000_000,
        -9i32..3,
        1i128..=1_000_000,
        1i128..=1_000_000,
    )
        .prop_map(|(size, price, power, imf, part)| Perpetual {
            size,
            price,
            power,
            imf,
            part,
        })
}

proptest! {
    #![proptest_config(common::runs(2_000))]

    #[test]
    fn liquidation_prices_follow_dydx_rules(
        held in prop::collection::vec(any_perpetual(), 1..4),
        quote in -1_000_000_000_000i128..1_000_000_000_000,
        part in 1i128..=120,
        (adjustment, spread) in (0i128..4_000_000, 0i128..2_000_000),
    ) {
        let position = held[0];
        let delta = -position.size.signum() * ((position.size.abs() * part + 99) / 100);
        let positions: Vec<_> = held.iter().enumerate()
            .map(|(id, p)| json!({ "perp": id.to_string(), "size": p.size.to_string() })).collect();
        let perpetuals: serde_json::Map<_, _> =
            held.iter().enumerate().map(|(id, p)| (id.to_string(), p.json())).collect();
        let input = json!({
            "account": { "quote": quote.to_string(), "positions": positions }, "perps": perpetuals, "perp": "0",
            "delta": delta.to_string(), "bankruptcy_adjustment_ppm": adjustment.to_string(),
            "spread_to_mm_ratio_ppm": spread.to_string(),
        });
        let bankruptcy = ask("dydx_liquidation", "bankruptcy_price", input.clone());
        let fillable = ask("dydx_liquidation", "fillable_price", input);
        if delta == 0 || delta.abs() > position.size.abs() {
            for answer in [bankruptcy, fillable] {
                prop_assert!(answer["error"].as_str().unwrap().starts_with("invalid_delta: "), "{}", answer);
            }
            return Ok(());
        }

        let tnc = quote + held.iter().map(|p| p.value(p.size)).sum::<i128>();
        let tmmr: i128 = held.iter().map(|p| p.maintenance(p.size)).sum();
        let left = position.size + delta;
        if tmmr == 0 {
            prop_assert!(bankruptcy["error"].as_str().unwrap().starts_with("division_by_zero: "));
            return Ok(());
        }
        let freed = (position.maintenance(left) - position.maintenance(position.size)).abs();
        let moved = position.value(left) - position.value(position.size);
        let quote = -moved - (tnc * freed).div_euclid(tmmr);
        prop_assert_eq!(&bankruptcy["out"]["bankruptcy_quote"], &json!(quote.to_string()));
        prop_assert_eq!(&bankruptcy["out"]["tnc"], &json!(tnc.to_string()));
        prop_assert_eq!(&bankruptcy["out"]["tmmr"], &json!(tmmr.to_string()));

        // PNNV − SMMR·PMMR·clamp(BA·(TMMR − TNC), 0, TMMR)/TMMR over the size, in floating 128 bits.
        let of = Scaled::from;
        let short = (adjustment * (tmmr - tnc)).clamp(0, 1_000_000 * tmmr);
        let way = of(spread).times(of(position.maintenance(position.size))).unwrap()
            .times(of(short)).unwrap().over(of(tmmr)).unwrap().over(of(10i128.pow(12))).unwrap();
        let value = position.value(position.size);
        let price = of(value).minus(way).unwrap().over(of(position.size)).unwrap();
        let got = common::number(&fillable["out"]["fillable_price"]);
        // The value may cancel against the way.
        let scale = of(value).abs().max(way).over(of(position.size).abs()).unwrap();
        let error = common::float(got.minus(price).unwrap().abs());
        prop_assert!(error <= 1e-20 * common::float(scale), "{got:?} for {price:?}");
    }

    #[test]
    fn margin_fraction_follows_dydx_rules(
        imf in 0i128..=1_000_000, notional in -1_000_000_000i128..1_000_000_000_000,
        open in 0i128..1_000_000, lower in 0i128..1_000_000, upper in 0i128..1_000_000,
    ) {
        let adjusted = if upper == 0 || open <= lower {
            imf
        } else if open >= upper {
            1_000_000
        } else {
            imf + (1_000_000 - imf) * (open - lower) / (upper - lower)
        };
        let input = json!({
            "im_ppm": imf.to_string(), "notional": notional.to_string(), "oi_notional": open.to_string(),
            "lower_cap": lower.to_string(), "upper_cap": upper.to_string(),
        });
        let fraction = ask("dydx_margin", "adjusted_imf_ppm", input.clone());
        prop_assert_eq!(&fraction["out"]["imf_ppm"], &json!(adjusted.to_string()));
        let margin = ask("dydx_margin", "initial_margin", input);
        prop_assert_eq!(&margin["out"]["initial_margin"], &json!(ppm_ceil(notional, adjusted).to_string()));
    }

    #[test]
    fn premium_follows_dydx_rules(
        bids in prop::collection::vec((1i128..1_000, 900i128..1_000), 0..5),
        asks in prop::collection::vec((1i128..1_000, 1_001i128..1_100), 0..5),
        notional in prop_oneof![1 => Just(0i128), 9 => 1i128..2_000_000],
        index in 850i128..1_150, most in 0i128..200_000,
    ) {
        // The mean price as a fraction over·under of walking whole lots and a part of the last.
        let impact = |orders: &[(i128, i128)], best_first: fn(&(i128, i128)) -> i128| {
            let mut orders = orders.to_vec();
            orders.sort_by_key(best_first);
            if notional == 0 {
                return orders.first().map(|(_, price)| (*price, 1));
            }
            let (mut left, mut base) = (notional, 0);
            for (size, price) in orders {
                if size * price >= left {
                    return Some((notional * price, base * price + left));
                }
                (left, base) = (left - size * price, base + size);
            }
            None
        };
        let ppm = |(over, under): (i128, i128)| (over - index * under) * 1_000_000 / (index * under);
        let above = impact(&bids, |(_, price)| -*price).map_or(0, |bid| ppm(bid).max(0));
        let below = impact(&asks, |(_, price)| *price).map_or(0, |ask| ppm(ask).min(0));
        let row = |side: &'static str| {
            move |(size, price): &(i128, i128)| json!({
                "side": side, "size": size.to_string(), "subticks": price.to_string(),
            })
        };
        let book: Vec<_> = bids.iter().map(row("buy")).chain(asks.iter().map(row("sell"))).collect();
        let input = json!({
            "book": book, "index_price": index.to_string(), "index_exponent": "-9", "base_resolution": "3",
            "conversion_exponent": "0", "impact_notional": notional.to_string(), "max_abs_ppm": most.to_string(),
        });
        let got = ask("dydx_premium", "premium", input);
        prop_assert_eq!(&got["out"]["premium_ppm"], &json!((above + below).clamp(-most, most).to_string()));
    }

    #[test]
    fn implied_volatility_is_the_one_that_made_the_price(
        (forward, moneyness) in (1.0f64..100_000.0, -2.0f64..2.0),
        (volatility, years) in (0.05f64..3.0, 0.001f64..5.0),
        rate in -0.1f64..0.2,
        call in any::<bool>(),
    ) {
        let strike = forward * (moneyness * volatility * years.sqrt()).exp();
        let text = |x: f64| format!("{x:.12}");
        let mut input = json!({
            "F": text(forward), "K": text(strike), "T": text(years), "r": text(rate), "v": text(volatility),
            "type": if call { "call" } else { "put" },
        });
        let priced = ask("options_black", "general", input.clone());
        let price = priced["out"]["black76"][usize::from(!call)].clone();
        input["price"] = price;
        let solved = ask("implied_vol", "general", input);
        let got = common::number(&solved["out"]["v"]);
        let error = common::float(got.minus(text(volatility).parse().unwrap()).unwrap().abs());
        prop_assert!(error < 1e-25 * volatility, "{error:e} in {solved}");
    }

    #[test]
    fn sixteen_scenarios_follow_spans_rules(
        forward in 1u32..100_000, (strike, years) in (0.3f64..3.0, 0.001f64..3.0),
        rate in -0.1f64..0.1, volatility in 0.05f64..2.0,
        (range, shift) in (0.02f64..0.6, 0.01f64..0.8),
        (options, futures) in (-100i64..100, -100i64..100),
        call in any::<bool>(),
    ) {
        let text = |x: f64| format!("{x:.9}");
        let f = f64::from(forward);
        let (strike, years, rate) = (text(strike * f), text(years), text(rate));
        let (range, shift, volatility) = (text(range * f), text(shift), text(volatility));
        let position = json!({
            "type": if call { "call" } else { "put" }, "expiry": "0", "strike": strike, "vol": volatility,
            "quantity": options.to_string(),
        });
        let future = json!({ "type": "future", "expiry": "0", "quantity": futures.to_string() });
        let answer = ask("span16", "any", json!({
            "psr": range, "vsr": shift, "extreme_weight": "0.33", "multiplier": "0.1",
            "expiries": [{ "T": years, "F": forward.to_string(), "r": rate }], "positions": [position, future],
        }));

        let of = |text: &str| text.parse::<Scaled>().unwrap();
        let price = |forward: Scaled, volatility: Scaled| {
            let input = json!({
                "F": forward.to_decimal(38).unwrap(), "K": strike, "T": years, "r": rate,
                "v": volatility.to_decimal(38).unwrap(),
            });
            common::number(&ask("options_black", "any", input)["out"]["black76"][usize::from(!call)])
        };
        let (base, tenth) = (price(of(&forward.to_string()), of(&volatility)), of("0.1"));
        let gross = f * (options.abs() + futures.abs()) as f64 / 10.0;
        // Thirds of the range, and which way volatility moves.
        let inner = [0, 1, -1, 2, -2, 3, -3].map(|thirds| [(thirds, 1i128, "1"), (thirds, -1, "1")]);
        let all = inner.into_iter().flatten().chain([(9, 0, "0.33"), (-9, 0, "0.33")]);
        for (at, (thirds, way, weight)) in all.enumerate() {
            let moved = Scaled::from(i128::from(thirds)).times(of(&range)).unwrap().over(of("3")).unwrap();
            let shocked = of(&forward.to_string()).plus(moved).unwrap().max(of("1e-9"));
            let turned = of(&volatility).plus(Scaled::from(way).times(of(&shift)).unwrap()).unwrap();
            let option = price(shocked, turned.max(of("0.0001"))).minus(base).unwrap();
            let change = Scaled::from(i128::from(options)).times(option).unwrap()
                .plus(Scaled::from(i128::from(futures)).times(shocked.minus(of(&forward.to_string())).unwrap()).unwrap());
            let loss = change.unwrap().times(tenth).unwrap().times(of(weight)).unwrap().negated();
            let got = common::number(&answer["out"]["losses"][at]);
            let error = common::float(got.minus(loss).unwrap().abs());
            prop_assert!(error <= 1e-17 * gross, "{at}: {got:?} for {loss:?} in {answer}");
        }
    }
}
