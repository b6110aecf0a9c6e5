//! What words that are refused were probably meant as, for messages: a new user is told what to write.
//!
//! A password is never shown, and neither is what may be one or a part of one.

use crate::plan::error::{can_be_shown, is_harmless, shown, text, PlanError, HIDDEN};
use crate::plan::server::{self, Server, Spot};
use crate::plan::table::{Known, Parameter, Words};
use crate::plan::value::{is_unix_path, number};

/// What others call a parameter, or what it is called elsewhere; those that are known are meant.
const ALIASES: &[(&[&str], &[&str])] = &[
    (
        &["addr", "address", "host", "hostname", "ip", "server", "servers", "socket", "uri", "url"],
        &["addr", "server"],
    ),
    (&["pass", "passwd", "password", "requirepass", "secret"], &["auth_file", "auth"]),
    (&["passfile", "password_file"], &["auth_file"]),
    (&["login", "username"], &["user"]),
    (&["database"], &["db"]),
    (&["ssl"], &["tls"]),
    (&["ca", "cafile", "ssl_trusted_certificate"], &["tls_ca"]),
    (&["cert", "ssl_certificate"], &["tls_cert"]),
    (&["ssl_certificate_key"], &["tls_key"]),
    (&["sni", "ssl_name"], &["tls_name"]),
    (&["ssl_verify", "verify"], &["tls_verify"]),
    (&["connect_timeout", "read_timeout"], &["timeout"]),
    (&["key_file", "keyfile"], &["key"]),
    (&["namespace"], &["prefix"]),
    (&["master", "master_name"], &["sentinel"]),
];

/// What others call a value, and what is written for it.
const VALUES: &[(&str, &[&str], &str)] =
    &[("type", &["dragonfly", "keydb", "valkey"], "redis"), ("type", &["memcache"], "memcached")];

/// The same of any value that is on or off.
const FLAGS: &[(&[&str], &str)] =
    &[(&["1", "true", "yes", "enabled"], "on"), (&["0", "false", "no", "disabled"], "off")];

/// Units as they are spelled elsewhere, and as nginx has them.
const UNITS: &[(&[&str], &str)] = &[
    (&["ms", "msec", "milliseconds"], "ms"),
    (&["s", "sec", "secs", "second", "seconds"], "s"),
    (&["m", "min", "mins", "minute", "minutes"], "m"),
    (&["h", "hour", "hours"], "h"),
    (&["d", "day", "days"], "d"),
];

const SEVERAL: &str = "a line \"server\" for each of them in a block \
                       \"remote_ssl_session_store\", and the name of that as \"store=\"";

/// A word that is unknown, shown unless it may be a URL with a password, and what was probably meant.
pub(super) fn unknown(word: &[u8], meant: Option<String>, known: Known) -> PlanError {
    // What stands behind may be a password.
    let end = word.iter().position(|byte| b"=:".contains(byte)).unwrap_or(word.len());
    let is_shown = is_harmless(&word[..end]) && !word.contains(&b'@');
    let word = if is_shown { text(&word[..word.len().min(end + 1)]) } else { HIDDEN.to_owned() };
    match meant {
        Some(meant) => PlanError::Meant { word, meant },
        None => PlanError::Unknown { word, directive: known.directive },
    }
}

/// The parameters that a name was probably meant as, for a message.
pub(super) fn parameters(name: &[u8], known: Known) -> Option<String> {
    let name = text(name.trim_ascii()).to_ascii_lowercase();
    let is_known = |other: &&str| known.parameters().any(|parameter| parameter.name == *other);
    let names: Vec<_> = match aliases(&name) {
        Some(names) => names.iter().copied().filter(is_known).collect(),
        None => {
            let names = known.parameters().map(|parameter| parameter.name);
            nearest(&name, names).into_iter().collect()
        }
    };
    let names: Vec<_> = names.iter().map(|name| format!("\"{name}{}\"", known.sign())).collect();
    (!names.is_empty()).then(|| names.join(" or "))
}

/// The same, where the name is none of a parameter that is known elsewhere.
pub(super) fn aliased(name: &[u8], known: Known) -> Option<String> {
    aliases(&text(name)).and_then(|_names| parameters(name, known))
}

