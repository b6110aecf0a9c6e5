//! Servers that answer a part of what they are asked: few handshakes wait for them, however long that lasts, and they are used again soon after.

use std::rc::Rc;
use std::time::Duration;

use ssl_session_cache_core::protocol::{Put, Redis};
use ssl_session_cache_core::server::{Action, Lookup, Loss, Server, Settings};
use ssl_session_cache_core::session::Keyspace;
use ssl_session_cache_core::Instant;

const TIMEOUT: Duration = Duration::from_secs(1);
const INTERVAL: Duration = Duration::from_millis(200);

/// One handshake in so many milliseconds.
const PERIOD: u64 = 16;

/// What a store does while it is in trouble.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Trouble {
    /// As Redis after `CLIENT PAUSE ... WRITE`: a connection that writes is not answered any more.
    Writes,
    /// As Redis after `CLIENT PAUSE`, or one that is frozen.
    All,
    /// As a proxy that answers for itself what is not for the store.
    Data,
    /// As a proxy that gives its store so many milliseconds and then answers with an error.
    Refusal(u64),
    /// As a proxy that gives its store so many milliseconds and then closes the connection.
    Close(u64),
}

/// What became of the handshakes of a time.
#[derive(Default)]
struct Tally {
    handshakes: u32,
    /// So many waited for more than 100 ms.
    waited: u32,
    found: u32,
}

/// Whether a handshake has found its session, and how long it waited for that.
type Ended = Option<(bool, u64)>;

/// What a lookup is known by: its handshake's number, and when it began.
type Asker = (usize, u64);

/// A worker's connection to a server.
struct Worker {
    clock: u64,
    server: Server<(), Asker>,
    /// Replies that will come, and when; none come behind one that never does.
    replies: Vec<(u64, &'static [u8])>,
    is_blocked: bool,
    handshakes: Vec<Ended>,
}

impl Worker {
    fn new() -> Self {
        let settings = Settings { timeout: TIMEOUT, interval: INTERVAL, max_requests: Some(5000) };
        let (clock, redis) = (1_000_000, Rc::new(Redis::new(None, 0)));
        let now = Instant::from_millis(clock);
        let mut worker = Self {
            clock,
            server: Server::new(redis, settings, [()].into(), false, 1, now),
            replies: Vec::new(),
            is_blocked: false,
            handshakes: Vec::new(),
        };
        worker.server.start(now);
        worker
    }

    fn now(&self) -> Instant {
        Instant::from_millis(self.clock)
    }

    /// Lets time pass, with a handshake now and then.
    fn run(&mut self, millis: u64, trouble: Option<Trouble>) -> Tally {
        self.handshakes.clear();
        let start = self.clock;
        for _ in 0..millis {
            self.clock += 1;
            if self.clock % PERIOD == 0 {
                self.handshake();
            }
            self.step(trouble);
            let (handshakes, now) = (&mut self.handshakes, self.clock);
            self.server.completions().drain(|(index, since), lookup| {
                // What was asked before is none of this time's.
                if since > start {
                    let is_found = matches!(lookup.into(), Lookup::Found(_));
                    handshakes[index] = Some((is_found, now - since));
                }
            });
        }
        // Those that wait have waited too long for all we know.
        let mut tally = Tally::default();
        for ended in &self.handshakes {
            let (is_found, time) = ended.unwrap_or((false, u64::MAX));
            tally.handshakes += 1;
            tally.waited += u32::from(time > 100);
            tally.found += u32::from(is_found);
        }
        tally
    }

    /// Looks a session up, and stores another.
    fn handshake(&mut self) {
        let key = Keyspace::default().key(&[7; 32]).unwrap();
        let now = self.now();
        let asker = (self.handshakes.len(), self.clock);
        let begun = self.server.get(&key, now + TIMEOUT, asker, now);
        self.handshakes.push(begun.is_err().then_some((false, 0)));
        let put = Put { key: &key, record: b"record", ttl: 300, unix_now: 1_700_000_000 };
        let _ = self.server.put(put, None, now);
    }

    fn step(&mut self, trouble: Option<Trouble>) {
        let now = self.now();
        self.server.tick(now);
        while let Some(action) = self.server.action() {
            match action {
                Action::Connect(()) => {
                    self.is_blocked = false;
                    self.server.connected(now);
                }
                Action::Close => self.replies.clear(),
                _ => {}
            }
        }
        let bytes = self.server.unsent().to_vec();
        self.server.sent(bytes.len());
        self.answer(&bytes, trouble);
        while let Some((at, reply)) = self.replies.first().copied() {
            if at > self.clock {
                break;
            }
            self.replies.remove(0);
            if reply.is_empty() {
                return self.lose();
            }
            self.server.spare()[..reply.len()].copy_from_slice(reply);
            self.server.received(reply.len(), now);
            self.server.read_all(now);
        }
    }

    fn answer(&mut self, bytes: &[u8], trouble: Option<Trouble>) {
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        for word in text.split("\r\n") {
            let (reply, is_write, is_data): (&[u8], _, _) = match word {
                "PING" => (b"+PONG\r\n", false, false),
                "GET" => (b"$6\r\nrecord\r\n", false, true),
                "SETEX" => (b"+OK\r\n", true, true),
                _ => continue,
            };
            let now = self.clock;
            self.is_blocked |= match trouble {
                Some(Trouble::Writes) => is_write,
                Some(Trouble::All) => true,
                Some(Trouble::Data) => is_data,
                _ => false,
            };
            let (delay, reply): (_, &[u8]) = match trouble {
                Some(Trouble::Refusal(delay)) if is_data => (delay, b"-ERR timed out\r\n"),
                Some(Trouble::Close(delay)) if is_data => (delay, b""),
                _ => (0, reply),
            };
            if !self.is_blocked {
                self.replies.push((now + delay, reply));
            }
        }
    }

    fn lose(&mut self) {
        self.server.lost(Loss::Closed("closed".into()), self.now());
        self.replies.clear();
    }
}

#[test]
fn few_handshakes_wait_for_a_store_that_answers_a_part() {
    for trouble in
        [Trouble::Writes, Trouble::All, Trouble::Data, Trouble::Refusal(400), Trouble::Close(400)]
    {
        let mut worker = Worker::new();
        worker.run(2_000, None);
        let healthy = worker.run(2_000, None);
        assert_eq!(healthy.found, healthy.handshakes, "{trouble:?}, before");

        let Tally { handshakes, waited, .. } = worker.run(16_000, Some(trouble));
        assert!(waited * 10 < handshakes, "{trouble:?}: {waited} of {handshakes} waited");

        // The longest wait between two trials, and the longest trial.
        worker.run(10_000, None);
        let healthy = worker.run(2_000, None);
        assert_eq!(healthy.found, healthy.handshakes, "{trouble:?}, after");
    }
}

#[test]
fn a_store_that_closes_connections_is_used_again_at_once() {
    let mut worker = Worker::new();
    for _ in 0..10 {
        worker.run(2_000, None);
        worker.lose();
        assert!(!worker.server.is_paused());
        let Tally { handshakes, waited, found } = worker.run(1_000, None);
        assert_eq!(waited, 0);
        assert!(found * 4 > handshakes * 3, "{found} of {handshakes} found");
    }
}
