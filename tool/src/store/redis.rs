//! Redis and its kin, as an operator asks it: by commands of the crate `redis` over a connection of ours.

use std::collections::BTreeMap;
use std::io::Write;

use redis::{
    Cmd, ConnectionLike, ErrorKind, FromRedisValue, Parser, RedisError, RedisResult,
    ServerErrorKind, Value,
};
use ssl_session_cache_core::protocol::{Redis as RedisProtocol, Request};
use ssl_session_cache_core::session::Key;

use crate::store::{Answer, Conversation, TalkError};

/// A connection to a Redis.
pub struct Redis {
    pub(super) talk: Conversation<RedisProtocol>,
    /// Commands of the crate and those of the module take turns, and each has its whole reply: nothing is
    /// left over in the parser.
    parser: Parser,
    database: u16,
    is_open: bool,
    has_unlink: bool,
}

/// A part of a server's keys.
pub struct Part {
    /// Where the next part begins; 0 at the end.
    pub next: u64,
    /// Some perhaps once more.
    pub keys: Vec<Vec<u8>>,
    /// About how many keys were looked at for it.
    pub looked_at: u64,
}

/// What an error about one key counts as.
const NONE: i64 = -3;

/// Why a command has no result.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The user may not.
    #[error("{0}")]
    Right(String),
    /// The server does not know it, or refuses it.
    #[error("{0}")]
    Refused(String),
    /// The connection is of no more use.
    #[error(transparent)]
    Talk(#[from] TalkError),
}

impl Redis {
    pub(super) fn new(talk: Conversation<RedisProtocol>, database: u16) -> Self {
        Self { talk, parser: Parser::new(), database, is_open: true, has_unlink: true }
    }

    /// The result of a command.
    pub fn command<T: FromRedisValue>(&mut self, words: &[&str]) -> Result<T, CommandError> {
        let mut command = Cmd::new();
        words.iter().for_each(|word| {
            command.arg(word);
        });
        self.run(&command)
    }

    /// The same of one with arguments of any kind.
    pub fn run<T: FromRedisValue>(&mut self, command: &Cmd) -> Result<T, CommandError> {
        let result = command.query(self);
        result.map_err(|error| self.failed(&error))
    }

    /// What a command says that answers with names and values in turn.
    pub fn pairs(&mut self, words: &[&str]) -> Result<BTreeMap<String, String>, CommandError> {
        self.command(words)
    }

    /// Asks what the module asks.
    pub fn ask(&mut self, request: Request<'_>) -> Result<Answer, TalkError> {
        self.talk.ask(request)
    }

