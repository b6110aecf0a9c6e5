//! What this module uses of OpenSSL, made safe.
//!
//! The functions are nginx-sys's, generated from the headers that nginx itself is built with, and
//! found at run time in the libssl that nginx has loaded or holds: the module never brings a second
//! copy.

use ssl_session_cache_core::session::sealed;

mod bio;
mod callbacks;
mod cipher;
mod ciphers;
mod client;
mod client_hello;
mod ctx;
mod early_data;
mod errors;
mod ex_data;
mod hmac;
mod id_context;
mod job;
mod messages;
mod random;
mod session;
mod ssl;
mod stacks;
mod tickets;
mod trust;

pub(crate) use self::bio::{fill, Filter, Filters, Given};
pub(crate) use self::callbacks::{Callbacks, InfoCallback, SessionCallbacks, Step, Steps};
pub(crate) use self::cipher::{Aes, Gcm};
pub(crate) use self::ciphers::Ciphers;
pub(crate) use self::client::Reason;
pub(crate) use self::client_hello::{ClientHelloCallback, ClientHellos, UnknownPlace};
pub(crate) use self::ctx::SslCtx;
pub(crate) use self::early_data::EarlyDataGate;
pub(crate) use self::errors::clear_errors;
pub(crate) use self::ex_data::{Bound, Data, Slot};
pub(crate) use self::hmac::HmacSha256;
pub(crate) use self::id_context::{id_context, narrow_id_context, NarrowError};
pub(crate) use self::job::{has_jobs, in_job, pause_job};
pub(crate) use self::messages::Messages;
pub(crate) use self::random::{randomise, Random};
pub(crate) use self::session::{Lifetime, Session, SessionRef, MAX_ID};
pub(crate) use self::ssl::Ssl;
pub(crate) use self::stacks::guard_stacks;
pub(crate) use self::tickets::{Opened, Opening, Sealing, TicketCallbacks, TicketCipher};
pub(crate) use self::trust::{sha256, Digest};

/// Mints session ids, and seals and opens the records of the sessions that have them. The
/// construction is described at the top of `core/src/session/sealed.rs`.
pub(crate) type Sealer = sealed::Sealer<Aes, Gcm>;

/// An option of SSL_CTX_set_options(3); a cast in the header hides them from bindgen.
const SSL_OP_NO_TICKET: u64 = 1 << 14;
