//! The table of parameters: what each is called, how its value is read, and what is expected of it.
//!
//! All else comes from it: the struct of values, the messages, and the syntax in the README, whose
//! tests are here.

use core::fmt;
use core::time::Duration;

use crate::plan::types::{Kind, Peer, Suspend};
use crate::plan::value::{self, Refusal};
use crate::session::Keyspace;

/// What a parameter is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// Where a store is, and how it is spoken to.
    Store,
    /// What is kept there of sessions, and how handshakes wait for it.
    Sessions,
}

/// A row of the table.
#[derive(Debug)]
pub struct Parameter {
    /// What stands before the `=`.
    pub name: &'static str,
    /// What it is about.
    pub group: Group,
    /// What may stand behind the `=`, in the README's markup.
    pub values: &'static str,
    /// The parameter that this one may be given in place of.
    pub in_place_of: Option<&'static str>,
    /// What is meant where the parameter is left out, if that can be said by itself.
    pub default: Option<&'static str>,
    /// What a value must be, for messages.
    pub expected: &'static str,
}

/// Makes the table, and the struct of values with a field for each row.
macro_rules! parameters {
    ($(
        $(#[doc = $doc:literal])*
        $group:ident $name:literal => $field:ident: $slot:ty,
            $values:literal $(in place of $other:literal)? $(default $default:literal)?,
            $read:path, $expected:literal;
    )+) => {
        /// All parameters, in the order in which they are told of.
        pub const PARAMETERS: &[Parameter] = &[$(Parameter {
            name: $name,
            group: Group::$group,
            values: $values,
            in_place_of: parameters!(@option $($other)?),
            default: parameters!(@option $($default)?),
            expected: $expected,
        }),+];

        /// What words say, the value of each checked by itself.
        #[derive(Default)]
        pub(super) struct Words<'a> {
            $($(#[doc = $doc])* pub(super) $field: $slot,)+
        }

        impl<'a> Words<'a> {
            /// Reads the value of a parameter of the table.
            pub(super) fn put(&mut self, parameter: &Parameter, value: &'a [u8]) -> Result<bool, Refusal> {
                match parameter.name {
                    $($name => Ok(self.$field.put($read(value)?)),)+
                    name => unreachable!("no row of the table: {name}"),
                }
            }
        }
    };
    (@option) => { None };
    (@option $value:literal) => { Some($value) };
}

parameters! {
    /// The store's IP address or name, or `unix:` and a path.
    Store "addr" => addr: Option<&'a [u8]>,
        "*address*" default "127.0.0.1",
        value::not_empty, "an IP address or a name";
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
    Store "user" => user: Option<&'a [u8]>,
        "*name*",
        value::user, "a name in printable ASCII without spaces";
    Store "auth" => auth: Option<&'a [u8]>,
        "*password*",
        value::password, "a password that is not empty";
    Store "auth_file" => auth_file: Option<&'a [u8]>,
        "*file*" in place of "auth",
        value::not_empty, "the name of a file";
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
        value::not_empty, "the name of a file";
    Store "tls_name" => tls_name: Option<Peer>,
        "*name*",
        value::peer, "a DNS name or an IP address";
    Store "tls_cert" => tls_cert: Option<&'a [u8]>,
        "*file*",
        value::not_empty, "the name of a file";
    Store "tls_key" => tls_key: Option<&'a [u8]>,
        "*file*",
        value::not_empty, "the name of a file";
    Store "tls_verify" => tls_verify: Option<bool>,
        "`on` \\| `off`" default "on",
        value::flag, "on or off";
    Sessions "suspend" => suspend: Option<Suspend>,
        "`auto` \\| `async` \\| `hello`" default "auto",
        value::suspend, "auto, async or hello";
    /// Key files, the first to seal with.
    Sessions "key" => keys: Vec<&'a [u8]>,
        "*file* ...",
        value::not_empty, "the name of a file";
}

/// Where a value is put.
trait Slot<T> {
    /// False where there was one that may be said once.
    fn put(&mut self, value: T) -> bool;
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
    /// Words without a value.
    pub(super) bare: &'static [&'static str],
    /// The groups of parameters.
    pub(super) groups: &'static [Group],
}

impl fmt::Display for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bare = self.bare.iter().map(|word| format!("\"{word}\""));
        let parameters =
            PARAMETERS.iter().filter(|parameter| self.groups.contains(&parameter.group));
        let names: Vec<_> =
            bare.chain(parameters.map(|parameter| format!("\"{}=\"", parameter.name))).collect();
        match names.split_last() {
            Some((last, [])) => f.write_str(last),
            Some((last, names)) => write!(f, "{} or {last}", names.join(", ")),
            None => f.write_str("nothing"),
        }
    }
}

