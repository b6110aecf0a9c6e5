//! What lies in the zone besides its root: lists that only grow, in memory of nginx's slab pool.

use core::{iter, mem, ptr};
use std::sync::atomic::{
    AtomicPtr,
    Ordering::{AcqRel, Acquire},
};

use nginx_sys::{ngx_slab_calloc, ngx_slab_pool_t};

/// The zone's slab pool.
#[derive(Clone, Copy)]
pub(super) struct Pool(*mut ngx_slab_pool_t);

/// What is valid when all-zero.
///
/// # Safety
///
/// It must be, and of an alignment of 64 bytes at most.
pub(super) unsafe trait Zeroed: 'static {}

impl Pool {
    /// # Safety
    ///
    /// The pool must be at the front of a zone that stays mapped while what was allocated in it is
    /// used.
    pub(super) unsafe fn new(pool: *mut ngx_slab_pool_t) -> Self {
        Self(pool)
    }

    /// Memory that is never freed; `None` where the zone is full.
    pub(super) fn allocate<T: Zeroed>(self) -> Option<&'static T> {
        // The pool gives pieces of a power of two, aligned to their size.
        const { assert!(mem::align_of::<T>() <= 64 && mem::size_of::<T>() > 32) };
        // SAFETY: as new() demands. All-zero is valid for the type, and the piece is aligned to 64
        // bytes or more, as it is of more than 32.
        unsafe { ngx_slab_calloc(self.0, mem::size_of::<T>()).cast::<T>().as_ref() }
    }
}

/// A list of what several processes write to, each with its own atomics. Nothing is ever taken out
/// of it, so that who reads it needs no lock.
#[repr(C)]
pub(super) struct List<T> {
    first: AtomicPtr<Node<T>>,
}

#[repr(C)]
struct Node<T> {
    rest: List<T>,
    value: T,
}

// SAFETY: a list without a first node is empty.
unsafe impl<T: Zeroed> Zeroed for Node<T> {}

impl<T> List<T> {
    /// What one takes of the zone, before the pool rounds it up to a power of two.
    pub(super) const PIECE: usize = mem::size_of::<Node<T>>();
}

impl<T: Zeroed> List<T> {
    pub(super) fn iter(&self) -> impl Iterator<Item = &'static T> {
        iter::successors(self.first(), |node| node.rest.first()).map(|node| &node.value)
    }

    /// Adds one at the end; `None` where the zone is full.
    pub(super) fn push(&self, pool: Pool) -> Option<&'static T> {
        let new: &'static Node<T> = pool.allocate()?;
        let mut last = self;
        while let Err(next) = last.first.compare_exchange(
            ptr::null_mut(),
            ptr::from_ref(new).cast_mut(),
            AcqRel,
            Acquire,
        ) {
            // SAFETY: nodes are never freed.
            last = unsafe { &(*next).rest };
        }
        Some(&new.value)
    }

    fn first(&self) -> Option<&'static Node<T>> {
        // SAFETY: nodes are never freed, and written to by atomics alone.
        unsafe { self.first.load(Acquire).as_ref() }
    }
}
