//! The connection of an inquiry.

use std::rc::{Rc, Weak};

use nginx_sys::ngx_log_t;
use ssl_session_cache_core::protocol::Credentials;
use ssl_session_cache_core::server::{self, Answer, InquiryError, Question};
use ssl_session_cache_core::Instant;

use crate::net::{Address, Peer, Tls};
use crate::store::errand::{Errand, ErrandError, Talk};

/// Asks the server at an address where others are.
///
/// # Drop behaviour
///
/// A question under way is given up; nobody is told.
pub(super) struct Inquiry(Errand<server::Inquiry>);

/// Who asks, and is told the answer.
pub(super) trait Inquirer {
    /// There is an answer, or there will be none. The next question may be asked.
    fn answered(&self, result: Result<Answer, InquiryFailure>);
}

/// Why there is no answer.
pub(super) type InquiryFailure = ErrandError<InquiryError>;

impl Inquiry {
    pub(super) fn new(tls: Option<Rc<Tls>>, inquirer: Weak<dyn Inquirer>) -> Self {
        Self(Errand::new(tls, move |result| {
            if let Some(inquirer) = inquirer.upgrade() {
                inquirer.answered(result);
            }
        }))
    }

    /// Sets nginx's log.
    ///
    /// # Safety
    ///
    /// The inquiry may not move from now on, and the log must live as long as it.
    pub(super) unsafe fn bind(&self, log: *mut ngx_log_t) {
        // SAFETY: as the caller promises; the errand is a part of the inquiry.
        unsafe { self.0.bind(log) };
    }

    /// Asks one question, in place of the one that is under way: [`Inquirer::answered`] is called by
    /// the deadline, but not before this returns. With TLS nobody else than `server` is asked.
    pub(super) fn start(
        &self,
        address: &Address,
        server: Option<Peer>,
        credentials: Option<&Credentials>,
        question: Question,
        deadline: Instant,
    ) {
        let inquiry = server::Inquiry::new(credentials, question, deadline);
        self.0.start(address, server, inquiry);
    }
}

impl Talk for server::Inquiry {
    type Found = Answer;
    type Failure = InquiryError;

    fn deadline(&self) -> Instant {
        self.deadline()
    }

    fn unsent(&self) -> &[u8] {
        self.unsent()
    }

    fn sent(&mut self, count: usize) {
        self.sent(count);
    }

    fn spare(&mut self) -> &mut [u8] {
        self.spare()
    }

    fn received(&mut self, count: usize, _now: Instant) -> Result<Option<Answer>, InquiryError> {
        self.received(count)
    }
}