/// The words of the directive as the README has them.
pub fn syntax() -> String {
    let mut syntax = "`on` \\| `off`".to_owned();
    for Parameter { name, values, in_place_of, .. } in PARAMETERS {
        let value = format!("`{name}`={values}");
        if in_place_of.is_some() {
            syntax.truncate(syntax.len() - 1);
            syntax += &format!(" \\| {value}]");
        } else {
            syntax += &format!(" [{value}]");
        }
    }
    syntax
}

#[cfg(test)]
mod tests {
    use super::*;

    const README: &str = include_str!("../../../README.md");

    /// The section of the directive.
    fn section() -> &'static str {
        let (_, section) = README.split_once("\n### remote_ssl_session_cache\n").unwrap();
        section.split_once("\n## ").unwrap().0
    }

    /// The parameters that are described, each with its description on one line, without markup.
    fn descriptions() -> Vec<(&'static str, String)> {
        let mut found = Vec::new();
        for paragraph in section().split("\n\n") {
            let Some((terms, text)) = paragraph.trim_start().split_once("\n: ") else { continue };
            let text = text.replace('`', "").split_whitespace().collect::<Vec<_>>().join(" ");
            for term in terms.split(", ") {
                let name = term.strip_prefix('`').and_then(|term| term.split_once("`="));
                found.push((name.expect(term).0, text.clone()));
            }
        }
        found
    }

    #[test]
    fn the_readme_has_the_syntax() {
        let row = format!("| **remote_ssl_session_cache** {};", syntax());
        let found = section().lines().find(|line| line.contains("**Syntax:**")).unwrap();
        assert_eq!(found, format!("| **Syntax:** {row} |"));
    }

    #[test]
    fn the_readme_describes_each_parameter() {
        let described: Vec<_> = descriptions().into_iter().map(|(name, _)| name).collect();
        let names: Vec<_> = PARAMETERS.iter().map(|parameter| parameter.name).collect();
        assert_eq!(described, names);
    }

    #[test]
    fn the_readme_has_the_values() {
        for Parameter { name, values, .. } in PARAMETERS {
            let term = format!("`{name}`={}", values.replace("\\|", "|").replace(" ...", ""));
            let is_term = |line: &str| line.split(", ").any(|one| one == term);
            assert!(section().lines().any(is_term), "{term}");
        }
    }

    #[test]
    fn the_readme_has_the_defaults() {
        let descriptions = descriptions();
        let description =
            |name: &str| &descriptions.iter().find(|(other, _)| *other == name).unwrap().1;
        for Parameter { name, default, .. } in PARAMETERS {
            let Some(default) = default else { continue };
            let text = description(name);
            let says = |form: &str| text.contains(&form.replace('*', default));
            assert!(says("* by default") || says("*, the default"), "{name}: {text}");
        }
        let [redis, memcached] = [Kind::Redis, Kind::Memcached].map(Kind::default_port);
        let ports = format!("{redis} by default for Redis, {memcached} for Memcached");
        assert!(description("port").contains(&ports));
    }
}