fn aliases(name: &str) -> Option<&'static [&'static str]> {
    ALIASES.iter().find(|(aliases, _)| aliases.contains(&name)).map(|(_, names)| *names)
}

/// Why a word of a directive is refused that has no `=`.
pub(super) fn bare(words: &[&[u8]], at: usize, known: Known) -> PlanError {
    let word = words[at];
    if is_behind_password(&words[..at]) {
        return PlanError::BehindPassword;
    }
    if is_variable(word) {
        return PlanError::UnknownVariable;
    }
    // As in `timeout=200 ms`.
    let joined = at.checked_sub(1).and_then(|before| {
        let (parameter, value) = assigned(words[before], known)?;
        let is_digit = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_digit);
        let is_torn = is_digit(value.last()) != is_digit(word.first()) && !is_digit(word.last());
        let is_time = TIMES.contains(&parameter.name) && is_torn && ends(&words[at + 1..], known);
        let value = [value, word].concat();
        (is_time && fits(parameter, &value)).then(|| known.written(parameter.name, &value))
    });
    // As in `tls on` and `tls = on`.
    let separated = named(word, known).map(|parameter| {
        let value = match &words[at + 1..] {
            [b"=", value, rest @ ..] | [value, rest @ ..] if ends(rest, known) => Some(*value),
            _ => None,
        };
        assignment(parameter, value, known)
    });
    if let Some(write) = joined.or(separated) {
        return PlanError::UnknownWritten { word: shown(word), write };
    }
    let lower = text(word).to_ascii_lowercase();
    let bare = FLAGS.iter().find(|(aliases, _)| aliases.contains(&&*lower)).map(|(_, flag)| *flag);
    let meant = bare
        .or_else(|| nearest(&lower, known.bare.iter().copied()))
        .map(|word| format!("\"{word}\""))
        .or_else(|| bare_address(word, known))
        .or_else(|| parameters(word, known));
    unknown(word, meant, known)
}

/// Where a store is, without a parameter in front.
fn bare_address(word: &[u8], known: Known) -> Option<String> {
    let parameter = named(b"addr", known)?;
    if !word.iter().any(|byte| b".:/".contains(byte)) {
        return None;
    }
    if fits(parameter, word) {
        return Some(known.written("addr", word));
    }
    address(word, known)
}

/// Why a word with the name and the value of a line is refused, as in `timeout=1s;`.
pub(super) fn line(word: &[u8], known: Known) -> Option<PlanError> {
    let equals = word.iter().position(|byte| *byte == b'=')?;
    let parameter = named(&word[..equals], known)?;
    let value = Some(&word[equals + 1..]).filter(|value| !value.is_empty());
    let write = assignment(parameter, value, known);
    Some(PlanError::UnknownWritten { word: text(&word[..=equals]), write })
}

/// What is written in place of a line with several values.
pub(super) fn values(parameter: &Parameter, values: &[&[u8]], known: Known) -> Option<String> {
    match values {
        [b"=", value] => Some(assignment(parameter, Some(value), known)),
        [host, port] if parameter.name == "server" && number::<u16>(port).is_some() => {
            let server = [host, &b":"[..], port].concat();
            fits(parameter, &server).then(|| known.written("server", &server))
        }
        [_, _, ..] if parameter.name == "server" => {
            Some("a line \"server\" for each of them".to_owned())
        }
        _ => None,
    }
}

/// What is written in place of a parameter whose value stands behind a space.
pub(super) fn spaced(
    parameter: &Parameter,
    value: &[u8],
    behind: &[&[u8]],
    known: Known,
) -> Option<PlanError> {
    let (next, rest) = behind.split_first()?;
    if !value.is_empty() || !fits(parameter, next) || !ends(rest, known) {
        return None;
    }
    let write = known.written(parameter.name, next);
    Some(PlanError::Written { name: parameter.name, value: String::new(), write })
}

/// A parameter and its value as they are written, if the value can be shown and is right.
fn assignment(parameter: &Parameter, value: Option<&[u8]>, known: Known) -> String {
    match value {
        Some(value) if fits(parameter, value) => known.written(parameter.name, value),
        _ if known.has_sign() => format!("\"{}=\" and its value right behind it", parameter.name),
        _ => format!("\"{}\", a space and its value", parameter.name),
    }
}

