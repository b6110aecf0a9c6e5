//! A worker's connection to one server: hands in what happens to it, and does what the core says.

use std::io::{self, ErrorKind, Read, Write};
use std::mem;
use std::net::SocketAddr;
use std::rc::Rc;

use mio::event::Source;
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use slab::Slab;
use ssl_session_cache_core::protocol::{Protocol, Put};
use ssl_session_cache_core::server::{
    Action, Completions, Loss, Server, Settings, State, Unavailable,
};
use ssl_session_cache_core::session::Key;
use ssl_session_cache_core::topology::{Asking, Routed, ServerId};
use ssl_session_cache_core::Instant;

/// What a lookup is known by: when it began.
pub type Begun = std::time::Instant;

/// What the connections of all workers share.
pub struct Connections {
    /// Where they are waited for.
    pub registry: Registry,
    /// Whose they are, by their tokens.
    pub owners: Slab<Owner>,
}

/// Whose a connection is.
#[derive(Clone, Copy, Debug)]
pub struct Owner {
    /// Which worker's.
    pub worker: usize,
    /// Of which server; none where a cluster's map is asked for.
    pub server: Option<ServerId>,
}

/// A connection, or an attempt to make one.
pub struct Connection {
    pub stream: TcpStream,
    token: usize,
}

impl Connections {
    /// Begins to connect.
    pub fn connect(&mut self, address: SocketAddr, owner: Owner) -> io::Result<Connection> {
        let mut stream = TcpStream::connect(address)?;
        let token = self.owners.insert(owner);
        stream.register(&self.registry, Token(token), Interest::READABLE | Interest::WRITABLE)?;
        Ok(Connection { stream, token })
    }

    /// Closes a connection.
    pub fn close(&mut self, connection: Connection) {
        self.owners.remove(connection.token);
    }
}

