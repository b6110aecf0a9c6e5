//! Holds a handshake back in OpenSSL's callback on the ClientHello.
//!
//! The callback comes when OpenSSL has taken the message apart, and has not looked at what it says.
//! Where it answers SSL_CLIENT_HELLO_RETRY (SSL_CTX_set_client_hello_cb(3)), SSL_do_handshake(3)
//! returns SSL_ERROR_WANT_CLIENT_HELLO_CB, and an nginx with the patch of this project waits for the
//! connection's next event, which the lookup posts when it has ended. Over QUIC it does so as well.
//! The next SSL_do_handshake(3) asks the callback again.
//!
//! nginx itself chooses the server by its name in that callback, since 1.29.2: it comes after ours, once for each
//! ClientHello.

use core::cell::Cell;
use std::sync::Once;

use crate::handshake::suspend::hold::{Held, Hold};
use crate::handshake::suspend::missing::Missing;
use crate::nginx::{log, symbol, Connection};
use crate::openssl::{ClientHelloCallback, ClientHellos, Ssl, SslCtx, UnknownPlace};

/// A handshake whose ClientHello waits in the callback.
#[derive(Default)]
pub(in crate::handshake) struct Retry {
    /// Whether the lookups of what the client offers were begun.
    is_examined: Cell<bool>,
}

/// Whether this works for an SSL_CTX.
pub(super) fn check(ctx: SslCtx) -> Result<(), Missing> {
    Missing::without_patch(c"ngx_ssl_client_hello_retry")?;
    callback_of_nginx(ctx).map(|_| ())
}

/// Has OpenSSL ask a type of ours first, for an SSL_CTX that was [checked](check). Another module may
/// have set its callback since.
pub(super) fn prepare<C: ClientHellos>(ctx: SslCtx) -> Result<(), Missing> {
    let before = callback_of_nginx(ctx)?;
    // SAFETY: it is nginx's own, which uses no argument.
    unsafe { ctx.ask_about_client_hellos::<C>(before) };
    Ok(())
}

/// The callback that is set, which is nginx's own, if it is.
fn callback_of_nginx(ctx: SslCtx) -> Result<Option<ClientHelloCallback>, Missing> {
    let is_of_nginx =
        |callback: &ClientHelloCallback| callback.is(symbol(c"ngx_ssl_client_hello_callback"));
    match ctx.client_hello_callback() {
        Ok(Some(callback)) if !is_of_nginx(&callback) => Err(Missing::CallbackTaken),
        Ok(callback) => Ok(callback),
        Err(UnknownPlace) => Err(Missing::CallbackUnknown),
    }
}

impl Retry {
    /// OpenSSL asks whether the handshake is to wait.
    pub(in crate::handshake) fn holds(&self, ssl: Ssl<'_>, handshake: &impl Held) -> bool {
        if !handshake.is_held() {
            return false;
        }
        if !self.is_examined.replace(true) {
            if let Some(hello) = ssl.client_hello() {
                handshake.offers(ssl, hello);
            }
        }
        if handshake.waits() {
            return true;
        }
        handshake.pass();
        false
    }
}

impl Hold for Retry {
    /// OpenSSL asks about each ClientHello before it looks for sessions, unless another module has put
    /// its callback in place of ours. A worker tells of that once.
    fn missed(&self, ssl: Ssl<'_>) {
        static TOLD: Once = Once::new();

        if self.is_examined.get() {
            return;
        }
        if let Some(connection) = Connection::of(ssl) {
            TOLD.call_once(|| {
                log!(
                    NGX_LOG_ERR,
                    connection.log(),
                    "another module has set its callback on ClientHellos in place of this one's: \
                     handshakes look up no sessions in the store; use \"suspend=async\" or \
                     \"suspend=hello\""
                );
            });
        }
    }
}
