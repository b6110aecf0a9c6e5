//! A Redis Cluster: each key is asked for where its slot is, and where its nodes say that it is.
//!
//! <https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/>, "Redirection and
//! resharding".

use std::collections::BTreeMap;
use std::mem;
use std::time::Duration;

use slotmap::SecondaryMap;

use crate::protocol::{Put, Reason};
use crate::server::{self, Ended, Unavailable};
use crate::session::Key;
use crate::time::{earliest, Instant};
use crate::topology::cluster::{Change, Cluster, Whom};
use crate::topology::endpoint::Endpoint;
use crate::topology::id::ServerId;
use crate::topology::map::Map;
use crate::topology::route::{Asking, Attempt, Next, Record, Servers, Task, Told};
use crate::topology::slots::slot_of;

/// So many redirects are followed for what somebody waits for, a lookup or a record to add, and for a put
/// or a delete.
const AWAITED_REDIRECTS: u8 = 2;
const WRITE_REDIRECTS: u8 = 1;

/// What a cluster cannot do now is tried again after this time, and after twice as long each further
/// time.
const TRY_AGAIN: Duration = Duration::from_millis(20);

/// A node that has not said for so long that it cannot serve a key now is able to again.
const ABLE_AGAIN: Duration = Duration::from_secs(10);

/// No more requests than this wait for a cluster that cannot serve them now, nor more bytes of records.
const MAX_WAITING: usize = 4096;
const MAX_WAITING_BYTES: usize = server::MAX_WAITING as usize;

/// A cluster's map, and what waits for the cluster.
pub(super) struct Redirects<T> {
    cluster: Cluster,
    /// The longest that anything waits.
    timeout: Duration,
    /// What is tried again, by when that is, and in the order in which it began to wait.
    waiting: BTreeMap<(Instant, u64), Attempt<T>>,
    /// The bytes of the records among it.
    waiting_bytes: usize,
    /// So much has ever waited.
    waited: u64,
    /// The first map is waited for until this time, where there is none yet.
    map_until: Option<Instant>,
    /// The nodes that have said that they cannot serve a key now.
    unable: SecondaryMap<ServerId, Unable>,
    /// Nodes that are of no more use.
    closed: Vec<ServerId>,
}

/// Since when a node has said again and again that it cannot serve a key, and when it last did.
#[derive(Clone, Copy)]
struct Unable {
    since: Instant,
    last: Instant,
}

impl<T: Copy> Redirects<T> {
    pub(super) fn new(seed: u64, max_nodes: usize, timeout: Duration, now: Instant) -> Self {
        Self {
            cluster: Cluster::new(seed, max_nodes, now),
            timeout,
            waiting: BTreeMap::new(),
            waiting_bytes: 0,
            waited: 0,
            map_until: Some(now + timeout),
            unable: SecondaryMap::new(),
            closed: Vec::new(),
        }
    }

    pub(super) fn get(
        &mut self,
        servers: &impl Servers<T>,
        key: &Key,
        deadline: Instant,
        token: T,
        now: Instant,
    ) -> Result<(), Unavailable> {
        self.send(servers, awaited(Task::Get(token), key, deadline), now)
    }

    pub(super) fn put(
        &mut self,
        servers: &impl Servers<T>,
        put: Put<'_>,
        now: Instant,
    ) -> Result<(), Unavailable> {
        let task = Task::Put(Record::of(put));
        self.send(servers, self.write(task, put.key, now), now)
    }

    pub(super) fn add(
        &mut self,
        servers: &impl Servers<T>,
        put: Put<'_>,
        deadline: Instant,
        token: T,
        now: Instant,
    ) -> Result<(), Unavailable> {
        let task = Task::Add(token, Record::of(put));
        self.send(servers, awaited(task, put.key, deadline), now)
    }

    pub(super) fn delete(
        &mut self,
        servers: &impl Servers<T>,
        key: &Key,
        now: Instant,
    ) -> Result<(), Unavailable> {
        self.send(servers, self.write(Task::Delete, key, now), now)
    }

    fn write(&self, task: Task<T>, key: &Key, now: Instant) -> Attempt<T> {
        let next = Next::Redirects { left: WRITE_REDIRECTS, pause: TRY_AGAIN };
        Attempt { task, key: key.clone(), deadline: now + self.timeout, next }
    }

