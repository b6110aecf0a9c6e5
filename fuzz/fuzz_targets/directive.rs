//! The words of the directive.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ssl_session_cache_core::plan::{Auth, Directive, Place, PlanError, PARAMETERS};

// Words, one on a line. What is refused is refused with the name of a parameter and what would be
// right; what is accepted means the same in any order, and has been checked.
fuzz_target!(|text: &[u8]| {
    let words: Vec<_> = text.split(|byte| *byte == b'\n').collect();
    let plan = match Directive::parse(words.iter().copied()) {
        Ok(plan) => plan,
        Err(error) => return check_error(&error),
    };
    // The order of the keys says which one seals.
    let (keys, others): (Vec<&[u8]>, _) = words.iter().partition(|word| word.starts_with(b"key="));
    assert!(Directive::parse(others.into_iter().rev().chain(keys)) == Ok(plan));
    if let Ok(Some(plan)) = Directive::parse(words) {
        check_plan(plan);
    }
});

fn check_error(error: &PlanError) {
    let message = error.to_string();
    let (_, rest) = message.split_once(" parameter \"").expect("names a parameter");
    assert!(rest.contains("\", expected "), "{message}");
    let named = match error {
        PlanError::Unknown { .. } | PlanError::Control(_) | PlanError::Prefix { .. } => return,
        PlanError::Repeated(name)
        | PlanError::Invalid { name, .. }
        | PlanError::Unexpected { name, .. }
        | PlanError::Incomplete { name, .. }
        | PlanError::InvalidSecret { name, .. } => *name,
    };
    let is_known = |name| PARAMETERS.iter().any(|parameter| parameter.name == name);
    assert!(["on", "off"].contains(&named) || is_known(named), "{message}");
}

fn check_plan(Directive { store, sessions }: Directive<'_>) {
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
    assert!(sessions.keys.iter().all(|file| !file.is_empty()));
    assert!(sessions.keyspace.key(&[0; 32]).is_some());
}