/// Whether a value ends before these words, and has no further part, as in `timeout 5 seconds`.
fn ends(rest: &[&[u8]], known: Known) -> bool {
    rest.first().is_none_or(|word| word.contains(&b'=') || named(word, known).is_some())
}

/// Why a value is refused before it is read.
pub(super) fn literal(parameter: &Parameter, value: &[u8]) -> Option<PlanError> {
    let name = parameter.name;
    // nginx takes quotes off where they are around all of a word.
    if matches!(value, [b'"' | b'\'', ..]) {
        return Some(PlanError::Quotes(name));
    }
    (name != "auth" && has_variable(value)).then_some(PlanError::Variable(name))
}

/// What is to be written in place of a value that is refused.
pub(super) fn value(parameter: &Parameter, value: &[u8], known: Known) -> Option<PlanError> {
    let name = parameter.name;
    let write = match name {
        "addr" | "server" => address(value, known),
        "type" if matches!(&*value.to_ascii_lowercase(), b"rediss" | b"valkeys") => {
            let [kind, tls] = [("type", "redis"), ("tls", "on")];
            let both = [kind, tls].map(|(name, value)| known.pair(name, value.as_bytes()));
            Some(format!("\"{}\"", both.join(" ")))
        }
        _ => {
            let alike = similar(parameter, value);
            alike.map(|value| known.written(name, value.as_bytes()))
        }
    }?;
    if !can_be_shown(name, value) {
        return Some(PlanError::WrittenSecret { name, write });
    }
    Some(PlanError::Written { name, value: text(value), write })
}

/// A value that is right, and like one that is not.
fn similar(parameter: &Parameter, value: &[u8]) -> Option<String> {
    let lower = text(value.trim_ascii()).to_ascii_lowercase();
    let values = || parameter.values.split('`').skip(1).step_by(2);
    let named = VALUES
        .iter()
        .filter(|(name, ..)| *name == parameter.name)
        .find(|(_, aliases, _)| aliases.contains(&&*lower))
        .map(|(.., value)| *value);
    let flag =
        || FLAGS.iter().find(|(aliases, _)| aliases.contains(&&*lower)).map(|(_, flag)| *flag);
    let candidates = [
        Some(text(value.trim_ascii())),
        named.map(str::to_owned),
        flag().map(str::to_owned),
        TIMES.contains(&parameter.name).then(|| with_units(value)).flatten(),
        (parameter.name == "count").then(|| thousands(&lower)).flatten(),
        nearest(&lower, values()).map(str::to_owned),
    ];
    candidates.into_iter().flatten().find(|candidate| fits(parameter, candidate.as_bytes()))
}

const TIMES: &[&str] = &["interval", "timeout", "rotate"];

/// A time with nginx's units, and without a space before the one that it has.
fn with_units(time: &[u8]) -> Option<String> {
    let (number, unit) =
        time.split_at(time.iter().take_while(|byte| byte.is_ascii_digit()).count());
    // nginx has months as "M".
    let unit = text(unit.trim_ascii_start()).replace('M', "?").to_ascii_lowercase();
    let (_, short) = UNITS.iter().find(|(units, _)| units.contains(&&*unit))?;
    Some(text(number) + short)
}

/// A number with a unit, or with something before each three of its digits.
fn thousands(number: &str) -> Option<String> {
    let digits = number.trim_end_matches(['k', 'm']);
    let zeros = match &number[digits.len()..] {
        "" => "",
        "k" => "000",
        "m" => "000000",
        _ => return None,
    };
    let (first, rest) = digits.split_at(digits.find([',', '_']).unwrap_or(digits.len()));
    let is_right = !first.is_empty() && rest.split([',', '_']).skip(1).all(|part| part.len() == 3);
    is_right.then(|| digits.replace([',', '_'], "") + zeros)
}