    /// Asks the node that has the key's slot. Where no map is known yet, it is waited for: a new worker
    /// has clients before a map.
    fn send(
        &mut self,
        servers: &impl Servers<T>,
        attempt: Attempt<T>,
        now: Instant,
    ) -> Result<(), Unavailable> {
        match (self.cluster.server_of(slot_of(&attempt.key), now), self.map_until) {
            (Some(_), _) if attempt.deadline <= now => Err(Unavailable::Timeout),
            (Some(server), _) => self.ask(servers, server, attempt, Asking::No, now),
            (None, Some(until)) => {
                self.wait(attempt.deadline.min(until), attempt, Unavailable::Down, now)
            }
            (None, None) => {
                if let Task::Get(_) = attempt.task {
                    servers.turned_away();
                }
                Err(Unavailable::Down)
            }
        }
    }

    fn ask(
        &mut self,
        servers: &impl Servers<T>,
        server: ServerId,
        attempt: Attempt<T>,
        asking: Asking,
        now: Instant,
    ) -> Result<(), Unavailable> {
        self.open(servers);
        let Attempt { task, key, deadline, .. } = attempt.clone();
        let routed = attempt.routed();
        let asked = match task {
            Task::Get(_) => servers.get(server, &key, deadline, asking, routed),
            Task::Put(record) => servers.put(server, record.put(&key), asking, Some(routed)),
            Task::Add(_, record) => servers.add(server, record.put(&key), deadline, asking, routed),
            Task::Delete => servers.delete(server, &key, asking, Some(routed)),
        };
        if asked == Err(Unavailable::Down) {
            self.cluster.lost(server, now);
        }
        asked
    }

