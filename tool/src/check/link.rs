//! Names, connections, TLS and the greeting of one server.

use std::time::Instant;

use openssl::x509::X509VerifyResult;
use ssl_session_cache_core::plan::Kind;

use crate::check::Context;
use crate::link::{Address, Certificate, Dialer, LinkError, Spot, TlsFacts};
use crate::output::{time, Report};
use crate::store::{Server, TalkError};

/// A certificate that expires sooner is warned of, in days.
const SOON: i32 = 14;

/// Looks a server up, connects to each of its addresses and greets it; what answers at the first of them.
pub fn check(context: &mut Context<'_, '_, '_>, spot: &Spot) -> Option<Server> {
    let addresses = lookup(context, spot)?;
    warn_of_network(context, spot);
    let mut server = None;
    let mut unreachable = Vec::new();
    for address in &addresses {
        match connect(context, spot, address) {
            Ok(found) => server = server.or(found),
            Err(failure) => unreachable.push(failure),
        }
    }
    tell_unreachable(context.report, &unreachable, server.is_some());
    server
}

/// An address to which there is no connection.
struct Unreachable {
    line: String,
    advice: String,
}

/// Nginx goes on to the next address of a name.
fn tell_unreachable(report: &mut Report, unreachable: &[Unreachable], has_other: bool) {
    for Unreachable { line, advice } in unreachable {
        match has_other {
            true => report.warning(format!("{line}; nginx takes another address"), advice),
            false => report.failure(line, advice),
        }
    }
}

/// The addresses of a server.
pub fn lookup(context: &mut Context<'_, '_, '_>, spot: &Spot) -> Option<Vec<Address>> {
    let begin = Instant::now();
    match spot.lookup() {
        Ok(addresses) => {
            if spot.is_name() {
                let list: Vec<_> = addresses.iter().map(Address::to_string).collect();
                let took = time(begin.elapsed());
                context.report.ok(format!("looked up in {took}: {}", list.join(", ")));
                if !context.used.store.plan.resolver.is_empty() {
                    let advice =
                        "the servers of \"resolver\" may say something else: ask them by dig";
                    context.report.note("that is what this system says; nginx asks others", advice);
                }
            }
            Some(addresses)
        }
        Err(error) => {
            let advice = "is the name right, and does a name server of this machine know it?";
            context.report.failure(error, advice);
            None
        }
    }
}

/// What others on the way can read.
fn warn_of_network(context: &mut Context<'_, '_, '_>, spot: &Spot) {
    if context.used.store.plan.tls.is_some() || !spot.is_remote() {
        return;
    }
    let is_clear = context.used.uses.iter().any(|one| one.sessions.keys.is_empty());
    if is_clear {
        context.report.warning(
            "sessions go over the network in clear: who listens can decrypt connections",
            "set key=, or tls=on, unless the network is trusted: docs/stores.md, \"TLS to the store\"",
        );
    } else if context.access.credentials.is_some() {
        context.report.note(
            "the password goes over the network in clear",
            "set tls=on, unless the network is trusted: docs/stores.md, \"TLS to the store\"",
        );
    }
}

/// What answers at an address; `None` where what is wrong has been told.
fn connect(
    context: &mut Context<'_, '_, '_>,
    spot: &Spot,
    address: &Address,
) -> Result<Option<Server>, Unreachable> {
    let timeout = context.used.store.plan.timeout;
    let link = match context.access.dialer.dial_address(spot, address) {
        Ok(link) => link,
        Err(error) => {
            let advice = advice_on(context, spot, address, &error);
            let line = format!("{address}: {error}");
            if !matches!(error, LinkError::Tls { .. }) {
                return Err(Unreachable { line, advice });
            }
            context.report.failure(line, &advice);
            return Ok(None);
        }
    };
    let (took, tls) = (link.took, link.tls.clone());
    let line = format!("{address}: connected in {}", time(took));
    if took > timeout {
        let advice =
            "nginx gives the attempt up before that: set timeout= longer, or find out what is slow";
        context.report.failure(format!("{line}, timeout={}", time(timeout)), advice);
    } else {
        context.report.ok(line);
    }
    if let Some(facts) = tls {
        check_tls(context, &facts);
    }
    match context.access.greet(link) {
        Ok(server) => {
            greeted(context, spot, address);
            Ok(Some(server))
        }
        Err(error) => {
            let advice = advice_on_greeting(context, spot, address, &error);
            context.report.failure(format!("{address}: {}", told(&error)), &advice);
            Ok(None)
        }
    }
}

