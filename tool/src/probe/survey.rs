//! What is asked of the servers, and what they answer.

use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use super::client::{Client, Kind, Session, VisitError};

/// Between making sessions and offering them: the store must have them.
const PAUSE: Duration = Duration::from_millis(100);

/// A server that is to be asked.
pub(super) struct Target {
    /// As on the command line.
    pub(super) label: String,
    /// Or why it has none.
    pub(super) address: Result<SocketAddr, String>,
}

/// What was found.
pub(super) struct Survey {
    pub(super) servers: Vec<Server>,
    /// The place of the one that made the sessions; `None` where nothing can be tried on any.
    pub(super) maker: Option<usize>,
}

/// What was found of a server.
#[derive(Default)]
pub(super) struct Server {
    pub(super) label: String,
    /// Why nothing can be tried there.
    pub(super) unfit: Option<String>,
    /// What is wrong with its certificate.
    pub(super) certificate: Option<String>,
    /// In the order of [`Kind::ALL`]; empty where nothing can be tried.
    pub(super) kinds: Vec<Found>,
    /// `None` where sessions do not allow it.
    pub(super) early: Option<Early>,
}

/// What was found of a kind of sessions on a server.
pub(super) struct Found {
    /// Of a handshake without a session, or why there is none.
    pub(super) full: Result<Full, String>,
    pub(super) offers: Offers,
}

pub(super) struct Full {
    pub(super) time: Duration,
    pub(super) given: Option<Given>,
}

/// A session that a server gives.
#[derive(Clone, Copy)]
pub(super) struct Given {
    pub(super) is_stateful: bool,
    allows_early_data: bool,
}

/// What became of sessions that were offered.
#[derive(Default)]
pub(super) struct Offers {
    pub(super) tried: usize,
    pub(super) reused: usize,
    /// In the middle of those that were reused.
    pub(super) time: Option<Duration>,
    /// Why one had no handshake. No more were offered then.
    pub(super) error: Option<String>,
}

/// What became of early data.
#[derive(Default)]
pub(super) struct Early {
    pub(super) sent: usize,
    pub(super) accepted: usize,
    /// Accepted once more, of those.
    pub(super) again: usize,
    /// The place of the server where they were sent again.
    pub(super) again_on: usize,
    pub(super) error: Option<String>,
}

impl Server {
    pub(super) fn found(&self, kind: Kind) -> Option<&Found> {
        self.kinds.get(kind as usize)
    }

    pub(super) fn given(&self, kind: Kind) -> Option<Given> {
        self.found(kind)?.full.as_ref().ok()?.given
    }
}

/// Asks the servers.
pub(super) struct Surveyor<'a> {
    pub(super) client: &'a Client<'a>,
    pub(super) targets: &'a [Target],
    /// So many sessions of each kind for each server.
    pub(super) count: usize,
    /// Is told what comes next.
    pub(super) progress: &'a dyn Fn(String),
}

