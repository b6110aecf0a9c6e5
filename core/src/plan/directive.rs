//! The directive: all words.

use crate::plan::error::{unexpected, PlanError};
use crate::plan::server::Spot;
use crate::plan::table::{Group, Known, Parameter, Words};
use crate::plan::types::{DirectivePlan, Kind, Shape, StoreSource};

/// What one directive says, the value of each word checked by itself.
#[derive(Clone)]
pub struct Directive<'a> {
    is_on: bool,
    words: Words<'a>,
}

impl<'a> Directive<'a> {
    pub(super) const KNOWN: Known = Known {
        directive: "remote_ssl_session_cache",
        bare: &["on", "off"],
        groups: &[Group::Named, Group::One, Group::Store, Group::Sessions],
        equals: "=",
    };

    /// Reads the words after the directive's name.
    ///
    /// What they need may be said by the level above. What does not go together in one directive is
    /// refused here: neither of the two would be dropped.
    pub fn parse(words: impl IntoIterator<Item = &'a [u8]>) -> Result<Self, PlanError> {
        let mut values = Words::default();
        let is_on = values.read(words, Self::KNOWN)?;
        let directive = Self { is_on, words: values };
        directive.check_conflicts()?;
        Ok(directive)
    }

    /// Whether it switches the cache on.
    pub fn is_on(&self) -> bool {
        self.is_on
    }

    /// What is said here, and else what the level above says, as far as it can stand next to that.
    pub fn inherit(&self, outer: &Self) -> Result<Self, PlanError> {
        let said = &self.words;
        if let (true, Some(_), Some(name)) = (self.is_on, outer.words.store, said.of_store()) {
            // Without an address it would be the default one, which nobody has asked for.
            if said.addr.is_none() {
                let context = "without \"addr=\", as the level above says \"store=\"";
                return Err(unexpected(name, context));
            }
        }
        let mut words = said.clone();
        words.fill(&outer.words, |parameter| said.goes_with(parameter));
        Ok(Self { is_on: self.is_on, words })
    }

    /// What the levels come to; `None` where it is off: what would be looked up or opened need not be
    /// right then.
    pub fn plan(&self) -> Result<Option<DirectivePlan<'a>>, PlanError> {
        if !self.is_on {
            return Ok(None);
        }
        self.check_conflicts()?;
        self.words.check_needs()?;
        let store = match self.words.store {
            Some(name) => StoreSource::Named(name),
            None => {
                let place = self.words.spot().place(self.words.port());
                let plan = self.words.store(vec![place], Shape::Servers)?;
                StoreSource::Said(Box::new(plan))
            }
        };
        Ok(Some(DirectivePlan { store, sessions: self.words.sessions() }))
    }

    fn check_conflicts(&self) -> Result<(), PlanError> {
        let words = &self.words;
        if let (Some(_), Some(name)) = (words.store, words.of_store()) {
            return Err(unexpected(name, "next to \"store\""));
        }
        if words.port.is_some() && words.spot().is_unix() {
            return Err(unexpected("port", "with a unix socket"));
        }
        words.check_conflicts()
    }
}

