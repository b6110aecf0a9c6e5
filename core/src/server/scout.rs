//! Finds out whether a server could be used, over a connection of its own.

use std::rc::Rc;

use crate::protocol::{Protocol, Request};
use crate::server::completions::Ended;
use crate::server::pipeline::{Kind, Pipeline, PipelineError};
use crate::server::talk::Talk;
use crate::session::Key;
use crate::time::Instant;

/// Is greeted by a server, and has it delete and look up what is not there: a server that is usable
/// takes writes and answers lookups, and when they greet, replicas and proxies do not tell.
pub struct Scout {
    pipeline: Pipeline<()>,
    /// The key to delete and look up, until it is sent.
    key: Option<Key>,
    deadline: Instant,
    is_greeted: bool,
}

/// The server cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unusable;

impl From<PipelineError> for Unusable {
    fn from(_error: PipelineError) -> Self {
        Self
    }
}

impl Scout {
    /// A scout that has found out by `deadline`. Without a key, it is content with the greeting.
    pub fn new(
        protocol: Rc<dyn Protocol>,
        key: Option<Key>,
        deadline: Instant,
        now: Instant,
    ) -> Self {
        let mut pipeline = Pipeline::new(protocol);
        pipeline.begin(deadline, now);
        Self { pipeline, key, deadline, is_greeted: false }
    }
}

impl Talk for Scout {
    type Found = ();
    type Failure = Unusable;

    fn deadline(&self) -> Instant {
        self.deadline
    }

    fn unsent(&self) -> &[u8] {
        self.pipeline.unsent()
    }

    fn sent(&mut self, count: usize) {
        self.pipeline.sent(count);
    }

    fn spare(&mut self) -> &mut [u8] {
        self.pipeline.spare()
    }

    fn received(&mut self, count: usize, now: Instant) -> Result<Option<()>, Unusable> {
        self.pipeline.filled(count);
        while let Some(answer) = self.pipeline.next_answer(now)? {
            // Who may not delete can still be let look up and store.
            if answer.refusal.is_some_and(|refusal| !refusal.is_of_right) {
                return Err(Unusable);
            }
            self.is_greeted |= answer.to == Kind::Probe;
        }
        if let Some(key) = self.key.take_if(|_| self.is_greeted) {
            self.pipeline.ask(Request::Delete(&key), self.deadline, None, now);
            self.pipeline.ask(Request::Get(&key), self.deadline, Some(()), now);
        }
        let mut is_unanswered = false;
        self.pipeline.completions().drain(|(), ended| {
            is_unanswered |= matches!(ended, Ended::Refused(_) | Ended::Unavailable(_));
        });
        if is_unanswered {
            return Err(Unusable);
        }
        Ok((self.is_greeted && self.pipeline.is_drained()).then_some(()))
    }
}