/// How the address of a server is written.
fn address(value: &[u8], known: Known) -> Option<String> {
    let value = value.trim_ascii();
    let name = if known.has_sign() { "addr" } else { "server" };
    if is_unix_path(value) {
        let value = [b"unix:", value].concat();
        return fits(named(name.as_bytes(), known)?, &value).then(|| known.written(name, &value));
    }
    let servers: Vec<_> =
        value.split(|byte| b",; ".contains(byte)).filter(|server| !server.is_empty()).collect();
    let [_] = servers[..] else {
        let is_server =
            |value: &&[u8]| can_be_shown("server", value) && server::server(value).is_ok();
        return (servers.len() > 1 && servers.iter().all(is_server)).then(|| {
            if known.has_sign() {
                return SEVERAL.to_owned();
            }
            let lines: Vec<_> = servers.iter().map(|server| known.pair(name, server)).collect();
            format!("\"{}\"", lines.join(" "))
        });
    };
    if !known.has_sign() {
        return fits(named(b"server", known)?, value).then(|| known.written(name, value));
    }
    in_parameters(&server::server(value).ok()?, known)
}

/// What a server and its URL say, in the words of a directive.
fn in_parameters(server: &Server<'_>, known: Known) -> Option<String> {
    let (host, port) = match server.spot {
        Spot::Host(host, port) => (host, port),
        Spot::Unix(_) => return None,
    };
    let port = port.map(|port| known.pair("port", port.to_string().as_bytes()));
    let url = server.url.as_ref();
    let tls = url.filter(|url| url.tls).map(|_url| known.pair("tls", b"on"));
    let database = url.and_then(|url| url.database);
    let database = database.map(|number| known.pair("db", number.to_string().as_bytes()));
    let words = [Some(known.pair("addr", host)), port, tls, database];
    let words: Vec<_> = words.into_iter().flatten().collect();
    let has_login = url.is_some_and(|url| url.user.is_some() || url.password.is_some());
    let login = if has_login { ", and the login as \"user=\" and \"auth_file=\"" } else { "" };
    Some(format!("\"{}\"{login}", words.join(" ")))
}

/// The parameter and the value of a word `name=value`.
fn assigned(word: &[u8], known: Known) -> Option<(&'static Parameter, &[u8])> {
    let equals = word.iter().position(|byte| *byte == b'=')?;
    Some((named(&word[..equals], known)?, &word[equals + 1..]))
}

/// The known parameter of a name, in whatever case.
fn named(name: &[u8], known: Known) -> Option<&'static Parameter> {
    let name = name.trim_ascii();
    known.parameters().find(|parameter| parameter.name.as_bytes().eq_ignore_ascii_case(name))
}

/// Whether a password stands among these words: what follows may be the rest of it.
pub(super) fn is_behind_password(words: &[&[u8]]) -> bool {
    words.iter().any(|word| word.starts_with(b"auth="))
}

fn is_variable(word: &[u8]) -> bool {
    matches!(word, [b'$', byte, ..] if byte.is_ascii_alphabetic() || b"_{".contains(byte))
}

fn has_variable(value: &[u8]) -> bool {
    (0..value.len()).any(|at| is_variable(&value[at..]))
}

/// Whether a value can be advised: it is right, no password, and one word to nginx.
fn fits(parameter: &Parameter, value: &[u8]) -> bool {
    can_be_shown(parameter.name, value) && Words::default().put(parameter, value).is_ok()
}

/// The name that is so near to a text that it was probably meant.
fn nearest<'a>(text: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let with_distance = |name: &'a str| (strsim::osa_distance(text, name), name);
    let (distance, name) = names.map(with_distance).min_by_key(|(distance, _)| *distance)?;
    // A third of it may be wrong, and not all of a short one.
    (distance <= text.len().div_ceil(3).min(2) && distance < text.len()).then_some(name)
}

#[cfg(test)]
mod tests {
    use crate::plan::{Block, Directive, TicketsDirective};

    /// What is said of words, each between `|`.
    fn directive(words: &str) -> String {
        let parsed = Directive::parse(words.split('|').map(str::as_bytes));
        let planned = parsed.and_then(|directive| directive.plan());
        planned.err().unwrap_or_else(|| panic!("{words} is accepted")).to_string()
    }

    fn tickets(words: &str) -> String {
        let parsed = TicketsDirective::parse(words.split('|').map(str::as_bytes));
        parsed.err().unwrap_or_else(|| panic!("{words} is accepted")).to_string()
    }

    /// What is said of a line, its words between `|`.
    fn block(line: &str) -> String {
        let words: Vec<_> = line.split('|').map(str::as_bytes).collect();
        let mut block = Block::new(b"fleet").unwrap_or_else(|error| panic!("{error}"));
        let set = block.set(words[0], &words[1..]);
        set.err().unwrap_or_else(|| panic!("{line} is accepted")).to_string()
    }

