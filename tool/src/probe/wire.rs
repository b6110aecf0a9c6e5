//! A connection with a deadline, below TLS.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use openssl::ssl::SslSession;

/// The type of records that are encrypted, in TLS 1.3 (RFC 8446, section 5.2).
const ENCRYPTED: u8 = 23;
const RECORD_HEADER: usize = 5;
/// EndOfEarlyData is a header alone, and a record has a byte for the type and a tag behind it.
const END_OF_EARLY_DATA: usize = 4 + 1 + 16;

/// The sessions that came on a connection.
pub(super) type Made = Arc<Mutex<Vec<SslSession>>>;

/// A connection that ends at a deadline, and knows what records are sent.
pub(super) struct Wire {
    socket: TcpStream,
    deadline: Instant,
    /// What is waited for: reads end once it is there.
    awaited: Option<Made>,
    sent: Records,
}

impl Wire {
    /// Connects; all has to be done within this time.
    pub(super) fn connect(address: SocketAddr, timeout: Duration) -> io::Result<Self> {
        let deadline = Instant::now() + timeout;
        let socket = TcpStream::connect_timeout(&address, timeout)?;
        socket.set_nodelay(true)?;
        Ok(Self { socket, deadline, awaited: None, sent: Records::default() })
    }

    /// All that follows has to be done within this time.
    pub(super) fn allow(&mut self, time: Duration) {
        self.deadline = Instant::now() + time;
        self.awaited = None;
    }

    /// From here on, a read ends at a deadline, or as soon as there is a session: to OpenSSL, nothing
    /// has come yet.
    pub(super) fn wait_for(&mut self, made: Made, deadline: Instant) {
        self.deadline = deadline;
        self.awaited = Some(made);
    }

    /// From here on, looks for the record that a client sends where its early data was accepted, and
    /// only there: there is no other as short in that place.
    pub(super) fn watch(&mut self) {
        self.sent.has_short = false;
    }

    /// Whether there was one.
    pub(super) fn has_ended_early_data(&self) -> bool {
        self.sent.has_short
    }

    /// Reads what still comes until the server closes, and drops it.
    pub(super) fn drain(&mut self) {
        let mut bytes = [0; 4096];
        while matches!(self.read(&mut bytes), Ok(1..)) {}
    }

    fn read_until_deadline(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.socket.set_read_timeout(Some(self.left()?))?;
        self.socket.read(buffer).map_err(plain)
    }

    fn left(&self) -> io::Result<Duration> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(timed_out());
        }
        Ok(left)
    }
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(made) = &self.awaited else { return self.read_until_deadline(buffer) };
        if !made.lock().unwrap_or_else(PoisonError::into_inner).is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.read_until_deadline(buffer).map_err(|error| match error.kind() {
            io::ErrorKind::TimedOut => io::ErrorKind::WouldBlock.into(),
            _ => error,
        })
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.socket.set_write_timeout(Some(self.left()?))?;
        let written = self.socket.write(bytes).map_err(plain)?;
        self.sent.add(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.socket.flush()
    }
}

/// A timeout of a blocking socket is `WouldBlock`, which OpenSSL would take for "not yet".
fn plain(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::WouldBlock => timed_out(),
        _ => error,
    }
}

fn timed_out() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "timed out")
}

/// The records that go by, in whatever pieces.
#[derive(Default)]
struct Records {
    header: Vec<u8>,
    /// So much of the record's content is still to come.
    left: usize,
    has_short: bool,
}

impl Records {
    fn add(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let skipped = self.left.min(bytes.len());
            self.left -= skipped;
            bytes = &bytes[skipped..];

            let missing = RECORD_HEADER - self.header.len();
            let (header, rest) = bytes.split_at(missing.min(bytes.len()));
            self.header.extend_from_slice(header);
            bytes = rest;
            if let [kind, _, _, high, low] = *self.header {
                self.left = usize::from(u16::from_be_bytes([high, low]));
                self.has_short |= kind == ENCRYPTED && self.left == END_OF_EARLY_DATA;
                self.header.clear();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    #[test]
    fn a_server_that_sends_byte_by_byte_has_no_more_time() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            for _ in 0..100 {
                if socket.write_all(b"x").is_err() {
                    break;
                }
                thread::sleep(Duration::from_millis(20));
            }
        });
        let mut wire = Wire::connect(address, Duration::from_millis(200)).unwrap();
        let end = loop {
            match wire.read(&mut [0]) {
                Ok(1) => {}
                end => break end,
            }
        };
        assert_eq!(end.unwrap_err().kind(), io::ErrorKind::TimedOut);
        drop(wire);
        server.join().unwrap();
    }

    fn record(kind: u8, len: u16) -> Vec<u8> {
        let [high, low] = len.to_be_bytes();
        [&[kind, 3, 3, high, low][..], &vec![kind; usize::from(len)]].concat()
    }

    /// In pieces of every length.
    fn has_short(bytes: &[u8]) -> bool {
        let mut seen: Vec<_> = (1..=bytes.len())
            .map(|len| {
                let mut records = Records::default();
                bytes.chunks(len).for_each(|piece| records.add(piece));
                assert_eq!((records.left, records.header.len()), (0, 0), "pieces of {len}");
                records.has_short
            })
            .collect();
        seen.dedup();
        assert_eq!(seen.len(), 1, "differs by the length of pieces");
        seen[0]
    }

    #[test]
    fn the_end_of_early_data_is_seen() {
        let end = [record(20, 1), record(23, 21), record(23, 69)].concat();
        assert!(has_short(&end));
    }

    #[test]
    fn other_records_are_not_taken_for_it() {
        assert!(!has_short(&[record(20, 1), record(23, 69)].concat()));
        assert!(!has_short(&[record(22, 21), record(23, 23 * 256)].concat()));
        // Content that looks like the header of one.
        let content = [&[23, 3, 3, 0, 10][..], &[23, 3, 3, 0, 21, 0, 0, 0, 0, 0]].concat();
        assert!(!has_short(&content));
    }
}
