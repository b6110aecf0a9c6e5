//! The table of parameters: what each is called, how its value is read, and what is expected of it.
//!
//! It serves the directives, where a parameter is `name=value`, and the block of a store, where it is
//! `name value;`. All else comes from it: the struct of values, the messages, and the syntax in
//! docs/directives.md, whose tests are here.

use core::time::Duration;
use std::borrow::Cow;

use crate::plan::error::text;
use crate::plan::server::{self, Server, Spot};
use crate::plan::types::{Kind, Peer, SingleUse, Suspend};
use crate::plan::value::{self, Refusal};
use crate::session::Keyspace;

/// What a parameter is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// Which block has the store: in the directive.
    Named,
    /// Where a store of one server is: in the directive.
    One,
    /// Where a store of any number of servers is, and what they are to each other: in the block.
    Many,
    /// How a store is spoken to: in both.
    Store,
    /// What is kept there of sessions, and how handshakes wait for it: in the directive.
    Sessions,
    /// How ticket keys change: in their own directive.
    Tickets,
}

/// A row of the table.
#[derive(Debug)]
pub struct Parameter {
    /// What stands before its value.
    pub name: &'static str,
    /// What it is about.
    pub group: Group,
    /// What its value may be, in the markup of docs/directives.md.
    pub values: &'static str,
    /// Whether a block has several values behind it.
    pub has_several: bool,
    /// The parameter that this one may be given in place of.
    pub in_place_of: Option<&'static str>,
    /// What is meant where the parameter is left out, if that can be said by itself.
    pub default: Option<&'static str>,
    /// What a value must be, for messages.
    pub expected: &'static str,
}

/// What is expected of the name of a store.
pub(super) const STORE_NAME: &str =
    "a name of at most 64 letters, digits, hyphens, underscores and dots";