    #[track_caller]
    fn says(told: fn(&str) -> String, cases: &[(&str, &str)]) {
        for (words, end) in cases {
            let message = told(words);
            assert!(message.ends_with(end), "{words}: {message}");
            if let Some(advice) = advice(&message) {
                assert!(is_accepted(advice), "{words}: {message}");
            }
        }
    }

    /// The words that a message says to write, where it says all of them.
    fn advice(message: &str) -> Option<&str> {
        let said = [", write \"", ", did you mean \""];
        let (_, advice) = said.iter().find_map(|said| message.split_once(said))?;
        let (advice, _) = advice.split_once('"')?;
        (advice.ends_with(';') || advice.contains('=') && !advice.ends_with('=')).then_some(advice)
    }

    /// Whether words are right where they are advised, as nginx takes them apart.
    fn is_accepted(advice: &str) -> bool {
        if advice.ends_with(';') {
            let mut block = Block::new(b"fleet").unwrap_or_else(|error| panic!("{error}"));
            return advice.split_terminator(';').all(|line| {
                let words: Vec<_> = line.split_whitespace().map(str::as_bytes).collect();
                block.set(words[0], &words[1..]).is_ok()
            });
        }
        let words = || advice.split_whitespace().map(str::as_bytes);
        Directive::parse(words()).is_ok() || TicketsDirective::parse(words()).is_ok()
    }

    #[test]
    fn addresses() {
        let several =
            "write a line \"server\" for each of them in a block \"remote_ssl_session_store\", \
                       and the name of that as \"store=\"";
        says(
            directive,
            &[
                (
                    "addr=10.0.0.1:6380",
                    "invalid value \"10.0.0.1:6380\" of parameter \"addr\", write \"addr=10.0.0.1 \
                     port=6380\"",
                ),
                ("addr=redis.example:1", "write \"addr=redis.example port=1\""),
                ("addr=[::1]:6379", "write \"addr=[::1] port=6379\""),
                ("addr=/run/redis.sock", "write \"addr=unix:/run/redis.sock\""),
                ("addr=a,b", several),
                ("addr=a:1, b:2", several),
                ("addr=10.0.0.1 ", "write \"addr=10.0.0.1\""),
                ("addr=", "\"\" of parameter \"addr\", expected an IP address or a name"),
                (
                    "addr=256.1.1.1",
                    "expected an IP address or a name; the port goes into \"port=\"",
                ),
            ],
        );
        says(
            block,
            &[
                ("server|a,b:1", "write \"server a; server b:1;\""),
                ("server|/run/redis.sock", "write \"server unix:/run/redis.sock;\""),
                ("server|a|6380", "write \"server a:6380;\""),
                ("server|a|b", "write a line \"server\" for each of them"),
                ("server|=|a", "write \"server a;\""),
                ("server| a", "write \"server a;\""),
                ("addr|10.0.0.1", "unknown parameter \"addr\", did you mean \"server\"?"),
            ],
        );
    }

    #[test]
    fn urls() {
        let none =
            "and no URL: what that says goes into \"port=\", \"tls=on\", \"db=\", \"user=\" and \
                    \"auth_file=\"";
        says(
            directive,
            &[
                (
                    "addr=redis://a:1/2",
                    "invalid value of parameter \"addr\", write \"addr=a port=1 db=2\"",
                ),
                ("addr=rediss://a", "write \"addr=a tls=on\""),
                ("addr=valkey://[::1]/0", "write \"addr=[::1] db=0\""),
                ("addr=valkeys://a:7", "write \"addr=a port=7 tls=on\""),
                (
                    "addr=redis://u:hunter2@a:1/2",
                    "write \"addr=a port=1 db=2\", and the login as \"user=\" and \"auth_file=\"",
                ),
                (
                    "addr=redis://hunter2@a",
                    "write \"addr=a\", and the login as \"user=\" and \"auth_file=\"",
                ),
                ("addr=redis://u:hun/ter2@a", none),
                ("addr=http://a", none),
                (
                    "redis://a:1",
                    "unknown parameter \"redis:\", did you mean \"addr=a port=1\"?",
                ),
                (
                    "redis://u:hunter2@a",
                    "unknown parameter \"...\", did you mean \"addr=a\", and the login as \"user=\" and \
                     \"auth_file=\"?",
                ),
            ],
        );
    }

