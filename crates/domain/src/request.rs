//! A request of any slice.

use uuid::Uuid;

use crate::access::AccessRequest;
use crate::appeal::AppealRequest;
use crate::classifier::{ClassifierRequest, Classifiers};
use crate::contact::ContactRequest;
use crate::decide::LogTarget;
use crate::directive::{DirectiveRequest, DispatchRequest};
use crate::fact::StreamKind;
use crate::ids::{ClassifierId, DispatchId, OfficeId};
use crate::image::ActivityRequest;
use crate::measure::MeasureRequest;
use crate::office::OfficeRequest;
use crate::reception::ReceptionRequest;
use crate::refusal::Refusal;
use crate::task::TaskRequest;

/// What somebody wants to record. Time, actor and stream are in the [`crate::Context`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// About a contact.
    Contact(ContactRequest),
    /// About an appeal.
    Appeal(AppealRequest),
    /// About a reception session.
    Reception(ReceptionRequest),
    /// About a preventive measure.
    Measure(MeasureRequest),
    /// About an image-plan activity.
    Activity(ActivityRequest),
    /// About a directive.
    Directive(DirectiveRequest),
    /// About a dispatch.
    Dispatch(DispatchRequest),
    /// About a task.
    Task(TaskRequest),
    /// About an office.
    Office(OfficeRequest),
    /// About a classifier.
    Classifier(ClassifierRequest),
    /// To open sealed parts.
    Access(AccessRequest),
}

impl Request {
    /// The kind of stream it is about.
    pub const fn stream_kind(&self) -> StreamKind {
        match self {
            Self::Contact(_) => StreamKind::Contact,
            Self::Appeal(_) => StreamKind::Appeal,
            Self::Reception(_) => StreamKind::Reception,
            Self::Measure(_) => StreamKind::Measure,
            Self::Activity(_) => StreamKind::Activity,
            Self::Directive(_) => StreamKind::Directive,
            Self::Dispatch(_) => StreamKind::Dispatch,
            Self::Task(_) => StreamKind::Task,
            Self::Office(_) => StreamKind::Office,
            Self::Classifier(_) => StreamKind::Classifier,
            Self::Access(_) => StreamKind::Access,
        }
    }

    /// The name of the request, as in the command's `oneof`, for example `receive_appeal`.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Contact(request) => request.name(),
            Self::Appeal(request) => request.name(),
            Self::Reception(request) => request.name(),
            Self::Measure(request) => request.name(),
            Self::Activity(request) => request.name(),
            Self::Directive(request) => request.name(),
            Self::Dispatch(request) => request.name(),
            Self::Task(request) => request.name(),
            Self::Office(request) => request.name(),
            Self::Classifier(request) => request.name(),
            Self::Access(request) => request.name(),
        }
    }

    /// The id of the stream, where it follows from the request: of a dispatch, an office, a
    /// classifier. Other streams are named by the caller.
    pub fn derived_stream(&self) -> Option<Uuid> {
        match self {
            Self::Dispatch(request) => {
                let (directive, office) = request.address();
                Some(DispatchId::of(directive, office).uuid())
            }
            Self::Office(request) => Some(OfficeId::of(request.code()).uuid()),
            Self::Classifier(ClassifierRequest::Publish(request)) => {
                Some(ClassifierId::of(&request.id).uuid())
            }
            _ => None,
        }
    }

    /// The log in which its stream lives.
    pub fn log(&self) -> LogTarget {
        match self {
            Self::Dispatch(request) => LogTarget::To(request.address().1.clone()),
            Self::Office(_) | Self::Classifier(_) => LogTarget::All,
            _ => LogTarget::Own,
        }
    }

    /// Checks everything that does not depend on history: codes, lengths, ranges.
    ///
    /// # Errors
    /// The first field that does not fit, with what to do.
    pub fn validate(&self, lists: &Classifiers) -> Result<(), Refusal> {
        match self {
            Self::Contact(request) => request.validate(lists),
            Self::Appeal(request) => request.validate(lists),
            Self::Reception(request) => request.validate(lists),
            Self::Measure(request) => request.validate(lists),
            Self::Activity(request) => request.validate(lists),
            Self::Directive(request) => request.validate(lists),
            Self::Dispatch(request) => request.validate(lists),
            Self::Task(request) => request.validate(lists),
            Self::Office(request) => request.validate(),
            Self::Classifier(request) => request.validate(),
            Self::Access(request) => request.validate(lists),
        }
    }
}
