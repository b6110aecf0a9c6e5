//! OpenSSL's jobs: what runs on a stack of its own, and can be paused (ASYNC_start_job(3)).

use nginx_sys::{ASYNC_get_current_job, ASYNC_is_capable, ASYNC_pause_job};

/// Whether OpenSSL can run jobs here.
pub(crate) fn has_jobs() -> bool {
    // SAFETY: has no requirements.
    unsafe { ASYNC_is_capable() != 0 }
}

/// Whether the caller runs in a job, and so can be paused (ASYNC_get_current_job(3)).
pub(crate) fn in_job() -> bool {
    // SAFETY: has no requirements.
    unsafe { !ASYNC_get_current_job().is_null() }
}

/// Pauses the job that the caller runs in until it is resumed; false outside of a job,
/// where OpenSSL would say that it was, or where it fails (ASYNC_pause_job(3)).
pub(crate) fn pause_job() -> bool {
    // SAFETY: what the job's stack refers to stays valid over the pause: OpenSSL frees an SSL only
    // after its job has ended, and all else is counted.
    in_job() && unsafe { ASYNC_pause_job() != 0 }
}
