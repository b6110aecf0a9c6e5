//! The block of a store: a word and its values on each line.

use crate::plan::error::{incomplete, invalid, unexpected, PlanError};
use crate::plan::hint;
use crate::plan::server::{Server, Url};
use crate::plan::table::{Group, Known, Parameter, Words, STORE_NAME};
use crate::plan::types::{Auth, AuthFile, Kind, Place, Shape, StorePlan, SENTINEL_PORT};
use crate::plan::value;

/// What has been read of a block.
pub struct Block<'a> {
    name: &'a [u8],
    words: Words<'a>,
}

impl<'a> Block<'a> {
    pub(super) const KNOWN: Known = Known {
        directive: "remote_ssl_session_store",
        bare: &[],
        groups: &[Group::Many, Group::Store],
        equals: " ",
    };

    /// An empty block of this name.
    pub fn new(name: &'a [u8]) -> Result<Self, PlanError> {
        match value::store_name(name) {
            Ok(name) => Ok(Self { name, words: Words::default() }),
            Err(_refusal) => Err(invalid("name", name, STORE_NAME)),
        }
    }

    /// Takes the values of a word.
    pub fn set(&mut self, name: &[u8], values: &[&'a [u8]]) -> Result<(), PlanError> {
        let parameter = Parameter::find(name, Self::KNOWN)
            .map_err(|error| hint::line(name, Self::KNOWN).unwrap_or(error))?;
        let Parameter { name, has_several, .. } = *parameter;
        match values {
            [value] if !has_several => self.words.set(parameter, value, Self::KNOWN),
            _ if !has_several => Err(match hint::values(parameter, values, Self::KNOWN) {
                Some(write) => PlanError::ValuesWritten { name, write },
                None => PlanError::Values { name, expected: "one" },
            }),
            [] => Err(PlanError::Values { name, expected: "one or more" }),
            _ if !self.words.resolver.is_empty() => Err(PlanError::Repeated(name)),
            values => {
                values.iter().try_for_each(|value| self.words.set(parameter, value, Self::KNOWN))
            }
        }
    }

    /// What the block says.
    pub fn plan(mut self) -> Result<StorePlan<'a>, PlanError> {
        if self.words.servers.is_empty() {
            return Err(PlanError::Missing { name: "server", expected: "one at least" });
        }
        self.take_urls()?;
        self.words.check_conflicts()?;
        self.words.check_needs()?;
        self.check_shape()?;
        if self.words.fallback == Some(self.name) {
            return Err(invalid("fallback", self.name, "another store"));
        }
        let places = self.places()?;
        self.words.store(places, self.shape())
    }

    fn has_cluster(&self) -> bool {
        self.words.cluster == Some(true)
    }

    /// Puts what the URLs say to where words of the block say it.
    fn take_urls(&mut self) -> Result<(), PlanError> {
        let servers = self.words.servers.len();
        let mut urls: Vec<_> =
            self.words.servers.iter_mut().filter_map(|server| server.url.take()).collect();
        let Some(url) = urls.pop() else { return Ok(()) };
        if let Some(expected) = difference(&url, &urls, servers) {
            return Err(PlanError::InvalidSecret { name: "server", expected });
        }
        let Words { user, auth, auth_file, database, tls, .. } = &self.words;
        for (name, is_said, context) in [
            ("type", self.words.kind() != Kind::Redis, "but redis next to a URL"),
            ("tls", tls.is_some(), "next to a URL, where \"rediss://\" says it"),
            ("user", user.is_some() && url.user.is_some(), "next to a URL with a user"),
            ("auth", auth.is_some() && url.password.is_some(), "next to a URL with a password"),
            (
                "auth_file",
                auth_file.is_some() && url.password.is_some(),
                "next to a URL with a password",
            ),
            ("db", database.is_some() && url.database.is_some(), "next to a URL with a database"),
        ] {
            if is_said {
                return Err(unexpected(name, context));
            }
        }
        let says_more = url.user.is_some() || url.password.is_some() || url.database.is_some();
        if self.words.sentinel.is_some() && says_more {
            let expected = "a URL without user, password and database for a Sentinel: \"user\", \
                            \"auth_file\" and \"db\" say those of the store, \"sentinel_user\" \
                            and \"sentinel_auth_file\" those of the Sentinels";
            return Err(PlanError::InvalidSecret { name: "server", expected });
        }
        let words = &mut self.words;
        words.tls = Some(url.tls);
        words.user = words.user.take().or(url.user);
        words.auth = words.auth.take().or(url.password);
        words.database = words.database.or(url.database);
        Ok(())
    }

