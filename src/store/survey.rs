//! Asks a cluster's nodes for its map.

use core::cell::RefCell;
use std::collections::VecDeque;
use std::rc::{Rc, Weak};

use nginx_sys::ngx_log_t;
use ssl_session_cache_core::server::{Answer, Question};
use ssl_session_cache_core::topology::{Host, Map};

use crate::net::{Address, Location, Resolver};
use crate::nginx::now;
use crate::store::inquiry::{Inquirer, Inquiry, NoAnswer};
use crate::store::settings::Settings;

/// Who asks for a map. It may ask for the next one while it is told.
pub(super) trait Surveyor {
    /// A map was told, or none and why; the reason is that of the last who was asked.
    fn mapped(&self, map: Result<Map, String>);
}

/// Asks one server after the other for the cluster's map, until one tells it.
///
/// # Drop behaviour
///
/// What is under way is given up; nobody is told.
pub(super) struct Survey {
    settings: Rc<Settings>,
    surveyor: Weak<dyn Surveyor>,
    /// Who is asked next.
    others: RefCell<VecDeque<Location>>,
    inquiry: Rc<Inquiry>,
}

impl Survey {
    pub(super) fn new(
        settings: Rc<Settings>,
        resolver: Option<Resolver>,
        surveyor: Weak<dyn Surveyor>,
        log: *mut ngx_log_t,
    ) -> Rc<Self> {
        Rc::new_cyclic(|survey: &Weak<Self>| {
            let inquirer = Weak::clone(survey) as _;
            let inquiry = Inquiry::new(settings.tls.clone(), resolver, inquirer, log);
            Self { settings, surveyor, others: RefCell::default(), inquiry }
        })
    }

    /// Asks these servers, of which there is one at least, each of which has the time of any request.
    /// [`Surveyor::mapped`] is called at the end, which may be before this returns.
    pub(super) fn start(&self, servers: impl IntoIterator<Item = Location>) {
        self.others.replace(servers.into_iter().collect());
        self.ask_next("no server to ask".into());
    }

    /// Gives up what is under way; nobody is told.
    pub(super) fn stop(&self) {
        self.others.take();
        self.inquiry.stop();
    }

    /// Asks the next server; the reason is for where there is none.
    fn ask_next(&self, reason: String) {
        let next = self.others.borrow_mut().pop_front();
        match next {
            Some(location) => self.inquiry.start(
                &location,
                self.settings.credentials.as_ref(),
                Question::Slots,
                now() + self.settings.timeout,
            ),
            None => self.tell(Err(reason)),
        }
    }

    fn tell(&self, map: Result<Map, String>) {
        if let Some(surveyor) = self.surveyor.upgrade() {
            surveyor.mapped(map);
        }
    }

    /// What a server's answer comes to.
    fn read(answer: Answer, asked: &Address) -> Result<Map, String> {
        let Answer::Slots(reply) = answer else { unreachable!("not asked for") };
        let reason = |reason: &dyn ToString| format!("{}: {}", asked.name(), reason.to_string());
        let ip = asked.ip().ok_or_else(|| reason(&"it has no IP address"))?;
        let map = Map::read(&reply, &Host::Address(ip)).map_err(|error| reason(&error))?;
        if map.is_empty() {
            return Err(reason(&"no slots are served"));
        }
        Ok(map)
    }
}

impl Inquirer for Survey {
    fn answered(&self, result: Result<(Answer, Address), NoAnswer>) {
        let map = match result {
            Ok((answer, asked)) => Self::read(answer, &asked),
            Err(NoAnswer::Exiting) => return,
            Err(error) => Err(error.to_string()),
        };
        match map {
            Ok(map) => self.tell(Ok(map)),
            Err(reason) => self.ask_next(reason),
        }
    }
}
