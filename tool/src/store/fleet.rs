//! Which servers a store has, and which of them has a key.

use std::io::{Read, Write};
use std::path::Path;

use ssl_session_cache_core::plan::{Shape, StorePlan};
use ssl_session_cache_core::protocol::Credentials;
use ssl_session_cache_core::server::{Answer, Inquiry, Question, Talk};
use ssl_session_cache_core::session::Key;
use ssl_session_cache_core::topology::{slot_of, Endpoint, Map, Rendezvous, SLOTS};
use ssl_session_cache_core::Instant;
use thiserror::Error;

use crate::files;
use crate::link::{Dialer, Link, Spot};
use crate::output::text;
use crate::store::{Access, AccessError, ServerError, TalkError};
use crate::target::Store;

/// The servers of a store that have sessions: not its replicas.
pub struct Fleet {
    /// Each once.
    pub members: Vec<Member>,
    known: Known,
}

/// A server with a part of the sessions.
pub struct Member {
    /// Where it is.
    pub spot: Spot,
    /// How many slots of a cluster it has.
    pub slots: Option<usize>,
}

/// How it is known which server has a key.
enum Known {
    /// All are at one server.
    One,
    /// By the words of several servers.
    Words(Rendezvous),
    /// By the slots of a cluster.
    Slots(Box<Map>),
}

/// Why the servers of a store are not known.
#[derive(Debug, Error)]
pub enum FleetError {
    /// A file cannot be used.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// None of the servers that the configuration names has told.
    #[error("none of the servers says where the others are; the last one, {server}: {reason}")]
    Nobody {
        /// The last one that was asked.
        server: String,
        /// By it.
        reason: String,
    },
}

/// What one Sentinel says.
pub struct SentinelWord {
    /// Who.
    pub spot: Spot,
    /// Where the master is, or why it is not known.
    pub master: Result<Spot, String>,
}

impl Fleet {
    /// The servers of a store, and how they are spoken to.
    pub fn open(base: &Path, store: &Store<'_>) -> Result<(Self, Access), FleetError> {
        let access = Access::new(base, &store.plan)?;
        let credentials = access.credentials.as_ref();
        let fleet = Self::find(base, &store.plan, &access.dialer, credentials)?;
        Ok((fleet, access))
    }

    /// Asks who is there, where that is not said.
    pub fn find(
        base: &Path,
        plan: &StorePlan<'_>,
        dialer: &Dialer,
        credentials: Option<&Credentials>,
    ) -> Result<Self, FleetError> {
        let tls = plan.tls.as_ref();
        let spots = plan.servers.iter().map(|place| Spot::of_place(place, tls));
        match &plan.shape {
            Shape::Servers => {
                let members: Vec<_> = spots.map(|spot| Member { spot, slots: None }).collect();
                let known = match members.len() {
                    1 => Known::One,
                    _ => {
                        let words = members.iter().map(|member| member.spot.word.as_bytes());
                        Known::Words(Rendezvous::new(words))
                    }
                };
                Ok(Self { members, known })
            }
            Shape::Cluster => {
                let mut last = (String::new(), String::new());
                for spot in spots {
                    match map(&spot, dialer, credentials) {
                        Ok(map) => return Ok(Self::of_map(map, plan)),
                        Err(reason) => last = (spot.word, reason),
                    }
                }
                let (server, reason) = last;
                Err(FleetError::Nobody { server, reason })
            }
            Shape::Sentinel { .. } => {
                let mut last = (String::new(), String::new());
                for SentinelWord { spot, master } in sentinels(base, plan, dialer)? {
                    match master {
                        Ok(spot) => {
                            let members = vec![Member { spot, slots: None }];
                            return Ok(Self { members, known: Known::One });
                        }
                        Err(reason) => last = (spot.word, reason),
                    }
                }
                let (server, reason) = last;
                Err(FleetError::Nobody { server, reason })
            }
        }
    }

    fn of_map(map: Map, plan: &StorePlan<'_>) -> Self {
        let mut slots = vec![0; map.masters().len()];
        map.owners().flatten().for_each(|owner| slots[owner] += 1);
        let members = map.masters().iter().zip(slots).map(|(endpoint, slots)| Member {
            spot: Spot::told(endpoint, plan.tls.as_ref()),
            slots: Some(slots),
        });
        Self { members: members.collect(), known: Known::Slots(Box::new(map)) }
    }