/// The store of one server, and what of the level above goes with what is said.
impl<'a> Words<'a> {
    fn spot(&self) -> Spot<'a> {
        self.addr.unwrap_or(Spot::Host(b"127.0.0.1", None))
    }

    fn port(&self) -> u16 {
        self.port.unwrap_or(self.kind().default_port())
    }

    /// The first parameter that says where a store is, or how it is spoken to.
    fn of_store(&self) -> Option<&'static str> {
        let is_of_store = |row: &&Parameter| matches!(row.group, Group::One | Group::Store);
        self.said().find(is_of_store).map(|row| row.name)
    }

    /// Whether a parameter of the level above can stand next to what is said here.
    fn goes_with(&self, outer: &Parameter) -> bool {
        if matches!(outer.group, Group::One | Group::Store) && self.store.is_some() {
            return false;
        }
        match outer.name {
            "store" => self.of_store().is_none(),
            "port" => !self.spot().is_unix(),
            "auth" => self.auth_file.is_none(),
            "auth_file" => self.auth.is_none(),
            "db" => self.kind != Some(Kind::Memcached),
            "tls_ca" | "tls_name" | "tls_cert" | "tls_key" | "tls_verify" => {
                self.tls != Some(false)
            }
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;
    use crate::plan::error::invalid;
    use crate::plan::table::PARAMETERS;
    use crate::plan::types::{
        Auth, Peer, Place, SessionsPlan, SingleUse, StorePlan, Suspend, TlsPlan,
    };
    use crate::plan::UNIX_PATH;
    use crate::protocol::Credentials;
    use crate::session::Keyspace;

    fn directive<'a>(words: &[&'a str]) -> Result<Directive<'a>, PlanError> {
        Directive::parse(words.iter().map(|word| word.as_bytes()))
    }

    fn parse<'a>(words: &[&'a str]) -> Result<Option<DirectivePlan<'a>>, PlanError> {
        directive(words)?.plan()
    }

    fn on<'a>(words: &[&'a str]) -> DirectivePlan<'a> {
        match parse(words) {
            Ok(Some(directive)) => directive,
            Ok(None) => panic!("{words:?} is off"),
            Err(error) => panic!("{words:?}: {error}"),
        }
    }

    fn store<'a>(words: &[&'a str]) -> StorePlan<'a> {
        match on(words).store {
            StoreSource::Said(plan) => *plan,
            StoreSource::Named(_) => panic!("{words:?} names a store"),
        }
    }

    fn sessions<'a>(words: &[&'a str]) -> SessionsPlan<'a> {
        on(words).sessions
    }

    #[track_caller]
    fn refused(words: &[&str], message: &str) {
        match parse(words) {
            Ok(_) => panic!("{words:?} is accepted"),
            Err(error) => assert_eq!(error.to_string(), message),
        }
    }

    #[track_caller]
    fn invalid_values(name: &'static str, values: &[&str], expected: &str) {
        for value in values {
            let word = format!("{name}={value}");
            let message = match invalid(name, value.as_bytes(), "") {
                PlanError::Invalid { .. } => format!("invalid value \"{value}\""),
                _ if name == "prefix" => "invalid value \"...\"".to_owned(),
                _ => "invalid value".to_owned(),
            };
            let message = format!("{message} of parameter \"{name}\", expected {expected}");
            refused(&["tls=on", &word][usize::from(name == "tls")..], &message);
        }
    }

    #[test]
    fn on_and_off() {
        assert!(parse(&["off"]) == Ok(None));
        assert!(on(&["on"]) == on(&[]));
        assert!(on(&["port=6379", "on"]) == on(&["on"]));
        refused(&["on", "on"], "repeated parameter \"on\", expected once at most");
        refused(&["on", "off"], "repeated parameter \"off\", expected once at most");
    }

    #[test]
    fn off_needs_no_more_than_values_that_are_right() {
        assert!(parse(&["off", "type=memcached", "auth=secret"]) == Ok(None));
        assert!(parse(&["off", "user=nginx", "tls_cert=f"]) == Ok(None));
        refused(
            &["off", "port=0"],
            "invalid value \"0\" of parameter \"port\", expected a number from 1 to 65535",
        );
    }

    /// What the words of two levels come to.
    fn merged<'a>(
        outer: &[&'a str],
        inner: &[&'a str],
    ) -> Result<Option<DirectivePlan<'a>>, PlanError> {
        let told = |error| panic!("{outer:?}, {inner:?}: {error}");
        let [outer, inner] = [outer, inner].map(|words| directive(words).unwrap_or_else(told));
        inner.inherit(&outer)?.plan()
    }

    #[track_caller]
    fn inherits(outer: &[&str], inner: &[&str], both: &[&str]) {
        match merged(outer, inner) {
            Ok(plan) => assert!(Ok(plan) == parse(both), "{outer:?}, {inner:?} is not {both:?}"),
            Err(error) => panic!("{outer:?}, {inner:?}: {error}"),
        }
    }

    #[track_caller]
    fn contradict(outer: &[&str], inner: &[&str], message: &str) {
        match merged(outer, inner) {
            Ok(_) => panic!("{outer:?}, {inner:?} is accepted"),
            Err(error) => assert_eq!(error.to_string(), message),
        }
    }

    #[test]
    fn each_parameter_is_inherited() {
        let outer = ["addr=a", "tls=on", "user=u", "auth=p", "tls_cert=c", "tls_key=k"];
        for Parameter { name, default, .. } in known() {
            if matches!(*name, "store" | "auth_file" | "tls") {
                continue;
            }
            let word = format!("{name}={}", default.unwrap_or("1"));
            let others: Vec<_> = outer
                .into_iter()
                .filter(|other| !other.starts_with(&word[..=name.len()]))
                .collect();
            let all = [&others[..], &[&word]].concat();
            inherits(&all, &["on"], &all);
            inherits(&others, &[&word], &all);
        }
    }

    #[test]
    fn what_is_said_again_takes_precedence() {
        inherits(&["addr=a", "key=k"], &["timeout=100ms"], &["addr=a", "key=k", "timeout=100ms"]);
        inherits(&["addr=a", "port=1"], &["addr=b"], &["addr=b", "port=1"]);
        inherits(
            &["prefix=a:", "single_use=off"],
            &["prefix=b:"],
            &["prefix=b:", "single_use=off"],
        );
        inherits(&["key=a", "key=b"], &["key=c"], &["key=c"]);
        inherits(&["key=a"], &["key=b", "key=a"], &["key=b", "key=a"]);
        inherits(&["store=a", "key=k"], &["store=b"], &["store=b", "key=k"]);
    }

    #[test]
    fn on_and_off_of_two_levels() {
        inherits(&["addr=a"], &["on"], &["addr=a"]);
        inherits(&["off", "addr=a"], &["on"], &["addr=a"]);
        inherits(&["off", "addr=a"], &["port=1"], &["addr=a", "port=1"]);
        assert!(merged(&["addr=a"], &["off"]) == Ok(None));
        assert!(merged(&["store=a"], &["off", "timeout=1s"]) == Ok(None));
        assert!(merged(&["tls=off"], &["off", "tls_ca=f"]) == Ok(None));
    }

    #[test]
    fn what_cannot_stand_next_to_it_is_not_inherited() {
        inherits(&["auth=p"], &["auth_file=f"], &["auth_file=f"]);
        inherits(&["user=u", "auth_file=f"], &["auth=p"], &["user=u", "auth=p"]);
        inherits(&["store=a", "key=k"], &["addr=b"], &["addr=b", "key=k"]);
        inherits(
            &["addr=a", "port=1", "type=memcached", "auth=u:p", "timeout=1s", "key=k"],
            &["store=b"],
            &["store=b", "key=k"],
        );
        inherits(&["addr=a", "port=1"], &["addr=unix:/s"], &["addr=unix:/s"]);
        inherits(&["db=1", "port=1"], &["type=memcached"], &["type=memcached", "port=1"]);
        let tls = ["tls=on", "tls_ca=f", "tls_name=n", "tls_cert=c", "tls_key=k", "tls_verify=off"];
        inherits(&[&tls[..], &["addr=a"]].concat(), &["tls=off"], &["tls=off", "addr=a"]);
        inherits(&tls[..2], &["tls_name=n"], &tls[..3]);
    }

    #[test]
    fn what_two_levels_lack_or_contradict() {
        contradict(
            &["addr=a"],
            &["user=u"],
            "incomplete parameter \"user\", expected \"auth\" or \"auth_file\" with it",
        );
        contradict(
            &["addr=unix:/s"],
            &["port=1"],
            "unexpected parameter \"port\", expected none with a unix socket",
        );
        contradict(
            &["type=memcached"],
            &["db=1"],
            "unexpected parameter \"db\", expected none where type is memcached",
        );
        contradict(
            &["tls=off"],
            &["tls_ca=f"],
            "incomplete parameter \"tls_ca\", expected \"tls\" set to on with it",
        );
        contradict(
            &["tls=on", "tls_name=n"],
            &["tls_cert=c"],
            "incomplete parameter \"tls_cert\", expected \"tls_key\" with it",
        );
        contradict(
            &["auth=secret"],
            &["type=memcached"],
            "invalid value of parameter \"auth\", expected user:password where type is memcached",
        );
        contradict(
            &["store=a"],
            &["timeout=100ms"],
            "unexpected parameter \"timeout\", expected none without \"addr=\", as the level above \
             says \"store=\"",
        );
    }

    #[test]
    fn what_excludes_itself_is_told_of_one_directive() {
        for (words, name) in [
            (["auth=p", "auth_file=f"], "auth_file"),
            (["store=a", "port=1"], "port"),
            (["addr=unix:/s", "port=1"], "port"),
            (["type=memcached", "db=1"], "db"),
            (["tls=off", "tls_ca=f"], "tls_ca"),
        ] {
            let error = directive(&words).err().expect(name).to_string();
            assert!(error.contains(&format!("parameter \"{name}\", expected")), "{error}");
        }
        for words in [["user=u", "on"], ["tls_ca=f", "on"], ["tls_cert=c", "tls=on"]] {
            assert!(directive(&words).is_ok(), "{words:?}");
        }
    }

    /// The rows of the table that are the directive's.
    fn known() -> impl Iterator<Item = &'static Parameter> {
        PARAMETERS.iter().filter(|parameter| Directive::KNOWN.groups.contains(&parameter.group))
    }

    #[test]
    fn words_of_the_block() {
        let is_of_block = |row: &&Parameter| row.group == Group::Many && row.name != "server";
        for Parameter { name, .. } in PARAMETERS.iter().filter(is_of_block) {
            refused(
                &[&format!("{name}=x")],
                &format!(
                    "unknown parameter \"{name}\" here, expected it in a block \
                     \"remote_ssl_session_store\""
                ),
            );
        }
    }

    #[test]
    fn named() {
        let plan = on(&["store=fleet", "key=k", "prefix=p:", "suspend=hello", "single_use=on"]);
        assert!(plan.store == StoreSource::Named(b"fleet"));
        assert_eq!(plan.sessions.keys, [b"k"]);
        assert!(parse(&["off", "store=fleet"]) == Ok(None));
        let expected = "a name of at most 64 letters, digits, hyphens, underscores and dots";
        invalid_values("store", &["", "a b", "a\"", &"x".repeat(65)], expected);
        for Parameter { name, default, .. } in known() {
            let word = format!("{name}={}", default.unwrap_or("1"));
            match *name {
                "store" | "prefix" | "suspend" | "single_use" | "key" => continue,
                _ => refused(
                    &["store=fleet", &word],
                    &format!("unexpected parameter \"{name}\", expected none next to \"store\""),
                ),
            }
        }
        refused(
            &["off", "port=1", "tls=on", "store=fleet"],
            "unexpected parameter \"port\", expected none next to \"store\"",
        );
    }

    #[test]
    fn each_but_key_once() {
        for Parameter { name, default, .. } in known() {
            let word = format!("{name}={}", default.unwrap_or("1"));
            let repeated = format!("repeated parameter \"{name}\", expected once at most");
            match *name {
                "key" => assert_eq!(sessions(&[&word, &word]).keys, [b"1", b"1"]),
                _ => refused(&[&word, &word], &repeated),
            }
        }
    }

    #[test]
    fn no_control_characters() {
        for Parameter { name, .. } in known() {
            let word = format!("{name}=a\nb");
            refused(&[&word], &format!("invalid value of parameter \"{name}\", expected one without control characters"));
        }
    }

    #[test]
    fn the_table_has_the_defaults() {
        for Parameter { name, default, .. } in known() {
            let Some(default) = default else { continue };
            let word = format!("{name}={default}");
            let tls = if *name == "tls_verify" { "tls=on" } else { "on" };
            assert!(on(&[tls, &word]) == on(&[tls]), "{word}");
        }
    }

    #[test]
    fn addr() {
        for host in ["127.0.0.1", "::1", "[::1]", "localhost", "a_b.example.", "300.1.1.1.example"]
        {
            let word = format!("addr={host}");
            assert_eq!(store(&[&word]).servers, [Place::Host(host.as_bytes(), 6379)]);
        }
        assert_eq!(store(&["addr=unix:/s"]).servers, [Place::Unix(b"/s")]);
        let longest = "x".repeat(106);
        assert!(matches!(store(&[&format!("addr=unix:/{longest}")]).servers[..], [Place::Unix(_)]));

        invalid_values("addr", &[""], "an IP address or a name");
        invalid_values(
            "addr",
            &["[::1", "256.1.1.1", "a:0", "a,", "[a]"],
            "an IP address or a name; the port goes into \"port=\"",
        );
        // It may have a password in it.
        for addr in ["addr=nginx:hunter2", "addr=nginx:hunter2@a"] {
            refused(
                &[addr],
                "invalid value of parameter \"addr\", expected an IP address or a name; the port goes \
                 into \"port=\"",
            );
        }
        let too_long = format!("unix:/{longest}x");
        invalid_values("addr", &["unix:", "unix:relative", &too_long], UNIX_PATH);
    }

    #[test]
    fn port() {
        assert_eq!(store(&["port=1"]).servers, [Place::Host(b"127.0.0.1", 1)]);
        assert_eq!(store(&["port=65535"]).servers, [Place::Host(b"127.0.0.1", 65535)]);
        assert_eq!(store(&["type=memcached"]).servers, [Place::Host(b"127.0.0.1", 11211)]);
        let bad = ["", "0", "65536", "-1", "+1", "abc", "1x", "99999999999999999999"];
        invalid_values("port", &bad, "a number from 1 to 65535");
        refused(
            &["addr=unix:/s", "port=1"],
            "unexpected parameter \"port\", expected none with a unix socket",
        );
    }

    #[test]
    fn kind() {
        assert_eq!(store(&["type=redis"]).kind, Kind::Redis);
        assert_eq!(store(&["type=memcached"]).kind, Kind::Memcached);
        invalid_values("type", &["", "mysql"], "redis or memcached");
    }

    #[test]
    fn interval_and_timeout() {
        for (text, millis) in [
            ("1", 1),
            ("200", 200),
            ("200ms", 200),
            ("2s", 2000),
            ("1m 30s", 90_000),
            ("1d", 86_400_000),
        ] {
            let (interval, timeout) = (format!("interval={text}"), format!("timeout={text}"));
            let plan = store(&[&interval, &timeout]);
            assert_eq!([plan.interval, plan.timeout], [Duration::from_millis(millis); 2]);
        }
        for name in ["interval", "timeout"] {
            invalid_values(
                name,
                &["", "0", "-1", "1x", "s", "86400001", "1d 1ms", "99999999999999999999"],
                "a time from 1 to 86400000 milliseconds, or as 200ms, 1s, 1m",
            );
        }
    }

    #[test]
    fn count() {
        assert_eq!(store(&["count=1"]).count, Some(1));
        assert_eq!(store(&["count=unlimited"]).count, None);
        invalid_values(
            "count",
            &["", "0", "-1", "many", "99999999999999999999"],
            "a number of commands from 1, or unlimited",
        );
    }

    #[track_caller]
    fn said(words: &[&str], user: Option<&str>, password: &str) {
        let bytes = |text: &str| text.as_bytes().into();
        let credentials = Credentials { user: user.map(bytes), password: bytes(password) };
        assert!(store(words).auth == Some(Auth::Said(credentials)));
    }

    #[test]
    fn user_and_auth() {
        assert!(store(&["on"]).auth.is_none());
        said(&["auth=a=b c"], None, "a=b c");
        said(&["auth=nginx:secret"], None, "nginx:secret");
        said(&["user=nginx", "auth=secret"], Some("nginx"), "secret");
        said(&["type=memcached", "auth=nginx:a:b"], Some("nginx"), "a:b");
        said(&["type=memcached", "user=a:b", "auth=c"], Some("a:b"), "c");

        invalid_values("user", &["", "a b", "\u{e4}"], "a name in printable ASCII without spaces");
        refused(
            &["user=nginx"],
            "incomplete parameter \"user\", expected \"auth\" or \"auth_file\" with it",
        );
        refused(
            &["auth="],
            "invalid value of parameter \"auth\", expected a password that is not empty",
        );
        refused(
            &["type=memcached", "auth=secret"],
            "invalid value of parameter \"auth\", expected user:password where type is memcached",
        );
        let words = "invalid value of parameter \"auth\", expected a user and a password without \
                     spaces where type is memcached";
        for auth in ["auth=:secret", "auth=nginx:", "auth=ng inx:secret", "auth=nginx:a b"] {
            refused(&["type=memcached", auth], words);
        }
        refused(&["type=memcached", "user=nginx", "auth=a b"], words);
    }

    #[test]
    fn auth_file() {
        let Some(Auth::InFile(file)) = store(&["auth_file=f", "type=memcached"]).auth else {
            panic!("no file")
        };
        assert_eq!(file.name, b"f");
        let credentials =
            file.credentials(b"nginx:secret").unwrap_or_else(|error| panic!("{error}"));
        assert!(
            (credentials.user, credentials.password)
                == (Some((*b"nginx").into()), (*b"secret").into())
        );
        let error = file.credentials(b"secret").err().unwrap();
        assert_eq!(
            error.to_string(),
            "invalid value of parameter \"auth_file\", expected user:password where type is memcached"
        );
        invalid_values("auth_file", &[""], "the name of a file");
        refused(
            &["auth_file=f", "auth=x"],
            "unexpected parameter \"auth_file\", expected none next to \"auth\"",
        );
    }

    #[test]
    fn db() {
        assert_eq!(store(&["db=0"]).database, 0);
        assert_eq!(store(&["db=65535"]).database, 65535);
        invalid_values("db", &["", "-1", "65536", "one"], "a number from 0 to 65535");
        refused(
            &["db=0", "type=memcached"],
            "unexpected parameter \"db\", expected none where type is memcached",
        );
    }

    #[test]
    fn prefix() {
        assert_eq!(sessions(&["prefix=fleet:"]).keyspace, Keyspace::new(b"fleet:").unwrap());
        invalid_values("prefix", &[""], "a text");
        invalid_values("prefix", &["a b", "\u{e4}"], "printable ASCII without spaces");
        invalid_values("prefix", &[&*"x".repeat(187)], "at most 186 bytes");
    }

    #[test]
    fn tls() {
        assert_eq!(store(&["tls=off"]).tls, None);
        assert_eq!(
            store(&["tls=on"]).tls,
            Some(TlsPlan { name: None, verify: true, ca: None, identity: None })
        );
        let words =
            ["tls=on", "addr=a", "tls_ca=ca", "tls_cert=crt", "tls_key=key", "tls_verify=off"];
        assert_eq!(
            store(&words).tls,
            Some(TlsPlan {
                name: None,
                verify: false,
                ca: Some(b"ca"),
                identity: Some((b"crt", b"key")),
            })
        );
        for name in ["tls", "tls_verify"] {
            invalid_values(name, &["", "maybe"], "on or off");
        }
        for name in ["tls_ca", "tls_cert", "tls_key"] {
            invalid_values(name, &[""], "the name of a file");
        }
        for word in ["tls_ca=f", "tls_name=a", "tls_cert=f", "tls_key=f", "tls_verify=on"] {
            let name = word.split('=').next().unwrap();
            let message =
                format!("incomplete parameter \"{name}\", expected \"tls\" set to on with it");
            refused(&[word], &message);
            refused(&["tls=off", word], &message);
        }
        refused(
            &["tls=on", "tls_cert=f"],
            "incomplete parameter \"tls_cert\", expected \"tls_key\" with it",
        );
        refused(
            &["tls=on", "tls_key=f"],
            "incomplete parameter \"tls_key\", expected \"tls_cert\" with it",
        );
    }

    #[test]
    fn tls_name() {
        let peer = |words: &[&str]| store(words).tls.unwrap().name;
        for (text, name) in [("redis.example.", "redis.example"), ("a_b", "a_b")] {
            let word = format!("tls_name={text}");
            assert_eq!(peer(&["tls=on", &word]), Some(Peer::Name(name.to_owned())));
        }
        for text in ["::1", "[::1]"] {
            let word = format!("tls_name={text}");
            assert_eq!(peer(&["tls=on", &word]), Some(Peer::Address("::1".to_owned())));
        }
        let longest = "x".repeat(253);
        assert_eq!(
            peer(&["tls=on", &format!("tls_name={longest}.")]),
            Some(Peer::Name(longest.clone()))
        );
        let too_long = format!("{longest}x");
        invalid_values(
            "tls_name",
            &["", ".", ".example", "*.example", "a b", &too_long],
            "a DNS name or an IP address",
        );
        refused(
            &["tls=on", "addr=unix:/s"],
            "incomplete parameter \"tls\", expected \"tls_name\" with it",
        );
        assert_eq!(peer(&["tls=on", "addr=unix:/s", "tls_verify=off"]), None);
    }

    #[test]
    fn suspend() {
        let ways = [
            ("auto", Suspend::Auto),
            ("retry", Suspend::Retry),
            ("async", Suspend::Async),
            ("hello", Suspend::Hello),
        ];
        for (name, way) in ways {
            assert_eq!(sessions(&[&format!("suspend={name}")]).suspend, way);
        }
        invalid_values("suspend", &["", "on"], "auto, retry, async or hello");
    }

    #[test]
    fn single_use() {
        let values =
            [("off", SingleUse::Off), ("early_data", SingleUse::EarlyData), ("on", SingleUse::On)];
        for (name, value) in values {
            assert_eq!(sessions(&[&format!("single_use={name}")]).single_use, value);
        }
        assert_eq!(sessions(&[]).single_use, SingleUse::EarlyData);
        invalid_values("single_use", &["", "always"], "off, early_data or on");
    }

    #[test]
    fn key() {
        assert_eq!(sessions(&["key=a", "key=b"]).keys, [b"a", b"b"]);
        invalid_values("key", &[""], "the name of a file");
    }
}
