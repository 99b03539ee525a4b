//! Directive: a national task; the centre's own stream and one dispatch per addressee.

mod facts;
mod request;
mod rule;
mod state;

pub use facts::{
    DirectiveFact, DirectiveIssued, DispatchFact, DispatchIssued, ExecutionAccepted,
    ExecutionReturned,
};
pub use request::{
    AcceptExecution, DirectiveRequest, DispatchRequest, IssueDirective, ReturnExecution,
};
pub(crate) use rule::{decide_dispatch, issue};
pub use state::{DirectiveState, DispatchState};
