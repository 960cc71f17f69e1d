//! The accounts nearest to liquidation, the least healthy first: what taking of them would make, and what is done about each, or why nothing.
//! Pure functions of what the chain says and of what was decided.

use super::{
    decide::{health, Pass, Plan, Rules},
    outcome::percent,
};
use crate::{
    decimal::{cash, cash_floor},
    Account,
};
use novate_types::{Cash, MarginAccount, Ppm, RiskModel, RiskView, Standing, MILLION};
use serde::{Serialize, Serializer};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    fmt,
};

/// An account near its maintenance margin, as the runtime API gives it.
pub type Candidate = novate_runtime_api::Candidate<crate::AccountId>;

/// What is done about a candidate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Course {
    /// It is bid for.
    Bids {
        /// How much of it, in ppm.
        fraction: Ppm,
        /// What that is expected to make, in quantums.
        profit: Cash,
    },
    /// A bid for it has no answer yet.
    UnderWay {
        /// What it is expected to make, in quantums.
        profit: Cash,
    },
    /// It is for sale, and left.
    Passes(Pass),
    /// It is for sale, and others of the same block may make more.
    NotLookedAt,
    /// Nothing of it is for sale.
    NotForSale(Standing),
}

impl From<&Plan> for Course {
    fn from(plan: &Plan) -> Self {
        Self::Bids {
            fraction: plan.fraction,
            profit: plan.profit,
        }
    }
}

impl Course {
    /// Its name: when that changes, it is said.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Bids { .. } => "bids",
            Self::UnderWay { .. } => "under_way",
            Self::Passes(pass) => pass.name(),
            Self::NotLookedAt => "not_looked_at",
            Self::NotForSale(Standing::Good) => "good",
            Self::NotForSale(Standing::Liquidating { .. }) => "liquidating",
            Self::NotForSale(Standing::Competing { .. }) => "competing",
            Self::NotForSale(Standing::Called { .. }) => "called",
            Self::NotForSale(Standing::Frozen) => "frozen",
        }
    }

    /// What a bid would make, or is expected to, in quantums; none if that was not reckoned.
    pub const fn expected(&self) -> Option<Cash> {
        match self {
            Self::Bids { profit, .. } | Self::UnderWay { profit } => Some(*profit),
            Self::Passes(Pass::Profit { expected }) => Some(*expected),
            _ => None,
        }
    }
}

impl fmt::Display for Course {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bids { fraction, .. } => write!(f, "bids for {}", percent(*fraction)),
            Self::UnderWay { .. } => f.write_str("a bid is under way"),
            Self::Passes(pass) => write!(f, "passes: {pass}"),
            Self::NotLookedAt => f.write_str("waits: others of this block may make more"),
            Self::NotForSale(standing) => f.write_str(match standing {
                Standing::Good => "not for sale: it trades",
                Standing::Liquidating { .. } => "not for sale: the market is asked first",
                Standing::Competing { .. } => "not for sale: it has no fresh price, or nothing",
                Standing::Called { .. } => {
                    "not for sale: its debt is paid, or it has no collateral"
                }
                Standing::Frozen => "not for sale: it is with fund, vault and counterparties",
            }),
        }
    }
}

/// A candidate, and what is done about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Ranked {
    /// Which account.
    pub account: Account,
    /// Equity over maintenance margin, both without long options, in ppm; `u32::MAX` if it needs nothing.
    pub health: Ppm,
    /// Equity, in quantums; for programs, like all amounts, a decimal string in USD.
    #[serde(serialize_with = "in_usd")]
    pub equity: Cash,
    /// Maintenance margin, in quantums.
    #[serde(serialize_with = "in_usd")]
    pub maintenance: Cash,
    /// What a bid would make, or is expected to, in quantums; none if nothing is for sale, or it cannot be said.
    #[serde(serialize_with = "in_usd_if_any")]
    pub expected: Option<Cash>,
    /// In words: what is done about it, or why nothing.
    pub course: String,
    /// The name of that.
    pub course_name: &'static str,
}

fn in_usd<S: Serializer>(quantums: &Cash, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&cash(*quantums))
}

fn in_usd_if_any<S: Serializer>(quantums: &Option<Cash>, to: S) -> Result<S::Ok, S::Error> {
    quantums.map(cash).serialize(to)
}

impl Ranked {
    /// Whether it may be liquidated, or something of it is for sale.
    pub fn matters(&self) -> bool {
        self.health < MILLION || !matches!(self.course_name, "good" | "called")
    }
}

/// An account as a candidate; none if it cannot be valued.
pub fn candidate(of: Account, account: &MarginAccount, view: &RiskView) -> Option<Candidate> {
    let found = Rules::assess(account, view).ok()?;
    Some(Candidate {
        account: of,
        standing: account.standing,
        equity: found.equity,
        maintenance: found.maintenance,
        long_options: found.long_options,
        notional: found.notional,
    })
}

/// Ranks candidates, each account once: the least healthy first, of those that are equal the one that is expected to make most.
pub fn rank(
    candidates: impl IntoIterator<Item = Candidate>,
    courses: &BTreeMap<Account, Course>,
) -> Vec<Ranked> {
    let mut seen = BTreeSet::new();
    let mut ranked: Vec<Ranked> = candidates
        .into_iter()
        .filter(|candidate| seen.insert(candidate.account))
        .map(|candidate| {
            let known = courses.get(&candidate.account).cloned();
            let course = known.unwrap_or(Course::NotForSale(candidate.standing));
            let net = |sum: Cash| sum.saturating_sub(candidate.long_options);
            Ranked {
                account: candidate.account,
                health: health(net(candidate.equity), net(candidate.maintenance)),
                equity: candidate.equity,
                maintenance: candidate.maintenance,
                expected: course.expected(),
                course: course.to_string(),
                course_name: course.name(),
            }
        })
        .collect();
    ranked.sort_by_key(|one| (one.health, Reverse(one.expected), one.account));
    ranked
}

