//! Keeps what was reached: a run's ratios against the committed ones.

use crate::measure::Figure;
use anyhow::{bail, Context};
use std::{fs, path::Path};

/// How much worse a ratio may be than the committed one, as a part of it.
const TOLERANCE: f64 = 0.15;

/// Figures as they are written: one JSON object a line.
fn read(file: &Path) -> anyhow::Result<Vec<Figure>> {
    let text = fs::read_to_string(file).with_context(|| format!("{}", file.display()))?;
    text.lines()
        .filter(|line| !line.trim().is_empty())
        .map(|line| serde_json::from_str(line).with_context(|| line.to_string()))
        .collect()
}

/// Whether a smaller ratio is the better one. Bounds are kept by not exceeding them or by not falling short; which, the
/// committed ratio's verdict tells.
fn is_better_smaller(committed: &Figure) -> bool {
    match (committed.ratio, committed.reach, committed.holds) {
        (Some(ratio), Some(reach), Some(holds)) => (ratio <= reach) == holds,
        _ => true,
    }
}

/// What is worse than committed or missing, and what is better, in words.
fn compare(committed: &[Figure], run: &[Figure]) -> (Vec<String>, Vec<String>) {
    let (mut worse, mut better) = (Vec::new(), Vec::new());
    for before in committed {
        let Some(ratio) = before.ratio else {
            continue;
        };
        let name = format!("{}: {}", before.scenario, before.figure);
        let same = |now: &&Figure| now.scenario == before.scenario && now.figure == before.figure;
        let Some(now) = run.iter().find(same).and_then(|now| now.ratio) else {
            worse.push(format!("{name}: not measured"));
            continue;
        };
        let (change, told) = (now - ratio, format!("{name}: {ratio} became {now}"));
        let loss = if is_better_smaller(before) {
            change
        } else {
            -change
        };
        if loss > TOLERANCE * ratio {
            worse.push(told);
        } else if -loss > TOLERANCE * ratio {
            better.push(told);
        }
    }
    (worse, better)
}

/// Compares a run with the committed figures.
pub fn check(committed: &Path, run: &Path) -> anyhow::Result<()> {
    let (committed, run) = (read(committed)?, read(run)?);
    if committed.iter().all(|figure| figure.ratio.is_none()) {
        bail!("nothing is committed to compare with");
    }
    let (worse, better) = compare(&committed, &run);
    for line in &better {
        println!("better: {line}; commit the new figure");
    }
    if worse.is_empty() {
        println!("no ratio is more than {:.0} % worse", 100.0 * TOLERANCE);
        return Ok(());
    }
    bail!("worse than committed:\n  {}", worse.join("\n  "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(name: &str, ratio: f64, reach: Option<f64>, holds: Option<bool>) -> Figure {
        Figure {
            scenario: "1".into(),
            figure: name.into(),
            value: 1.0,
            unit: "us".into(),
            ratio: Some(ratio),
            reach,
            holds,
        }
    }

    fn counts(committed: &Figure, now: f64) -> (usize, usize) {
        let run = Figure {
            ratio: Some(now),
            ..committed.clone()
        };
        let (worse, better) = compare(&[committed.clone()], &[run]);
        (worse.len(), better.len())
    }

    #[test]
    fn a_cost_may_rise_by_fifteen_percent() {
        for committed in [
            figure("kept", 0.1, Some(0.12), Some(true)),
            figure("missed", 0.2, Some(0.12), Some(false)),
            figure("free", 0.2, None, None),
        ] {
            let ratio = committed.ratio.unwrap();
            assert_eq!(counts(&committed, 1.14 * ratio), (0, 0));
            assert_eq!(counts(&committed, 1.16 * ratio), (1, 0));
            assert_eq!(counts(&committed, 0.84 * ratio), (0, 1));
        }
    }

    #[test]
    fn a_share_that_should_be_large_may_fall_by_fifteen_percent() {
        for committed in [
            figure("kept", 0.3, Some(0.25), Some(true)),
            figure("missed", 0.1, Some(0.25), Some(false)),
        ] {
            let ratio = committed.ratio.unwrap();
            assert_eq!(counts(&committed, 0.86 * ratio), (0, 0));
            assert_eq!(counts(&committed, 0.84 * ratio), (1, 0));
            assert_eq!(counts(&committed, 1.16 * ratio), (0, 1));
        }
    }

    #[test]
    fn what_was_not_measured_is_worse_and_what_has_no_ratio_is_not_compared() {
        let committed = figure("a", 1.0, None, None);
        assert_eq!(compare(&[committed.clone()], &[]).0.len(), 1);
        let bare = Figure {
            ratio: None,
            ..committed
        };
        assert_eq!(compare(&[bare], &[]), (Vec::new(), Vec::new()));
    }
}
