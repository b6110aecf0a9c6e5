//! Asks Sentinels where the master is.

use core::cell::RefCell;
use core::hash::{BuildHasher, Hasher};
use core::ptr::NonNull;
use std::collections::hash_map::RandomState;
use std::net::{IpAddr, Ipv4Addr};
use std::rc::{Rc, Weak};

use nginx_sys::ngx_log_t;
use ssl_session_cache_core::protocol::Credentials;
use ssl_session_cache_core::server::{Answer, Question};
use ssl_session_cache_core::topology::{Endpoint, Host, Next, Sentinels};
use ssl_session_cache_core::Instant;

use crate::net::{Address, NameHandler, NameLookup, Peer, Resolved, Resolver};
use crate::nginx::now;
use crate::store::inquiry::{Inquirer, Inquiry, NoAnswer};
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
    /// Borrowed nowhere where nginx needs a connection, for the inquiry or a name, nor while anybody is
    /// told.
    step: RefCell<Step>,
    inquiry: Rc<Inquiry>,
    /// For the master's name.
    name_lookup: NameLookup,
}

/// What is waited for.
#[derive(Default)]
enum Step {
    #[default]
    Nothing,
    /// The answer of a Sentinel.
    Answer,
    /// The addresses of the master, whose name the Sentinel at this address has told.
    Name(Address, Host),
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
            let inquirer = Weak::clone(discovery) as _;
            let inquiry = Inquiry::new(settings.tls.clone(), resolver, inquirer, log);
            Self {
                master: master.into(),
                credentials: credentials.cloned(),
                resolver,
                seeker,
                sentinels: RefCell::new(sentinels),
                step: RefCell::default(),
                inquiry,
                name_lookup: NameLookup::new(),
                settings,
            }
        });
        // SAFETY: the lookup stays where it is in the Rc, and goes with it; the log is the worker's,
        // which outlives what it has of a store.
        unsafe { discovery.name_lookup.bind(NonNull::from(&*discovery), log) };
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
        self.step.replace(Step::Answer);
        self.inquiry.start(
            &self.settings.locations[sentinel],
            self.credentials.as_ref(),
            Question::Master(self.master.clone()),
            now() + self.settings.timeout,
        );
    }

    /// A Sentinel has told where the master is.
    fn told(&self, asked: Address, host: &[u8], port: u16) {
        // A Sentinel at a unix socket is on this machine.
        let asked_host = Host::Address(asked.ip().unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)));
        match Endpoint::told(host, port, &asked_host) {
            Some(Endpoint { host: Host::Address(address), port }) => {
                self.found(&Host::Address(address), vec![Address::of(address, port)]);
            }
            Some(Endpoint { host: Host::Name(name), port }) => match self.resolver {
                Some(resolver) => {
                    self.step.replace(Step::Name(asked, Host::Name(name.clone())));
                    let limit = self.settings.timeout;
                    self.name_lookup.start_within(limit, resolver, &name, port);
                }
                None => {
                    let reason = format!("the master is at \"{name}\", and there is no resolver");
                    self.is_unusable(asked.name(), &reason);
                }
            },
            None => self.is_unusable(asked.name(), "no usable address of the master"),
        }
    }

    fn found(&self, host: &Host, addresses: Vec<Address>) {
        let peer = self.settings.tls.as_ref().map(|tls| tls.peer_told(host));
        let valid_until = self.sentinels.borrow_mut().answered(now());
        self.end(Ok(Master { peer, addresses, valid_until }));
    }

    fn is_unusable(&self, sentinel: &str, reason: &str) {
        let next = self.sentinels.borrow_mut().unusable(format!("sentinel {sentinel}: {reason}"));
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
}

impl Inquirer for Discovery {
    fn answered(&self, result: Result<(Answer, Address), NoAnswer>) {
        match result {
            Ok((Answer::Master(Some((host, port))), asked)) => self.told(asked, &host, port),
            Ok((Answer::Master(None), _)) => {
                let next = self.sentinels.borrow_mut().unknown();
                self.go_on(next);
            }
            Ok((Answer::Slots(_), _)) => unreachable!("not asked for"),
            Err(NoAnswer::Unusable { address, reason }) => self.is_unusable(&address, &reason),
            // Whoever looks for the master asks again after a while, if that is still needed.
            Err(NoAnswer::Exiting) => drop(self.step.take()),
        }
    }
}

impl NameHandler for Discovery {
    fn resolved(&self, result: Result<Resolved, String>) {
        let step = self.step.take();
        let Step::Name(asked, host) = step else {
            self.step.replace(step);
            return;
        };
        match result {
            Ok(Resolved { addresses, .. }) => self.found(&host, addresses),
            Err(reason) => self.is_unusable(asked.name(), &format!("the master: {reason}")),
        }
    }
}
