//! A question to the server at a location.

use core::cell::RefCell;
use core::ptr::NonNull;
use std::collections::VecDeque;
use std::rc::{Rc, Weak};

use nginx_sys::ngx_log_t;
use ssl_session_cache_core::protocol::Credentials;
use ssl_session_cache_core::server::{self, Answer, InquiryError, Question};
use ssl_session_cache_core::Instant;

use crate::net::{Address, Location, NameHandler, NameLookup, Peer, Resolved, Resolver, Tls};
use crate::nginx::now;
use crate::store::errand::{Errand, ErrandError};

/// Asks the server at a location where others are: at its addresses, one after the other, which its
/// name is looked up for where there is a resolver.
///
/// # Drop behaviour
///
/// A question under way is given up; nobody is told.
pub(super) struct Inquiry {
    resolver: Option<Resolver>,
    inquirer: Weak<dyn Inquirer>,
    /// Borrowed nowhere where nginx needs a connection, for the errand or a name, nor while anybody is
    /// told.
    step: RefCell<Step>,
    errand: Errand<server::Inquiry>,
    name_lookup: NameLookup,
}

/// Who asks, and is told the answer.
pub(super) trait Inquirer {
    /// There is an answer, from the server at this address, or there is none and why. The next question
    /// may be asked.
    fn answered(&self, result: Result<(Answer, Address), NoAnswer>);
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoAnswer {
    #[error("{address}: {reason}")]
    Unusable { address: String, reason: String },
    /// The worker exits when its clients are served.
    #[error("the worker exits")]
    Exiting,
}

/// What is waited for.
#[derive(Default)]
enum Step {
    #[default]
    Nothing,
    /// The addresses of the location.
    Name(Asked, Location),
    /// The answer of the server at this address; the others are where else it is.
    Answer(Asked, Address, VecDeque<Address>),
}

/// What is asked, of whom.
struct Asked {
    question: Question,
    credentials: Option<Credentials>,
    /// Who the server has to be.
    peer: Option<Peer>,
    deadline: Instant,
}

impl Inquiry {
    /// Speaks TLS where there is some.
    pub(super) fn new(
        tls: Option<Rc<Tls>>,
        resolver: Option<Resolver>,
        inquirer: Weak<dyn Inquirer>,
        log: *mut ngx_log_t,
    ) -> Rc<Self> {
        let inquiry = Rc::new_cyclic(|inquiry: &Weak<Self>| {
            let told = Weak::clone(inquiry);
            let errand = Errand::new(tls, move |end| {
                if let Some(inquiry) = told.upgrade() {
                    inquiry.ended(end);
                }
            });
            Self {
                resolver,
                inquirer,
                step: RefCell::default(),
                errand,
                name_lookup: NameLookup::new(),
            }
        });
        // SAFETY: the errand and the lookup stay where they are in the Rc, and go with it; the log is
        // the worker's, which outlives what it has of a store.
        unsafe {
            inquiry.errand.bind(log);
            inquiry.name_lookup.bind(NonNull::from(&*inquiry), log);
        }
        inquiry
    }

    /// Asks one question, in place of the one that is under way: [`Inquirer::answered`] is called by
    /// the deadline, which may be before this returns.
    pub(super) fn start(
        &self,
        location: &Location,
        credentials: Option<&Credentials>,
        question: Question,
        deadline: Instant,
    ) {
        self.stop();
        let (peer, credentials) = (location.peer.clone(), credentials.cloned());
        let asked = Asked { question, credentials, peer, deadline };
        match (self.resolver, &location.name) {
            (Some(resolver), Some(name)) => {
                self.step.replace(Step::Name(asked, location.clone()));
                // The other half is for its last addresses.
                let half = deadline.since(now()) / 2;
                self.name_lookup.start_within(half, resolver, name, location.port);
            }
            _ => {
                let reason = || "its address is not known".to_owned();
                self.ask_at(asked, &location.word, location.addresses.clone(), reason);
            }
        }
    }

    /// Gives up the question that is under way; nobody is told.
    pub(super) fn stop(&self) {
        self.errand.stop();
        self.name_lookup.stop();
        self.step.take();
    }

    /// Asks at the addresses of a server; the reason is for where there are none.
    fn ask_at(
        &self,
        asked: Asked,
        server: &str,
        addresses: Vec<Address>,
        reason: impl FnOnce() -> String,
    ) {
        let mut others = VecDeque::from(addresses);
        match others.pop_front() {
            Some(address) => self.ask(asked, address, others),
            None => {
                self.step.take();
                self.tell(Err(NoAnswer::Unusable { address: server.to_owned(), reason: reason() }));
            }
        }
    }

    /// Asks at one address, which has its part of the time.
    fn ask(&self, asked: Asked, address: Address, others: VecDeque<Address>) {
        let part = asked.deadline.since(now()) / (others.len() as u32 + 1);
        let (question, peer) = (asked.question.clone(), asked.peer.clone());
        let talk = server::Inquiry::new(asked.credentials.as_ref(), question, now() + part);
        let at = address.clone();
        self.step.replace(Step::Answer(asked, address, others));
        self.errand.start(&at, peer, talk);
    }

    fn ended(&self, end: Result<Answer, ErrandError<InquiryError>>) {
        let Step::Answer(asked, address, mut others) = self.step.take() else { return };
        match end {
            Ok(answer) => self.tell(Ok((answer, address))),
            Err(ErrandError::Exiting) => self.tell(Err(NoAnswer::Exiting)),
            Err(error) => match others.pop_front() {
                Some(next) => self.ask(asked, next, others),
                None => {
                    let (address, reason) = (address.name().to_owned(), error.to_string());
                    self.tell(Err(NoAnswer::Unusable { address, reason }));
                }
            },
        }
    }

    fn tell(&self, result: Result<(Answer, Address), NoAnswer>) {
        if let Some(inquirer) = self.inquirer.upgrade() {
            inquirer.answered(result);
        }
    }
}

impl NameHandler for Inquiry {
    fn resolved(&self, result: Result<Resolved, String>) {
        let step = self.step.take();
        let Step::Name(asked, location) = step else {
            self.step.replace(step);
            return;
        };
        match result {
            Ok(Resolved { addresses, .. }) => {
                self.ask_at(asked, &location.word, addresses, String::new);
            }
            Err(reason) => self.ask_at(asked, &location.word, location.addresses, || reason),
        }
    }
}