/// Makes the table, and the struct of values with a field for each row.
macro_rules! parameters {
    ($(
        $(#[doc = $doc:literal])*
        $group:ident $name:literal => $field:ident: $slot:ty,
            $values:literal $([$several:ident])? $(in place of $other:literal)? $(default $default:literal)?,
            $read:path, $expected:expr;
    )+) => {
        /// All parameters, in the order in which they are told of.
        pub const PARAMETERS: &[Parameter] = &[$(Parameter {
            name: $name,
            group: Group::$group,
            values: $values,
            has_several: parameters!(@several $($several)?),
            in_place_of: parameters!(@option $($other)?),
            default: parameters!(@option $($default)?),
            expected: $expected,
        }),+];

        /// What words say, the value of each checked by itself.
        #[derive(Clone, Default)]
        pub(super) struct Words<'a> {
            $($(#[doc = $doc])* pub(super) $field: $slot,)+
        }

        impl<'a> Words<'a> {
            /// The parameters that are said.
            pub(super) fn said(&self) -> impl Iterator<Item = &'static Parameter> {
                let are_said = [$(self.$field.is_said()),+];
                PARAMETERS.iter().zip(are_said).filter_map(|(row, is_said)| is_said.then_some(row))
            }

            /// Takes from others what is not said here, of those parameters.
            pub(super) fn fill(&mut self, from: &Self, is_taken: impl Fn(&Parameter) -> bool) {
                let mut rows = PARAMETERS.iter();
                $(if rows.next().is_some_and(&is_taken) && !self.$field.is_said() {
                    self.$field.clone_from(&from.$field);
                })+
            }

            /// Reads the value of a parameter of the table.
            pub(super) fn put(&mut self, parameter: &Parameter, value: &'a [u8]) -> Result<bool, Refusal> {
                match parameter.name {
                    $($name => Ok(self.$field.put($read(value)?)),)+
                    name => unreachable!("no row of the table: {name}"),
                }
            }
        }
    };
    (@several) => { false };
    (@several several) => { true };
    (@option) => { None };
    (@option $value:literal) => { Some($value) };
}

parameters! {
    /// The name of a block.
    Named "store" => store: Option<&'a [u8]>,
        "*name*",
        value::store_name, STORE_NAME;
    /// The store's IP address or name, or `unix:` and a path.
    One "addr" => addr: Option<Spot<'a>>,
        "*address*" default "127.0.0.1",
        server::addr, "an IP address or a name";
    Many "server" => servers: Vec<Server<'a>>,
        "*address*",
        server::server, "an IP address or a name";
    Many "cluster" => cluster: Option<bool>,
        "`on` \\| `off`" default "off",
        value::flag, "on or off";
    Many "sentinel" => sentinel: Option<&'a [u8]>,
        "*name*",
        value::word, "a name in printable ASCII without spaces";
    Many "sentinel_user" => sentinel_user: Option<Cow<'a, [u8]>>,
        "*name*",
        value::user, "a name in printable ASCII without spaces";
    Many "sentinel_auth_file" => sentinel_auth_file: Option<&'a [u8]>,
        "*file*",
        value::file, "the name of a file";
    Store "port" => port: Option<u16>,
        "*number*",
        value::port, "a number from 1 to 65535";
    Store "type" => kind: Option<Kind>,
        "`redis` \\| `memcached`" default "redis",
        value::kind, "redis or memcached";
    Store "interval" => interval: Option<Duration>,
        "*time*" default "200ms",
        value::time, "a time from 1 to 86400000 milliseconds, or as 200ms, 1s, 1m";
    /// `Some(None)` is no limit.
    Store "count" => count: Option<Option<usize>>,
        "*number* \\| `unlimited`" default "5000",
        value::count, "a number of commands from 1, or unlimited";
    Store "timeout" => timeout: Option<Duration>,
        "*time*" default "1s",
        value::time, "a time from 1 to 86400000 milliseconds, or as 200ms, 1s, 1m";
    Store "user" => user: Option<Cow<'a, [u8]>>,
        "*name*",
        value::user, "a name in printable ASCII without spaces";
    Store "auth" => auth: Option<Cow<'a, [u8]>>,
        "*password*",
        value::password, "a password that is not empty";
    Store "auth_file" => auth_file: Option<&'a [u8]>,
        "*file*" in place of "auth",
        value::file, "the name of a file";
    Store "db" => database: Option<u16>,
        "*number*" default "0",
        value::database, "a number from 0 to 65535";
    Sessions "prefix" => keyspace: Option<Keyspace>,
        "*text*" default "sslsessioncache:",
        value::keyspace, "a text";
    Store "tls" => tls: Option<bool>,
        "`on` \\| `off`" default "off",
        value::flag, "on or off";
    Store "tls_ca" => tls_ca: Option<&'a [u8]>,
        "*file*",
        value::file, "the name of a file";
    Store "tls_name" => tls_name: Option<Peer>,
        "*name*",
        value::peer, "a DNS name or an IP address";
    Store "tls_cert" => tls_cert: Option<&'a [u8]>,
        "*file*",
        value::file, "the name of a file";
    Store "tls_key" => tls_key: Option<&'a [u8]>,
        "*file*",
        value::file, "the name of a file";
    Store "tls_verify" => tls_verify: Option<bool>,
        "`on` \\| `off`" default "on",
        value::flag, "on or off";
    /// As nginx's directive of this name has them.
    Many "resolver" => resolver: Vec<&'a [u8]>,
        "*address* ..." [several],
        value::name_server, "the address of a name server";
    Many "fallback" => fallback: Option<&'a [u8]>,
        "*name*",
        value::store_name, STORE_NAME;
    Many "site" => site: Option<u8>,
        "*number*",
        value::site, "a number from 1 to 15";
    Sessions "suspend" => suspend: Option<Suspend>,
        "`auto` \\| `retry` \\| `async` \\| `hello`" default "auto",
        value::suspend, "auto, retry, async or hello";
    Sessions "single_use" => single_use: Option<SingleUse>,
        "`off` \\| `early_data` \\| `on`" default "early_data",
        value::single_use, "off, early_data or on";
    /// Key files, the first to seal with.
    Sessions "key" => keys: Vec<&'a [u8]>,
        "*file* ...",
        value::file, "the name of a file";
    Tickets "rotate" => rotate: Option<Duration>,
        "*time*",
        value::rotation, "a time from 1h to 12h";
}

/// Where a value is put.
trait Slot<T> {
    /// False where there was one that may be said once.
    fn put(&mut self, value: T) -> bool;
}

/// Whether there is a value.
trait IsSaid {
    fn is_said(&self) -> bool;
}

impl<T> IsSaid for Option<T> {
    fn is_said(&self) -> bool {
        self.is_some()
    }
}

impl<T> IsSaid for Vec<T> {
    fn is_said(&self) -> bool {
        !self.is_empty()
    }
}

impl<T> Slot<T> for Option<T> {
    fn put(&mut self, value: T) -> bool {
        self.replace(value).is_none()
    }
}

impl<T> Slot<T> for Vec<T> {
    fn put(&mut self, value: T) -> bool {
        self.push(value);
        true
    }
}

/// The words that are known where an unknown one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// What they are words of.
    pub(super) directive: &'static str,
    /// Words without a value.
    pub(super) bare: &'static [&'static str],
    /// The groups of parameters.
    pub(super) groups: &'static [Group],
    /// What stands between a parameter and its value.
    pub(super) equals: &'static str,
}

