//! nginx's thread pool `default`: what takes long is done beside the event loop.

use std::ffi::c_void;
use std::ptr::NonNull;

use ngx::ffi::{
    ngx_conf_t, ngx_event_actions, ngx_event_t, ngx_log_t, ngx_thread_pool_add, ngx_thread_pool_t,
    ngx_thread_task_post, ngx_thread_task_t,
};

use crate::nginx::sys::rc;

/// The pool.
#[derive(Clone, Copy)]
pub(in crate::nginx) struct Threads(NonNull<ngx_thread_pool_t>);

/// Work for a thread; nginx knows the first part.
#[repr(C)]
struct Task<T, D> {
    nginx: ngx_thread_task_t,
    work: fn(&mut T),
    input: T,
    done: D,
}

impl Threads {
    /// Has nginx start the pool with each worker; `None` where it cannot.
    ///
    /// # Safety
    /// `cf` is nginx's context while it configures.
    pub unsafe fn request(cf: *mut ngx_conf_t) -> Option<Self> {
        // SAFETY: the caller guarantees it; no name is that of the default pool.
        NonNull::new(unsafe { ngx_thread_pool_add(cf, std::ptr::null_mut()) }).map(Self)
    }

    /// Has a thread do `work` on `input`; then `done` gets it, in the event loop, unless the worker
    /// ends before. Gives both back where no thread takes the work.
    pub fn run<T: Send + 'static, D: FnOnce(T) + 'static>(
        self,
        input: T,
        work: fn(&mut T),
        done: D,
    ) -> Result<(), (T, D)> {
        // SAFETY: an all-zero task is what nginx itself starts with; its memory lives until `finish`
        // has run, and the thread touches nothing of it but the input. An event module without
        // notifications could not tell that the work is done.
        unsafe {
            let nginx: ngx_thread_task_t = std::mem::zeroed();
            let task = Box::into_raw(Box::new(Task { nginx, work, input, done }));
            let raw = &raw mut (*task).nginx;
            (*raw).ctx = task.cast();
            (*raw).handler = Some(perform::<T, D>);
            (*raw).event.data = task.cast();
            (*raw).event.handler = Some(finish::<T, D>);
            let actions = &raw const ngx_event_actions;
            let can_notify = (*actions).notify.is_some();
            if !can_notify || ngx_thread_task_post(self.0.as_ptr(), raw) != rc::OK {
                let Task { input, done, .. } = *Box::from_raw(task);
                return Err((input, done));
            }
        }
        Ok(())
    }
}

/// In a thread.
unsafe extern "C" fn perform<T, D>(task: *mut c_void, _: *mut ngx_log_t) {
    let task = task.cast::<Task<T, D>>();
    // SAFETY: nginx passes the task of `run`, which nobody else touches until this has returned.
    unsafe { ((*task).work)(&mut (*task).input) }
}

/// In the event loop.
unsafe extern "C" fn finish<T, D: FnOnce(T)>(event: *mut ngx_event_t) {
    // SAFETY: nginx passes the event of the task of `run`, once, and does not touch it afterwards.
    let task = unsafe { Box::from_raw((*event).data.cast::<Task<T, D>>()) };
    let Task { input, done, .. } = *task;
    done(input);
}
