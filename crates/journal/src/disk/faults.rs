//! System calls that fail when a test wants them to.
//!
//! The n-th changing call of a thread is failed once, or a write is cut short; everything else is
//! the real call on the real file.

use std::cell::RefCell;
use std::io;

/// A system call that changes something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    Mkdir,
    Open,
    Write,
    Truncate,
    Allocate,
    Fdatasync,
    Fsync,
    Unlink,
    Rename,
}

/// What happens to the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It fails with this number of the operating system.
    Errno(i32),
    /// Of a write only half is done; other calls are not touched.
    Short,
}

#[derive(Default)]
struct Plan {
    /// Calls until the fault.
    left: usize,
    fault: Option<Fault>,
    calls: Vec<Call>,
}

thread_local! {
    static PLAN: RefCell<Option<Plan>> = const { RefCell::new(None) };
}

/// Does something whose `nth` call meets a fault; returns its result and the calls it made.
pub(crate) fn with<T>(nth: usize, fault: Fault, body: impl FnOnce() -> T) -> (T, Vec<Call>) {
    let plan = Plan { left: nth, fault: Some(fault), calls: Vec::new() };
    PLAN.with(|slot| *slot.borrow_mut() = Some(plan));
    let result = body();
    let plan = PLAN.with(|slot| slot.borrow_mut().take());
    (result, plan.map(|plan| plan.calls).unwrap_or_default())
}

/// Before a call of `len` bytes: how many of them it may do.
pub(super) fn gate(call: Call, len: usize) -> io::Result<usize> {
    PLAN.with(|slot| {
        let mut slot = slot.borrow_mut();
        let Some(plan) = slot.as_mut() else { return Ok(len) };
        plan.calls.push(call);
        if plan.left > 0 {
            plan.left -= 1;
            return Ok(len);
        }
        match (plan.fault.take(), call) {
            (Some(Fault::Errno(number)), _) => Err(io::Error::from_raw_os_error(number)),
            (Some(Fault::Short), Call::Write) => Ok(len / 2),
            _ => Ok(len),
        }
    })
}
