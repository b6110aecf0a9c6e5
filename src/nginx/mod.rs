//! What this module uses of nginx, made safe.

mod clock;
mod log;
mod process;
mod quiet_log;

pub(crate) use self::clock::{now, turn_is_long};
pub(crate) use self::log::{debug, log, NAME};
pub(crate) use self::process::{
    clients_may_handshake, old_workers_run, process_serves_clients, worker_processes,
};
pub(crate) use self::quiet_log::QuietLog;
