//! Which stored message mirrors which struct of the domain, field by field.

use crate::field::message;
use crate::generated::adal as pb;

message! {
    domain::contact::CallerPart = pb::contact::v1::CallerPart { name, phone, note };
    domain::contact::ContactOpened = pb::contact::v1::ContactOpened {
        channel, line, language,
    } without personal;
    domain::contact::ConsultationGiven = pb::contact::v1::ConsultationGiven { topic };
    domain::contact::ContactLinked = pb::contact::v1::ContactLinked { appeal };
    domain::contact::FilePart = pb::contact::v1::FilePart { name };
    domain::contact::FileAttached = pb::contact::v1::FileAttached { file, size } without personal;
    domain::contact::ContactClosed = pb::contact::v1::ContactClosed { outcome };
}

message! {
    domain::appeal::ApplicantPart = pb::appeal::v1::ApplicantPart { name, contacts, text };
    domain::appeal::DecisionPart = pb::appeal::v1::DecisionPart { text };
    domain::appeal::AnswerPart = pb::appeal::v1::AnswerPart { text };
    domain::appeal::CorrectionPart = pb::appeal::v1::CorrectionPart { before, after };
    domain::appeal::AppealReceived = pb::appeal::v1::AppealReceived {
        kind, form, character, applicants, anonymous, language, channel, contact, received_at,
    } without personal;
    domain::appeal::AppealRegistered = pb::appeal::v1::AppealRegistered {
        reg_no, registered_on, due_on,
    };
    domain::appeal::AppealTriaged = pb::appeal::v1::AppealTriaged {
        category, severity, urgency, corruption_signs, judicial_matter,
    };
    domain::appeal::AppealAssigned = pb::appeal::v1::AppealAssigned { executor };
    domain::appeal::DecisionPrepared = pb::appeal::v1::DecisionPrepared {
        decision, answer_nature,
    } without personal;
    domain::appeal::DecisionApproved = pb::appeal::v1::DecisionApproved {};
    domain::appeal::AnswerSent = pb::appeal::v1::AnswerSent {
        channel, language,
    } without personal;
    domain::appeal::AppealClosed = pb::appeal::v1::AppealClosed { closure };
    domain::appeal::AppealCorrected = pb::appeal::v1::AppealCorrected {
        of, field, before, after, reason,
    } without personal;
    domain::appeal::RegistrationVoided = pb::appeal::v1::RegistrationVoided { reason };
}

message! {
    domain::reception::VisitorPart = pb::reception::v1::VisitorPart { name, contacts, note };
    domain::reception::ReceptionPlanned = pb::reception::v1::ReceptionPlanned { on, post };
    domain::reception::ReceptionHeld = pb::reception::v1::ReceptionHeld {
        mode, visitors, opened_at, closed_at,
    };
    domain::reception::VisitorReceived = pb::reception::v1::VisitorReceived {
        outcome, appeal,
    } without personal;
    domain::reception::ReceptionNotHeld = pb::reception::v1::ReceptionNotHeld {
        reason, replacement_on,
    };
}

message! {
    domain::measure::Participants = pb::measure::v1::Participants { class, count };
    domain::measure::MeasurePlanned = pb::measure::v1::MeasurePlanned {
        kind, audience, due, directive,
    };
    domain::measure::MeasureHeld = pb::measure::v1::MeasureHeld { participants, minutes };
    domain::measure::MeasureCancelled = pb::measure::v1::MeasureCancelled { reason };
    domain::image::ActivityPlanned = pb::image::v1::ActivityPlanned {
        audience, kind, channel, language, target_reach, due,
    };
    domain::image::ActivityHeld = pb::image::v1::ActivityHeld { reach };
}

message! {
    domain::directive::DirectiveIssued = pb::directive::v1::DirectiveIssued {
        targets, due, subject, order_number, indicators, evidence_required,
    };
    domain::directive::DispatchIssued = pb::directive::v1::DispatchIssued {
        directive, office, due, subject, order_number, indicators, evidence_required,
    };
    domain::directive::ExecutionAccepted = pb::directive::v1::ExecutionAccepted { report };
    domain::directive::ExecutionReturned = pb::directive::v1::ExecutionReturned {
        report, remarks, new_due,
    };
    domain::task::IndicatorValue = pb::task::v1::IndicatorValue { indicator, value };
    domain::task::TaskDelivered = pb::task::v1::TaskDelivered {
        log_epoch, log_index, due, indicators, evidence_required,
    };
    domain::task::TaskAcknowledged = pb::task::v1::TaskAcknowledged {};
    domain::task::ExecutionReported = pb::task::v1::ExecutionReported { values, evidence };
}

message! {
    domain::office::OfficeEnrolled = pb::office::v1::OfficeEnrolled {
        code, name_kk, name_ru, name_en, zone, log_key, witness_key, mirror_key,
    };
    domain::office::OfficeRekeyed = pb::office::v1::OfficeRekeyed {
        code, epoch, log_key, witness_key, mirror_key,
    };
    domain::classifier::Entry = pb::classifier::v1::Entry { code, kk, ru, en };
    domain::classifier::ClassifierPublished = pb::classifier::v1::ClassifierPublished {
        id, version, entries,
    };
    domain::access::RecordsOpened = pb::access::v1::RecordsOpened { events, purpose };
}

message! {
    domain::integrity::AcceptedHead = pb::integrity::v1::AcceptedHead { log, epoch, size, digest };
    domain::integrity::HeadsAccepted = pb::integrity::v1::HeadsAccepted { heads };
    domain::integrity::LogSucceeds = pb::integrity::v1::LogSucceeds { log, epoch, size, root };
    domain::integrity::LogClosed = pb::integrity::v1::LogClosed {
        log, epoch, size, root, successor_epoch, successor_key, reason, missing_from, missing_to,
    };
    domain::integrity::KeyRotated = pb::integrity::v1::KeyRotated { log, epoch, successor_key };
    domain::integrity::LogRecovered = pb::integrity::v1::LogRecovered {
        log, epoch, sequence, leaf, record, entered, head,
    };
}
