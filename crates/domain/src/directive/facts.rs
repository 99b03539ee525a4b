//! Facts of a directive: the whole at the centre (`directive/D` in log `kz`), and one dispatch
//! per addressee (`dispatch/(D, office)` in log `kz/<office>`), which is all the region sees.

use jiff::civil::Date;

use crate::code::{Code, OrderNumber};
use crate::ids::DirectiveId;
use crate::macros::facts;
use crate::office::OfficeCode;

/// The centre issued a directive to several offices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectiveIssued {
    /// The addressees; each once.
    pub targets: Vec<OfficeCode>,
    /// The day by which it is to be executed.
    pub due: Date,
    /// Classifier `directive_subject`.
    pub subject: Code,
    /// The number of the order behind it, where there is one.
    pub order_number: Option<OrderNumber>,
    /// Classifier `indicator`: values each office must report.
    pub indicators: Vec<Code>,
    /// Classifier `evidence`: kinds of evidence each office must state.
    pub evidence_required: Vec<Code>,
}

/// The same directive as sent to one office.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DispatchIssued {
    /// The directive.
    pub directive: DirectiveId,
    /// The addressee.
    pub office: OfficeCode,
    /// The day by which it is to be executed.
    pub due: Date,
    /// Classifier `directive_subject`.
    pub subject: Code,
    /// The number of the order behind it, where there is one.
    pub order_number: Option<OrderNumber>,
    /// Classifier `indicator`: values to report.
    pub indicators: Vec<Code>,
    /// Classifier `evidence`: kinds of evidence to state.
    pub evidence_required: Vec<Code>,
}

/// The centre accepted the office's execution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecutionAccepted {
    /// Which report: the version of its fact in the office's stream `task/D`. So a report the
    /// office sends at the same moment is visibly not the accepted one.
    pub report: u32,
}

/// The centre returned the execution for more work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecutionReturned {
    /// Which report: the version of its fact in the office's stream `task/D`.
    pub report: u32,
    /// Classifier `return_remark`.
    pub remarks: Code,
    /// The new day by which it is to be executed.
    pub new_due: Date,
}

facts! {
    /// Facts of a directive stream at the centre.
    DirectiveFact in Directive, Directive {
        /// A directive was issued.
        Issued(DirectiveIssued) = 1, "directive.issued";
    }
}

facts! {
    /// Facts of one addressee's dispatch stream.
    DispatchFact in Dispatch, Dispatch {
        /// Sent to the office.
        Issued(DispatchIssued) = 1, "dispatch.issued";
        /// Its execution was accepted.
        Accepted(ExecutionAccepted) = 2, "dispatch.execution_accepted";
        /// Its execution was returned.
        Returned(ExecutionReturned) = 3, "dispatch.execution_returned";
    }
}
