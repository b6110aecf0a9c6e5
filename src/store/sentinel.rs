//! Asks Sentinels where the master is.

use core::cell::RefCell;
use core::hash::{BuildHasher, Hasher};
use core::ptr::NonNull;
use std::collections::hash_map::RandomState;
use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr};
use std::rc::{Rc, Weak};

use nginx_sys::ngx_log_t;
use ssl_session_cache_core::protocol::Credentials;
use ssl_session_cache_core::server::{Answer, Question};
use ssl_session_cache_core::topology::{Endpoint, Host, Next, Sentinels};
use ssl_session_cache_core::Instant;

use crate::net::{Address, Location, NameHandler, NameLookup, Peer, Resolved, Resolver};
use crate::nginx::{now, Log, Timer};
use crate::store::errand::ErrandError;
use crate::store::inquiry::{Inquirer, Inquiry, InquiryFailure};
use crate::store::settings::Settings;

/// Where the master is.
pub(super) struct Master {
    /// Sorted; several where the Sentinel tells a name that has them.
    pub(super) addresses: Vec<Address>,
    /// Who it has to be, with TLS.
    pub(super) peer: Option<Peer>,
    /// When it is to be asked for again.
    pub(super) valid_until: Instant,
}

/// Who looks for the master. It may ask for the next attempt while it is told.
pub(super) trait Seeker {
    /// The attempt is over; an error says why the last Sentinel was of no use.
    fn discovered(&self, result: Result<Master, String>);
}

/// Asks the Sentinels of a store, one after the other, where the master is. A Sentinel, at all of its
/// addresses, may take as long as any other server.
///
/// # Drop behaviour
///
/// An attempt under way is given up; nobody is told.
pub(super) struct Discovery {
    settings: Rc<Settings>,
    /// What the Sentinels call the master, and as whom they are asked.
    master: Box<[u8]>,
    credentials: Option<Credentials>,
    resolver: Option<Resolver>,
    seeker: Weak<dyn Seeker>,
    sentinels: RefCell<Sentinels>,
    /// Borrowed nowhere where nginx needs a connection, for an inquiry or a name, nor while anybody is
    /// told.
    step: RefCell<Step>,
    inquiry: Inquiry,
    name_lookup: NameLookup,
    /// For the lookup of a name.
    timer: Timer,
}

/// What is waited for.
#[derive(Default)]
enum Step {
    #[default]
    Nothing,
    /// The addresses of the Sentinel at this place in the configuration.
    SentinelName { sentinel: usize, deadline: Instant },
    /// Its answer.
    Answer(Asked),
    /// The addresses of the master that it has told.
    MasterName { asked: Address, peer: Option<Peer> },
}

/// A Sentinel that was asked.
struct Asked {
    sentinel: usize,
    /// Here.
    address: Address,
    /// Where else it is.
    others: VecDeque<Address>,
    /// By when all of that is to be over.
    deadline: Instant,
}

impl Discovery {
    /// For the store's Sentinels, which know it as `master`. Their names are looked up by the resolver
    /// where there is one.
    pub(super) fn new(
        settings: Rc<Settings>,
        master: &[u8],
        credentials: Option<&Credentials>,
        resolver: Option<Resolver>,
        seeker: Weak<dyn Seeker>,
        log: *mut ngx_log_t,
    ) -> Rc<Self> {
        let seed = RandomState::new().build_hasher().finish();
        let name = String::from_utf8_lossy(master);
        let sentinels = Sentinels::new(&name, settings.locations.len(), seed);
        let discovery = Rc::new_cyclic(|discovery: &Weak<Self>| {
            let inquiry = Inquiry::new(settings.tls.clone(), Weak::clone(discovery) as _);
            let late = Weak::clone(discovery);
            let call = Rc::new(move || {
                if let Some(discovery) = late.upgrade() {
                    discovery.name_is_late();
                }
            });
            Self {
                master: master.into(),
                credentials: credentials.cloned(),
                resolver,
                seeker,
                sentinels: RefCell::new(sentinels),
                step: RefCell::default(),
                inquiry,
                name_lookup: NameLookup::new(),
                // SAFETY: the log is the worker's, which outlives what it has of a store.
                timer: Timer::new(unsafe { Log::new(log) }, call),
                settings,
            }
        });
        // SAFETY: the inquiry and the lookup stay where they are in the Rc, and go with it; the log as
        // above.
        unsafe {
            discovery.inquiry.bind(log);
            discovery.name_lookup.bind(NonNull::from(&*discovery));
        }
        discovery
    }

    /// Begins an attempt, unless one is under way. [`Seeker::discovered`] is called at its end, which
    /// may be before this returns.
    pub(super) fn start(&self) {
        if matches!(*self.step.borrow(), Step::Nothing) {
            let first = self.sentinels.borrow_mut().begin(now());
            self.ask(first);
        }
    }