    /// A request has ended at a server: it is sent on, waits, or has ended.
    pub(super) fn ended<'a>(
        &mut self,
        servers: &impl Servers<T>,
        server: ServerId,
        attempt: Attempt<T>,
        ended: Ended<'a>,
        now: Instant,
    ) -> Option<Told<'a, T>> {
        // A server that is closed does not say what became of its records.
        let is_closed = self.cluster.endpoint(server).is_none();
        if is_closed && matches!((&attempt.task, ended), (Task::Put(_), Ended::Unavailable(_))) {
            servers.record_failed();
        }
        let Ended::Refused(reason) = ended else {
            // That a lookup was late may be its own short time.
            if ended == Ended::Unavailable(Unavailable::Down) {
                self.cluster.lost(server, now);
            }
            return told(attempt.task, ended);
        };
        let task = attempt.task.clone();
        let slot = slot_of(&attempt.key);
        let asked = match reason {
            Reason::Moved(to) => {
                let to = to.filter(|to| to.slot == slot);
                let to = to.and_then(|to| self.cluster.moved(server, to, now));
                self.redirect(servers, attempt, to, Asking::No, now)
            }
            Reason::Ask(to) => {
                let to = to.and_then(|to| self.cluster.asked(server, to, now));
                self.redirect(servers, attempt, to, Asking::Yes, now)
            }
            Reason::TryAgain => self.wait_to_ask(server, attempt, now),
            Reason::ClusterDown => {
                self.cluster.cluster_down(now);
                self.wait_to_ask(server, attempt, now)
            }
            Reason::ReadOnly => {
                self.cluster.read_only(server, now);
                Err(Unavailable::Refused)
            }
            Reason::MasterDown | Reason::Loading => {
                self.cluster.lost(server, now);
                Err(Unavailable::Refused)
            }
            _ => Err(Unavailable::Refused),
        };
        let unavailable = asked.err()?;
        // A record that was refused for good is counted where its server is.
        let is_redirect = matches!(reason, Reason::Moved(_) | Reason::Ask(_) | Reason::TryAgain);
        if is_redirect && matches!(task, Task::Put(_)) {
            servers.record_failed();
        }
        told(task, Ended::Unavailable(unavailable))
    }

    fn redirect(
        &mut self,
        servers: &impl Servers<T>,
        mut attempt: Attempt<T>,
        to: Option<ServerId>,
        asking: Asking,
        now: Instant,
    ) -> Result<(), Unavailable> {
        let Next::Redirects { left, .. } = &mut attempt.next else {
            return Err(Unavailable::Refused);
        };
        *left = left.checked_sub(1).ok_or(Unavailable::Refused)?;
        if attempt.deadline <= now {
            return Err(Unavailable::Timeout);
        }
        self.ask(servers, to.ok_or(Unavailable::Refused)?, attempt, asking, now)
    }

    /// Asks again a little later for what somebody waits for, unless the node has been of no use for
    /// long: that shall not cost each handshake a wait. What the node still serves says nothing: it may
    /// lack some slots alone.
    fn wait_to_ask(
        &mut self,
        server: ServerId,
        mut attempt: Attempt<T>,
        now: Instant,
    ) -> Result<(), Unavailable> {
        const REASON: Unavailable = Unavailable::Refused;

        let before = self.unable.get(server).filter(|before| now.since(before.last) < ABLE_AGAIN);
        let since = before.map_or(now, |before| before.since);
        self.unable.insert(server, Unable { since, last: now });
        let (Task::Get(_) | Task::Add(..), Next::Redirects { pause, .. }) =
            (&attempt.task, &mut attempt.next)
        else {
            return Err(REASON);
        };
        let at = now + *pause;
        *pause *= 2;
        if now.since(since) >= self.timeout || at >= attempt.deadline {
            return Err(REASON);
        }
        self.wait(at, attempt, REASON, now)
    }

    /// Asks again at this time, if there is any until then and not too much waits, else there is none
    /// for this reason.
    fn wait(
        &mut self,
        at: Instant,
        attempt: Attempt<T>,
        reason: Unavailable,
        now: Instant,
    ) -> Result<(), Unavailable> {
        let bytes = self.waiting_bytes + attempt.record_len();
        if at <= now || self.waiting.len() >= MAX_WAITING || bytes > MAX_WAITING_BYTES {
            return Err(reason);
        }
        self.waiting_bytes = bytes;
        self.waited += 1;
        self.waiting.insert((at, self.waited), attempt);
        Ok(())
    }

    /// Has the nodes be there that are about to be asked.
    fn open(&mut self, servers: &impl Servers<T>) {
        while let Some(change) = self.cluster.change() {
            match change {
                Change::Open(server, endpoint) => servers.open(server, &endpoint),
                Change::Close(server) => {
                    servers.close(server);
                    self.closed.push(server);
                }
            }
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        // Nodes are closed at once, or a node that names ever new ones has them pile up.
        if !self.closed.is_empty() {
            return Some(Instant::from_millis(0));
        }
        let waiting = self.waiting.keys().next().map(|(at, _)| *at);
        earliest([waiting, self.cluster.deadline()])
    }

    pub(super) fn tick(
        &mut self,
        servers: &impl Servers<T>,
        now: Instant,
        mut tell: impl FnMut(Told<'static, T>),
    ) {
        while let Some(entry) = self.waiting.first_entry().filter(|entry| entry.key().0 <= now) {
            let attempt = entry.remove();
            self.waiting_bytes -= attempt.record_len();
            let task = attempt.task.clone();
            let Err(reason) = self.send(servers, attempt, now) else { continue };
            if matches!(task, Task::Put(_)) {
                servers.record_failed();
            }
            told(task, Ended::Unavailable(reason)).into_iter().for_each(&mut tell);
        }
    }

    /// Ends all that waits.
    pub(super) fn stop(&mut self, tell: impl FnMut(Told<'static, T>)) {
        self.waiting_bytes = 0;
        let waiting = mem::take(&mut self.waiting).into_values();
        let down = Ended::Unavailable(Unavailable::Down);
        waiting.filter_map(|attempt| told(attempt.task, down)).for_each(tell);
    }

    pub(super) fn lost(&mut self, server: ServerId, now: Instant) {
        self.cluster.lost(server, now);
    }

    pub(super) fn closed(&mut self) -> Option<ServerId> {
        self.closed.pop()
    }

    pub(super) fn inquiry(&mut self, servers: &impl Servers<T>, now: Instant) -> Option<Whom> {
        let whom = self.cluster.inquiry(now);
        self.open(servers);
        whom
    }

    pub(super) fn mapped(&mut self, map: Option<&Map>, now: Instant) {
        self.cluster.answered(map, now);
        if map.is_some() {
            self.map_until = None;
            let waiting = mem::take(&mut self.waiting).into_iter();
            self.waiting = waiting.map(|((_, place), attempt)| ((now, place), attempt)).collect();
        }
    }

    pub(super) fn endpoint(&self, server: ServerId) -> Option<&Endpoint> {
        self.cluster.endpoint(server)
    }
}

/// A request that somebody waits for.
fn awaited<T>(task: Task<T>, key: &Key, deadline: Instant) -> Attempt<T> {
    let next = Next::Redirects { left: AWAITED_REDIRECTS, pause: TRY_AGAIN };
    Attempt { task, key: key.clone(), deadline, next }
}

/// What is told of the end of a task, where somebody waits for that.
fn told<T>(task: Task<T>, ended: Ended<'_>) -> Option<Told<'_, T>> {
    match task {
        Task::Get(token) => Some(Told::Lookup(token, ended.into())),
        Task::Add(token, _) => Some(Told::Add(token, ended.into())),
        Task::Put(_) | Task::Delete => None,
    }
}
