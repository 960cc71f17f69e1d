//! The real binary, from genesis: it executes the runtime's blob, makes blocks and finalises them.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

/// A node that dies with the test.
struct Node(Child);

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(arguments: &[&str]) -> (Node, mpsc::Receiver<String>) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_novate-node"))
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the node starts");
    let log = BufReader::new(child.stderr.take().expect("its log is piped"));
    let (send, receive) = mpsc::channel();
    thread::spawn(move || {
        log.lines()
            .map_while(Result::ok)
            .try_for_each(|line| send.send(line))
    });
    (Node(child), receive)
}

#[test]
fn a_development_node_makes_and_finalises_blocks_in_parity_db() {
    let (_node, log) = start(&[
        "--dev",
        "--tmp",
        "--rpc-port",
        "0",
        "--no-prometheus",
        "--port",
        "0",
    ]);
    let deadline = Instant::now() + Duration::from_secs(90);
    let (mut parity_db, mut imported, mut finalised) = (false, 0, 0);
    let mut seen = Vec::new();
    while !(parity_db && imported >= 5 && finalised >= 2) {
        let left = deadline.saturating_duration_since(Instant::now());
        let line = log.recv_timeout(left).unwrap_or_else(|_| {
            panic!(
                "imported #{imported}, finalised #{finalised}, in\n{}",
                seen.join("\n")
            )
        });
        parity_db |= line.contains("ParityDb");
        imported = imported.max(number_after(&line, "Imported #"));
        finalised = finalised.max(number_after(&line, "finalized #"));
        seen.push(line);
    }
}

/// The number that follows `label` in a log line; zero if it does not.
fn number_after(line: &str, label: &str) -> u32 {
    let digits = line.split(label).nth(1).unwrap_or_default();
    digits
        .chars()
        .map_while(|c| c.to_digit(10))
        .fold(0, |number, digit| number * 10 + digit)
}

#[test]
fn a_malformed_source_override_is_refused_before_anything_starts() {
    let output = Command::new(env!("CARGO_BIN_EXE_novate-node"))
        .args(["--dev", "--tmp", "--oracle-source", "kraken"])
        .output()
        .expect("the node runs");
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("NAME=BASE_URL"));
}
