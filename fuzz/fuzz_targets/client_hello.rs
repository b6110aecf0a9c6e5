//! What a stream opens with, and which sessions its ClientHello offers.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ssl_session_cache_core::hello::{ClientHello, Opening, OpeningReader, ServerAbilities};

/// As much as nginx's worker holds of one client.
const LIMIT: usize = 32 * 1024;

// What a stream opens with is the same whether it comes at once or byte by byte; and it is known
// when the stream has the length that was asked for, or another is asked for.
fuzz_target!(|stream: &[u8]| {
    let mut whole = OpeningReader::default();
    let whole = whole.read(stream, LIMIT);
    let mut reader = OpeningReader::default();
    for cut in 0..=stream.len() {
        match reader.read(&stream[..cut], LIMIT) {
            Opening::Partial(len) => {
                assert!(len > cut && len <= LIMIT);
                if let Opening::ClientHello(_) = whole {
                    assert!(len <= stream.len());
                }
            }
            known => {
                assert_eq!(known, whole);
                break;
            }
        }
    }
    if let Opening::ClientHello(body) = whole {
        read(body);
    }
    read(stream);
});

fn read(body: &[u8]) {
    // Or as OpenSSL has taken it apart, whatever that has found where.
    let hellos = [ClientHello::parse(body), ClientHello::new(body, |_| Some(body))];
    hellos.into_iter().flatten().for_each(|hello| offers_what_is_there(hello, body));
}

fn offers_what_is_there(hello: ClientHello<'_>, body: &[u8]) {
    for (tls13, stateless_tickets) in [(false, false), (false, true), (true, false), (true, true)] {
        for id in hello.session_ids(&[ServerAbilities { tls13, stateless_tickets }]) {
            assert!(!id.is_empty());
            assert!(body.windows(id.len()).any(|window| window == id));
        }
    }
}