fn health_in_words(health: Ppm) -> String {
    match health {
        Ppm::MAX => "-".into(),
        ppm => percent(ppm),
    }
}

impl fmt::Display for Ranked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "health {}, equity {} of {} USD",
            health_in_words(self.health),
            cash_floor(self.equity),
            cash_floor(self.maintenance)
        )?;
        if let Some(expected) = self.expected {
            write!(f, ", {} USD expected", cash_floor(expected))?;
        }
        write!(f, "; {}", self.course)
    }
}

/// All of them as a table.
pub fn table(ranked: &[Ranked]) -> String {
    let head = ["", "health", "equity", "maintenance", "expected"].map(String::from);
    let rows: Vec<[String; 5]> = ranked
        .iter()
        .zip(1..)
        .map(|(one, place)| {
            let number: i32 = place;
            [
                number.to_string(),
                health_in_words(one.health),
                cash_floor(one.equity),
                cash_floor(one.maintenance),
                one.expected.map_or_else(|| "-".into(), cash_floor),
            ]
        })
        .collect();
    let all = || [&head].into_iter().chain(&rows);
    let widths: [usize; 5] =
        std::array::from_fn(|at| all().map(|row| row[at].len()).max().unwrap_or(0));
    let line = |row: &[String; 5], rest: String| {
        let cells = row.iter().zip(widths);
        let cells: Vec<String> = cells
            .map(|(cell, width)| format!("{cell:>width$}"))
            .collect();
        format!("{}  {rest}", cells.join("  "))
    };
    let mut lines = vec![line(&head, "account: what is done".into())];
    for (row, one) in rows.iter().zip(ranked) {
        let Account { owner, sub } = one.account;
        lines.push(line(row, format!("{owner}/{sub}: {}", one.course)));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use novate_types::QUANTUMS;

    fn of(number: u8) -> Account {
        Account::new([number; 32].into(), 0)
    }

    fn near(number: u8, equity: i128, maintenance: i128, long_options: i128) -> Candidate {
        Candidate {
            account: of(number),
            standing: Standing::Good,
            equity: equity * QUANTUMS,
            maintenance: maintenance * QUANTUMS,
            long_options: long_options * QUANTUMS,
            notional: 0,
        }
    }

    fn accounts(ranked: &[Ranked]) -> Vec<Account> {
        ranked.iter().map(|one| one.account).collect()
    }

    #[test]
    fn least_healthy_comes_first_and_of_equals_what_makes_most() {
        let makes = |profit| Course::UnderWay { profit };
        let courses = [(of(2), makes(5)), (of(4), makes(7))].into();
        let found = [
            near(1, 120, 100, 0),
            near(2, 80, 100, 0),
            near(3, 80, 100, 0),
            near(4, 80, 100, 0),
            near(5, 10, 100, 0),
            near(5, 10, 100, 0),
            near(6, 5, 0, 0),
        ];
        let ranked = rank(found, &courses);
        assert_eq!(
            accounts(&ranked),
            [of(5), of(4), of(2), of(3), of(1), of(6)]
        );
        let matters: Vec<_> = ranked.iter().map(Ranked::matters).collect();
        assert_eq!(matters, [true, true, true, true, false, false]);
    }

    #[test]
    fn health_is_of_what_long_options_do_not_need_themselves() {
        // 1,080 of 1,100, of which options worth 1,000 need themselves: 80 of 100.
        let ranked = rank([near(1, 1_080, 1_100, 1_000)], &BTreeMap::new());
        assert_eq!(ranked[0].health, 800_000);
        assert_eq!(ranked[0].equity, 1_080 * QUANTUMS);
    }

    #[test]
    fn candidate_says_what_is_done_about_it_and_what_that_makes() {
        let plan = Course::Bids {
            fraction: 269_777,
            profit: 6_020_000,
        };
        let waits = Course::Passes(Pass::Profit { expected: -94_000 });
        let courses = [(of(1), plan), (of(2), waits)].into();
        let found = [near(1, 40, 47, 0), near(2, 44, 47, 0), near(3, 48, 47, 0)];
        let ranked = rank(found, &courses);
        assert_eq!(
            ranked[0].to_string(),
            "health 85.1063 %, equity 40.00 of 47.00 USD, 6.02 USD expected; bids for 26.9777 %"
        );
        assert!(ranked[1]
            .to_string()
            .contains("waiting for a larger discount"));
        assert_eq!(ranked[1].expected, Some(-94_000));
        let json = serde_json::to_value(&ranked[0]).unwrap();
        assert_eq!(json["equity"], "40");
        assert_eq!(json["expected"], "6.02");
        let table = table(&ranked);
        let lines: Vec<_> = table.lines().collect();
        assert_eq!(lines.len(), 4);
        assert!(lines[0].contains("health") && lines[1].contains("85.1063 %"));
        assert!(lines[1].contains("6.02") && lines[3].ends_with("it trades"));
    }
}