    /// What INFO says, by name, with the name of each section among it.
    pub fn info(&mut self) -> Result<BTreeMap<String, String>, CommandError> {
        // It has names of files, which may be anything.
        let info: Vec<u8> = self.command(&["INFO"])?;
        let info = String::from_utf8_lossy(&info);
        let lines = info.lines().filter_map(|line| match line.strip_prefix("# ") {
            Some(section) => Some((section, "")),
            None => line.split_once(':'),
        });
        Ok(lines.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    /// A part of the keys that begin with `prefix`, from `cursor` on.
    pub fn scan(&mut self, cursor: u64, prefix: &[u8]) -> Result<Part, CommandError> {
        /// So many keys are looked at in one go: the server does nothing else meanwhile.
        const COUNT: u64 = 1000;

        let pattern = [&escape(prefix)[..], b"*"].concat();
        let mut command = Cmd::new();
        command.arg("SCAN").arg(cursor).arg("MATCH").arg(pattern).arg("COUNT").arg(COUNT);
        let (next, keys) = self.run(&command)?;
        Ok(Part { next, keys, looked_at: COUNT })
    }

    /// How long what lies under each key is, in bytes.
    pub fn lengths(&mut self, keys: &[Vec<u8>]) -> Result<Vec<i64>, CommandError> {
        self.of_each("STRLEN", keys)
    }

    /// For how many seconds each key is there; below 0 where it is for ever, or is gone.
    pub fn ttls(&mut self, keys: &[Vec<u8>]) -> Result<Vec<i64>, CommandError> {
        self.of_each("TTL", keys)
    }

    fn of_each(&mut self, command: &str, keys: &[Vec<u8>]) -> Result<Vec<i64>, CommandError> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let mut commands = redis::pipe();
        keys.iter().for_each(|key| {
            commands.cmd(command).arg(&key[..]);
        });
        let replies = self.req_packed_commands(&commands.get_packed_pipeline(), 0, keys.len());
        let replies = replies.map_err(|error| self.failed(&error))?;
        replies.into_iter().map(|reply| self.number(reply)).collect()
    }

    /// A number, or [`NONE`] where a key is of another kind, or on another server by now.
    fn number(&self, reply: Value) -> Result<i64, CommandError> {
        let Value::ServerError(error) = reply else {
            return Ok(redis::from_redis_value(reply).unwrap_or(NONE));
        };
        let error = RedisError::from(error);
        match error.code() {
            Some("WRONGTYPE" | "MOVED" | "ASK" | "TRYAGAIN") => Ok(NONE),
            _ => Err(self.failed(&error)),
        }
    }

    /// Deletes keys, and returns how many there were, and how many another server has by now. Servers of a cluster take one key for each command.
    pub fn remove(&mut self, keys: &[Vec<u8>]) -> Result<(usize, usize), CommandError> {
        if keys.is_empty() {
            return Ok((0, 0));
        }
        let name = if self.has_unlink { "UNLINK" } else { "DEL" };
        match self.of_each(name, keys) {
            Ok(removed) => {
                let count =
                    |is_it: fn(&i64) -> bool| removed.iter().filter(|one| is_it(one)).count();
                Ok((count(|one| *one > 0), count(|one| *one == NONE)))
            }
            // Redis knows UNLINK since 4.0; a user may have the right to DEL alone.
            Err(CommandError::Refused(message) | CommandError::Right(message))
                if self.has_unlink && is_of_command(&message) =>
            {
                self.has_unlink = false;
                self.remove(keys)
            }
            Err(error) => Err(error),
        }
    }

    /// Whether it says that it is a replica, to whom may ask.
    pub(super) fn is_replica(&mut self) -> bool {
        let role: Result<Vec<Value>, _> = self.command(&["ROLE"]);
        let name = role.ok().and_then(|role| role.into_iter().next());
        name.is_some_and(|name| {
            redis::from_redis_value::<String>(name).is_ok_and(|name| name == "slave")
        })
    }

    pub(super) fn delete(&mut self, key: &Key) -> Result<bool, TalkError> {
        let mut bytes = Vec::new();
        key.write(&mut bytes);
        let deleted: Result<i64, _> = self.run(Cmd::new().arg("DEL").arg(bytes));
        match deleted {
            Ok(count) => Ok(count > 0),
            Err(CommandError::Talk(error)) => Err(error),
            Err(error) => Err(TalkError::Refused(error.to_string())),
        }
    }

    pub(super) fn ttl(&mut self, key: &Key) -> Option<i64> {
        let mut bytes = Vec::new();
        key.write(&mut bytes);
        self.run(Cmd::new().arg("TTL").arg(bytes)).ok()
    }

    fn failed(&self, error: &RedisError) -> CommandError {
        match error.kind() {
            ErrorKind::Io => match error.is_timeout() {
                true => TalkError::Timeout(self.talk.patience).into(),
                false => TalkError::Closed.into(),
            },
            ErrorKind::Server(ServerErrorKind::NoPerm) => CommandError::Right(message(error)),
            _ => CommandError::Refused(message(error)),
        }
    }
}

/// Whether an error says that the server does not know the command, or that the user may not use it.
fn is_of_command(message: &str) -> bool {
    message.contains("unknown command") || message.starts_with("NOPERM")
}

/// The server's message, without what it repeats of the request.
fn message(error: &RedisError) -> String {
    let (code, detail) = (error.code(), error.detail());
    let message = match (code, detail) {
        (Some(code), Some(detail)) => format!("{code} {detail}"),
        (Some(text), None) | (None, Some(text)) => text.to_owned(),
        (None, None) => error.to_string(),
    };
    let message = message.split(", with args").next().unwrap_or_default();
    message.to_owned()
}

/// A text of which each byte stands for itself in a pattern of Redis (stringmatchlen() in `src/util.c`).
fn escape(text: &[u8]) -> Vec<u8> {
    let mut escaped = Vec::new();
    for byte in text {
        if b"*?[]\\^".contains(byte) {
            escaped.push(b'\\');
        }
        escaped.push(*byte);
    }
    escaped
}

impl ConnectionLike for Redis {
    fn req_packed_command(&mut self, command: &[u8]) -> RedisResult<Value> {
        let mut replies = self.req_packed_commands(command, 0, 1)?;
        replies.remove(0).extract_error()
    }

    fn req_packed_commands(
        &mut self,
        commands: &[u8],
        offset: usize,
        count: usize,
    ) -> RedisResult<Vec<Value>> {
        let mut exchange = || -> RedisResult<Vec<Value>> {
            self.talk.link.write_all(commands)?;
            self.talk.link.flush()?;
            let mut read = || self.parser.parse_value(&mut self.talk.link);
            (0..offset).try_for_each(|_| read().map(drop))?;
            (0..count).map(|_| read()).collect()
        };
        let replies = exchange();
        self.is_open &= replies.is_ok();
        replies
    }

    fn get_db(&self) -> i64 {
        self.database.into()
    }

    fn check_connection(&mut self) -> bool {
        self.command::<String>(&["PING"]).is_ok()
    }

    fn is_open(&self) -> bool {
        self.is_open
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_prefix_is_a_pattern() {
        for (prefix, pattern) in [
            ("sslsessioncache:", "sslsessioncache:"),
            ("a*b?", "a\\*b\\?"),
            ("[^a-c]", "\\[\\^a-c\\]"),
            ("a\\b", "a\\\\b"),
            ("{tag}:", "{tag}:"),
        ] {
            assert_eq!(escape(prefix.as_bytes()), pattern.as_bytes(), "{prefix}");
        }
    }
}
