//! What both protocols' decoders must do with any input.

use ssl_session_cache_core::protocol::{Asked, Protocol, Reply, MAX_RECORD};
use ssl_session_cache_core::session::Keyspace;

/// Decodes `data`, whose first byte chooses what was asked, and checks that it makes no difference
/// in what parts the reply arrives.
pub fn check(protocol: &dyn Protocol, data: &[u8]) {
    let Some((&choice, input)) = data.split_first() else {
        return;
    };
    let key = Keyspace::new(b"k").unwrap().key(&[1]).unwrap();
    let asked = match choice {
        b'g' => Asked::Get(key),
        b'p' => Asked::Put(key),
        b'd' => Asked::Delete(key),
        b'?' => Asked::Probe,
        _ => Asked::Greeting,
    };
    let whole = protocol.decode(&asked, input);
    if let Ok(Some((reply, len))) = &whole {
        assert!((1..=input.len()).contains(len));
        let is_get = matches!(asked, Asked::Get(_));
        match reply {
            Reply::Found(record) => assert!(is_get && record.len() <= MAX_RECORD),
            Reply::Oversized(rest) => assert!(is_get && rest.len > MAX_RECORD),
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