    /// How many slots of a cluster no server has.
    pub fn unserved(&self) -> usize {
        let served: usize = self.members.iter().filter_map(|member| member.slots).sum();
        match self.known {
            Known::Slots(_) => usize::from(SLOTS) - served,
            _ => 0,
        }
    }

    /// The servers that a key may lie at, by their places among the members, the first choice first.
    pub fn choices(&self, key: &Key) -> Vec<usize> {
        match &self.known {
            Known::One => vec![0],
            Known::Words(rendezvous) => {
                let (first, second) = rendezvous.first_two(key);
                [Some(first), second].into_iter().flatten().collect()
            }
            Known::Slots(map) => {
                map.owners().nth(slot_of(key).into()).flatten().into_iter().collect()
            }
        }
    }
}

/// The map of a cluster, as one of its servers tells it.
fn map(spot: &Spot, dialer: &Dialer, credentials: Option<&Credentials>) -> Result<Map, String> {
    match inquire(spot, dialer, credentials, Question::Slots)? {
        Answer::Slots(reply) => {
            let asked = spot.host().ok_or("no host")?;
            let map = Map::read(&reply, &asked).map_err(|error| error.to_string())?;
            match map.is_empty() {
                true => Err("it is in no cluster with slots".to_owned()),
                false => Ok(map),
            }
        }
        Answer::Master(_) => Err("it answers something else".to_owned()),
    }
}

/// What each Sentinel says of the master.
pub fn sentinels(
    base: &Path,
    plan: &StorePlan<'_>,
    dialer: &Dialer,
) -> Result<Vec<SentinelWord>, AccessError> {
    let Shape::Sentinel { master, auth } = &plan.shape else { return Ok(Vec::new()) };
    let tls = plan.tls.as_ref();
    let credentials = auth.as_ref().map(|auth| files::credentials(base, auth)).transpose()?;
    let words = plan.servers.iter().map(|place| {
        let spot = Spot::of_place(place, tls);
        let question = Question::Master((*master).into());
        let found = inquire(&spot, dialer, credentials.as_ref(), question);
        let told = found.and_then(|answer| match answer {
            Answer::Master(Some((host, port))) => {
                let asked = spot.host().ok_or("no host")?;
                let endpoint = Endpoint::told(&host, port, &asked);
                endpoint.ok_or_else(|| format!("it names \"{}\", which is no host", text(&host)))
            }
            Answer::Master(None) => Err(format!("it knows no master \"{}\"", text(master))),
            Answer::Slots(_) => Err("it answers something else".to_owned()),
        });
        SentinelWord { master: told.map(|endpoint| Spot::told(&endpoint, tls)), spot }
    });
    Ok(words.collect())
}

/// Asks one server one question, as the module does it.
fn inquire(
    spot: &Spot,
    dialer: &Dialer,
    credentials: Option<&Credentials>,
    question: Question,
) -> Result<Answer, String> {
    let link = dialer.dial(spot).map_err(|error| error.to_string())?;
    let inquiry = Inquiry::new(credentials, question, Instant::from_millis(0));
    talk(link, inquiry, dialer).map_err(|error| error.to_string())
}

/// The time is kept by the connection.
fn talk(mut link: Link, mut inquiry: Inquiry, dialer: &Dialer) -> Result<Answer, ServerError> {
    let failed = |error| TalkError::from_io(error, dialer.patience());
    link.write_all(inquiry.unsent()).map_err(failed)?;
    link.flush().map_err(failed)?;
    inquiry.sent(inquiry.unsent().len());
    loop {
        let count = link.read(inquiry.spare()).map_err(failed)?;
        if count == 0 {
            return Err(TalkError::Closed.into());
        }
        let found = inquiry.received(count, Instant::from_millis(0));
        match found.map_err(|error| TalkError::Refused(error.to_string()))? {
            Some(answer) => return Ok(answer),
            None => continue,
        }
    }
}