fn check_tls(context: &mut Context<'_, '_, '_>, facts: &TlsFacts) {
    let report = &mut *context.report;
    let Some(Certificate { names, issuer, days_left }) = &facts.certificate else { return };
    let by = facts.root.as_ref().map_or_else(
        || format!("of {issuer}, not verified"),
        |root| format!("of {issuer}, trusted by {root}"),
    );
    report.ok(format!("{}, certificate for {} {by}", facts.version, names.join(", ")));
    if *days_left < SOON {
        let when = match days_left {
            ..0 => "has expired".to_owned(),
            0 => "expires today".to_owned(),
            days => format!("expires in {days} days"),
        };
        report.warning(format!("the certificate {when}"), "renew it: without, the store is down");
    }
}

/// Whether a password is needed at all.
fn greeted(context: &mut Context<'_, '_, '_>, spot: &Spot, address: &Address) {
    let has_password = context.access.credentials.is_some();
    let advice = match context.access.kind {
        Kind::Redis => {
            "who can reach the server can read and delete all sessions: give it a password \
             (requirepass, or users and \"user default off\"), and set auth_file=: docs/stores.md, \"Rights\""
        }
        Kind::Memcached => {
            "who can reach the server can read and delete all sessions: start it with -Y, and set \
             auth_file=, or let only nginx reach it"
        }
    };
    if !has_password {
        context.report.warning("logged in without a password", advice);
        return;
    }
    let link = context.access.dialer.dial_address(spot, address);
    let is_open = link.is_ok_and(|link| context.access.greet_as(link, None).is_ok());
    match is_open {
        true => {
            context.report.warning("logged in, and others can do so without a password", advice)
        }
        false => context.report.ok("logged in with a password"),
    }
}

fn advice_on(
    context: &Context<'_, '_, '_>,
    spot: &Spot,
    address: &Address,
    error: &LinkError,
) -> String {
    match error {
        LinkError::Refused => {
            "nobody listens there: does the server run, is the port right, and does it listen on this \
             address (bind, -l)?"
                .to_owned()
        }
        LinkError::Timeout(_) => {
            "nothing comes back: does the address exist, do firewalls let this machine reach it, and has the \
             server connections left (maxclients, -c)?"
                .to_owned()
        }
        LinkError::Tls { verify: Some(result), .. } => {
            // OpenSSL keeps no certificate that it does not accept.
            let trusting = Dialer::trusting(context.access.dialer.patience());
            let link = trusting.ok().and_then(|dialer| dialer.dial_address(spot, address).ok());
            let certificate = link.and_then(|link| link.tls?.certificate);
            advice_on_certificate(*result, certificate.as_ref())
        }
        LinkError::Tls { .. } => {
            let link = context.access.dialer.plain().dial_address(spot, address);
            let greeted = link.map(|link| context.access.greet(link));
            let is_plain = match greeted {
                Ok(Ok(_)) => true,
                Ok(Err(error)) => {
                    !matches!(error, TalkError::Closed | TalkError::Timeout(_) | TalkError::Io(_))
                }
                Err(_) => false,
            };
            match is_plain {
                true => {
                    "the server speaks no TLS on this port: name its TLS port, or leave tls=on out"
                        .to_owned()
                }
                false => {
                    "does it want a certificate (tls_cert=, tls_key=), and does it speak TLS 1.2 or 1.3?"
                        .to_owned()
                }
            }
        }
        _ => "see what the system says".to_owned(),
    }
}

fn advice_on_certificate(result: X509VerifyResult, certificate: Option<&Certificate>) -> String {
    // By their numbers in OpenSSL's x509_vfy.h.
    let names = || certificate.map(|one| one.names.join(", ")).unwrap_or_default();
    match result.as_raw() {
        62 | 64 => format!(
            "the certificate is for {}: set tls_name= to one of these, or have another one made",
            names()
        ),
        9 | 10 => {
            "have the certificate renewed, and look at the clocks of both machines".to_owned()
        }
        _ => {
            let issuer = certificate.map(|one| &one.issuer[..]).unwrap_or_default();
            format!("tls_ca= must have the certificate of the CA that has signed, \"{issuer}\"")
        }
    }
}

