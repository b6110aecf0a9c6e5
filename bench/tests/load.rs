//! Runs the program against small servers and checks what it reports.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use openssl::asn1::Asn1Time;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::ssl::{
    ShutdownState, Ssl, SslContext, SslMethod, SslOptions, SslSessionCacheMode, SslStream,
};
use openssl::x509::{X509Name, X509};
use serde_json::Value;

const VERSIONS: [&str; 2] = ["1.2", "1.3"];

#[test]
fn full_handshakes_are_counted() {
    let server = Server::start(&context(Tickets::Kept));
    for version in VERSIONS {
        let report = succeed(&["--tls", version, "--make", &server.address(), "-n", "40"]);
        assert_eq!(report["done"], 40, "{report}");
        assert_eq!(report["full"], 40, "{report}");
        assert_eq!(report["reused"], 0, "{report}");
        assert!(report["handshake_latency"]["p50_us"].as_u64() > Some(0), "{report}");
    }
}

#[test]
fn sessions_made_on_one_address_resume_on_others() {
    let context = context(Tickets::Kept);
    let maker = Server::start(&context);
    let takers = [Server::start(&context), Server::start(&context)];
    let offer = format!("{},{}", takers[0].address(), takers[1].address());
    for version in VERSIONS {
        let before = maker.handshakes();
        let report = succeed(&[
            "--tls",
            version,
            "--make",
            &maker.address(),
            "--offer",
            &offer,
            "-c",
            "8",
            "-n",
            "100",
            "--expect-reused",
        ]);
        assert_eq!(report["reused"], 100, "{report}");
        assert_eq!(report["made_again"], 0, "{report}");
        assert_eq!(maker.handshakes() - before, 8, "one session a client");
    }
    assert_eq!(takers[0].handshakes(), 100);
    assert_eq!(takers[1].handshakes(), 100);
}

#[test]
fn expect_reused_fails_where_sessions_are_unknown() {
    let maker = Server::start(&context(Tickets::Kept));
    let stranger = Server::start(&context(Tickets::Kept));
    for version in VERSIONS {
        let arguments =
            ["--tls", version, "--make", &maker.address(), "--offer", &stranger.address()];
        let (status, report) = run(&[&arguments[..], &["-n", "20"]].concat());
        assert_eq!(status, 0, "{report}");
        assert_eq!(report["full"], 20, "{report}");
        let (status, report) = run(&[&arguments[..], &["-n", "20", "--expect-reused"]].concat());
        assert_eq!(status, 1, "{report}");
    }
}

#[test]
fn a_ticket_is_offered_once_or_again_and_again() {
    let server = Server::start(&context(Tickets::Spent));
    let address = server.address();
    let arguments = ["--make", &address, "--offer", &address, "-c", "4", "-n", "40", "--tickets"];
    let report = succeed(&[&arguments[..], &["once"]].concat());
    assert_eq!(report["reused"], 40, "{report}");
    let report = succeed(&[&arguments[..], &["reuse"]].concat());
    assert_eq!(report["reused"], 4, "each ticket is good for one resumption: {report}");

    let server = Server::start(&context(Tickets::Kept));
    let address = server.address();
    let arguments = ["--make", &address, "--offer", &address, "-c", "4", "-n", "40", "--tickets"];
    let report = succeed(&[&arguments[..], &["reuse"]].concat());
    assert_eq!(report["reused"], 40, "{report}");
}

#[test]
fn requests_follow_the_handshake() {
    let server = Server::start(&context(Tickets::Kept));
    let address = server.address();
    for version in VERSIONS {
        let before = server.requests();
        let report = succeed(&[
            "--tls",
            version,
            "--make",
            &address,
            "--offer",
            &address,
            "-n",
            "20",
            "--sni",
            "localhost",
            "--get",
            "/",
            "--requests",
            "5",
            "--expect-reused",
        ]);
        assert_eq!(report["requests"], 100, "{report}");
        assert_eq!(server.requests() - before, 100);
    }
}

#[test]
fn an_error_status_is_a_failure() {
    let server = Server::start(&context(Tickets::Kept));
    let (status, report) = run(&["--make", &server.address(), "-n", "5", "--get", "/missing"]);
    assert_eq!(status, 1);
    assert_eq!(report["failures"]["request: status 404"], 5, "{report}");
}

#[test]
fn refused_connections_are_failures() {
    let address = unused_address();
    let (status, report) = run(&["--make", &address.to_string(), "-n", "30"]);
    assert_eq!(status, 1);
    assert_eq!(report["failed"], 30, "{report}");
    assert_eq!(report["done"], 0, "{report}");
    let reason = report["failures"].as_object().unwrap().keys().next().unwrap();
    assert!(reason.starts_with("connect: Connection refused"), "{reason}");
}

