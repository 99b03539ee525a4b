//! Requests of a region about a task.

use jiff::civil::Date;

use crate::check;
use crate::classifier::{Classifiers, list};
use crate::code::Code;
use crate::limits;
use crate::macros::requests;
use crate::refusal::Refusal;
use crate::task::facts::IndicatorValue;

/// Note the arrival of a directive; made by the node itself from a verified dispatch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliverTask {
    /// Epoch of the log `kz/<office>` that brought it.
    pub log_epoch: u32,
    /// Position (sequence) of the dispatch in that epoch.
    pub log_index: u64,
    /// The dispatch's due day.
    pub due: Date,
    /// The dispatch's indicators.
    pub indicators: Vec<Code>,
    /// The dispatch's kinds of evidence.
    pub evidence_required: Vec<Code>,
}

/// Acknowledge the task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcknowledgeTask {}

/// Report execution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportTask {
    /// A value for every indicator asked for, and for no other.
    pub values: Vec<IndicatorValue>,
    /// Classifier `evidence`: at least every kind asked for.
    pub evidence: Vec<Code>,
}

requests! {
    /// Requests about a task stream.
    TaskRequest in Task {
        /// Note its arrival.
        Deliver(DeliverTask), "deliver_task";
        /// Acknowledge it.
        Acknowledge(AcknowledgeTask), "acknowledge_task";
        /// Report execution.
        Report(ReportTask), "report_task";
    }
}

impl TaskRequest {
    /// Checks codes and lists. The arrival of a task is not checked against the lists: it
    /// repeats what the centre issued, perhaps with codes this office does not know yet.
    pub(crate) fn validate(&self, lists: &Classifiers) -> Result<(), Refusal> {
        match self {
            Self::Deliver(request) => {
                check::distinct("indicators", &request.indicators, 0, limits::DIRECTIVE_DEMANDS)?;
                let evidence = &request.evidence_required;
                check::distinct("evidence_required", evidence, 0, limits::DIRECTIVE_DEMANDS)
            }
            Self::Acknowledge(_) => Ok(()),
            Self::Report(request) => {
                let named: Vec<_> = request.values.iter().map(|value| &value.indicator).collect();
                check::distinct("values", &named, 0, limits::DIRECTIVE_DEMANDS)?;
                check::distinct("evidence", &request.evidence, 0, limits::DIRECTIVE_DEMANDS)?;
                for (at, code) in request.evidence.iter().enumerate() {
                    lists.check(format!("evidence[{at}]"), list::EVIDENCE, code)?;
                }
                Ok(())
            }
        }
    }
}
