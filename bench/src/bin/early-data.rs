//! Offers sessions with early data (RFC 8446, section 2.3), each to several addresses at the same
//! instant, and counts how often it is accepted: once at most by servers that prevent replay.

use std::collections::BTreeMap;
use std::error::Error;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::ExitCode;
use std::sync::{Arc, Barrier, Mutex};
use std::thread;
use std::time::Duration;

use clap::Parser;
use openssl::ssl::{
    Ssl, SslContext, SslMethod, SslOptions, SslSession, SslSessionCacheMode, SslStream,
    SslVerifyMode, SslVersion,
};
use serde::Serialize;

/// Offers sessions with early data, each to several addresses at the same instant.
///
/// Prints JSON. Fails where early data of a session was accepted more than once, or a handshake failed.
#[derive(Parser)]
#[command(name = "early-data")]
struct Options {
    /// Where sessions are made.
    #[arg(long, value_name = "ADDRESS")]
    make: SocketAddr,
    /// Where each is offered.
    #[arg(long, value_name = "ADDRESS", value_delimiter = ',', required = true)]
    offer: Vec<SocketAddr>,
    /// So many sessions.
    #[arg(short = 'n', long, default_value = "100", value_parser = common::positive)]
    count: usize,
    /// Wait between making them and offering them: the store must have them.
    #[arg(long, value_name = "TIME", default_value = "200ms", value_parser = common::parse_time)]
    pause: Duration,
    /// The longest that a client waits for bytes.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = common::parse_time)]
    timeout: Duration,
}

/// What became of all offers.
#[derive(Default, Serialize)]
struct Report {
    /// So many sessions had their early data accepted so many times: the place in the list.
    accepted: Vec<usize>,
    resumed: usize,
    full: usize,
    failed: usize,
    /// Why the first one failed.
    error: Option<String>,
    /// What was answered to the request behind the handshake, and how often.
    answers: BTreeMap<String, usize>,
}

/// What became of one.
struct Offered {
    is_accepted: bool,
    is_resumed: bool,
    answer: String,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(report) if report.failed == 0 && report.accepted.iter().skip(2).all(|n| *n == 0) => {
            ExitCode::SUCCESS
        }
        Ok(_) => ExitCode::from(1),
        Err(error) => {
            eprintln!("early-data: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(options: &Options) -> Result<Report, Box<dyn Error>> {
    let (context, made) = context()?;
    let mut sessions = Vec::new();
    for _ in 0..options.count {
        make(options, &context)?;
        // The last one: a client has one session of each visit.
        let session = made.lock().expect("no thread has panicked").drain(..).next_back();
        sessions.push(session.ok_or("no session was made")?.to_der()?);
    }
    thread::sleep(options.pause);

    let mut report = Report { accepted: vec![0; options.offer.len() + 1], ..Report::default() };
    for session in &sessions {
        report.add(offer_everywhere(options, &context, session));
    }
    println!("{}", serde_json::to_string(&report)?);
    Ok(report)
}

impl Report {
    fn add(&mut self, offers: Vec<Result<Offered, Box<dyn Error + Send + Sync>>>) {
        let mut accepted = 0;
        for offered in offers {
            match offered {
                Ok(Offered { is_accepted, is_resumed, answer }) => {
                    accepted += usize::from(is_accepted);
                    self.resumed += usize::from(is_resumed);
                    self.full += usize::from(!is_resumed);
                    *self.answers.entry(answer).or_default() += 1;
                }
                Err(error) => {
                    self.failed += 1;
                    self.error.get_or_insert_with(|| error.to_string());
                }
            }
        }
        self.accepted[accepted] += 1;
    }
}

/// The sessions that clients have got.
type Made = Arc<Mutex<Vec<SslSession>>>;

/// Clients, and the sessions that they get. Certificates are not verified.
fn context() -> Result<(SslContext, Made), Box<dyn Error>> {
    let made = Made::default();
    let mut context = SslContext::builder(SslMethod::tls_client())?;
    context.set_verify(SslVerifyMode::NONE);
    context.set_min_proto_version(Some(SslVersion::TLS1_3))?;
    // nginx closes connections without telling.
    context.set_options(SslOptions::IGNORE_UNEXPECTED_EOF);
    context.set_session_cache_mode(
        SslSessionCacheMode::CLIENT | SslSessionCacheMode::NO_INTERNAL_STORE,
    );
    let keep = Arc::clone(&made);
    context.set_new_session_callback(move |_, session| {
        keep.lock().expect("no thread has panicked").push(session);
    });
    Ok((context.build(), made))
}

fn make(options: &Options, context: &SslContext) -> Result<(), Box<dyn Error>> {
    let mut stream = SslStream::new(Ssl::new(context)?, connect(options, options.make)?)?;
    stream.connect()?;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
    // What comes with the answer as well are the sessions.
    read(&mut stream)?;
    // OpenSSL makes no use any more of a session whose connection was just dropped.
    stream.shutdown()?;
    Ok(())
}

fn offer_everywhere(
    options: &Options,
    context: &SslContext,
    session: &[u8],
) -> Vec<Result<Offered, Box<dyn Error + Send + Sync>>> {
    let all_connected = Barrier::new(options.offer.len());
    let offer = |address| {
        let socket = connect(options, address);
        all_connected.wait();
        offer(context, session, socket?)
    };
    thread::scope(|scope| {
        let clients: Vec<_> =
            options.offer.iter().map(|address| scope.spawn(|| offer(*address))).collect();
        clients.into_iter().map(|client| client.join().expect("it does not panic")).collect()
    })
}

/// A request goes with the ClientHello, and another one behind the handshake, whatever becomes of the
/// first: where it is answered as well, it was accepted.
fn offer(
    context: &SslContext,
    session: &[u8],
    socket: TcpStream,
) -> Result<Offered, Box<dyn Error + Send + Sync>> {
    const EARLY: &[u8] = b"GET /early HTTP/1.1\r\nHost: localhost\r\n\r\n";
    const LATE: &[u8] = b"GET /late HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

    let mut ssl = Ssl::new(context)?;
    // One of its own: what becomes of a connection is noted in the session.
    let session = SslSession::from_der(session)?;
    // SAFETY: the session is of a client with this SSL_CTX.
    unsafe { ssl.set_session(&session)? };
    ssl.set_connect_state();
    let mut stream = SslStream::new(ssl, socket)?;
    stream.write_early_data(EARLY)?;
    stream.connect()?;
    stream.write_all(LATE)?;
    let response = read(&mut stream)?;
    stream.shutdown()?;
    let bodies: Vec<_> = response.split("\r\n\r\n").skip(1).collect();
    let last = bodies.last().ok_or("no answer")?;
    Ok(Offered {
        is_accepted: bodies.len() == 2,
        is_resumed: stream.ssl().session_reused(),
        answer: (*last).to_owned(),
    })
}

fn connect(options: &Options, address: SocketAddr) -> io::Result<TcpStream> {
    let socket = TcpStream::connect_timeout(&address, options.timeout)?;
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(options.timeout))?;
    socket.set_write_timeout(Some(options.timeout))?;
    Ok(socket)
}

/// All that the server sends.
fn read(stream: &mut SslStream<TcpStream>) -> io::Result<String> {
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text)
}