impl Connection {
    /// Whether it is made; an error where it cannot be.
    pub fn established(&self) -> io::Result<bool> {
        if let Some(error) = self.stream.take_error()? {
            return Err(error);
        }
        match self.stream.peer_addr() {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotConnected => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// A server, and the connection to it if there is one.
pub struct Link {
    server: Server<SocketAddr, Routed<Begun>>,
    connection: Option<Connection>,
    /// The connection takes no more for now.
    is_blocked: bool,
    was_up: bool,
    ended: Completions<Routed<Begun>>,
}

/// What has come of a connection since that was last asked.
pub struct Happened {
    /// Whether the server answers the greeting since, or no more.
    pub is_up: Option<bool>,
    pub lost: usize,
    pub records_failed: usize,
}

impl Link {
    /// Begins to connect.
    pub fn start(
        address: SocketAddr,
        protocol: Rc<dyn Protocol>,
        settings: Settings,
        is_of_cluster: bool,
        seed: u64,
        now: Instant,
    ) -> Self {
        let mut server = Server::new(protocol, settings, [address].into(), false, seed, now);
        if is_of_cluster {
            server = server.of_cluster();
        }
        server.start(now);
        let ended = Completions::default();
        Self { server, connection: None, is_blocked: false, was_up: false, ended }
    }

    pub fn get(
        &mut self,
        key: &Key,
        deadline: Instant,
        asking: Asking,
        routed: Routed<Begun>,
        now: Instant,
    ) -> Result<(), Unavailable> {
        self.ask(asking, |server| server.get(key, deadline, routed, now))
    }

    pub fn put(
        &mut self,
        put: Put<'_>,
        asking: Asking,
        routed: Option<Routed<Begun>>,
        now: Instant,
    ) -> Result<(), Unavailable> {
        self.ask(asking, |server| server.put(put, routed, now))
    }

    pub fn add(
        &mut self,
        put: Put<'_>,
        deadline: Instant,
        asking: Asking,
        routed: Routed<Begun>,
        now: Instant,
    ) -> Result<(), Unavailable> {
        self.ask(asking, |server| server.add(put, deadline, routed, now))
    }

    pub fn delete(
        &mut self,
        key: &Key,
        asking: Asking,
        routed: Option<Routed<Begun>>,
        now: Instant,
    ) -> Result<(), Unavailable> {
        self.ask(asking, |server| server.delete(key, routed, now))
    }

    fn ask(
        &mut self,
        asking: Asking,
        request: impl FnOnce(&mut Server<SocketAddr, Routed<Begun>>) -> Result<(), Unavailable>,
    ) -> Result<(), Unavailable> {
        if asking == Asking::Yes {
            self.server.asking();
        }
        request(&mut self.server)
    }

    /// How many requests have no reply.
    pub fn waiting(&self) -> usize {
        self.server.waiting_requests()
    }

    /// When [`tick`](Self::tick) must be called next.
    pub fn deadline(&self) -> Option<Instant> {
        self.server.deadline()
    }

    /// Does what it is time for.
    pub fn tick(&mut self, now: Instant) {
        if self.server.is_overdue(now) {
            self.server.lost(Loss::Failed("connect() timed out".into()), now);
        }
        self.server.tick(now);
    }

    /// Something has happened to the connection.
    pub fn ready(&mut self, now: Instant) {
        self.is_blocked = false;
        if !self.server.is_connected() {
            match self.connection.as_ref().map(Connection::established) {
                Some(Ok(true)) => self.server.connected(now),
                Some(Ok(false)) | None => return,
                Some(Err(error)) => return self.lost(&error, now),
            }
        }
        self.receive(now);
        self.server.read_all(now);
    }

    /// Reads what has come.
    fn receive(&mut self, now: Instant) {
        while self.server.is_connected() {
            let Some(connection) = &mut self.connection else { return };
            let spare = self.server.spare();
            let room = spare.len();
            match connection.stream.read(spare) {
                Ok(0) => {
                    let reason = "the connection was closed".into();
                    return self.server.lost(Loss::Closed(reason), now);
                }
                Ok(count) => {
                    self.server.received(count, now);
                    if count < room {
                        return;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) => return self.lost(&error, now),
            }
        }
    }

    /// Writes what waits to be sent.
    fn send(&mut self, now: Instant) {
        while !self.is_blocked && !self.server.unsent().is_empty() {
            let Some(connection) = &mut self.connection else { return };
            match connection.stream.write(self.server.unsent()) {
                Ok(count) => self.server.sent(count),
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.is_blocked = true,
                Err(error) => self.lost(&error, now),
            }
        }
    }

    fn lost(&mut self, error: &io::Error, now: Instant) {
        self.server.lost(Loss::Failed(error.to_string()), now);
    }

    /// Does what follows from what has happened.
    pub fn go_on(&mut self, owner: Owner, connections: &mut Connections, now: Instant) -> Happened {
        loop {
            while let Some(action) = self.server.action() {
                match action {
                    Action::Connect(address) => {
                        self.is_blocked = false;
                        match connections.connect(address, owner) {
                            Ok(connection) => self.connection = Some(connection),
                            Err(error) => self.lost(&error, now),
                        }
                    }
                    Action::Close => {
                        if let Some(connection) = self.connection.take() {
                            connections.close(connection);
                        }
                    }
                    // There is one address and no name, and what happens is counted.
                    Action::Resolve | Action::Scout(..) | Action::StopScout | Action::Log(_) => {}
                }
            }
            if self.is_blocked || self.server.unsent().is_empty() {
                break;
            }
            self.send(now);
        }
        let counts = self.server.take_counts();
        let is_up = self.server.state() == State::Up;
        let was_up = mem::replace(&mut self.was_up, is_up);
        Happened {
            is_up: (is_up != was_up).then_some(is_up),
            lost: counts.failed,
            records_failed: counts.sessions_failed,
        }
    }

    /// The requests that have ended; [`give_back`](Self::give_back) follows.
    pub fn take_ended(&mut self) -> Completions<Routed<Begun>> {
        mem::replace(self.server.completions(), mem::take(&mut self.ended))
    }

    /// Keeps the memory of what has ended for the next time.
    pub fn give_back(&mut self, ended: Completions<Routed<Begun>>) {
        self.ended = ended;
    }

    /// Ends what waits.
    pub fn stop(&mut self, now: Instant) {
        self.server.stop(now);
    }
}
