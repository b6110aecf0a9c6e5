//! What OpenSSL calls: each function here says in our own terms what has happened, and decides
//! nothing.
//!
//! They run inside a handshake; with `suspend=async` on the small stack of an OpenSSL job (see `suspend`).

use core::mem::{ManuallyDrop, MaybeUninit};
use std::sync::OnceLock;

use crate::handshake::cache::SessionCache;
use crate::handshake::first::First;
use crate::handshake::notes;
use crate::openssl::{
    randomise, Callbacks, ClientHellos, EarlyDataGate, Filter, Filters, Given, InfoCallback,
    Opened, Opening, Sealing, Session, SessionRef, Ssl, SslCtx, Step, Steps, TicketCallbacks,
};
use crate::tickets::Tickets;

/// The info callback that nginx sets, the same on every SSL_CTX of its servers.
static NGINX_INFO: OnceLock<InfoCallback> = OnceLock::new();

/// Has OpenSSL call what is here for an SSL_CTX.
pub(super) fn set(ctx: SslCtx, mints_ids: bool, seals_tickets: bool, judges_early_data: bool) {
    NGINX_INFO.get_or_init(|| InfoCallback::of(ctx));
    ctx.set_callbacks::<Doorway>(mints_ids);
    if seals_tickets {
        ctx.set_ticket_callbacks::<Doorway>();
    }
    if judges_early_data {
        ctx.ask_about_early_data::<Doorway>();
    }
}

/// Where OpenSSL enters.
pub(super) enum Doorway {}

impl ClientHellos for Doorway {
    fn holds(ssl: Ssl<'_>) -> bool {
        First::of(ssl).is_some_and(|first| first.holds(ssl))
    }
}

impl EarlyDataGate for Doorway {
    fn allows(ssl: Ssl<'_>) -> bool {
        First::of(ssl).is_some_and(|first| first.allows_early_data(ssl))
    }
}

impl Filter for Doorway {
    fn with_filters<T>(with: impl FnOnce(&Filters<Self>) -> T) -> Option<T> {
        thread_local! {
            /// Never dropped: SSLs may still have filters when the process exits.
            static GATES: ManuallyDrop<Option<Filters<Doorway>>> =
                ManuallyDrop::new(Filters::new(c"ClientHello gate"));
        }
        GATES.with(|gates| gates.as_ref().map(with))
    }

    fn read(ssl: Ssl<'_>, room: &mut [MaybeUninit<u8>]) -> Given {
        First::of(ssl).map_or(Given::Socket, |first| first.read(ssl, room))
    }
}

impl Callbacks for Doorway {
    fn session_made(ssl: Ssl<'_>, session: SessionRef<'_>) -> bool {
        let Some(cache) = SessionCache::of_ssl(ssl) else { return false };
        if !ssl.gives_stateless_tickets() {
            let first = First::of(ssl);
            cache.session_made(ssl, session, || first.as_ref()?.resumed(ssl));
            first.inspect(|first| first.made_session());
        }
        cache.nginx.put(ssl, session)
    }

    fn session_offered(ssl: Ssl<'_>, id: &[u8]) -> Option<Session> {
        First::of(ssl)?.find(ssl, id)
    }

    fn session_dropped(ctx: SslCtx, session: SessionRef<'_>) {
        if let Some(cache) = SessionCache::of(ctx) {
            cache.session_dropped(session);
        }
    }

    /// One that any machine with the key knows for ours.
    ///
    /// OpenSSL looks for the callback on the SSL, which has it from the SSL_CTX that it was made of:
    /// that of the listening socket's default server, whatever name the client asks for. It
    /// compares the id with its internal cache alone, which is empty here.
    fn session_id(ssl: Ssl<'_>, room: &mut [u8]) -> bool {
        match SessionCache::of_ssl(ssl).and_then(|cache| cache.records.mint(ssl)) {
            Some(minted) if minted.len() == room.len() => {
                room.copy_from_slice(&minted);
                true
            }
            // As OpenSSL does by itself. Such a session is not stored.
            _ => randomise(room),
        }
    }
}

