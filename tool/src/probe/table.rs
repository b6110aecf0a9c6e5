//! What is printed of a survey: a table, and in plain words whether all is right.

use std::fmt::Write;
use std::time::Duration;

use super::client::Kind;
use super::survey::{Early, Found, Server, Survey};

/// A row for each server and each kind of sessions.
pub(super) fn table(survey: &Survey) -> String {
    let mut rows = vec![["server".to_owned(), "session".to_owned(), "offered".to_owned()]];
    for server in &survey.servers {
        let mut row = |kind: &str, text| rows.push([server.label.clone(), kind.to_owned(), text]);
        if let Some(reason) = &server.unfit {
            row("-", reason.clone());
        }
        for (kind, found) in Kind::ALL.into_iter().zip(&server.kinds) {
            row(&title(kind, server), outcome(kind, found));
        }
        if let Some(early) = &server.early {
            row("early data", early_outcome(early, survey));
        }
        if let Some(reason) = &server.certificate {
            row("certificate", reason.clone());
        }
    }

    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let (first, second) = (width(0).unwrap_or(0), width(1).unwrap_or(0));
    rows.iter().fold(String::new(), |mut table, [server, kind, text]| {
        // Writing to a string does not fail.
        let _ = writeln!(table, "{server:first$}  {kind:second$}  {text}");
        table
    })
}

fn title(kind: Kind, server: &Server) -> String {
    match (kind, server.given(kind)) {
        (Kind::Tls13, Some(given)) if given.is_stateful => "TLS 1.3 stateful".to_owned(),
        (Kind::Tls13, Some(_)) => "TLS 1.3 stateless".to_owned(),
        _ => kind.name().to_owned(),
    }
}

fn outcome(kind: Kind, found: &Found) -> String {
    let full = match &found.full {
        Ok(full) => full,
        Err(reason) => return format!("no handshake: {reason}"),
    };
    let offers = &found.offers;
    let mut text = match (offers.tried, full.given) {
        (0, None) if kind == Kind::Ticket => "none is given".to_owned(),
        (0, None) => "no session is given".to_owned(),
        (0, Some(_)) => "none to offer".to_owned(),
        (tried, _) => format!("{}/{tried} reused", offers.reused),
    };
    if let Some(time) = offers.time {
        text += &format!(", {}", millis(time));
    }
    text += &format!(" (full {})", millis(full.time));
    if let Some(reason) = &offers.error {
        text += &format!(", failed: {reason}");
    }
    text
}

fn early_outcome(early: &Early, survey: &Survey) -> String {
    let mut text = format!("{}/{} accepted", early.accepted, early.sent);
    if early.accepted > 0 {
        let on = &survey.servers[early.again_on].label;
        text += &match early.again {
            0 => format!(", none again on {on}"),
            again => format!(", {again} again on {on}"),
        };
    }
    if let Some(reason) = &early.error {
        text += &format!(", failed: {reason}");
    }
    text
}

fn millis(time: Duration) -> String {
    let millis = time.as_secs_f64() * 1e3;
    if millis < 10.0 {
        format!("{millis:.1} ms")
    } else {
        format!("{millis:.0} ms")
    }
}

/// What is not right, and what to look at; nothing where all is.
pub(super) fn problems(survey: &Survey) -> Vec<String> {
    let mut problems = Vec::new();
    for server in &survey.servers {
        if let Some(reason) = &server.unfit {
            problems.push(format!("{} {reason}", server.label));
        }
    }
    if let Some(maker) = survey.maker {
        resumption(survey, &survey.servers[maker], &mut problems);
        uneven(survey, &mut problems);
        early_data(survey, &mut problems);
    }
    for server in &survey.servers {
        if let Some(reason) = &server.certificate {
            problems.push(format!(
                "the certificate of {} is not valid: {reason}; \"--name\" is the name that it is \
                 for, \"--ca\" who has signed it, \"--insecure\" leaves this out",
                server.label
            ));
        }
    }
    problems
}

/// How many of the sessions that it should a server resumed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Share {
    None,
    Some,
    All,
}

fn share(found: &Found) -> Option<Share> {
    let offers = &found.offers;
    (offers.tried > 0).then_some(match offers.reused {
        0 => Share::None,
        reused if reused == offers.tried => Share::All,
        _ => Share::Some,
    })
}

