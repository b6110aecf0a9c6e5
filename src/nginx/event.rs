//! Events of our own on nginx's event loop. One that is dropped comes no more.

use core::cell::UnsafeCell;
use core::mem;
use core::ptr;
use core::time::Duration;
use std::rc::Rc;

use nginx_sys::{
    ngx_add_timer, ngx_connection_t, ngx_del_timer, ngx_delete_posted_event, ngx_event_t,
    ngx_post_event, ngx_posted_events, ngx_queue_empty,
};

use crate::nginx::Log;

/// No timer is set for longer: of 32 bits, nginx's times have room for 24 days.
const MAX_DELAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A timer. It does not keep an old worker alive after a reload.
pub(crate) struct Timer(Event);

impl Timer {
    /// A timer that is not set, and what is called when its time has come.
    pub(crate) fn new(log: Log, call: Rc<dyn Fn()>) -> Self {
        let timer = Event::new(log, call);
        // SAFETY: nothing else refers to the event yet.
        unsafe { (*timer.as_ptr()).set_cancelable(1) };
        Self(timer)
    }

    /// Sets the timer, anew if it is set: for a day at most.
    pub(crate) fn set(&self, delay: Duration) {
        self.stop();
        let millis = delay.clamp(Duration::from_millis(1), MAX_DELAY).as_millis();
        // SAFETY: the event stays where it is, and drop() stops the timer.
        unsafe { ngx_add_timer(self.0.as_ptr(), millis as usize) };
    }

    pub(crate) fn stop(&self) {
        // SAFETY: the event is valid.
        unsafe {
            if (*self.0.as_ptr()).timer_set() != 0 {
                ngx_del_timer(self.0.as_ptr());
            }
        }
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.stop();
    }
}

/// An event for the end of a turn of the event loop.
pub(crate) struct PostedEvent(Event);

impl PostedEvent {
    /// An event that is not posted, and what is called then.
    pub(crate) fn new(log: Log, call: Rc<dyn Fn()>) -> Self {
        Self(Event::new(log, call))
    }

    /// Posts the event, unless it is posted: it comes behind those that were posted before.
    pub(crate) fn post(&self) {
        // SAFETY: the event stays where it is, and drop() takes it out of the queue.
        unsafe { ngx_post_event(self.0.as_ptr(), &raw mut ngx_posted_events) };
    }
}

impl Drop for PostedEvent {
    fn drop(&mut self) {
        // SAFETY: the event is valid; where it is posted, it is in a queue.
        unsafe {
            if (*self.0.as_ptr()).posted() != 0 {
                ngx_delete_posted_event(self.0.as_ptr());
            }
        }
    }
}

/// Whether events are posted that this turn has not come to.
pub(crate) fn events_wait() -> bool {
    // SAFETY: nginx initialises the queue before the first event.
    unsafe { !ngx_queue_empty(&raw const ngx_posted_events) }
}

/// What nginx refers to. It stays where it is, as nginx keeps its address.
struct Event(Box<UnsafeCell<Parts>>);

struct Parts {
    event: ngx_event_t,
    /// nginx's debug log shows the descriptor of the connection behind an event's data.
    owner: ngx_connection_t,
    call: Rc<dyn Fn()>,
}

impl Event {
    fn new(log: Log, call: Rc<dyn Fn()>) -> Self {
        // SAFETY: nginx itself starts events and connections from all-zero.
        let (event, owner) = unsafe { (mem::zeroed(), mem::zeroed()) };
        let mut parts = Box::new(UnsafeCell::new(Parts { event, owner, call }));
        let address = parts.get();
        let Parts { event, owner, .. } = parts.get_mut();
        owner.fd = -1;
        owner.data = address.cast();
        event.data = ptr::from_mut(owner).cast();
        event.log = log.as_ptr();
        event.handler = Some(on_event);
        Self(parts)
    }

    fn as_ptr(&self) -> *mut ngx_event_t {
        // SAFETY: only the address is taken.
        unsafe { &raw mut (*self.0.get()).event }
    }
}

unsafe extern "C" fn on_event(event: *mut ngx_event_t) {
    // SAFETY: nginx passes an event of ours, with what new() has set. What is called may drop it.
    let call = unsafe {
        let owner = (*event).data.cast::<ngx_connection_t>();
        Rc::clone(&(*(*owner).data.cast::<Parts>()).call)
    };
    call();
}
