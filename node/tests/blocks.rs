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
    let mut wanted = vec!["ParityDb", "Imported #5 ", "finalized #2 "];
    let mut seen = Vec::new();
    while !wanted.is_empty() {
        let left = deadline.saturating_duration_since(Instant::now());
        let line = log
            .recv_timeout(left)
            .unwrap_or_else(|_| panic!("never saw {wanted:?} in\n{}", seen.join("\n")));
        wanted.retain(|want| !line.contains(want));
        seen.push(line);
    }
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