    /// Whether the words that only a block has go with each other and with those of the store.
    fn check_shape(&self) -> Result<(), PlanError> {
        let words = &self.words;
        let is_redis = words.kind() == Kind::Redis;
        if self.has_cluster() && !is_redis {
            return Err(unexpected("cluster", "where type is memcached"));
        }
        if words.sentinel.is_some() && !is_redis {
            return Err(unexpected("sentinel", "where type is memcached"));
        }
        if words.sentinel.is_some() && self.has_cluster() {
            return Err(unexpected("sentinel", "where cluster is on"));
        }
        if self.has_cluster() && words.database.unwrap_or(0) != 0 {
            return Err(unexpected("db", "but 0 where cluster is on"));
        }
        if words.sentinel.is_none() {
            if words.sentinel_user.is_some() {
                return Err(incomplete("sentinel_user", "\"sentinel\""));
            }
            if words.sentinel_auth_file.is_some() {
                return Err(incomplete("sentinel_auth_file", "\"sentinel\""));
            }
        }
        if words.sentinel_user.is_some() && words.sentinel_auth_file.is_none() {
            return Err(incomplete("sentinel_user", "\"sentinel_auth_file\""));
        }
        if words.port.is_some() && words.servers.iter().all(Server::is_unix) {
            return Err(unexpected("port", "with a unix socket"));
        }
        Ok(())
    }

    /// Where the servers are, each once.
    fn places(&self) -> Result<Vec<Place<'a>>, PlanError> {
        let default = match self.words.sentinel {
            Some(_) => SENTINEL_PORT,
            None => self.words.kind().default_port(),
        };
        let port = self.words.port.unwrap_or(default);
        let mut places: Vec<Place<'a>> = Vec::new();
        for place in self.words.servers.iter().map(|server| server.place(port)) {
            let word = place.word();
            let refuse = |expected| Err(invalid("server", word.as_bytes(), expected));
            if places.iter().any(|other| other.word() == word) {
                return refuse("each server once");
            }
            match place {
                Place::Unix(_) if self.has_cluster() => {
                    return refuse("an IP address or a name where cluster is on");
                }
                Place::Unix(_) if self.words.sentinel.is_some() => {
                    return refuse("an IP address or a name of a Sentinel");
                }
                place => places.push(place),
            }
        }
        Ok(places)
    }

    fn shape(&self) -> Shape<'a> {
        let Words { sentinel, sentinel_user, sentinel_auth_file, .. } = &self.words;
        match *sentinel {
            Some(master) => {
                let auth = sentinel_auth_file.map(|name| {
                    Auth::InFile(AuthFile {
                        parameter: "sentinel_auth_file",
                        name,
                        user: sentinel_user.clone(),
                        kind: Kind::Redis,
                    })
                });
                Shape::Sentinel { master, auth }
            }
            None if self.has_cluster() => Shape::Cluster,
            None => Shape::Servers,
        }
    }
}

