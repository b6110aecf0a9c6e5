//! Memcached, as an operator asks it, over its text protocol:
//! <https://github.com/memcached/memcached/blob/master/doc/protocol.txt>.

use std::collections::BTreeMap;

use ssl_session_cache_core::protocol::{Memcached as MemcachedProtocol, Request};
use ssl_session_cache_core::session::Key;
use thiserror::Error;

use crate::output::text;
use crate::store::{Answer, Conversation, TalkError};

/// A connection to a Memcached.
pub struct Memcached {
    pub(super) talk: Conversation<MemcachedProtocol>,
    /// What has come and was not read.
    input: Vec<u8>,
}

/// An item, as the crawler lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// As it was set.
    pub key: Vec<u8>,
    /// The Unix time at which it expires; `None` for never.
    pub expires: Option<u64>,
    /// The bytes of memory that it takes.
    pub size: u64,
}

/// Why there is no list of keys.
#[derive(Debug, Error)]
pub enum DumpError {
    /// The server cannot.
    #[error("the server cannot list its keys (\"{0}\"): that needs Memcached 1.4.31 or later, with its LRU \
             crawler, which -o no_lru_crawler and -X switch off")]
    Unknown(String),
    /// Another one asks just now.
    #[error("the server lists its keys to somebody else: try again (\"{0}\")")]
    Busy(String),
    /// The connection is of no more use.
    #[error(transparent)]
    Talk(#[from] TalkError),
}

impl Memcached {
    pub(super) fn new(talk: Conversation<MemcachedProtocol>) -> Self {
        Self { talk, input: Vec::new() }
    }

    /// Asks what the module asks.
    pub fn ask(&mut self, request: Request<'_>) -> Result<Answer, TalkError> {
        self.talk.ask(request)
    }

    /// What `stats` says, or `stats` of something; empty where the server does not know it.
    pub fn stats(&mut self, of: &str) -> Result<BTreeMap<String, String>, TalkError> {
        let command = format!("stats {of}");
        self.talk.send(format!("{}\r\n", command.trim_end()).as_bytes())?;
        let mut stats = BTreeMap::new();
        loop {
            let line = self.line()?;
            let Some(line) = line.strip_prefix("STAT ") else { return Ok(stats) };
            if let Some((name, value)) = line.split_once(' ') {
                stats.insert(name.to_owned(), value.to_owned());
            }
        }
    }

    /// The version, as the server says it.
    pub fn version(&mut self) -> Result<String, TalkError> {
        self.talk.send(b"version\r\n")?;
        let line = self.line()?;
        Ok(line.strip_prefix("VERSION ").unwrap_or(&line).to_owned())
    }

    /// Hands each item to `tell`, as far as the crawler of the server comes to it.
    pub fn dump(&mut self, mut tell: impl FnMut(Item)) -> Result<(), DumpError> {
        self.talk.send(b"lru_crawler metadump all\r\n")?;
        loop {
            // Each line takes as long as a reply may: the whole can be long.
            self.talk.link.wait_anew();
            let line = self.line()?;
            match line.split(' ').next() {
                Some("END") => return Ok(()),
                Some("BUSY") => return Err(DumpError::Busy(line)),
                Some(word) if word.starts_with("key=") => tell(item(&line)),
                _ => return Err(DumpError::Unknown(line)),
            }
        }
    }

    /// Deletes keys, and returns how many there were. None of them may be [binary](is_text).
    pub fn remove(&mut self, keys: &[Vec<u8>]) -> Result<usize, TalkError> {
        let mut commands = Vec::new();
        for key in keys {
            commands.extend_from_slice(b"delete ");
            commands.extend_from_slice(key);
            commands.extend_from_slice(b"\r\n");
        }
        self.talk.send(&commands)?;
        let mut removed = 0;
        for _ in keys {
            removed += usize::from(self.line()? == "DELETED");
        }
        Ok(removed)
    }

    pub(super) fn delete(&mut self, key: &Key) -> Result<bool, TalkError> {
        let mut bytes = Vec::new();
        key.write(&mut bytes);
        Ok(self.remove(&[bytes])? > 0)
    }

    /// By a command of Memcached 1.6.
    pub(super) fn ttl(&mut self, key: &Key) -> Option<i64> {
        self.talk.send(format!("mg {key:?} t\r\n").as_bytes()).ok()?;
        let line = self.line().ok()?;
        line.strip_prefix("HD t")?.trim().parse().ok()
    }

    fn line(&mut self) -> Result<String, TalkError> {
        loop {
            if let Some(end) = self.input.iter().position(|byte| *byte == b'\n') {
                let line: Vec<_> = self.input.drain(..=end).collect();
                return Ok(text(line.trim_ascii_end()));
            }
            self.talk.receive(&mut self.input)?;
        }
    }
}

/// Whether a key can be sent as it is. Others, which the meta commands take in base64, could be taken for
/// commands: none of the module's is of that kind.
pub fn is_text(key: &[u8]) -> bool {
    key.iter().all(u8::is_ascii_graphic)
}

/// `key=name exp=1700000000 la=... cas=... fetch=no cls=1 size=123`, the name with % and hex for what is
/// no plain character.
fn item(line: &str) -> Item {
    let words: BTreeMap<_, _> = line.split(' ').filter_map(|word| word.split_once('=')).collect();
    let number = |name| words.get(name).and_then(|number| number.parse().ok());
    Item {
        key: unescape(words.get("key").copied().unwrap_or_default().as_bytes()),
        expires: number("exp"),
        size: number("size").unwrap_or_default(),
    }
}

fn unescape(text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    let mut rest = text;
    while let Some((byte, after)) = rest.split_first() {
        let digits = after.first_chunk::<2>().filter(|_| *byte == b'%');
        let code = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        match code.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(code) => {
                plain.push(code);
                rest = &after[2..];
            }
            None => {
                plain.push(*byte);
                rest = after;
            }
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_of_a_dump() {
        let item = |line| item(line);
        assert_eq!(
            item("key=sslsessioncache%3A00ff%2B exp=1700000000 la=1 cas=2 fetch=no cls=1 size=90"),
            Item { key: b"sslsessioncache:00ff+".to_vec(), expires: Some(1_700_000_000), size: 90 }
        );
        assert_eq!(item("key=a%zz%4 exp=-1").key, b"a%zz%4");
        assert_eq!(item("key=a exp=-1").expires, None);
    }
}
