//! Requests of the centre about a directive and its dispatches.

use jiff::civil::Date;

use crate::check;
use crate::classifier::{Classifiers, list};
use crate::code::{Code, OrderNumber};
use crate::ids::DirectiveId;
use crate::limits;
use crate::macros::requests;
use crate::office::OfficeCode;
use crate::refusal::Refusal;

/// Issue a directive. Its facts go to several streams at once, see [`crate::Decision`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssueDirective {
    /// The addressees: enrolled regional offices, each once.
    pub targets: Vec<OfficeCode>,
    /// The day by which it is to be executed; not in the past.
    pub due: Date,
    /// Classifier `directive_subject`.
    pub subject: Code,
    /// The number of the order behind it.
    pub order_number: Option<OrderNumber>,
    /// Classifier `indicator`; each once.
    pub indicators: Vec<Code>,
    /// Classifier `evidence`; each once.
    pub evidence_required: Vec<Code>,
}

/// Accept an office's execution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcceptExecution {
    /// The directive.
    pub directive: DirectiveId,
    /// The office.
    pub office: OfficeCode,
    /// The report meant, by its version in `task/D`; absent = the last one this office holds.
    pub report: Option<u32>,
}

/// Return an office's execution for more work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReturnExecution {
    /// The directive.
    pub directive: DirectiveId,
    /// The office.
    pub office: OfficeCode,
    /// The report meant, by its version in `task/D`; absent = the last one this office holds.
    pub report: Option<u32>,
    /// Classifier `return_remark`.
    pub remarks: Code,
    /// The new day; not in the past.
    pub new_due: Date,
}

requests! {
    /// Requests about a directive stream.
    DirectiveRequest in Directive {
        /// Issue a directive.
        Issue(IssueDirective), "issue_directive";
    }
}

requests! {
    /// Requests about a dispatch stream.
    DispatchRequest in Dispatch {
        /// Accept the execution.
        Accept(AcceptExecution), "accept_execution";
        /// Return the execution.
        Return(ReturnExecution), "return_execution";
    }
}

impl DirectiveRequest {
    /// Checks codes and lists.
    pub(crate) fn validate(&self, lists: &Classifiers) -> Result<(), Refusal> {
        let Self::Issue(request) = self;
        check::distinct("targets", &request.targets, 1, limits::DIRECTIVE_TARGETS)?;
        lists.check("subject", list::DIRECTIVE_SUBJECT, &request.subject)?;
        check::distinct("indicators", &request.indicators, 0, limits::DIRECTIVE_DEMANDS)?;
        for (at, code) in request.indicators.iter().enumerate() {
            lists.check(format!("indicators[{at}]"), list::INDICATOR, code)?;
        }
        let evidence = &request.evidence_required;
        check::distinct("evidence_required", evidence, 0, limits::DIRECTIVE_DEMANDS)?;
        for (at, code) in evidence.iter().enumerate() {
            lists.check(format!("evidence_required[{at}]"), list::EVIDENCE, code)?;
        }
        Ok(())
    }
}

impl DispatchRequest {
    /// The directive and the office the request is about: they name its stream and its log.
    pub const fn address(&self) -> (DirectiveId, &OfficeCode) {
        match self {
            Self::Accept(request) => (request.directive, &request.office),
            Self::Return(request) => (request.directive, &request.office),
        }
    }

    /// The report the request names, if it does.
    pub(crate) const fn report(&self) -> Option<u32> {
        match self {
            Self::Accept(request) => request.report,
            Self::Return(request) => request.report,
        }
    }

    /// Checks codes.
    pub(crate) fn validate(&self, lists: &Classifiers) -> Result<(), Refusal> {
        match self {
            Self::Accept(_) => Ok(()),
            Self::Return(request) => lists.check("remarks", list::RETURN_REMARK, &request.remarks),
        }
    }
}
