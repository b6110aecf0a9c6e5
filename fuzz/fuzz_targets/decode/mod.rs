//! What both protocols' decoders must do with any input.

use ssl_session_cache_core::protocol::{Asked, Protocol, Reply, MAX_RECORD};
use ssl_session_cache_core::session::{Key, Keyspace};

pub fn key() -> Key {
    Keyspace::new(b"k").unwrap().key(&[1]).unwrap()
}

/// What is asked of both.
pub fn asked(choice: u8) -> Asked {
    let key = key();
    match choice {
        b'g' => Asked::Get(key),
        b'p' => Asked::Put(key),
        b'n' => Asked::Add(key),
        b'd' => Asked::Delete(key),
        b'?' => Asked::Probe,
        _ => Asked::Greeting,
    }
}

/// Decodes the reply to what was `asked`, and checks that it makes no difference in what parts it
/// arrives.
pub fn check(protocol: &dyn Protocol, asked: Asked, input: &[u8]) {
    let whole = protocol.decode(&asked, input);
    if let Ok(Some((reply, len))) = &whole {
        assert!((1..=input.len()).contains(len));
        let is_get = matches!(asked, Asked::Get(_));
        match reply {
            Reply::Found(record) => assert!(is_get && record.len() <= MAX_RECORD),
            Reply::Oversized(rest) => assert!(is_get && rest.len > MAX_RECORD),
            Reply::Present => assert!(matches!(asked, Asked::Add(_) | Asked::AddForGood(_))),
            _ => {}
        }
    }
    for cut in 0..input.len() {
        match protocol.decode(&asked, &input[..cut]) {
            Ok(None) => {}
            Ok(Some(early)) => assert_eq!(whole, Ok(Some(early))),
            Err(_) => assert!(whole.is_err()),
        }
    }
}