#[test]
fn a_refused_connection_costs_no_session() {
    let maker = Server::start(&context(Tickets::Kept));
    let address = unused_address().to_string();
    for version in VERSIONS {
        let arguments = ["--tls", version, "--make", &maker.address(), "--offer", &address];
        let (status, report) = run(&[&arguments[..], &["-n", "30", "-c", "4"]].concat());
        assert_eq!(status, 1);
        assert_eq!(report["failed"], 30, "{report}");
        assert_eq!(report["made_again"], 0, "{report}");
    }
}

#[test]
fn a_failed_handshake_costs_its_session() {
    let maker = Server::start(&context(Tickets::Kept));
    let address = closing_server().to_string();
    for version in VERSIONS {
        let arguments = ["--tls", version, "--make", &maker.address(), "--offer", &address];
        let (status, report) = run(&[&arguments[..], &["-n", "10", "-c", "1"]].concat());
        assert_eq!(status, 1);
        assert_eq!(report["failed"], 10, "{report}");
        assert_eq!(report["made_again"], 9, "{report}");
    }
}

#[test]
fn closed_handshakes_are_failures() {
    let address = closing_server().to_string();
    let (status, report) = run(&["--make", &address, "-n", "10", "-c", "2"]);
    assert_eq!(status, 1);
    assert_eq!(report["failures"]["handshake: closed by the server"], 10, "{report}");
}

#[test]
fn silent_servers_time_out() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (status, report) = run(&["--make", &address, "-n", "3", "--timeout", "100ms"]);
    assert_eq!(status, 1);
    assert_eq!(report["failures"]["handshake: timed out"], 3, "{report}");
}

#[test]
fn a_session_that_cannot_be_made_ends_the_run() {
    let server = Server::start(&context(Tickets::Kept));
    let output = bench(&["--make", &unused_address().to_string(), "--offer", &server.address()]);
    assert_eq!(output.status.code(), Some(2));
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.contains("cannot make a session"), "{message}");
    assert_eq!(server.handshakes(), 0);
}

#[test]
fn a_share_of_the_clients_leaves_after_the_client_hello() {
    for how in ["close", "reset", "extra"] {
        let server = Server::start(&context(Tickets::Kept));
        let report = succeed(&[
            "--make",
            &server.address(),
            "-n",
            "40",
            "--abort",
            "0.3",
            "--abort-by",
            how,
            "--abort-delay",
            "20ms",
        ]);
        assert_eq!(report["aborted"], 12, "{how}: {report}");
        assert_eq!(report["done"], 28, "{how}: {report}");
        assert_eq!(server.handshakes(), 28, "{how}");
    }
}

#[test]
fn a_pause_parts_the_making_of_sessions_from_their_offer() {
    let context = context(Tickets::Kept);
    let (maker, taker) = (Server::start(&context), Server::start(&context));
    let mut child = command(&["--make", &maker.address(), "--offer", &taker.address(), "--pause"])
        .args(["-n", "20", "-c", "5", "--expect-reused"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    output.read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    assert_eq!((maker.handshakes(), taker.handshakes()), (5, 0));

    child.stdin.take().unwrap().write_all(b"\n").unwrap();
    assert!(child.wait().unwrap().success());
    let report: Value = serde_json::from_reader(output).unwrap();
    assert_eq!(report["reused"], 20, "{report}");
    assert_eq!((maker.handshakes(), taker.handshakes()), (5, 20));
}

#[test]
fn a_rate_and_a_duration_limit_the_starts() {
    let server = Server::start(&context(Tickets::Kept));
    let report = succeed(&["--make", &server.address(), "--rate", "50", "--duration", "1s"]);
    let done = report["done"].as_u64().unwrap();
    assert!((40..=51).contains(&done), "{report}");
}

#[test]
fn the_table_has_the_counts() {
    let server = Server::start(&context(Tickets::Kept));
    let output = Command::new(env!("CARGO_BIN_EXE_tls-bench"))
        .args(["--make", &server.address(), "-n", "7"])
        .output()
        .unwrap();
    let table = String::from_utf8(output.stdout).unwrap();
    let rows: HashMap<_, _> = table
        .lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(name, rest)| (name, rest.trim()))
        .collect();
    assert_eq!(rows["done"], "7", "{table}");
    assert_eq!(rows["full"], "7", "{table}");
    assert!(rows.contains_key("handshake"), "{table}");
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tls-bench"));
    command.arg("--json").args(arguments);
    command
}

fn bench(arguments: &[&str]) -> Output {
    command(arguments).output().unwrap()
}

fn run(arguments: &[&str]) -> (i32, Value) {
    let output = bench(arguments);
    let report = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    (output.status.code().unwrap(), report)
}

fn succeed(arguments: &[&str]) -> Value {
    let (status, report) = run(arguments);
    assert_eq!(status, 0, "{report}");
    report
}

/// An address where nothing listens.
fn unused_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// A server that closes each connection after the ClientHello.
fn closing_server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            read_client_hello(&mut stream.unwrap());
        }
    });
    address
}

