//! The store, as far as tickets see it, and what may become of it.

use std::collections::HashMap;

use ssl_session_cache_core::session::Key;
use ssl_session_cache_core::ticket::Question;

use super::toy;

/// What it has of one name.
#[derive(Default)]
pub struct Name {
    /// What lies there, and until when, in milliseconds.
    record: Option<(Vec<u8>, u64)>,
    /// All that ever has.
    history: Vec<Vec<u8>>,
    /// The seed that lay there last.
    pub last: Option<[u8; 32]>,
}

#[derive(Default)]
pub struct Store {
    names: HashMap<Vec<u8>, Name>,
    /// In the order in which they were first used.
    order: Vec<Vec<u8>>,
    pub is_down: bool,
    pub is_read_only: bool,
    /// A name that it says nothing of.
    pub refused: Option<Vec<u8>>,
}

/// What it answers.
#[derive(Clone, Debug)]
pub enum Reply {
    Found(Vec<u8>),
    Missing,
    Done,
    Unavailable,
}

impl Store {
    pub fn ask(&mut self, question: &Question, clock: u64) -> Reply {
        let (Question::Get { key, .. } | Question::Add { key, .. }) = question;
        if self.is_down || self.refused.as_ref() == Some(&bytes_of(key)) {
            return Reply::Unavailable;
        }
        match question {
            Question::Get { key, .. } => match self.name(key).record(clock) {
                Some(record) => Reply::Found(record.clone()),
                None => Reply::Missing,
            },
            Question::Add { .. } if self.is_read_only => Reply::Unavailable,
            Question::Add { key, record, ttl } => {
                assert!(*ttl > 0, "a record is not added when it is over");
                let name = self.name(key);
                if name.record(clock).is_none() {
                    name.put(record.clone(), clock + 1000 * u64::from(*ttl));
                }
                Reply::Done
            }
        }
    }

    fn name(&mut self, key: &Key) -> &mut Name {
        let bytes = bytes_of(key);
        if !self.names.contains_key(&bytes) {
            self.order.push(bytes.clone());
        }
        self.names.entry(bytes).or_default()
    }

    /// The seed that lay last under a key, if there ever was one.
    pub fn last(&self, key: &[u8]) -> Option<[u8; 32]> {
        self.names.get(key)?.last
    }

    /// How many seeds have lain under a key.
    pub fn seeds(&self, key: &[u8]) -> usize {
        let Some(name) = self.names.get(key) else { return 0 };
        let mut seeds: Vec<_> = name.history.iter().map(|record| toy::seed_in(record)).collect();
        seeds.sort_unstable();
        seeds.dedup();
        seeds.len()
    }

    pub fn flush(&mut self) {
        self.names.values_mut().for_each(|name| name.record = None);
    }

    fn latest(&mut self, which: usize) -> Option<&mut Name> {
        let recent = self.order.len().checked_sub(1 + which % 4)?;
        self.names.get_mut(&self.order[recent])
    }

    pub fn lose(&mut self, which: usize) {
        if let Some(name) = self.latest(which) {
            name.record = None;
        }
    }

    /// Gives back what once lay under the same name.
    pub fn replay(&mut self, which: usize, earlier: usize, clock: u64) {
        let Some(name) = self.latest(which) else { return };
        if !name.history.is_empty() {
            let record = name.history[earlier % name.history.len()].clone();
            name.last = Some(toy::seed_in(&record));
            name.record = Some((record, clock + 86_400_000));
        }
    }

    /// Gives what lies under another name, or a record that was changed.
    pub fn forge(&mut self, which: usize, change: usize, clock: u64) {
        let other = self.latest(change).and_then(|name| name.history.last().cloned());
        let Some(mut record) = other else { return };
        if which % 4 == change % 4 {
            let len = record.len();
            record[change % len] ^= 0x10;
        }
        let Some(name) = self.latest(which) else { return };
        // It stays for less than an epoch.
        name.record = Some((record, clock + 1_800_000));
    }
}

impl Name {
    fn record(&self, clock: u64) -> Option<&Vec<u8>> {
        self.record.as_ref().filter(|(_, until)| clock < *until).map(|(record, _)| record)
    }

    fn put(&mut self, record: Vec<u8>, until: u64) {
        self.last = Some(toy::seed_in(&record));
        self.history.push(record.clone());
        self.record = Some((record, until));
    }
}

pub fn bytes_of(key: &Key) -> Vec<u8> {
    let mut bytes = Vec::new();
    key.write(&mut bytes);
    bytes
}