/// An error, in the words of OpenSSL where it is one of TLS.
fn told(error: &TalkError) -> String {
    let TalkError::Io(inner) = error else { return error.to_string() };
    let of_tls = inner.get_ref().and_then(|inner| inner.downcast_ref::<openssl::ssl::Error>());
    let stack = of_tls.and_then(|error| error.ssl_error());
    let reason = stack.and_then(|stack| stack.errors().last()?.reason());
    match reason {
        Some(reason) => format!("the server has ended TLS: {reason}"),
        None => error.to_string(),
    }
}

fn advice_on_greeting(
    context: &Context<'_, '_, '_>,
    spot: &Spot,
    address: &Address,
    error: &TalkError,
) -> String {
    let message = error.to_string();
    let has = |part: &str| message.contains(part);
    // With TLS 1.3, a server refuses the certificate when the handshake is over for the client.
    let has_identity = context.used.store.plan.tls.as_ref().map(|tls| tls.identity.is_some());
    let advice = match context.access.kind {
        _ if has("WRONGPASS") || has("invalid password") => {
            "the password or the user is wrong: look at auth_file= and user="
        }
        _ if has("authentication failure") => "user or password are wrong: look at auth_file= and user=",
        _ if has("NOAUTH") || has("unauthenticated") || has("operation not permitted") => {
            "the server wants a password: set auth_file=, and user= where it has users"
        }
        // Its text has words of the next as well.
        _ if has("DENIED") => {
            "the server is in protected mode, and lets only its own machine in: give it a password"
        }
        _ if has("without any password") || has("no password is set") => {
            "the server has no password: set one (requirepass), or leave auth_file= and auth= out"
        }
        _ if has("NOPERM") => "give the user this right: docs/stores.md, \"Rights\"",
        _ if has("MASTERDOWN") => {
            "it is a replica that has lost its master: name the master, or repair the replication"
        }
        _ if has("BUSY ") => {
            "a script keeps the server busy: wait, or end it by SCRIPT KILL (FUNCTION KILL)"
        }
        _ if has("LOADING") => "the server reads its data: wait, and try again",
        _ if has("MISCONF") => {
            "the server cannot write its snapshot, and so takes no records: repair its disk, or set save \"\""
        }
        _ if has("out of range") => "the server has no database with the number of db=",
        _ if has("max number of clients") => "raise maxclients of the server: docs/stores.md, \"Connections\"",
        Kind::Redis | Kind::Memcached => match error {
            TalkError::Closed | TalkError::Timeout(_) if speaks_tls(context, spot, address) => {
                "the server speaks TLS on this port: set tls=on, and tls_ca= for its CA"
            }
            TalkError::Closed | TalkError::Io(_) if has_identity == Some(false) => {
                "does the server want a certificate (Redis: tls-auth-clients)? set tls_cert= and tls_key=; \
                 else, is the port right?"
            }
            TalkError::Closed | TalkError::Io(_) if has_identity == Some(true) => {
                "does the server accept the certificate of tls_cert=? it must know its CA; else, is the port \
                 right?"
            }
            TalkError::Closed => "what listens there has hung up: is the port right?",
            TalkError::Timeout(_) => "what listens there says nothing: is the port right, does it stand still?",
            TalkError::Refused(_) => "see the log and the configuration of the server",
            _ if context.access.kind == Kind::Redis => {
                "what listens there is no Redis: is the port right? type=memcached is for Memcached"
            }
            _ => "what listens there is no Memcached: is the port right? type=redis is for Redis",
        },
    };
    advice.to_owned()
}

/// Where it was not spoken to in TLS.
fn speaks_tls(context: &Context<'_, '_, '_>, spot: &Spot, address: &Address) -> bool {
    if context.used.store.plan.tls.is_some() {
        return false;
    }
    let dialer = Dialer::trusting(context.access.dialer.patience());
    dialer.is_ok_and(|dialer| {
        let link = dialer.dial_address(spot, address);
        // One that wants a certificate of the client has spoken it as well.
        matches!(link, Ok(_) | Err(LinkError::Tls { certificate: Some(_), .. }))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_is_down_fails_only_without_another() {
        for (has_other, has_failed) in [(true, false), (false, true)] {
            let mut report = Report::new();
            let one = Unreachable { line: "[::1]:6379: refused".into(), advice: "start it".into() };
            tell_unreachable(&mut report, &[one], has_other);
            assert_eq!(report.has_failed(), has_failed);
        }
    }
}