/// What would be right where URLs do not say the same; so many servers there are.
fn difference(url: &Url<'_>, others: &[Url<'_>], servers: usize) -> Option<&'static str> {
    if others.len() + 1 != servers {
        return Some("URLs for all servers or for none, as they say what all have in common");
    }
    let differ =
        |differ: fn(&Url<'_>, &Url<'_>) -> bool| others.iter().any(|other| differ(url, other));
    if differ(|one, other| one.tls != other.tls) {
        return Some("URLs that all begin with \"rediss://\" or none");
    }
    if differ(|one, other| one.user != other.user) {
        return Some("URLs with the same user");
    }
    if differ(|one, other| one.password != other.password) {
        return Some("URLs with the same password");
    }
    if differ(|one, other| one.database != other.database) {
        return Some("URLs with the same database");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::table::PARAMETERS;
    use crate::plan::types::{Peer, StoreSource, TlsPlan};
    use crate::plan::{Directive, UNIX_PATH};
    use crate::protocol::Credentials;

    /// Lines, each a word and its values.
    fn parse<'a>(lines: &[&'a str]) -> Result<StorePlan<'a>, PlanError> {
        let mut block = Block::new(b"fleet")?;
        for line in lines {
            let words: Vec<_> = line.split(' ').map(str::as_bytes).collect();
            block.set(words[0], &words[1..])?;
        }
        block.plan()
    }

    fn plan<'a>(lines: &[&'a str]) -> StorePlan<'a> {
        parse(lines).unwrap_or_else(|error| panic!("{lines:?}: {error}"))
    }

    #[track_caller]
    fn refused(lines: &[&str], message: &str) {
        match parse(lines) {
            Ok(_) => panic!("{lines:?} is accepted"),
            Err(error) => assert_eq!(error.to_string(), message),
        }
    }

    /// Where a server may have a password in it, it is not shown.
    #[track_caller]
    fn refused_server(lines: &[&str], expected: &str) {
        refused(lines, &format!("invalid value of parameter \"server\", expected {expected}"));
    }

    fn places(lines: &[&str]) -> Vec<String> {
        plan(lines).servers.iter().map(Place::word).collect()
    }

    /// The rows of the table that are the block's.
    fn known() -> impl Iterator<Item = &'static Parameter> {
        PARAMETERS.iter().filter(|parameter| Block::KNOWN.groups.contains(&parameter.group))
    }

    #[test]
    fn names() {
        let longest = "x".repeat(64);
        for name in ["fleet", "a-b_c.9", "A", &longest] {
            assert!(Block::new(name.as_bytes()).is_ok(), "{name}");
        }
        for name in ["", "a b", "a\"", "\u{e4}", &format!("{longest}x")] {
            let error = Block::new(name.as_bytes()).err().unwrap();
            assert_eq!(error, invalid("name", name.as_bytes(), STORE_NAME));
        }
    }

    #[test]
    fn one_server_is_the_directive() {
        for (line, words) in [
            (&["server 127.0.0.1"][..], &["on"][..]),
            (&["server localhost:1"], &["addr=localhost", "port=1"]),
            (&["server unix:/s", "type memcached"], &["addr=unix:/s", "type=memcached"]),
            (
                &["server 127.0.0.1", "user a", "auth b", "db 7", "interval 1s", "count 3"],
                &["user=a", "auth=b", "db=7", "interval=1s", "count=3"],
            ),
            (
                &["server a", "tls on", "tls_ca f", "tls_name b", "timeout 2s"],
                &["addr=a", "tls=on", "tls_ca=f", "tls_name=b", "timeout=2s"],
            ),
        ] {
            let directive = Directive::parse(words.iter().map(|word| word.as_bytes()));
            let plan = directive.and_then(|directive| directive.plan());
            let Ok(Some(directive)) = plan else { panic!("{words:?}") };
            let StoreSource::Said(said) = directive.store else { panic!("{words:?}") };
            assert!(self::plan(line) == *said, "{line:?}");
        }
    }

    #[test]
    fn the_same_message_as_the_directive() {
        for (name, value) in [
            ("port", "0"),
            ("type", "mysql"),
            ("interval", "1x"),
            ("count", "many"),
            ("timeout", "s"),
            ("user", "\u{e4}"),
            ("auth", ""),
            ("auth_file", ""),
            ("db", "65536"),
            ("tls", "maybe"),
            ("tls_ca", "f"),
            ("tls_name", "x"),
            ("tls_cert", "f"),
            ("tls_key", "f"),
            ("tls_verify", "off"),
            ("user", "nginx"),
        ] {
            let word = format!("{name}={value}");
            let directive = Directive::parse([word.as_bytes()]);
            let error = directive.and_then(|directive| directive.plan()).err().unwrap();
            refused(&["server a", &format!("{name} {value}")], &error.to_string());
        }
    }

    #[test]
    fn words_of_the_directive() {
        for name in ["key", "prefix", "suspend", "single_use", "store"] {
            refused(
                &["server a", &format!("{name} x")],
                &format!(
                    "unknown parameter \"{name}\" here, expected it in \
                     \"remote_ssl_session_cache\", as all that is said of sessions"
                ),
            );
        }
    }

    #[test]
    fn numbers_of_values() {
        for Parameter { name, has_several, default, .. } in known() {
            let value = default.unwrap_or("1");
            let number = if *has_several { "one or more" } else { "one" };
            let message =
                format!("wrong number of values of parameter \"{name}\", expected {number}");
            refused(&[name], &message);
            if !has_several {
                refused(&[&format!("{name} {value} {value}")], &message);
            }
            let line = format!("{name} {value}");
            let repeated = format!("repeated parameter \"{name}\", expected once at most");
            if *name != "server" {
                refused(&[&line, &line], &repeated);
            }
        }
    }

    #[test]
    fn no_control_characters() {
        for Parameter { name, .. } in known() {
            let message = format!(
                "invalid value of parameter \"{name}\", expected one without control characters"
            );
            refused(&[&format!("{name} a\nb")], &message);
        }
    }

    #[test]
    fn the_table_has_the_defaults() {
        for Parameter { name, default, .. } in known() {
            let Some(default) = default else { continue };
            let line = format!("{name} {default}");
            let other = if *name == "tls_verify" { "tls on" } else { "site 1" };
            assert!(plan(&["server a", other, &line]) == plan(&["server a", other]), "{line}");
        }
    }

    #[test]
    fn servers() {
        assert_eq!(
            places(&[
                "server redis-1.example.net",
                "server redis-2.example.net:6380",
                "server 10.0.0.1",
                "server 10.0.0.2:1",
                "server ::1",
                "server [::2]",
                "server [::3]:65535",
                "server unix:/run/redis.sock",
                "port 7000",
            ]),
            [
                "redis-1.example.net:7000",
                "redis-2.example.net:6380",
                "10.0.0.1:7000",
                "10.0.0.2:1",
                "[::1]:7000",
                "[::2]:7000",
                "[::3]:65535",
                "unix:/run/redis.sock",
            ]
        );
        assert_eq!(places(&["server a", "type memcached"]), ["a:11211"]);
        refused(&[], "no parameter \"server\", expected one at least");
        refused(&["cluster on"], "no parameter \"server\", expected one at least");
    }

    #[test]
    fn bad_servers() {
        let refused = |value: &str, expected: &str| {
            let message = match invalid("server", value.as_bytes(), "") {
                PlanError::Invalid { .. } => format!("invalid value \"{value}\""),
                _ => "invalid value".to_owned(),
            };
            let message = format!("{message} of parameter \"server\", expected {expected}");
            refused(&[&format!("server {value}")], &message);
        };
        let host =
            "an IP address or a name, a port behind it if need be, \"unix:\" and a path, or \
                    a URL \"redis://\" or \"rediss://\"";
        for value in ["", ":1", "[::1", "::1]", "256.1.1.1", "a,", "[a]:1", "1:2:3"] {
            refused(value, host);
        }
        for value in ["a:", "a:0", "a:65536", "[::1]:", "a:1:2"] {
            refused(value, "a port from 1 to 65535 behind the colon");
        }
        // A user and a password, for all that is known.
        for value in ["a:+1", "nginx:hunter2", "a:1?auth=b"] {
            let server = format!("server {value}");
            refused_server(&[&server], "a port from 1 to 65535 behind the colon");
        }
        let long = format!("unix:/{}", "x".repeat(107));
        for value in ["unix:", "unix:run/s", &long] {
            refused(value, UNIX_PATH);
        }
    }

    #[test]
    fn the_same_server_twice() {
        for (lines, word) in [
            (&["server a", "server a"][..], "a:6379"),
            (&["server a", "server A:6379"], "a:6379"),
            (&["server redis://a", "server redis://a:6379"], "a:6379"),
            (&["server ::1", "server [0::1]:6379"], "[::1]:6379"),
            (&["server a:1", "server a", "port 1"], "a:1"),
            (&["server unix:/s", "server unix:/s"], "unix:/s"),
        ] {
            refused(
                lines,
                &format!(
                    "invalid value \"{word}\" of parameter \"server\", expected each server once"
                ),
            );
        }
    }

    #[test]
    fn ports_and_unix_sockets() {
        refused(
            &["server unix:/s", "port 1"],
            "unexpected parameter \"port\", expected none with a unix socket",
        );
        assert_eq!(places(&["server unix:/s", "server a", "port 1"]), ["unix:/s", "a:1"]);
        refused(
            &["server a", "server unix:/s", "cluster on"],
            "invalid value \"unix:/s\" of parameter \"server\", expected an IP address or a name \
             where cluster is on",
        );
        refused(
            &["server unix:/s", "sentinel m"],
            "invalid value \"unix:/s\" of parameter \"server\", expected an IP address or a name \
             of a Sentinel",
        );
    }

    #[test]
    fn cluster() {
        assert!(plan(&["server a", "cluster on"]).shape == Shape::Cluster);
        assert!(plan(&["server a", "server b", "cluster off"]).shape == Shape::Servers);
        assert!(plan(&["server a", "cluster on", "db 0"]).shape == Shape::Cluster);
        assert!(plan(&["server a", "cluster off", "db 1"]).shape == Shape::Servers);
        assert!(plan(&["server a", "cluster off", "type memcached"]).shape == Shape::Servers);
        refused(
            &["server a", "cluster maybe"],
            "invalid value \"maybe\" of parameter \"cluster\", expected on or off",
        );
        refused(
            &["server a", "cluster on", "type memcached"],
            "unexpected parameter \"cluster\", expected none where type is memcached",
        );
        let database = "unexpected parameter \"db\", expected none but 0 where cluster is on";
        refused(&["server a", "cluster on", "db 1"], database);
        refused(&["server redis://a/1", "cluster on"], database);
    }

    #[test]
    fn sentinel() {
        let lines = ["server a", "server b:1", "sentinel mymaster", "db 2"];
        assert_eq!(places(&lines), ["a:26379", "b:1"]);
        assert!(plan(&lines).shape == Shape::Sentinel { master: b"mymaster", auth: None });
        assert_eq!(places(&["server a", "sentinel m", "port 7"]), ["a:7"]);

        let lines = ["server a", "sentinel m", "sentinel_user u", "sentinel_auth_file f"];
        let Shape::Sentinel { auth: Some(Auth::InFile(file)), .. } = plan(&lines).shape else {
            panic!("no file")
        };
        assert_eq!((file.parameter, file.name), ("sentinel_auth_file", &b"f"[..]));
        let credentials = file.credentials(b"secret").unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(credentials.user.as_deref(), Some(&b"u"[..]));

        refused(
            &["server a", "sentinel \u{e4}"],
            "invalid value \"\u{e4}\" of parameter \"sentinel\", expected a name in printable \
             ASCII without spaces",
        );
        refused(
            &["server a", "sentinel m", "type memcached"],
            "unexpected parameter \"sentinel\", expected none where type is memcached",
        );
        refused(
            &["server a", "sentinel m", "cluster on"],
            "unexpected parameter \"sentinel\", expected none where cluster is on",
        );
        for name in ["sentinel_user", "sentinel_auth_file"] {
            let message = format!("incomplete parameter \"{name}\", expected \"sentinel\" with it");
            refused(&["server a", &format!("{name} x")], &message);
        }
        refused(
            &["server a", "sentinel m", "sentinel_user u"],
            "incomplete parameter \"sentinel_user\", expected \"sentinel_auth_file\" with it",
        );
    }

    #[test]
    fn resolver_fallback_and_site() {
        let plan = plan(&["server a", "resolver 10.0.0.53 valid=30s", "fallback b", "site 15"]);
        assert_eq!(plan.resolver, [&b"10.0.0.53"[..], b"valid=30s"]);
        assert_eq!((plan.fallback, plan.site), (Some(&b"b"[..]), Some(15)));
        refused(
            &["server a", "fallback fleet"],
            "invalid value \"fleet\" of parameter \"fallback\", expected another store",
        );
        refused(
            &["server a", "fallback a/b"],
            "invalid value \"a/b\" of parameter \"fallback\", expected a name of at most 64 \
             letters, digits, hyphens, underscores and dots",
        );
        for site in ["0", "16", "256", "-1", "one"] {
            refused(
                &["server a", &format!("site {site}")],
                &format!(
                    "invalid value \"{site}\" of parameter \"site\", expected a number from 1 to 15"
                ),
            );
        }
    }

    #[test]
    fn tls() {
        let plain = TlsPlan { name: None, verify: true, ca: None, identity: None };
        assert_eq!(plan(&["server a", "server b", "tls on"]).tls, Some(plain));
        let lines = ["server a", "server unix:/s", "tls on"];
        refused(&lines, "incomplete parameter \"tls\", expected \"tls_name\" with it");
        let name = Some(Peer::Name("b".to_owned()));
        let named = [&lines[..], &["tls_name b"]].concat();
        assert_eq!(plan(&named).tls.unwrap().name, name);
        assert!(!plan(&[&lines[..], &["tls_verify off"]].concat()).tls.unwrap().verify);
    }

    #[track_caller]
    fn said(lines: &[&str], user: Option<&str>, password: &str) {
        let bytes = |text: &str| text.as_bytes().into();
        let credentials = Credentials { user: user.map(bytes), password: bytes(password) };
        assert!(plan(lines).auth == Some(Auth::Said(credentials)), "{lines:?}");
    }

    #[test]
    fn urls() {
        for scheme in ["redis", "valkey", "REDIS"] {
            let line = format!("server {scheme}://a");
            assert!(plan(&[&line]) == plan(&["server a"]), "{line}");
        }
        for scheme in ["rediss", "valkeys", "Rediss"] {
            let line = format!("server {scheme}://a");
            assert!(plan(&[&line]) == plan(&["server a", "tls on"]), "{line}");
        }
        for (url, word) in [
            ("redis://a:1", "a:1"),
            ("redis://a/", "a:7000"),
            ("redis://[::1]", "[::1]:7000"),
            ("redis://[::1]:2/3", "[::1]:2"),
            ("redis://10.0.0.1/", "10.0.0.1:7000"),
            ("redis://user:password@a:1/1", "a:1"),
        ] {
            assert_eq!(places(&[&format!("server {url}"), "port 7000"]), [word]);
        }
        assert_eq!(plan(&["server redis://a/0"]).database, 0);
        assert_eq!(plan(&["server redis://a/65535"]).database, 65535);
        assert_eq!(plan(&["server redis://a", "db 3"]).database, 3);

        said(&["server redis://nginx:secret@a"], Some("nginx"), "secret");
        said(&["server redis://:secret@a"], None, "secret");
        said(&["server redis://:secret@a", "user nginx"], Some("nginx"), "secret");
        said(&["server redis://nginx@a", "auth secret"], Some("nginx"), "secret");
        said(&["server redis://n%67inx:%3a%40%2F%25@a"], Some("nginx"), ":@/%");
        said(&["server redis://nginx:a:b@a"], Some("nginx"), "a:b");
        said(&["server redis://u:p@a", "server redis://u:%70@b"], Some("u"), "p");
        let Some(Auth::InFile(file)) = plan(&["server redis://u@a", "auth_file f"]).auth else {
            panic!("no file")
        };
        assert!(file.credentials(b"p").unwrap().user.as_deref() == Some(b"u"));
        let ca = plan(&["server rediss://a", "tls_ca f"]).tls.unwrap().ca;
        assert_eq!(ca, Some(&b"f"[..]));
    }

    #[test]
    fn bad_urls() {
        // None is shown: any may have a password in it.
        let hidden = |value: &str, expected: &str| {
            refused_server(&[&format!("server {value}")], expected);
        };
        let scheme = "a URL that begins with \"redis://\", \"rediss://\", \"valkey://\" or \
                      \"valkeys://\"; a unix socket is \"unix:\" and its path";
        for url in ["http://a", "redis+unix:///s", "://a", "memcached://a"] {
            hidden(url, scheme);
        }
        let query = "a URL without a query or fragment; the database is its path, as \"/1\"";
        for url in ["redis://a?db=1", "redis://a/1?protocol=resp3", "redis://a#insecure"] {
            hidden(url, query);
        }
        let database = "a URL with nothing or a database from 0 to 65535 as its path, as \"/1\"";
        for url in ["redis://a/x", "redis://a/65536", "redis://a/-1", "redis://a/1/", "redis://a//"]
        {
            hidden(url, database);
        }
        let host = "a URL with an IP address, an IPv6 one in brackets, or a name as its host";
        for url in [
            "redis://",
            "redis:///1",
            "redis://:1",
            "redis://::1",
            "redis://[::1",
            "redis://\u{e4}",
        ] {
            hidden(url, host);
        }
        for url in ["redis://a:0", "redis://a:", "redis://a:65536"] {
            hidden(url, "a port from 1 to 65535 behind the colon");
        }
        // With a password in them.
        let login = "a URL with a user, a colon and a password before the \"@\", the user in \
                     printable ASCII without spaces, neither with control characters, any other \
                     byte as \"%\" and two digits";
        for url in
            ["@a", ":@a", "u:@a", "u:%@a", "u:%4@a", "u:%gg@a", "u:%0a@a", "%20:p@a", "u:%+1@a"]
        {
            refused_server(&[&format!("server redis://{url}")], login);
        }
        refused_server(&["server redis://u:secret@a?db=1"], query);
        refused_server(&["server redis://u:secret@a/x"], database);
        refused_server(&["server redis://u:secret@"], host);
        refused_server(
            &["server redis://u:sec/ret@a"],
            "a URL with nothing or a database from 0 to 65535 as its path, as \"/1\"",
        );
        refused_server(&["server http://u:secret@a"], scheme);
        refused_server(
            &["server u:secret@a"],
            "no \"@\" without a URL \"redis://\" or \"rediss://\" around it",
        );
        refused(
            &["server redis://u@a"],
            "incomplete parameter \"user\", expected \"auth\" or \"auth_file\" with it",
        );
    }

    #[test]
    fn urls_that_differ() {
        let first = "server redis://u:p@a/1";
        for (other, expected) in [
            ("server b", "URLs for all servers or for none, as they say what all have in common"),
            ("server rediss://u:p@b/1", "URLs that all begin with \"rediss://\" or none"),
            ("server redis://v:p@b/1", "URLs with the same user"),
            ("server redis://:p@b/1", "URLs with the same user"),
            ("server redis://u:q@b/1", "URLs with the same password"),
            ("server redis://u@b/1", "URLs with the same password"),
            ("server redis://u:p@b/2", "URLs with the same database"),
            ("server redis://u:p@b", "URLs with the same database"),
        ] {
            refused_server(&[first, other], expected);
            refused_server(&[other, first], expected);
            refused_server(&[first, "server redis://u:p@c/1", other], expected);
        }
        assert_eq!(places(&[first, "server valkey://u:p@b:7/1"]), ["a:6379", "b:7"]);
    }

    #[test]
    fn what_a_url_says_is_said_once() {
        for (url, line, context) in [
            ("redis://a", "type memcached", "but redis next to a URL"),
            ("redis://a", "tls on", "next to a URL, where \"rediss://\" says it"),
            ("rediss://a", "tls on", "next to a URL, where \"rediss://\" says it"),
            ("rediss://a", "tls off", "next to a URL, where \"rediss://\" says it"),
            ("redis://u:p@a", "user u", "next to a URL with a user"),
            ("redis://u:p@a", "auth p", "next to a URL with a password"),
            ("redis://:p@a", "auth_file f", "next to a URL with a password"),
            ("redis://a/0", "db 0", "next to a URL with a database"),
        ] {
            let name = line.split(' ').next().unwrap();
            refused(
                &[&format!("server {url}"), line],
                &format!("unexpected parameter \"{name}\", expected none {context}"),
            );
        }
        let expected = "a URL without user, password and database for a Sentinel: \"user\", \
                        \"auth_file\" and \"db\" say those of the store, \"sentinel_user\" and \
                        \"sentinel_auth_file\" those of the Sentinels";
        for url in ["redis://:p@a", "redis://u:p@a", "redis://a/1"] {
            refused_server(&[&format!("server {url}"), "sentinel m"], expected);
        }
        let sentinels = plan(&["server rediss://a", "sentinel m", "auth_file f"]);
        assert!(sentinels.tls.is_some());
        assert_eq!(sentinels.servers, [Place::Host(b"a", 26379)]);
    }
}
