//! Which request of a command mirrors which request of the domain, field by field.

use domain::Request;
use domain::appeal::AppealRequest;
use domain::classifier::ClassifierRequest;
use domain::contact::ContactRequest;
use domain::directive::{DirectiveRequest, DispatchRequest};
use domain::image::ActivityRequest;
use domain::measure::MeasureRequest;
use domain::office::OfficeRequest;
use domain::reception::ReceptionRequest;
use domain::task::TaskRequest;

use crate::field::{Reader, Wire, message};
use crate::generated::adal::command::v1 as pb;
use pb::command::Request as Kind;

message! {
    domain::contact::OpenContact = pb::OpenContact { channel, line, language, personal };
    domain::contact::GiveConsultation = pb::GiveConsultation { topic };
    domain::contact::LinkContact = pb::LinkContact { appeal };
    domain::contact::AttachFile = pb::AttachFile { file, size, personal };
    domain::contact::CloseContact = pb::CloseContact { outcome };
}

message! {
    domain::appeal::ReceiveAppeal = pb::ReceiveAppeal {
        kind, form, character, applicants, anonymous, language, channel, contact, received_at,
        registered_on, due_on, personal,
    };
    domain::appeal::TriageAppeal = pb::TriageAppeal {
        category, severity, urgency, corruption_signs, judicial_matter,
    };
    domain::appeal::AssignAppeal = pb::AssignAppeal { executor };
    domain::appeal::PrepareDecision = pb::PrepareDecision { decision, answer_nature, personal };
    domain::appeal::ApproveDecision = pb::ApproveDecision {};
    domain::appeal::AnswerAppeal = pb::AnswerAppeal { channel, language, personal };
    domain::appeal::CloseAppeal = pb::CloseAppeal { closure };
    domain::appeal::CorrectAppeal = pb::CorrectAppeal {
        of, field, before, after, reason, personal,
    };
    domain::appeal::VoidRegistration = pb::VoidRegistration { reason };
}

message! {
    domain::reception::PlanReception = pb::PlanReception { on, post };
    domain::reception::HoldReception = pb::HoldReception {
        mode, visitors, opened_at, closed_at,
    };
    domain::reception::ReceiveVisitor = pb::ReceiveVisitor { outcome, appeal, personal };
    domain::reception::MissReception = pb::MissReception { reason, replacement_on };
}

message! {
    domain::measure::PlanMeasure = pb::PlanMeasure { kind, audience, due, directive };
    domain::measure::HoldMeasure = pb::HoldMeasure { participants, minutes };
    domain::measure::CancelMeasure = pb::CancelMeasure { reason };
    domain::image::PlanActivity = pb::PlanActivity {
        audience, kind, channel, language, target_reach, due,
    };
    domain::image::HoldActivity = pb::HoldActivity { reach };
}

message! {
    domain::directive::IssueDirective = pb::IssueDirective {
        targets, due, subject, order_number, indicators, evidence_required,
    };
    domain::directive::AcceptExecution = pb::AcceptExecution { directive, office, report };
    domain::directive::ReturnExecution = pb::ReturnExecution {
        directive, office, report, remarks, new_due,
    };
    domain::task::AcknowledgeTask = pb::AcknowledgeTask {};
    domain::task::ReportTask = pb::ReportTask { values, evidence };
}

message! {
    domain::office::EnrolOffice = pb::EnrolOffice {
        code, name_kk, name_ru, name_en, zone, log_key, witness_key, mirror_key,
    };
    domain::office::RekeyOffice = pb::RekeyOffice {
        code, epoch, log_key, witness_key, mirror_key,
    };
    domain::classifier::PublishClassifier = pb::PublishClassifier { id, version, entries };
}

/// Both directions of the command's `oneof`.
macro_rules! oneof {
    (
        $($kind:ident = $name:literal: $wrapper:ident($slice:ident::$variant:ident);)*
    ) => {
        /// The request as a command carries it; `None` for those that no command carries.
        pub(crate) fn put(request: &Request) -> Option<Kind> {
            match request {
                $(Request::$wrapper($slice::$variant(inner)) => Some(Kind::$kind(inner.put())),)*
                // Made by the node itself, and by the call OpenRecord.
                Request::Task(TaskRequest::Deliver(_)) | Request::Access(_) => None,
            }
        }

        /// The request of a command; `None` after reporting what is wrong.
        pub(crate) fn get(kind: Kind, reader: &mut Reader) -> Option<Request> {
            match kind {
                $(Kind::$kind(inner) => reader
                    .field($name, |r| Wire::get(inner, r))
                    .map(|inner| Request::$wrapper($slice::$variant(inner))),)*
            }
        }
    };
}

oneof! {
    OpenContact = "open_contact": Contact(ContactRequest::Open);
    GiveConsultation = "give_consultation": Contact(ContactRequest::Consult);
    LinkContact = "link_contact": Contact(ContactRequest::Link);
    CloseContact = "close_contact": Contact(ContactRequest::Close);
    AttachFile = "attach_file": Contact(ContactRequest::Attach);
    ReceiveAppeal = "receive_appeal": Appeal(AppealRequest::Receive);
    TriageAppeal = "triage_appeal": Appeal(AppealRequest::Triage);
    AssignAppeal = "assign_appeal": Appeal(AppealRequest::Assign);
    PrepareDecision = "prepare_decision": Appeal(AppealRequest::Prepare);
    ApproveDecision = "approve_decision": Appeal(AppealRequest::Approve);
    AnswerAppeal = "answer_appeal": Appeal(AppealRequest::Answer);
    CloseAppeal = "close_appeal": Appeal(AppealRequest::Close);
    CorrectAppeal = "correct_appeal": Appeal(AppealRequest::Correct);
    VoidRegistration = "void_registration": Appeal(AppealRequest::Void);
    PlanReception = "plan_reception": Reception(ReceptionRequest::Plan);
    HoldReception = "hold_reception": Reception(ReceptionRequest::Hold);
    MissReception = "miss_reception": Reception(ReceptionRequest::Miss);
    ReceiveVisitor = "receive_visitor": Reception(ReceptionRequest::ReceiveVisitor);
    PlanMeasure = "plan_measure": Measure(MeasureRequest::Plan);
    HoldMeasure = "hold_measure": Measure(MeasureRequest::Hold);
    CancelMeasure = "cancel_measure": Measure(MeasureRequest::Cancel);
    PlanActivity = "plan_activity": Activity(ActivityRequest::Plan);
    HoldActivity = "hold_activity": Activity(ActivityRequest::Hold);
    IssueDirective = "issue_directive": Directive(DirectiveRequest::Issue);
    AcknowledgeTask = "acknowledge_task": Task(TaskRequest::Acknowledge);
    ReportTask = "report_task": Task(TaskRequest::Report);
    AcceptExecution = "accept_execution": Dispatch(DispatchRequest::Accept);
    ReturnExecution = "return_execution": Dispatch(DispatchRequest::Return);
    EnrolOffice = "enrol_office": Office(OfficeRequest::Enrol);
    RekeyOffice = "rekey_office": Office(OfficeRequest::Rekey);
    PublishClassifier = "publish_classifier": Classifier(ClassifierRequest::Publish);
}
