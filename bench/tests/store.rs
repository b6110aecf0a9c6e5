//! Workers against a real Redis, alone and as a cluster.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::Value;

#[test]
fn each_worker_has_a_connection_and_finds_what_was_put() {
    let redis = Redis::start(&[]);
    let report = run(&[&redis], &["--resumptions", "300", "--full", "100", "--duration", "1s"]);
    assert_eq!(report["connections"], 20, "{report}");
    assert!(report["found"].as_u64() > Some(100), "{report}");
    assert_eq!(report["found"], report["lookups"], "{report}");
    assert!(report["puts"].as_u64() > report["found"].as_u64(), "{report}");
    assert_eq!(report["records_failed"], 0, "{report}");
    assert_eq!(report["lost"], 0, "{report}");
}

#[test]
fn independent_servers_share_the_sessions() {
    let (one, other) = (Redis::start(&[]), Redis::start(&[]));
    let report = run(&[&one, &other], &["--resumptions", "300", "--duration", "500ms"]);
    assert_eq!(report["connections"], 40, "{report}");
    assert_eq!(report["found"], report["lookups"], "{report}");
    for redis in [one, other] {
        assert!(redis.ask("DBSIZE")[1..].trim().parse::<u64>().unwrap() > 300);
    }
}

#[test]
fn a_cluster_is_asked_for_its_map() {
    let redis = Redis::start(&["--cluster-enabled", "yes"]);
    assert_eq!(redis.ask("CLUSTER ADDSLOTSRANGE 0 16383"), "+OK\r\n");
    while !redis.ask("CLUSTER INFO").contains("cluster_state:ok") {
        thread::sleep(Duration::from_millis(50));
    }
    let report = run(&[&redis], &["--cluster", "--resumptions", "300", "--duration", "1s"]);
    assert_eq!(report["connections"], 20, "{report}");
    assert!(report["found"].as_u64() > Some(100), "{report}");
    assert_eq!(report["found"], report["lookups"], "{report}");
}

#[test]
fn idle_workers_probe_their_servers() {
    let redis = Redis::start(&[]);
    let report = run(&[&redis], &["--interval", "100ms", "--duration", "1s"]);
    assert_eq!(report["lookups"], 0, "{report}");
    let stats = redis.ask("INFO commandstats");
    let (_, calls) = stats.split_once("cmdstat_ping:calls=").unwrap();
    let pings: u64 = calls.split(',').next().unwrap().parse().unwrap();
    // Twenty are of the greetings. On a machine that is busy there are fewer than 200 more.
    assert!((30..=300).contains(&pings), "{pings}");
}

fn run(servers: &[&Redis], arguments: &[&str]) -> Value {
    let servers: Vec<_> = servers.iter().map(|redis| redis.address.as_str()).collect();
    let output = Command::new(env!("CARGO_BIN_EXE_store-bench"))
        .args(["--server", &servers.join(","), "--workers", "20"])
        .args(arguments)
        .output()
        .unwrap();
    let report = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{report}{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_str(&report).unwrap()
}

/// A Redis of a test's own, which ends with it.
struct Redis {
    process: Child,
    address: String,
}

impl Redis {
    fn start(arguments: &[&str]) -> Self {
        let port = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let (port, bus) = (port().to_string(), port().to_string());
        let process = Command::new("redis-server")
            .args(["--port", &port, "--bind", "127.0.0.1", "--save", "", "--cluster-port", &bus])
            .args(["--dir", env!("CARGO_TARGET_TMPDIR")])
            .args(["--cluster-config-file", &format!("nodes-{port}.conf")])
            .args(arguments)
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server is installed");
        let redis = Self { process, address: format!("127.0.0.1:{port}") };
        for _ in 0..200 {
            if TcpStream::connect(&redis.address).is_ok() {
                return redis;
            }
            thread::sleep(Duration::from_millis(50));
        }
        panic!("redis-server does not answer");
    }

    /// A reply: its first line, and what a bulk string has.
    fn ask(&self, command: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.write_all(format!("{command}\r\n").as_bytes()).unwrap();
        let mut replies = BufReader::new(stream);
        let mut line = String::new();
        replies.read_line(&mut line).unwrap();
        let Some(length) = line.strip_prefix('$') else { return line };
        let mut value = vec![0; length.trim().parse().unwrap()];
        replies.read_exact(&mut value).unwrap();
        String::from_utf8(value).unwrap()
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