impl Steps for Doorway {
    /// OpenSSL tells of a start for each renegotiation that a client asks for as well, also where it
    /// then refuses it, and at the end of early data; of an end with TLS 1.3 before it makes tickets.
    fn stepped(ssl: Ssl<'_>, step: Step) {
        if step.is_start() && ssl.is_before_handshake() {
            if let Some(cache) = SessionCache::of_ssl(ssl) {
                First::begin::<Self>(ssl, cache);
            }
        }
        // Kept on the SSL: a name of the client's may switch to an SSL_CTX without this one.
        InfoCallback::ours::<Passage>().set(ssl);
        Passage::stepped(ssl, step);
    }
}

/// Where OpenSSL enters once a handshake has begun: most steps are no concern of ours then, and there are
/// many.
enum Passage {}

impl Passage {
    /// OpenSSL has done the server's part, or can do no more for now. Apart from the steps between, which are
    /// passed on and no more.
    #[inline(never)]
    fn paused(ssl: Ssl<'_>, step: Step, nginx: InfoCallback) {
        // With SSL_read_early_data(3) OpenSSL tells of an end behind a HelloRetryRequest as well.
        let is_done = step.is_end() && ssl.has_finished();
        let is_over = step.is_exit() && ssl.is_established();
        if !is_done && !is_over {
            return;
        }
        let first = First::of(ssl);
        if let Some(first) = &first {
            if is_done {
                first.finished(ssl);
            }
            if is_over {
                first.established(ssl);
            }
        }
        if is_over && first.is_some_and(|first| first.waits_for_close()) {
            InfoCallback::ours::<Closing>().set(ssl);
        } else if is_over {
            // Nothing that comes later is any concern of ours.
            nginx.set(ssl);
        }
    }
}

impl Steps for Passage {
    fn stepped(ssl: Ssl<'_>, step: Step) {
        let Some(nginx) = NGINX_INFO.get() else { return };
        if step.is_end() || step.is_exit() {
            Self::paused(ssl, step, *nginx);
        }
        nginx.call(ssl, step);
    }
}

/// Where OpenSSL enters while nginx closes a connection and waits for the client to do so as well.
///
/// A client that just goes then, as many do, has OpenSSL 3 call SSL_set_shutdown(3) with
/// `SSL_RECEIVED_SHUTDOWN` alone (`SSL_OP_IGNORE_UNEXPECTED_EOF`, which nginx sets). That our close_notify
/// was sent is forgotten, and SSL_free(3) drops the session. It is as good as before (RFC 5246, section
/// 7.2.1).
enum Closing {}

impl Steps for Closing {
    fn stepped(ssl: Ssl<'_>, step: Step) {
        let Some(nginx) = NGINX_INFO.get() else { return };
        if step.is_close_notify() {
            if let Some(session) = ssl.session() {
                notes::disown(session);
            }
            nginx.set(ssl);
        }
        nginx.call(ssl, step);
    }
}

impl TicketCallbacks for Doorway {
    fn can_seal(ssl: Ssl<'_>) -> bool {
        First::of(ssl).is_some_and(|first| first.tickets().is_some_and(Tickets::can_seal))
    }

    fn seals(ssl: Ssl<'_>, ticket: Sealing<'_>) -> bool {
        First::of(ssl).and_then(|first| first.tickets()?.seal(ticket)).is_some()
    }

    fn opens(ssl: Ssl<'_>, ticket: Opening<'_>) -> Opened {
        let open = |first: &First| Some(first.tickets()?.open(ticket, ssl.speaks_tls13()));
        First::of(ssl).and_then(|first| open(&first)).unwrap_or(Opened::No)
    }

    fn judges(ssl: Ssl<'_>, name: &[u8], session: Option<SessionRef<'_>>) -> bool {
        First::of(ssl).is_some_and(|first| first.find_in_ticket(ssl, name, session))
    }
}