/// Reads all that a client sends at first, so that closing does not reset the connection.
fn read_client_hello(stream: &mut TcpStream) {
    let mut header = [0; 5];
    stream.read_exact(&mut header).unwrap();
    let length = u16::from_be_bytes([header[3], header[4]]);
    stream.read_exact(&mut vec![0; length.into()]).unwrap();
}

/// What a server does with a session that is offered.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tickets {
    /// It keeps it.
    Kept,
    /// It forgets it.
    Spent,
}

/// A server that keeps sessions by their ids, in a cache that goes with the context.
fn context(tickets: Tickets) -> SslContext {
    let cache = Arc::new(Mutex::new(HashMap::new()));
    let (key, certificate) = certificate();

    let mut context = SslContext::builder(SslMethod::tls_server()).unwrap();
    context.set_private_key(&key).unwrap();
    context.set_certificate(&certificate).unwrap();
    context.set_session_id_context(b"bench").unwrap();
    context.set_options(SslOptions::NO_TICKET);
    context.set_session_cache_mode(SslSessionCacheMode::SERVER | SslSessionCacheMode::NO_INTERNAL);
    let sessions = Arc::clone(&cache);
    context.set_new_session_callback(move |_, session| {
        sessions.lock().unwrap().insert(session.id().to_vec(), session);
    });
    // SAFETY: the cache holds sessions of this context only.
    unsafe {
        context.set_get_session_callback(move |_, id| {
            let mut sessions = cache.lock().unwrap();
            match tickets {
                Tickets::Kept => sessions.get(id).cloned(),
                Tickets::Spent => sessions.remove(id),
            }
        });
    }
    context.build()
}

fn certificate() -> (PKey<Private>, X509) {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    let key = PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap();
    let mut name = X509Name::builder().unwrap();
    name.append_entry_by_text("CN", "localhost").unwrap();
    let name = name.build();

    let mut certificate = X509::builder().unwrap();
    certificate.set_version(2).unwrap();
    certificate.set_subject_name(&name).unwrap();
    certificate.set_issuer_name(&name).unwrap();
    certificate.set_not_before(&Asn1Time::days_from_now(0).unwrap()).unwrap();
    certificate.set_not_after(&Asn1Time::days_from_now(1).unwrap()).unwrap();
    certificate.set_pubkey(&key).unwrap();
    certificate.sign(&key, MessageDigest::sha256()).unwrap();
    (key, certificate.build())
}

/// A web server with one page, a thread for each connection. Like nginx it answers a close_notify
/// with a bare close.
struct Server {
    address: SocketAddr,
    counters: Arc<Counters>,
}

#[derive(Default)]
struct Counters {
    handshakes: AtomicU64,
    requests: AtomicU64,
}

impl Server {
    fn start(context: &SslContext) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let counters = Arc::new(Counters::default());
        let (context, counted) = (context.clone(), Arc::clone(&counters));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (ssl, counted) = (Ssl::new(&context).unwrap(), Arc::clone(&counted));
                thread::spawn(move || serve(ssl, stream.unwrap(), &counted));
            }
        });
        Self { address, counters }
    }

    fn address(&self) -> String {
        self.address.to_string()
    }

    fn handshakes(&self) -> u64 {
        self.counters.handshakes.load(Ordering::Relaxed)
    }

    fn requests(&self) -> u64 {
        self.counters.requests.load(Ordering::Relaxed)
    }
}

fn serve(ssl: Ssl, stream: TcpStream, counters: &Counters) {
    let mut tls = SslStream::new(ssl, stream).unwrap();
    if tls.accept().is_err() {
        return;
    }
    counters.handshakes.fetch_add(1, Ordering::Relaxed);

    let mut tls = BufReader::new(tls);
    let mut request = String::new();
    while matches!(tls.read_line(&mut request), Ok(1..)) {
        if !request.ends_with("\r\n\r\n") {
            continue;
        }
        counters.requests.fetch_add(1, Ordering::Relaxed);
        let status = if request.starts_with("GET / ") { "200 OK" } else { "404 Not Found" };
        let response = format!(
            "HTTP/1.1 {status}\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\nhello"
        );
        if tls.get_mut().write_all(response.as_bytes()).is_err() {
            return;
        }
        request.clear();
    }
    // OpenSSL would take an end without close_notify for a failure of the session.
    tls.get_mut().set_shutdown(ShutdownState::SENT | ShutdownState::RECEIVED);
}