impl Known {
    /// Those parameters.
    pub(super) fn parameters(self) -> impl Iterator<Item = &'static Parameter> {
        PARAMETERS.iter().filter(move |parameter| self.groups.contains(&parameter.group))
    }

    /// Whether a sign stands between a parameter and its value.
    pub(super) fn has_sign(self) -> bool {
        self.equals == "="
    }

    /// That sign, if there is one.
    pub(super) fn sign(self) -> &'static str {
        self.equals.trim_end()
    }

    /// A parameter and its value as they are written.
    pub(super) fn pair(self, name: &str, value: &[u8]) -> String {
        let end = if self.has_sign() { "" } else { ";" };
        format!("{name}{}{}{end}", self.equals, text(value))
    }

    /// The same for a message.
    pub(super) fn written(self, name: &str, value: &[u8]) -> String {
        format!("\"{}\"", self.pair(name, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::types::SENTINEL_PORT;
    use crate::plan::{Block, Directive, TicketsDirective};

    const REFERENCE: &str = include_str!("../../../docs/directives.md");

    /// A directive, or a block, as the reference describes it.
    struct Section {
        text: &'static str,
        /// The words that are described there.
        known: Known,
    }

    impl Section {
        fn of(name: &str, known: Known) -> Self {
            let (_, text) = REFERENCE.split_once(&format!("\n## {name}\n")).unwrap();
            Self { text: text.split("\n## ").next().unwrap(), known }
        }

        fn directives() -> [Self; 2] {
            [
                Self::of("remote_ssl_session_cache", Directive::KNOWN),
                Self::of("remote_ssl_session_tickets", TicketsDirective::KNOWN),
            ]
        }

        fn block() -> Self {
            let known = Known { groups: &[Group::Many], ..Block::KNOWN };
            Self::of("remote_ssl_session_store", known)
        }

        fn all() -> impl Iterator<Item = Self> {
            Self::directives().into_iter().chain([Self::block()])
        }

        /// The headings of parameters, each with its description.
        fn headings(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
            let parts = self.text.split("\n### ").filter(|part| part.starts_with('`'));
            parts.map(|part| part.split_once("\n\n").unwrap())
        }

        /// The parameters that are described, each with its description on one line, without markup.
        fn descriptions(&self) -> Vec<(&'static str, String)> {
            let mut found = Vec::new();
            for (terms, text) in self.headings() {
                let text = text.replace('`', "").split_whitespace().collect::<Vec<_>>().join(" ");
                for term in terms.split(", ") {
                    let name = term.strip_prefix('`').and_then(|term| term.split_once('`'));
                    let (name, value) = name.expect(term);
                    assert!(value.starts_with(self.known.equals), "{term}");
                    found.push((name, text.clone()));
                }
            }
            found
        }
    }

    /// The words of a directive as the reference has them, without markup.
    fn syntax(known: Known) -> String {
        let mut syntax = "on | off".to_owned();
        for Parameter { name, values, in_place_of, .. } in known.parameters() {
            let value = format!("{name}={}", values.replace(['`', '*', '\\'], ""));
            if in_place_of.is_some() {
                syntax.truncate(syntax.len() - 1);
                syntax += &format!(" | {value}]");
            } else {
                syntax += &format!("\n              [{value}]");
            }
        }
        syntax
    }

    #[test]
    fn the_reference_has_the_syntax() {
        let names = ["remote_ssl_session_cache", "remote_ssl_session_tickets"];
        for (name, Section { text, known }) in names.into_iter().zip(Section::directives()) {
            let expected = format!("\nSyntax:   {name} {};\n", syntax(known));
            assert!(text.contains(&expected), "{expected}");
        }
    }

    #[test]
    fn the_reference_describes_each_parameter() {
        for section in Section::all() {
            let described: Vec<_> =
                section.descriptions().into_iter().map(|(name, _)| name).collect();
            let names: Vec<_> =
                section.known.parameters().map(|parameter| parameter.name).collect();
            assert_eq!(described, names);
        }
    }

    #[test]
    fn the_reference_has_the_values() {
        for section in Section::all() {
            for Parameter { name, values, has_several, .. } in section.known.parameters() {
                let values = values.replace("\\|", "|");
                let values = if *has_several { &values } else { values.trim_end_matches(" ...") };
                let term = format!("`{name}`{}{values}", section.known.equals);
                let is_term = |terms: &str| terms.split(", ").any(|one| one == term);
                assert!(section.headings().any(|(terms, _)| is_term(terms)), "{term}");
            }
        }
    }

    #[test]
    fn the_reference_has_the_defaults() {
        for section in Section::all() {
            let descriptions = section.descriptions();
            for Parameter { name, default, .. } in section.known.parameters() {
                let Some(default) = default else { continue };
                let text = &descriptions.iter().find(|(other, _)| other == name).unwrap().1;
                let says = |form: &str| text.contains(&form.replace('*', default));
                assert!(says("* by default") || says("*, the default"), "{name}: {text}");
            }
        }
    }

    #[test]
    fn the_reference_has_the_ports() {
        let ([directive, _], block) = (Section::directives(), Section::block());
        let says = |section: &Section, name: &str, what: &str| {
            section.descriptions().iter().any(|(other, text)| *other == name && text.contains(what))
        };
        let [redis, memcached] = [Kind::Redis, Kind::Memcached].map(Kind::default_port);
        let ports = format!("{redis} by default for Redis, {memcached} for Memcached");
        assert!(says(&directive, "port", &ports));
        assert!(says(&block, "sentinel", &format!("port {SENTINEL_PORT} if")));
    }

    #[test]
    fn the_reference_tells_which_words_of_the_directive_a_block_takes() {
        let Section { text, .. } = Section::block();
        let words: Vec<_> = PARAMETERS
            .iter()
            .filter(|parameter| parameter.group == Group::Store)
            .map(|parameter| format!("`{}`", parameter.name))
            .collect();
        let (last, words) = words.split_last().unwrap();
        let sentence = format!("{} and {last} mean what they mean for the", words.join(", "));
        assert!(text.split_whitespace().collect::<Vec<_>>().join(" ").contains(&sentence));
    }
}