impl Surveyor<'_> {
    pub(super) fn survey(&self) -> Survey {
        let servers = self.targets.iter().map(|target| self.meet(target)).collect();
        let mut survey = Survey { servers, maker: None };
        let fit: Vec<_> = (0..self.targets.len())
            .filter(|place| survey.servers[*place].unfit.is_none())
            .collect();
        let Some(&maker) = fit.first() else { return survey };
        survey.maker = Some(maker);

        for kind in Kind::ALL {
            if survey.servers[maker].given(kind).is_some() {
                self.offer(&mut survey, maker, &fit, kind);
            }
        }
        if survey.servers[maker].given(Kind::Tls13).is_some_and(|given| given.allows_early_data) {
            for (n, place) in fit.iter().enumerate() {
                let again_on = fit[(n + 1) % fit.len()];
                survey.servers[*place].early = Some(self.early(maker, *place, again_on));
            }
        }
        survey
    }

    fn address(&self, place: usize) -> Result<SocketAddr, String> {
        self.targets[place].address.clone()
    }

    /// A full handshake of each kind.
    fn meet(&self, target: &Target) -> Server {
        let mut server = Server { label: target.label.clone(), ..Server::default() };
        let address = match &target.address {
            Ok(address) => *address,
            Err(reason) => {
                server.unfit = Some(format!("cannot be reached: {reason}"));
                return server;
            }
        };
        for kind in Kind::ALL {
            (self.progress)(format!("{}: {}", target.label, kind.name()));
            let full = match self.client.visit(address, kind, None) {
                Ok(visit) => {
                    server.certificate = visit.certificate.map(|it| it.error_string().to_owned());
                    Ok(Full { time: visit.time, given: visit.session.as_ref().map(Given::of) })
                }
                Err(VisitError::Handshake(reason)) => Err(reason),
                Err(error) => {
                    server.unfit = Some(format!("cannot be reached: {error}"));
                    server.kinds.clear();
                    return server;
                }
            };
            server.kinds.push(Found { full, offers: Offers::default() });
        }
        if server.kinds.iter().all(|found| found.full.is_err()) {
            let last = server.kinds.pop().and_then(|found| found.full.err());
            server.unfit = Some(format!("has no handshake: {}", last.unwrap_or_default()));
            server.kinds.clear();
        }
        server
    }

    /// Makes sessions on one server, and offers some of them to each.
    fn offer(&self, survey: &mut Survey, maker: usize, places: &[usize], kind: Kind) {
        let mut sessions = Vec::new();
        for place in places {
            if survey.servers[*place].kinds[kind as usize].full.is_err() {
                continue;
            }
            (self.progress)(format!("{}: making sessions, {}", self.label(maker), kind.name()));
            for _ in 0..self.count {
                match self.make(maker, kind) {
                    Ok(session) => sessions.push((*place, session)),
                    Err(reason) => {
                        survey.servers[maker].kinds[kind as usize].offers.error = Some(reason);
                        return;
                    }
                }
            }
        }
        thread::sleep(PAUSE);

        let mut times = vec![Vec::new(); self.targets.len()];
        for (place, session) in &sessions {
            (self.progress)(format!("{}: {}", self.label(*place), kind.name()));
            let offers = &mut survey.servers[*place].kinds[kind as usize].offers;
            if offers.error.is_some() {
                continue;
            }
            offers.tried += 1;
            let visit = self.address(*place).and_then(|address| {
                self.client
                    .visit(address, kind, Some(session))
                    .map_err(|error: VisitError| error.to_string())
            });
            match visit {
                Ok(visit) if visit.is_resumed => {
                    offers.reused += 1;
                    times[*place].push(visit.time);
                }
                Ok(_) => {}
                Err(reason) => offers.error = Some(reason),
            }
        }
        for (place, mut times) in times.into_iter().enumerate() {
            times.sort();
            if let Some(time) = times.get(times.len() / 2) {
                survey.servers[place].kinds[kind as usize].offers.time = Some(*time);
            }
        }
    }

    /// Offers sessions with early data to one server, and those that it accepts once more to another.
    fn early(&self, maker: usize, place: usize, again_on: usize) -> Early {
        let mut early = Early { again_on, ..Early::default() };
        (self.progress)(format!("{}: early data", self.label(place)));
        let mut sessions = Vec::new();
        for _ in 0..self.count {
            match self.make(maker, Kind::Tls13) {
                Ok(session) => sessions.push(session),
                Err(reason) => early.error = Some(reason),
            }
        }
        thread::sleep(PAUSE);

        for session in sessions.iter().filter(|session| session.allows_early_data()) {
            early.sent += 1;
            let accepted = self.is_early_accepted(place, session).and_then(|is_accepted| {
                early.accepted += usize::from(is_accepted);
                Ok(is_accepted && self.is_early_accepted(again_on, session)?)
            });
            match accepted {
                Ok(is_again) => early.again += usize::from(is_again),
                Err(reason) => {
                    early.error = Some(reason);
                    break;
                }
            }
        }
        early
    }

    fn is_early_accepted(&self, place: usize, session: &Session) -> Result<bool, String> {
        let visit = self.client.visit_early(self.address(place)?, session);
        visit.map(|visit| visit.is_early_accepted).map_err(|error| {
            // It may be the one that it is sent to again.
            format!("{}: {error}", self.label(place))
        })
    }

    fn make(&self, maker: usize, kind: Kind) -> Result<Session, String> {
        let visit = self.client.visit(self.address(maker)?, kind, None);
        let session = visit.map_err(|error| error.to_string())?.session;
        session.ok_or_else(|| "it gave a session before, and no more".to_owned())
    }

    fn label(&self, place: usize) -> &str {
        &self.targets[place].label
    }
}

impl Given {
    fn of(session: &Session) -> Self {
        Self { is_stateful: session.is_stateful(), allows_early_data: session.allows_early_data() }
    }

    #[cfg(test)]
    pub(super) fn stateful(is_stateful: bool) -> Self {
        Self { is_stateful, allows_early_data: false }
    }
}

impl Kind {
    /// What it is called where it is one of several.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Id => "TLS 1.2 id",
            Self::Ticket => "TLS 1.2 ticket",
            Self::Tls13 => "TLS 1.3",
        }
    }
}
