//! Asks a cluster's nodes for its map.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::time::Duration;

use ssl_session_cache_core::server::{Answer, Inquiry, Question, Talk};
use ssl_session_cache_core::topology::{Host, Map};
use ssl_session_cache_core::Instant;

use crate::link::{Connection, Connections, Owner};

/// One question at a time, over a connection of its own.
pub struct Survey {
    owner: Owner,
    timeout: Duration,
    asked: Option<(Inquiry, SocketAddr, Connection)>,
    others: VecDeque<SocketAddr>,
}

/// What comes of asking.
pub enum Outcome {
    /// The answer is still to come.
    Pending,
    /// The map, or none where nobody tells it.
    Told(Option<Map>),
}

impl Survey {
    /// Asks the first of `servers` that answers; [`ready`](Self::ready) and [`tick`](Self::tick) say
    /// what came of it, once.
    pub fn start(
        owner: Owner,
        servers: VecDeque<SocketAddr>,
        timeout: Duration,
        connections: &mut Connections,
        now: Instant,
    ) -> (Self, Outcome) {
        let mut survey = Self { owner, timeout, asked: None, others: servers };
        let outcome = survey.ask_next(connections, now);
        (survey, outcome)
    }

    fn ask_next(&mut self, connections: &mut Connections, now: Instant) -> Outcome {
        if let Some((_, _, connection)) = self.asked.take() {
            connections.close(connection);
        }
        while let Some(address) = self.others.pop_front() {
            if let Ok(connection) = connections.connect(address, self.owner) {
                let inquiry = Inquiry::new(None, Question::Slots, now + self.timeout);
                self.asked = Some((inquiry, address, connection));
                return Outcome::Pending;
            }
        }
        Outcome::Told(None)
    }

    /// When [`tick`](Self::tick) must be called next.
    pub fn deadline(&self) -> Option<Instant> {
        self.asked.as_ref().map(|(inquiry, ..)| inquiry.deadline())
    }

    /// Gives up whoever is late.
    pub fn tick(&mut self, connections: &mut Connections, now: Instant) -> Outcome {
        match self.deadline() {
            Some(deadline) if deadline <= now => self.ask_next(connections, now),
            _ => Outcome::Pending,
        }
    }

    /// Something has happened to the connection.
    pub fn ready(&mut self, connections: &mut Connections, now: Instant) -> Outcome {
        let Some((inquiry, address, connection)) = &mut self.asked else {
            return Outcome::Pending;
        };
        match talk(inquiry, connection, now) {
            Ok(None) => Outcome::Pending,
            Ok(Some(reply)) => match Map::read(&reply, &Host::Address(address.ip())) {
                Ok(map) if !map.is_empty() => {
                    self.others.clear();
                    let _ = self.ask_next(connections, now);
                    Outcome::Told(Some(map))
                }
                _ => self.ask_next(connections, now),
            },
            Err(_) => self.ask_next(connections, now),
        }
    }
}

/// Sends and receives what there is; returns the answer once all of it is there.
fn talk(
    inquiry: &mut Inquiry,
    connection: &mut Connection,
    now: Instant,
) -> io::Result<Option<Box<[u8]>>> {
    if !connection.established()? {
        return Ok(None);
    }
    while !inquiry.unsent().is_empty() {
        match connection.stream.write(inquiry.unsent()) {
            Ok(count) => inquiry.sent(count),
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
    }
    loop {
        let count = match connection.stream.read(inquiry.spare()) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
            Err(error) => return Err(error),
        };
        match inquiry.received(count, now).map_err(io::Error::other)? {
            Some(Answer::Slots(reply)) => return Ok(Some(reply)),
            Some(Answer::Master(_)) => return Err(ErrorKind::InvalidData.into()),
            None => {}
        }
    }
}
