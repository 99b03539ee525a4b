//! System calls that fail when a test wants them to.
//!
//! The n-th call of a thread is failed once, or a write or read is cut short; everything else is
//! the real call on the real file. Calls that change nothing count only where a test asks for them.

use std::cell::RefCell;
use std::io;

/// A system call; from `Lock` on those that change nothing.
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
    Lock,
    OpenRead,
    Read,
    Stat,
    List,
}

impl Call {
    fn is_read(self) -> bool {
        matches!(self, Self::Lock | Self::OpenRead | Self::Read | Self::Stat | Self::List)
    }
}

/// What happens to the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It fails with this number of the operating system.
    Errno(i32),
    /// Of a write or read only half is done; other calls are not touched.
    Short,
}

#[derive(Default)]
struct Plan {
    /// Calls until the fault.
    left: usize,
    fault: Option<Fault>,
    /// Calls that change nothing count as well.
    reads: bool,
    calls: Vec<Call>,
}

thread_local! {
    static PLAN: RefCell<Option<Plan>> = const { RefCell::new(None) };
}

/// Does something whose `nth` changing call meets a fault; returns its result and its calls.
pub(crate) fn with<T>(nth: usize, fault: Fault, body: impl FnOnce() -> T) -> (T, Vec<Call>) {
    plan(Plan { left: nth, fault: Some(fault), ..Plan::default() }, body)
}

/// As [`with`], where calls that change nothing count as well.
pub(crate) fn with_any<T>(nth: usize, fault: Fault, body: impl FnOnce() -> T) -> (T, Vec<Call>) {
    plan(Plan { left: nth, fault: Some(fault), reads: true, ..Plan::default() }, body)
}

fn plan<T>(plan: Plan, body: impl FnOnce() -> T) -> (T, Vec<Call>) {
    PLAN.with(|slot| *slot.borrow_mut() = Some(plan));
    let result = body();
    let plan = PLAN.with(|slot| slot.borrow_mut().take());
    (result, plan.map(|plan| plan.calls).unwrap_or_default())
}

/// Before a call of `len` bytes: how many of them it may do.
pub(super) fn gate(call: Call, len: usize) -> io::Result<usize> {
    PLAN.with(|slot| {
        let mut slot = slot.borrow_mut();
        let counts = |plan: &&mut Plan| plan.reads || !call.is_read();
        let Some(plan) = slot.as_mut().filter(counts) else { return Ok(len) };
        plan.calls.push(call);
        if plan.left > 0 {
            plan.left -= 1;
            return Ok(len);
        }
        match (plan.fault.take(), call) {
            (Some(Fault::Errno(number)), _) => Err(io::Error::from_raw_os_error(number)),
            (Some(Fault::Short), Call::Write | Call::Read) => Ok(len.div_ceil(2)),
            _ => Ok(len),
        }
    })
}