    #[test]
    fn no_password_is_shown() {
        for words in [
            "auth=\"hunter2\"",
            "auth=\"my|hunter2\"",
            "auth=my|hunter2",
            "auth=my|big|hunter2",
            "auth=my|hunter2=x",
            "auth=my|$hunter2",
            "auth=my|redis://hunter2",
            "auth=my|10.0.0.1.hunter2",
            "auth|hunter2",
            "auth|=|hunter2",
            "AUTH=hunter2",
            "user=|auth=hunter2",
            "user|auth=hunter2",
            "addr|auth=hunter2",
            "timeout=1s|auth|hunter2",
            "password=hunter2",
            "pass:hunter2",
            "addr=nginx:hunter2@a",
            "addr=nginx:hunter2",
            "addr=redis://hunter2@a",
            "addr=redis://:hunter2@a:1/1",
            "addr=redis://u:hunter2@a/hunter2",
            "addr=redis://u:hunter2",
            "redis://u:hunter2@a",
            "u:hunter2@a",
            "addr=//u:hunter2@h",
            "unix://u:hunter2@/s",
            "addr=unix://u:hunter2@/s",
            "addr=unix:///run/r.sock?password=hunter2",
            "addr=unix:/run/r.sock,password=hunter2",
            "addr=unix:s?password=hunter2",
            "prefix=redis://u:hunter2@h ",
            "prefix= redis://u:hunter2@h b",
            "user=redis://u:hunter2@h ",
            "addr=h,password=hunter2",
            "addr=nginx:hunter$er2",
            "addr=nginx:hunter2$er",
            "$hunter2",
            "db=h,password=hunter2",
            "tls_name=h,password=hunter2",
            "timeout=redis://:hunter2@h",
            "tls_ca=redis://u:hunter2@h",
            "auth_file=redis://u:hunter2",
            "key=redis://hunter2@h",
        ] {
            let message = directive(words);
            assert!(!message.contains("hunter2"), "{words}: {message}");
        }
        for line in [
            "auth=hunter2",
            "auth|my|hunter2",
            "auth|=|hunter2",
            "user|=|auth=hunter2",
            "password|hunter2",
            "server=redis://u:hunter2@a",
            "server|redis://u:hunter2@a|b",
            "server|redis://u:hunter2@a,b",
            "server|u:hunter2",
            "server|//u:hunter2@h",
            "server|redis://u:hunter2@h ",
            "server|h,password=hunter2",
            "server|unix:///s?password=hunter2",
            "server|unix:/s,password=hunter2",
            "server|u:hunter2$er",
            "resolver|h,password=hunter2",
            "tls_key|redis://u:hunter2@h",
            "redis://u:hunter2@a",
        ] {
            let message = block(line);
            assert!(!message.contains("hunter2"), "{line}: {message}");
        }
        assert_eq!(
            directive("auth=my|hunter2"),
            "unknown parameter \"...\" behind \"auth=\", expected quotes around all of \"auth=...\" \
             where a password has spaces"
        );
        says(directive, &[("auth=x|timeuot=1s", "\"...\", did you mean \"timeout=\"?")]);
    }

    #[test]
    fn an_address_with_what_is_like_a_port_is_shown() {
        says(directive, &[("addr=default:6379", "write \"addr=default port=6379\"")]);
        for words in ["addr=default:cafe1234", "addr=default:1cafe"] {
            assert!(!directive(words).contains("cafe"), "{words}");
        }
    }

    #[test]
    fn a_long_value_leaves_room_for_what_is_expected() {
        for name in ["db", "prefix", "timeout"] {
            let message = directive(&format!("{name}={}", "x".repeat(3500)));
            assert!(message.len() < 300, "{message}");
        }
        assert!(directive(&"x".repeat(3500)).len() < 300);
    }

