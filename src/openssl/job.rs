//! OpenSSL's jobs: what runs on a stack of its own, and can be paused (ASYNC_start_job(3)).

use nginx_sys::ASYNC_get_current_job;

/// Whether the caller runs in a job, and so can be paused (ASYNC_get_current_job(3)).
pub(crate) fn in_job() -> bool {
    // SAFETY: has no requirements.
    unsafe { !ASYNC_get_current_job().is_null() }
}
