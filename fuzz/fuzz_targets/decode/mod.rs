use ssl_session_cache_core::protocol::{Command, Fingerprint, Protocol, Reply, MAX_RECORD};

/// Decodes `data`, whose first byte chooses the command, and checks that it makes no difference in
/// what parts the reply arrives.
pub fn check(protocol: &dyn Protocol, data: &[u8]) {
    let Some((&choice, input)) = data.split_first() else {
        return;
    };
    let command = match choice {
        b'g' => Command::Get(Fingerprint::of(b"key")),
        b'p' => Command::Put,
        b'd' => Command::Delete,
        b'?' => Command::Ping,
        _ => Command::Greeting,
    };
    let whole = protocol.decode(command, input);
    if let Ok(Some((reply, len))) = &whole {
        assert!((1..=input.len()).contains(len));
        let is_get = command == Command::Get(Fingerprint::of(b"key"));
        match reply {
            Reply::Found(record) => assert!(is_get && record.len() <= MAX_RECORD),
            Reply::Oversized(rest) => assert!(is_get && rest.len > MAX_RECORD),
            _ => {}
        }
    }
    for cut in 0..input.len() {
        match protocol.decode(command, &input[..cut]) {
            Ok(None) => {}
            Ok(Some(early)) => assert_eq!(whole, Ok(Some(early))),
            Err(_) => assert!(whole.is_err()),
        }
    }
}