fn resumption(survey: &Survey, maker: &Server, problems: &mut Vec<String>) {
    let made_on = &maker.label;
    if Kind::ALL.iter().all(|kind| maker.given(*kind).is_none()) {
        problems.push(format!(
            "{made_on} gives no sessions: is remote_ssl_session_cache on there? See its status page"
        ));
    }
    let own = |kind| maker.found(kind).and_then(share);

    for server in &survey.servers {
        let label = &server.label;
        let is_maker = label == made_on;
        for (kind, found) in Kind::ALL.into_iter().zip(&server.kinds) {
            if let Some(reason) = &found.offers.error {
                problems.push(format!("{label} failed with {}: {reason}", kind.sessions()));
            }
        }
        // What it gives itself, and was offered. That of which the other server resumes nothing
        // itself tells nothing of this one.
        let tried: Vec<_> = Kind::ALL
            .into_iter()
            .filter(|kind| server.given(*kind).is_some())
            .filter(|kind| is_maker || own(*kind) != Some(Share::None))
            .filter_map(|kind| {
                let found = server.found(kind).filter(|found| found.offers.error.is_none())?;
                Some((kind, found, share(found)?))
            })
            .collect();
        if !tried.is_empty() && tried.iter().all(|(_, _, share)| *share == Share::None) {
            problems.push(if is_maker {
                format!(
                    "{label} resumes nothing, not even its own sessions: can its store be reached, \
                     and does it take them? See its error log and its status page"
                )
            } else {
                format!(
                    "{label} resumes nothing made on {made_on}: same key=, same store? See its \
                     status page, and compare \"ssl-session-cache key id\" on both"
                )
            });
            continue;
        }
        for (kind, found, share) in tried {
            let sessions = kind.sessions();
            let (reused, tried) = (found.offers.reused, found.offers.tried);
            problems.push(match share {
                Share::All => continue,
                Share::None => format!(
                    "{label} resumes no {sessions} made on {made_on}: {}",
                    kind.advice(maker)
                ),
                Share::Some => format!(
                    "{label} resumes only {reused} of {tried} {sessions} made on {made_on}: are \
                     there several machines behind it, or is the store slow? See its status page"
                ),
            });
        }
    }
}

/// What some give and others do not.
fn uneven(survey: &Survey, problems: &mut Vec<String>) {
    for kind in Kind::ALL {
        let fit = survey.servers.iter().filter(|server| server.unfit.is_none());
        let (with, without): (Vec<_>, Vec<_>) =
            fit.partition(|server| server.given(kind).is_some());
        if !with.is_empty() && !without.is_empty() {
            problems.push(format!(
                "{} are given by {}, not by {}: same ssl_protocols, ssl_session_tickets, \
                 remote_ssl_session_cache?",
                kind.sessions(),
                labels(&with),
                labels(&without)
            ));
        }
    }
}

fn early_data(survey: &Survey, problems: &mut Vec<String>) {
    let all = || survey.servers.iter().filter_map(|server| Some((server, server.early.as_ref()?)));
    for (server, early) in all() {
        if let Some(reason) = &early.error {
            problems.push(format!("{} failed with early data: {reason}", server.label));
        }
        if early.again > 0 {
            problems.push(format!(
                "early data that {} accepted was accepted again by {}, it can be replayed: is \
                 single_use=off there, or nginx's own cache, or do they have different stores?",
                server.label, survey.servers[early.again_on].label
            ));
        }
    }
    // Where all refuse it, that may be meant: with tickets, for one.
    let sent = all().filter(|(_, early)| early.sent > 0 && early.error.is_none());
    let (accepting, refusing): (Vec<_>, Vec<_>) = sent.partition(|(_, early)| early.accepted > 0);
    if !accepting.is_empty() && !refusing.is_empty() {
        let servers =
            |all: &[(_, _)]| labels(&all.iter().map(|(server, _)| *server).collect::<Vec<_>>());
        problems.push(format!(
            "early data is accepted by {}, refused by {}: same ssl_early_data, same single_use?",
            servers(&accepting),
            servers(&refusing)
        ));
    }
}

fn labels(servers: &[&Server]) -> String {
    servers.iter().map(|server| server.label.as_str()).collect::<Vec<_>>().join(", ")
}

impl Kind {
    fn sessions(self) -> &'static str {
        match self {
            Self::Id => "TLS 1.2 sessions with an id",
            Self::Ticket => "TLS 1.2 tickets",
            Self::Tls13 => "TLS 1.3 sessions",
        }
    }

    /// What to look at where none is resumed that this server made.
    fn advice(self, maker: &Server) -> &'static str {
        match (self, maker.given(self)) {
            (Self::Ticket, _) => STATELESS,
            (Self::Tls13, Some(given)) if !given.is_stateful => STATELESS,
            _ => "same store, key= and prefix= of remote_ssl_session_cache? See its status page",
        }
    }
}

const STATELESS: &str =
    "same key= and store, with remote_ssl_session_tickets on both, or the same \
    ssl_session_ticket_key?";

#[cfg(test)]
mod tests {
    use super::super::survey::{Full, Given, Offers};
    use super::*;

    /// Of so many sessions that were offered, so many were reused; `None` where none is given.
    type Outcome = Option<(usize, usize)>;

    fn server(label: &str, [id, ticket, tls13]: [Outcome; 3]) -> Server {
        let found = |outcome: Outcome, is_stateful| {
            let (reused, tried) = outcome.unwrap_or_default();
            let given = outcome.map(|_| Given::stateful(is_stateful));
            Found {
                full: Ok(Full { time: Duration::from_millis(20), given }),
                offers: Offers { tried, reused, ..Offers::default() },
            }
        };
        Server {
            label: label.to_owned(),
            kinds: vec![found(id, true), found(ticket, false), found(tls13, ticket.is_none())],
            ..Server::default()
        }
    }

