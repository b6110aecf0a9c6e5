//! The words of the directives, and those of a store's block.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ssl_session_cache_core::plan::{
    Auth, Block, Directive, DirectivePlan, Place, PlanError, SessionsPlan, Shape, StorePlan,
    StoreSource, TicketsDirective, PARAMETERS,
};

// Words, one on a line; or "{", and a word and its values on each line. What is refused is refused
// with the name of a parameter and what would be right, and without a password; what is accepted means
// the same in any order, inherited as well, and has been checked.
fuzz_target!(|text: &[u8]| {
    let mut lines: Vec<_> = text.split(|byte| *byte == b'\n').collect();
    if lines[0] == b"{" {
        lines.remove(0);
        check_block(&lines);
    } else {
        check_directive(&lines);
        if let Err(error) = TicketsDirective::parse(lines) {
            check_error(&error);
        }
    }
});

fn check_directive(words: &[&[u8]]) {
    let plan = match plan(words.iter().copied()) {
        Ok(plan) => plan,
        Err(error) => return check_error(&error),
    };
    let directive = |words: &[&'static [u8]]| Directive::parse(words.iter().copied()).ok().unwrap();
    let outer = Directive::parse(words.iter().copied()).ok().unwrap();
    match directive(&[b"on"]).inherit(&outer).and_then(|merged| merged.plan()) {
        Ok(inherited) => assert!(plan.is_none() || inherited == plan),
        Err(error) => check_error(&error),
    }
    let inner = directive(&[b"addr=unix:/s", b"type=memcached", b"tls=off", b"auth_file=f"]);
    if let Err(error) = inner.inherit(&outer).and_then(|merged| merged.plan()) {
        check_error(&error);
    }
    // The order of the keys says which one seals.
    let (keys, others): (Vec<&[u8]>, _) = words.iter().partition(|word| word.starts_with(b"key="));
    assert!(self::plan(others.into_iter().rev().chain(keys)) == Ok(plan));
    if let Ok(Some(DirectivePlan { store, sessions })) = self::plan(words.iter().copied()) {
        match store {
            StoreSource::Said(store) => {
                assert_eq!(store.servers.len(), 1);
                assert!(store.shape == Shape::Servers && store.resolver.is_empty());
                check_store(*store);
            }
            StoreSource::Named(name) => check_name(name),
        }
        check_sessions(&sessions);
    }
}

fn plan<'a>(words: impl Iterator<Item = &'a [u8]>) -> Result<Option<DirectivePlan<'a>>, PlanError> {
    Directive::parse(words)?.plan()
}

fn check_block(lines: &[&[u8]]) {
    let plan = match block(lines.iter().copied()) {
        Ok(plan) => plan,
        Err(error) => {
            lines.iter().for_each(|line| check_password(line));
            return check_error(&error);
        }
    };
    let mut reversed = block(lines.iter().rev().copied()).ok().expect("the same in any order");
    reversed.servers.reverse();
    assert!(reversed == plan);

    let words: Vec<_> = plan.servers.iter().map(Place::word).collect();
    for (place, word) in plan.servers.iter().zip(&words) {
        assert_eq!(words.iter().filter(|other| *other == word).count(), 1);
        assert!(plan.shape == Shape::Servers || matches!(place, Place::Host(..)));
    }
    assert!(plan.shape != Shape::Cluster || plan.database == 0);
    assert!(plan.site.map_or(true, |site| (1..=15).contains(&site)));
    if let Some(fallback) = plan.fallback {
        check_name(fallback);
        assert_ne!(fallback, b"fleet");
    }
    check_store(plan);
}

fn block<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Result<StorePlan<'a>, PlanError> {
    let mut block = Block::new(b"fleet")?;
    for line in lines {
        let words: Vec<_> = line.split(|byte| *byte == b' ').collect();
        block.set(words[0], &words[1..])?;
    }
    block.plan()
}

/// What stands before the "@" of a URL is not shown, if it can be told from what messages say.
fn check_password(line: &[u8]) {
    let Some(url) = line.strip_prefix(b"server redis://") else { return };
    let Some(at) = url.iter().rposition(|byte| *byte == b'@') else { return };
    let login = String::from_utf8_lossy(&url[..at]);
    if login.len() < 16 || login.contains(' ') {
        return;
    }
    if let Err(error) = block([line].into_iter()) {
        assert!(!error.to_string().contains(&*login), "{error}");
    }
}

fn check_error(error: &PlanError) {
    let message = error.to_string();
    let (_, rest) = message.split_once(" parameter \"").expect("names a parameter");
    let says_what = [", expected ", ", write ", ", did you mean "];
    assert!(says_what.iter().any(|says| rest.contains(says)), "{message}");
    let named = match error {
        PlanError::Unknown { .. }
        | PlanError::Meant { .. }
        | PlanError::UnknownWritten { .. }
        | PlanError::UnknownVariable
        | PlanError::BehindPassword
        | PlanError::Prefix { .. } => return,
        PlanError::Repeated(name)
        | PlanError::Control(name)
        | PlanError::Elsewhere { name, .. }
        | PlanError::Quotes(name)
        | PlanError::Values { name, .. }
        | PlanError::ValuesWritten { name, .. }
        | PlanError::Written { name, .. }
        | PlanError::WrittenSecret { name, .. }
        | PlanError::Variable(name)
        | PlanError::Invalid { name, .. }
        | PlanError::Unexpected { name, .. }
        | PlanError::Incomplete { name, .. }
        | PlanError::Missing { name, .. }
        | PlanError::InvalidSecret { name, .. }
        | PlanError::NoStore { name, .. } => *name,
    };
    let is_known = |name| PARAMETERS.iter().any(|parameter| parameter.name == name);
    assert!(["on", "off"].contains(&named) || is_known(named), "{message}");
}

fn check_name(name: &[u8]) {
    let is_letter = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
    assert!((1..=64).contains(&name.len()) && name.iter().all(is_letter));
}

fn check_store(store: StorePlan<'_>) {
    assert!(!store.servers.is_empty());
    for place in &store.servers {
        match place {
            Place::Host(host, port) => assert!(!host.is_empty() && *port != 0),
            Place::Unix(path) => assert!(path.starts_with(b"/") && path.len() <= 107),
        }
    }
    for time in [store.interval, store.timeout] {
        assert!((1..=24 * 60 * 60 * 1000).contains(&time.as_millis()));
    }
    assert_ne!(store.count, Some(0));
    match store.auth {
        Some(Auth::Said(credentials)) => assert!(!credentials.password.is_empty()),
        Some(Auth::InFile(file)) => assert!(!file.name.is_empty()),
        None => {}
    }
    let is_known = |place: &Place<'_>| place.peer().is_some();
    assert!(store.tls.map_or(true, |tls| {
        !tls.verify || tls.name.is_some() || store.servers.iter().all(is_known)
    }));
}

fn check_sessions(sessions: &SessionsPlan<'_>) {
    assert!(sessions.keys.iter().all(|file| !file.is_empty()));
    assert!(sessions.keyspace.key(&[0; 32]).is_some());
}