    /// What would be refused, or mean something else, is not advised.
    #[test]
    fn nothing_is_advised_that_is_not_meant() {
        let sign = "write \"user=\" and its value right behind it";
        says(
            directive,
            &[
                ("user|=|$x", sign),
                ("user|my name", sign),
                ("key|my key", "write \"key=\" and its value right behind it"),
                ("timeout|=|1|s", "write \"timeout=\" and its value right behind it"),
                ("timeout|5|seconds", "write \"timeout=\" and its value right behind it"),
                ("timeout=|5|seconds", "as 200ms, 1s, 1m"),
                ("prefix=|$x", "a text"),
                ("addr=/run/a b", "the port goes into \"port=\""),
                ("timeout=1 30s", "as 200ms, 1s, 1m"),
                ("timeout=1,5", "as 200ms, 1s, 1m"),
                ("interval=1M", "as 200ms, 1s, 1m"),
                ("count=1,5k", "or unlimited"),
                ("count=k", "or unlimited"),
                ("count=,500", "or unlimited"),
                ("db=k", "a number from 0 to 65535"),
                ("port=6,379", "a number from 1 to 65535"),
            ],
        );
        for words in ["timeout=1s|500|ms", "timeout=1s|500", "timeout=1|30s"] {
            assert!(!directive(words).contains("write"), "{words}");
        }
        says(
            block,
            &[
                ("user|=|$x", "write \"user\", a space and its value"),
                ("auth_file=\"my|pw.txt\"", "write \"auth_file\", a space and its value"),
                ("auth_file|=|my pw.txt", "write \"auth_file\", a space and its value"),
                ("server|/run/a b", "or a URL \"redis://\" or \"rediss://\""),
            ],
        );
    }

    #[test]
    fn names() {
        says(
            directive,
            &[
                ("timeuot=1s", "unknown parameter \"timeuot=\", did you mean \"timeout=\"?"),
                ("ADDR=a", "unknown parameter \"ADDR=\", did you mean \"addr=\"?"),
                (" addr=a", "did you mean \"addr=\"?"),
                ("addr =a", "did you mean \"addr=\"?"),
                ("host=a", "did you mean \"addr=\"?"),
                ("server=a", "did you mean \"addr=\"?"),
                ("Host=a", "did you mean \"addr=\"?"),
                ("password=x", "did you mean \"auth_file=\" or \"auth=\"?"),
                ("pass=x", "did you mean \"auth_file=\" or \"auth=\"?"),
                ("requirepass=x", "did you mean \"auth_file=\" or \"auth=\"?"),
                ("username=x", "did you mean \"user=\"?"),
                ("database=1", "did you mean \"db=\"?"),
                ("tls_verfiy=off", "did you mean \"tls_verify=\"?"),
                ("singleuse=on", "did you mean \"single_use=\"?"),
                ("onn", "unknown parameter \"onn\", did you mean \"on\"?"),
                ("true", "did you mean \"on\"?"),
                ("10.0.0.1", "did you mean \"addr=10.0.0.1\"?"),
                ("10.0.0.1:1", "did you mean \"addr=10.0.0.1 port=1\"?"),
                ("server", "did you mean \"addr=\"?"),
                (
                    "flavour=x",
                    "unknown parameter \"flavour=\", expected one of those of \
                     \"remote_ssl_session_cache\" in docs/directives.md",
                ),
                ("", "\"\", expected one of those of \"remote_ssl_session_cache\" in docs/directives.md"),
                ("=x", "in docs/directives.md"),
                ("cluster=on", "expected it in a block \"remote_ssl_session_store\""),
            ],
        );
        says(
            block,
            &[
                ("host|a", "unknown parameter \"host\", did you mean \"server\"?"),
                ("SERVER|a", "did you mean \"server\"?"),
                ("password|x", "did you mean \"auth_file\" or \"auth\"?"),
                ("sentinnel|m", "did you mean \"sentinel\"?"),
                ("timeout=1s", "unknown parameter \"timeout=\", write \"timeout 1s;\""),
                ("tls=on", "write \"tls on;\""),
                ("timeout|=|1s", "write \"timeout 1s;\""),
                ("auth=x", "write \"auth\", a space and its value"),
                ("port=x", "write \"port\", a space and its value"),
                (
                    "on",
                    "expected one of those of \"remote_ssl_session_store\" in docs/directives.md",
                ),
            ],
        );
        says(
            tickets,
            &[
                ("rotaet=2h", "did you mean \"rotate=\"?"),
                ("rotate|2h", "unknown parameter \"rotate\", write \"rotate=2h\""),
                (
                    "addr=a",
                    "expected it in \"remote_ssl_session_cache\", as all that is said of a store",
                ),
                ("timeout=1s", "in \"remote_ssl_session_cache\", as all that is said of a store"),
            ],
        );
    }