    fn survey<const N: usize>(servers: [Server; N]) -> Survey {
        Survey { servers: servers.into(), maker: Some(0) }
    }

    const ALL: Outcome = Some((3, 3));
    const NONE: Outcome = Some((0, 3));

    /// The one thing that is wrong.
    fn problem(survey: &Survey) -> String {
        let problems = problems(survey);
        assert_eq!(problems.len(), 1, "{problems:?}");
        problems[0].clone()
    }

    #[test]
    fn nothing_is_wrong_where_all_resumes() {
        let all = || server("a", [ALL, ALL, ALL]);
        assert!(problems(&survey([all(), all()])).is_empty());
        let without_tickets = || server("a", [ALL, None, ALL]);
        assert!(problems(&survey([without_tickets(), without_tickets()])).is_empty());
    }

    #[test]
    fn a_server_that_resumes_nothing_is_named_once() {
        let text =
            problem(&survey([server("a", [ALL, ALL, ALL]), server("b", [NONE, NONE, NONE])]));
        assert!(text.starts_with("b resumes nothing made on a: same key="), "{text}");
    }

    #[test]
    fn a_kind_that_does_not_resume_is_named() {
        let a = || server("a", [ALL, ALL, ALL]);
        let text = problem(&survey([a(), server("b", [NONE, ALL, ALL])]));
        assert!(text.contains("b resumes no TLS 1.2 sessions with an id made on a: same store"));
        let text = problem(&survey([a(), server("b", [ALL, NONE, ALL])]));
        assert!(text.contains("no TLS 1.2 tickets made on a: same key="), "{text}");
        let text = problem(&survey([a(), server("b", [ALL, ALL, NONE])]));
        assert!(text.contains("no TLS 1.3 sessions made on a: same key="), "{text}");
        let a = server("a", [ALL, None, ALL]);
        let text = problem(&survey([a, server("b", [ALL, None, NONE])]));
        assert!(text.contains("no TLS 1.3 sessions made on a: same store"), "{text}");
    }

    #[test]
    fn a_part_is_told_from_none() {
        let a = server("a", [ALL, ALL, ALL]);
        let text = problem(&survey([a, server("b", [ALL, Some((1, 3)), ALL])]));
        assert!(text.starts_with("b resumes only 1 of 3 TLS 1.2 tickets made on a"), "{text}");
    }

    #[test]
    fn others_are_not_blamed_for_the_one_that_makes_sessions() {
        let nothing = |label| server(label, [NONE, NONE, NONE]);
        let text = problem(&survey([nothing("a"), nothing("b")]));
        assert!(text.starts_with("a resumes nothing, not even its own"), "{text}");
        let ids = |label| server(label, [NONE, ALL, ALL]);
        let text = problem(&survey([ids("a"), ids("b")]));
        assert!(text.starts_with("a resumes no TLS 1.2 sessions with an id made on a"), "{text}");
    }

    #[test]
    fn who_gives_nothing_is_told() {
        let text = problem(&survey([server("a", [None; 3]), server("b", [None; 3])]));
        assert!(text.starts_with("a gives no sessions"), "{text}");
    }

    #[test]
    fn what_only_some_give_is_told_once() {
        let a = server("a", [ALL, ALL, ALL]);
        let mut b = server("b", [ALL, None, ALL]);
        b.kinds[1].offers.tried = 3;
        let text = problem(&survey([a, b]));
        assert!(text.starts_with("TLS 1.2 tickets are given by a, not by b"), "{text}");
    }

    #[test]
    fn a_server_that_failed_is_named() {
        let a = server("a", [ALL, ALL, ALL]);
        let mut b = server("b", [ALL, ALL, Some((0, 1))]);
        b.kinds[2].offers.error = Some("timed out".to_owned());
        assert_eq!(problem(&survey([a, b])), "b failed with TLS 1.3 sessions: timed out");
    }

    #[test]
    fn nothing_is_said_of_resumption_where_no_server_can_be_reached() {
        let unfit =
            || Server { unfit: Some("cannot be reached: x".to_owned()), ..Server::default() };
        let survey = Survey { servers: vec![unfit(), unfit()], maker: None };
        assert_eq!(problems(&survey).len(), 2);
    }

    #[test]
    fn early_data_that_all_refuse_is_not_wrong() {
        let with_early = |label, accepted| Server {
            early: Some(Early { sent: 3, accepted, ..Early::default() }),
            ..server(label, [ALL, None, ALL])
        };
        assert!(problems(&survey([with_early("a", 0), with_early("b", 0)])).is_empty());
        assert!(problems(&survey([with_early("a", 3), with_early("b", 2)])).is_empty());
        let text = problem(&survey([with_early("a", 3), with_early("b", 0)]));
        assert!(text.starts_with("early data is accepted by a, refused by b"), "{text}");
    }

    #[test]
    fn times_are_short() {
        assert_eq!(millis(Duration::from_micros(1234)), "1.2 ms");
        assert_eq!(millis(Duration::from_micros(123_456)), "123 ms");
    }
}
