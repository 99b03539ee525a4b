//! Ids of the lists this version uses, and the few codes its rules depend on.

/// How an intake or an appeal arrived.
pub const CHANNEL: &str = "channel";
/// Which trust line or counter.
pub const LINE: &str = "line";
/// Languages.
pub const LANGUAGE: &str = "language";
/// What a consultation was about.
pub const TOPIC: &str = "topic";
/// How a contact ended.
pub const CONTACT_OUTCOME: &str = "contact_outcome";
/// Kinds of appeals (APPC).
pub const APPEAL_KIND: &str = "appeal_kind";
/// Forms of appeals.
pub const APPEAL_FORM: &str = "appeal_form";
/// Individual or collective.
pub const APPEAL_CHARACTER: &str = "appeal_character";
/// Coarse category of an appeal.
pub const CATEGORY: &str = "category";
/// How grave an appeal is.
pub const SEVERITY: &str = "severity";
/// How urgent an appeal is.
pub const URGENCY: &str = "urgency";
/// Decisions on an appeal.
pub const DECISION: &str = "decision";
/// Nature of an answer.
pub const ANSWER_NATURE: &str = "answer_nature";
/// How an answer is sent.
pub const ANSWER_CHANNEL: &str = "answer_channel";
/// How a case is closed.
pub const CLOSURE: &str = "closure";
/// Why a record is corrected.
pub const CORRECTION_REASON: &str = "correction_reason";
/// Why a registration is voided.
pub const VOID_REASON: &str = "void_reason";
/// How a reception is held.
pub const RECEPTION_MODE: &str = "reception_mode";
/// What a visit led to.
pub const VISITOR_OUTCOME: &str = "visitor_outcome";
/// Why a reception was not held.
pub const NOT_HELD_REASON: &str = "not_held_reason";
/// Kinds of preventive measures.
pub const MEASURE_KIND: &str = "measure_kind";
/// Audiences of preventive measures.
pub const AUDIENCE: &str = "audience";
/// Classes of participants.
pub const PARTICIPANT_CLASS: &str = "participant_class";
/// Why a measure is cancelled.
pub const CANCEL_REASON: &str = "cancel_reason";
/// Audiences of the image-policy plan.
pub const ACTIVITY_AUDIENCE: &str = "activity_audience";
/// Kinds of image-plan activities.
pub const ACTIVITY_KIND: &str = "activity_kind";
/// Channels of image-plan activities.
pub const ACTIVITY_CHANNEL: &str = "activity_channel";
/// Subjects of directives.
pub const DIRECTIVE_SUBJECT: &str = "directive_subject";
/// Indicators a directive asks for.
pub const INDICATOR: &str = "indicator";
/// Kinds of evidence a directive asks for.
pub const EVIDENCE: &str = "evidence";
/// Why an execution is returned.
pub const RETURN_REMARK: &str = "return_remark";
/// Why sealed parts are opened.
pub const OPENING_PURPOSE: &str = "opening_purpose";

/// All lists of this version.
pub const ALL: [&str; 32] = [
    CHANNEL,
    LINE,
    LANGUAGE,
    TOPIC,
    CONTACT_OUTCOME,
    APPEAL_KIND,
    APPEAL_FORM,
    APPEAL_CHARACTER,
    CATEGORY,
    SEVERITY,
    URGENCY,
    DECISION,
    ANSWER_NATURE,
    ANSWER_CHANNEL,
    CLOSURE,
    CORRECTION_REASON,
    VOID_REASON,
    RECEPTION_MODE,
    VISITOR_OUTCOME,
    NOT_HELD_REASON,
    MEASURE_KIND,
    AUDIENCE,
    PARTICIPANT_CLASS,
    CANCEL_REASON,
    ACTIVITY_AUDIENCE,
    ACTIVITY_KIND,
    ACTIVITY_CHANNEL,
    DIRECTIVE_SUBJECT,
    INDICATOR,
    EVIDENCE,
    RETURN_REMARK,
    OPENING_PURPOSE,
];

/// Contact outcome: it led to an appeal, so one must be linked.
pub const OUTCOME_APPEAL: &str = "appeal";
/// Contact outcome: a consultation was given, so one must be recorded.
pub const OUTCOME_CONSULTATION: &str = "consultation";
/// Appeal character: exactly one applicant.
pub const CHARACTER_INDIVIDUAL: &str = "individual";
/// Closure: after an answer only.
pub const CLOSURE_ANSWERED: &str = "answered";
/// Closure: belongs to court proceedings; the triage must say so.
pub const CLOSURE_JUDICIAL: &str = "judicial_matter";
/// Closure: an anonymous appeal is not considered; signs of corruption override it.
pub const CLOSURE_ANONYMOUS: &str = "anonymous";
/// Visitor outcome: an oral appeal was taken down, so it must be named.
pub const VISITOR_APPEAL: &str = "appeal_taken";
/// The state language, in which any appeal may be answered.
pub const LANGUAGE_STATE: &str = "kk";
/// Languages in which an appeal binds the answer to nothing.
pub const LANGUAGES_FREE: [&str; 2] = ["mixed", "other"];

/// Codes a new version of a list must keep, because rules depend on them.
pub const KEPT: [(&str, &str); 9] = [
    (CONTACT_OUTCOME, OUTCOME_APPEAL),
    (CONTACT_OUTCOME, OUTCOME_CONSULTATION),
    (APPEAL_CHARACTER, CHARACTER_INDIVIDUAL),
    (CLOSURE, CLOSURE_ANSWERED),
    (CLOSURE, CLOSURE_JUDICIAL),
    (CLOSURE, CLOSURE_ANONYMOUS),
    (VISITOR_OUTCOME, VISITOR_APPEAL),
    (LANGUAGE, LANGUAGE_STATE),
    (LANGUAGE, "mixed"),
];