    fn ask(&self, sentinel: usize) {
        let location = &self.settings.locations[sentinel];
        let deadline = now() + self.settings.timeout;
        match (self.resolver, &location.name) {
            (Some(resolver), Some(name)) => {
                self.step.replace(Step::SentinelName { sentinel, deadline });
                // The other half is for its last addresses.
                self.timer.set(self.settings.timeout / 2);
                self.name_lookup.start(resolver, name, location.port);
            }
            _ => {
                let reason = "its address is not known".into();
                self.ask_at(sentinel, location.addresses.clone(), deadline, reason);
            }
        }
    }

    /// Asks the Sentinel at its addresses; the reason is for where there are none.
    fn ask_at(&self, sentinel: usize, addresses: Vec<Address>, deadline: Instant, reason: String) {
        let mut others = VecDeque::from(addresses);
        match others.pop_front() {
            Some(address) => self.ask_one(Asked { sentinel, address, others, deadline }),
            None => self.is_unusable(&self.settings.locations[sentinel].word, reason),
        }
    }

    /// Asks at one address, which has its part of the time.
    fn ask_one(&self, asked: Asked) {
        let Asked { sentinel, ref address, ref others, deadline } = asked;
        let part = deadline.since(now()) / (others.len() as u32 + 1);
        let address = address.clone();
        self.step.replace(Step::Answer(asked));
        self.inquiry.start(
            &address,
            self.settings.locations[sentinel].peer.clone(),
            self.credentials.as_ref(),
            Question::Master(self.master.clone()),
            now() + part,
        );
    }

    /// A Sentinel has told where the master is.
    fn told(&self, asked: Address, host: &[u8], port: u16) {
        // A Sentinel at a unix socket is on this machine.
        let asked_host = Host::Address(asked.ip().unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)));
        let Some(endpoint) = Endpoint::told(host, port, &asked_host) else {
            return self.is_unusable(asked.name(), "no usable address of the master".into());
        };
        let Location { addresses, name, port, peer, .. } =
            Location::told(&endpoint, self.settings.tls.as_deref());
        match (name, self.resolver) {
            (None, _) => self.found(addresses, peer),
            (Some(name), Some(resolver)) => {
                self.step.replace(Step::MasterName { asked, peer });
                self.timer.set(self.settings.timeout);
                self.name_lookup.start(resolver, &name, port);
            }
            (Some(name), None) => {
                let reason = format!("the master is at \"{name}\", and there is no resolver");
                self.is_unusable(asked.name(), reason);
            }
        }
    }

    fn found(&self, addresses: Vec<Address>, peer: Option<Peer>) {
        let valid_until = self.sentinels.borrow_mut().answered(now());
        self.end(Ok(Master { addresses, peer, valid_until }));
    }

    fn is_unusable(&self, sentinel: &str, reason: String) {
        let reason = format!("sentinel {sentinel}: {reason}");
        let next = self.sentinels.borrow_mut().unusable(reason);
        self.go_on(next);
    }

    fn go_on(&self, next: Next) {
        match next {
            Next::Ask(sentinel) => self.ask(sentinel),
            Next::GiveUp(reason) => self.end(Err(reason)),
        }
    }

    fn end(&self, result: Result<Master, String>) {
        self.step.take();
        if let Some(seeker) = self.seeker.upgrade() {
            seeker.discovered(result);
        }
    }

    /// What is known of a name has to do.
    fn name_is_late(&self) {
        self.name_lookup.stop();
        self.resolved(Err("its name was not resolved in time".into()));
    }
}

impl Inquirer for Discovery {
    fn answered(&self, result: Result<Answer, InquiryFailure>) {
        let Step::Answer(asked) = self.step.take() else { return };
        let Asked { sentinel, address, mut others, deadline } = asked;
        match result {
            Ok(Answer::Master(Some((host, port)))) => self.told(address, &host, port),
            Ok(Answer::Master(None)) => {
                let next = self.sentinels.borrow_mut().unknown();
                self.go_on(next);
            }
            Ok(Answer::Slots(_)) => unreachable!("not asked for"),
            // Whoever looks for the master asks again after a while, if that is still needed.
            Err(ErrandError::Exiting) => {}
            Err(error) => match others.pop_front() {
                Some(address) => self.ask_one(Asked { sentinel, address, others, deadline }),
                None => self.is_unusable(address.name(), error.to_string()),
            },
        }
    }
}

impl NameHandler for Discovery {
    fn resolved(&self, result: Result<Resolved, String>) {
        self.timer.stop();
        let step = self.step.take();
        match (step, result) {
            (Step::SentinelName { sentinel, deadline }, Ok(Resolved { addresses, .. })) => {
                self.ask_at(sentinel, addresses, deadline, String::new());
            }
            (Step::SentinelName { sentinel, deadline }, Err(reason)) => {
                let last = self.settings.locations[sentinel].addresses.clone();
                self.ask_at(sentinel, last, deadline, reason);
            }
            (Step::MasterName { peer, .. }, Ok(Resolved { addresses, .. })) => {
                self.found(addresses, peer);
            }
            (Step::MasterName { asked, .. }, Err(reason)) => {
                self.is_unusable(asked.name(), format!("the master: {reason}"));
            }
            (step @ (Step::Nothing | Step::Answer(_)), _) => drop(self.step.replace(step)),
        }
    }
}
