#![no_main]

use libfuzzer_sys::fuzz_target;
use ssl_session_cache_core::{ClientHello, Opening, ServerAbilities};

// What a stream opens with is the same at every cut of it, once it is known; and it is known when
// the stream has the length that was asked for, or another is asked for.
fuzz_target!(|stream: &[u8]| {
    let whole = Opening::of(stream);
    for cut in 0..stream.len() {
        match Opening::of(&stream[..cut]) {
            Opening::Partial(len) => {
                assert!(len > cut);
                if !matches!(whole, Opening::Partial(_)) && whole != Opening::Other {
                    assert!(len <= stream.len());
                }
            }
            known => {
                assert_eq!(known, whole);
                break;
            }
        }
    }
    if let Opening::ClientHello(body) = &whole {
        read(body);
    }
    read(stream);
});

fn read(body: &[u8]) {
    let Some(hello) = ClientHello::parse(body) else { return };
    for (tls13, stateless_tickets) in [(false, false), (false, true), (true, false), (true, true)] {
        for id in hello.session_ids(&[ServerAbilities { tls13, stateless_tickets }]) {
            assert!(!id.is_empty());
            assert!(body.windows(id.len()).any(|window| window == id));
        }
    }
}
