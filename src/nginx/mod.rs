//! What this module uses of nginx, made safe. It stands on `openssl`, as nginx does, and never the
//! other way round.

pub(crate) mod bindings;
mod client_tls;
mod clock;
mod connection;
mod event;
mod log;
mod peer;
mod process;
mod quiet_log;
mod resolver;
mod shared_zone;
mod sockaddr;
mod string;

pub(crate) use self::client_tls::ClientTls;
pub(crate) use self::clock::{duration, now, turn_is_long, unix_seconds, unix_time};
pub(crate) use self::connection::{debug, debug_detail, Connection, Received};
pub(crate) use self::event::{events_wait, PostedEvent, Timer};
pub(crate) use self::log::{log, Log, BLOCK_NAME, NAME, TICKETS_NAME};
pub(crate) use self::peer::{ConnectError, Handshake, PeerConnection, PeerEvents, Transfer};
pub(crate) use self::process::{
    clients_may_handshake, current_cycle, host_name, is_exiting, is_pcre_jit_on, max_connections,
    module, old_workers_run, process_id, process_serves_clients, symbol, worker_number,
    worker_processes,
};
pub(crate) use self::quiet_log::QuietLog;
pub(crate) use self::resolver::{Asker, NameAddresses, NameQuery, Resolver};
pub(crate) use self::shared_zone::add_shared_zone;
pub(crate) use self::sockaddr::SockAddr;
pub(crate) use self::string::{borrowed, place};