    #[test]
    fn words_that_were_torn_apart() {
        says(
            directive,
            &[
                ("tls|on", "unknown parameter \"tls\", write \"tls=on\""),
                ("on|port|6380", "unknown parameter \"port\", write \"port=6380\""),
                ("timeout|=|1s", "write \"timeout=1s\""),
                ("on|port", "write \"port=\" and its value right behind it"),
                ("auth|x", "write \"auth=\" and its value right behind it"),
                ("timeout=200|ms", "unknown parameter \"ms\", write \"timeout=200ms\""),
                ("timeout=1m|30s", "unknown parameter \"30s\", write \"timeout=1m30s\""),
                (
                    "timeout=|1s",
                    "invalid value \"\" of parameter \"timeout\", write \"timeout=1s\"",
                ),
            ],
        );
        assert_eq!(
            directive("addr=\"10.0.0.1\""),
            "invalid value of parameter \"addr\", expected no quotes within a word: leave them out, or \
             put them around the whole word"
        );
    }

    #[test]
    fn values() {
        says(
            directive,
            &[
                (
                    "type=valkey",
                    "invalid value \"valkey\" of parameter \"type\", write \"type=redis\"",
                ),
                ("type=KeyDB", "write \"type=redis\""),
                ("type=rediss", "write \"type=redis tls=on\""),
                ("type=memcache", "write \"type=memcached\""),
                ("type=reddis", "write \"type=redis\""),
                ("type=mysql", "expected redis or memcached"),
                ("count=10k", "write \"count=10000\""),
                ("count=2M", "write \"count=2000000\""),
                ("count=5_000", "write \"count=5000\""),
                ("count=unlimitd", "write \"count=unlimited\""),
                ("tls=yes", "write \"tls=on\""),
                ("tls=0", "write \"tls=off\""),
                ("suspend=rety", "write \"suspend=retry\""),
                ("timeout=200 ms", "write \"timeout=200ms\""),
                ("timeout=1S", "write \"timeout=1s\""),
                ("timeout=200msec", "write \"timeout=200ms\""),
                ("timeout=2 seconds", "write \"timeout=2s\""),
                ("port=6379 ", "write \"port=6379\""),
                ("port=redis", "expected a number from 1 to 65535"),
            ],
        );
        says(
            block,
            &[
                ("type|valkey", "write \"type redis;\""),
                ("type|rediss", "write \"type redis; tls on;\""),
                ("cluster|yes", "write \"cluster on;\""),
            ],
        );
        says(tickets, &[("rotate=2H", "write \"rotate=2h\"")]);
    }

    #[test]
    fn in_capitals() {
        for words in ["ON", "Off", "tls=ON", "type=REDIS", "type=Memcached|TLS=off"] {
            let words = words.replace("TLS=", "tls=");
            assert!(Directive::parse(words.split('|').map(str::as_bytes)).is_ok(), "{words}");
        }
        for words in ["suspend=Auto", "single_use=OFF", "count=Unlimited", "tls=on|tls_verify=Off"]
        {
            assert!(Directive::parse(words.split('|').map(str::as_bytes)).is_ok(), "{words}");
        }
        assert!(TicketsDirective::parse([&b"ON"[..]]).is_ok());
        says(directive, &[("on|ON", "repeated parameter \"on\", expected once at most")]);
    }

    #[test]
    fn variables() {
        says(
            directive,
            &[
                (
                    "addr=$redis",
                    "invalid value of parameter \"addr\", expected no variable: these are not supported \
                     here",
                ),
                ("key=${dir}/cache.key", "these are not supported here"),
                ("$redis", "unknown parameter \"...\", expected no variable: these are not supported here"),
            ],
        );
        says(block, &[("server|$redis", "these are not supported here")]);
        for word in ["auth=$secret", "prefix=$:", "prefix=5$"] {
            assert!(Directive::parse([word.as_bytes()]).is_ok(), "{word}");
        }
    }
}
