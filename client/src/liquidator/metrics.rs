//! Counters and gauges in Prometheus' text format, served on loopback.

use axum::{http::header::CONTENT_TYPE, routing::get, Router};
use std::{
    collections::BTreeMap,
    fmt::Write,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

/// What there is to read, and of which kind it is.
const FAMILIES: [(&str, &str, &str); 12] = [
    ("block", "gauge", "Best block seen"),
    ("connected", "gauge", "Whether the node is there"),
    ("reconnections_total", "counter", "How often it was gone"),
    ("competitions", "gauge", "Accounts in open competition"),
    (
        "candidates_below_maintenance",
        "gauge",
        "Accounts below maintenance margin among the nearest",
    ),
    (
        "candidate_health_ppm",
        "gauge",
        "Equity over maintenance margin of accounts below it or for sale",
    ),
    (
        "candidate_profit_quantums",
        "gauge",
        "What a bid for such an account would make",
    ),
    (
        "equity_quantums",
        "gauge",
        "Equity of the accounts that bid",
    ),
    ("bids_total", "counter", "Bids by what became of them"),
    (
        "passes_total",
        "counter",
        "Competitions left by reason, once a block",
    ),
    ("discount_quantums_total", "counter", "Discounts received"),
    (
        "hedges_total",
        "counter",
        "Orders sent to close what was taken, by outcome",
    ),
];

/// Numbers by family and label. Cheap to clone.
#[derive(Clone, Default)]
pub struct Metrics {
    values: Arc<Mutex<BTreeMap<(&'static str, String), i128>>>,
}

impl Metrics {
    fn change(&self, family: &'static str, label: &str, change: impl FnOnce(&mut i128)) {
        let mut values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        change(values.entry((family, label.to_owned())).or_default());
    }

    /// Sets a gauge.
    pub fn set(&self, family: &'static str, label: &str, value: i128) {
        self.change(family, label, |held| *held = value);
    }

    /// Sets a gauge for these labels, and for no others any more.
    pub fn replace(
        &self,
        family: &'static str,
        labelled: impl IntoIterator<Item = (String, i128)>,
    ) {
        let mut values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        values.retain(|(of, _), _| *of != family);
        let labelled = labelled.into_iter();
        values.extend(labelled.map(|(label, value)| ((family, label), value)));
    }

    /// Adds to a counter.
    pub fn add(&self, family: &'static str, label: &str, more: i128) {
        self.change(family, label, |held| *held = held.saturating_add(more));
    }

    /// All of them as text.
    pub fn text(&self) -> String {
        let values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = String::new();
        for (family, kind, help) in FAMILIES {
            // Writing to a string does not fail.
            let _ = writeln!(text, "# HELP novate_liquidator_{family} {help}.");
            let _ = writeln!(text, "# TYPE novate_liquidator_{family} {kind}");
            for ((of, label), value) in values.iter().filter(|((of, _), _)| *of == family) {
                let label = if label.is_empty() {
                    String::new()
                } else {
                    format!("{{of=\"{label}\"}}")
                };
                let _ = writeln!(text, "novate_liquidator_{of}{label} {value}");
            }
        }
        text
    }

    /// Serves them at `/metrics` until the process ends. Returns where, as a port of zero is the system's choice.
    ///
    /// # Errors
    ///
    /// When the port is taken.
    pub async fn serve(&self, at: SocketAddr) -> std::io::Result<SocketAddr> {
        let listener = tokio::net::TcpListener::bind(at).await?;
        let bound = listener.local_addr()?;
        let metrics = self.clone();
        let answer = move || {
            let text = metrics.text();
            async move { ([(CONTENT_TYPE, "text/plain; version=0.0.4")], text) }
        };
        let router = Router::new().route("/metrics", get(answer));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(bound)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_text_with_a_type_for_each_family() {
        let metrics = Metrics::default();
        metrics.set("block", "", 7);
        metrics.set("block", "", 8);
        metrics.add("bids_total", "filled", 1);
        metrics.add("bids_total", "filled", 1);
        metrics.add("bids_total", "dropped", 1);
        metrics.replace("candidate_health_ppm", [("a/0".into(), 5)]);
        metrics.replace("candidate_health_ppm", [("b/0".into(), 6)]);
        let text = metrics.text();
        for line in [
            "# TYPE novate_liquidator_block gauge",
            "novate_liquidator_block 8",
            "novate_liquidator_candidate_health_ppm{of=\"b/0\"} 6",
            "novate_liquidator_bids_total{of=\"dropped\"} 1",
            "novate_liquidator_bids_total{of=\"filled\"} 2",
            "# TYPE novate_liquidator_passes_total counter",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} in\n{text}");
        }
        assert!(!text.contains("a/0"));
    }
}
