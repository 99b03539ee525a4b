//! A country of logs for tests: facts recorded into the logs they belong to.

#![allow(dead_code, reason = "each test file uses its own part")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeMap;

use domain::{
    Code, Fact, OfficeCode, Post, RegistrationNumber, StreamKind, Text,
    access::RecordsOpened,
    appeal::{
        AnswerSent, AppealAssigned, AppealClosed, AppealCorrected, AppealReceived,
        AppealRegistered, AppealTriaged, ApplicantPart, DecisionApproved, DecisionPrepared,
    },
    classifier::{ClassifierPublished, Entry},
    contact::{CallerPart, ConsultationGiven, ContactClosed, ContactLinked, ContactOpened},
    directive::{DirectiveIssued, DispatchIssued, ExecutionAccepted, ExecutionReturned},
    ids::{AppealId, ClassifierId, DirectiveId, DispatchId, EventId, OfficeId},
    image::{ActivityHeld, ActivityPlanned},
    measure::{MeasureCancelled, MeasureHeld, MeasurePlanned, Participants},
    office::OfficeEnrolled,
    reception::{ReceptionHeld, ReceptionNotHeld, ReceptionPlanned, VisitorReceived},
    task::{ExecutionReported, IndicatorValue, TaskAcknowledged, TaskDelivered},
    time::Timestamp,
};
use evidence::{log::LogName, record::StreamRef};
use jiff::civil::{Date, date};
use projection::Envelope;

/// Text that stands in sealed parts only; no table may ever hold it.
pub const SECRET: &str = "Құпия мәтін 8f3a";

pub const SECOND: i64 = 1_000_000;
pub const HOUR: i64 = 3_600 * SECOND;

/// 2026-03-02 04:00 UTC, 09:00 in Almaty.
pub const START: i64 = 1_772_424_000 * SECOND;

pub fn code(text: &str) -> Code {
    Code::new(text).unwrap()
}

pub fn office(text: &str) -> OfficeCode {
    OfficeCode::new(text).unwrap()
}

pub fn id(kind: u8, number: u32) -> [u8; 16] {
    let mut id = [0; 16];
    id[0] = kind;
    id[12..].copy_from_slice(&number.to_be_bytes());
    id
}

/// The logs of all offices, growing as things happen.
#[derive(Default)]
pub struct Country {
    pub logs: BTreeMap<String, Vec<Envelope>>,
    versions: BTreeMap<(String, StreamRef), u32>,
    events: u32,
    pub now: i64,
}

impl Country {
    pub fn new() -> Self {
        Self { now: START, ..Self::default() }
    }

    /// Records a fact of the stream `(kind, id)` into `log`, written by `writer`.
    pub fn record(
        &mut self,
        log: &str,
        writer: &str,
        kind: StreamKind,
        id: [u8; 16],
        fact: impl Into<Fact>,
    ) -> &mut Envelope {
        let fact = fact.into();
        let stream = StreamRef { kind: kind.code(), id };
        let version = self.versions.entry((log.to_owned(), stream)).or_default();
        *version += 1;
        self.events += 1;
        self.now += SECOND;
        let log_of = self.logs.entry(log.to_owned()).or_default();
        log_of.push(Envelope {
            log: LogName::new(log).unwrap(),
            epoch: 1,
            seq: log_of.len() as u64,
            event_id: self::id(0xee, self.events),
            stream,
            stream_version: *version,
            office: office(writer),
            occurred_at: self.now,
            recorded_at: self.now,
            zone: "Asia/Almaty".into(),
            actor: [0xaa; 16],
            type_code: fact.type_code(),
            fact,
        });
        log_of.last_mut().unwrap()
    }

    /// Records a fact of an office's own work into its own log.
    pub fn own(&mut self, office: &str, kind: StreamKind, id: [u8; 16], fact: impl Into<Fact>) {
        self.record(&office.to_ascii_lowercase(), office, kind, id, fact);
    }

    pub fn enrol(&mut self, code: &str) {
        let office = office(code);
        let fact = OfficeEnrolled {
            code: office.clone(),
            name_kk: format!("{code} соты"),
            name_ru: format!("суд {code}"),
            name_en: format!("court {code}"),
            zone: "Asia/Almaty".into(),
            log_key: [1; 32],
            witness_key: [2; 32],
            mirror_key: None,
        };
        let id = OfficeId::of(&office).bytes();
        self.record("kz/all", "KZ", StreamKind::Office, id, fact);
    }

    pub fn publish(&mut self, version: u32) {
        let entry = |name: &str| Entry {
            code: code(name),
            kk: "қоңырау".into(),
            ru: "звонок".into(),
            en: name.into(),
        };
        let fact = ClassifierPublished {
            id: code("channel"),
            version,
            entries: vec![entry("call"), entry("letter")],
        };
        let id = ClassifierId::of(&code("channel")).bytes();
        self.record("kz/all", "KZ", StreamKind::Classifier, id, fact);
    }

    /// A contact with consultation, link to an appeal and closure, as far as `steps` goes.
    pub fn contact(&mut self, office: &str, number: u32, channel: &str, steps: usize) {
        let id = id(1, number);
        let personal = CallerPart { name: Some(Text::from(SECRET)), ..CallerPart::default() };
        let facts: [Fact; 4] = [
            ContactOpened {
                channel: code(channel),
                line: None,
                language: code("kk"),
                personal: Some(personal),
            }
            .into(),
            ConsultationGiven { topic: code("procedure") }.into(),
            ContactLinked { appeal: AppealId::from(self::id(2, number)) }.into(),
            ContactClosed { outcome: code("appeal") }.into(),
        ];
        for fact in facts.into_iter().take(steps) {
            self.own(office, StreamKind::Contact, id, fact);
        }
    }

    /// An appeal on its way from receipt to closure, as far as `steps` goes (at most 8).
    pub fn appeal(&mut self, office: &str, number: u32, due: Date, steps: usize) {
        let id = id(2, number);
        let code_of_office = self::office(office);
        let personal = ApplicantPart { text: Some(Text::from(SECRET)), ..ApplicantPart::default() };
        let facts: [Fact; 8] = [
            AppealReceived {
                kind: code("complaint"),
                form: code("paper"),
                character: code("individual"),
                applicants: 1,
                anonymous: false,
                language: code("ru"),
                channel: code("letter"),
                contact: None,
                received_at: Timestamp::from_micros(self.now),
                personal: Some(personal),
            }
            .into(),
            AppealRegistered {
                reg_no: RegistrationNumber::from_parts(code_of_office, 2026, 1, number).unwrap(),
                registered_on: date(2026, 3, 2),
                due_on: Some(due),
            }
            .into(),
            AppealTriaged {
                category: code("conduct"),
                severity: code("high"),
                urgency: code("normal"),
                corruption_signs: number.is_multiple_of(2),
                judicial_matter: false,
            }
            .into(),
            AppealAssigned { executor: Post::new("kz-75/clerk").unwrap() }.into(),
            DecisionPrepared {
                decision: code("answer"),
                answer_nature: code("explained"),
                personal: None,
            }
            .into(),
            DecisionApproved {}.into(),
            AnswerSent { channel: code("letter"), language: code("ru"), personal: None }.into(),
            AppealClosed { closure: code("answered") }.into(),
        ];
        for fact in facts.into_iter().take(steps) {
            self.own(office, StreamKind::Appeal, id, fact);
        }
    }

    pub fn correct(&mut self, office: &str, number: u32, field: &str, after: &str) {
        let fact = AppealCorrected {
            of: 1,
            field: code(field),
            before: Some(code("complaint")),
            after: Some(code(after)),
            reason: code("typing_error"),
            personal: None,
        };
        self.own(office, StreamKind::Appeal, id(2, number), fact);
    }

    pub fn reception(&mut self, office: &str, number: u32, held: Option<bool>) {
        let id = id(3, number);
        let planned =
            ReceptionPlanned { on: date(2026, 3, 10), post: Post::new("kz-75/chief").unwrap() };
        self.own(office, StreamKind::Reception, id, planned);
        match held {
            None => {}
            Some(true) => {
                let visitor =
                    VisitorReceived { outcome: code("explained"), appeal: None, personal: None };
                self.own(office, StreamKind::Reception, id, visitor);
                let opened_at = Timestamp::from_micros(self.now);
                let held = ReceptionHeld {
                    mode: code("in_person"),
                    visitors: 3,
                    opened_at,
                    closed_at: opened_at.plus_micros(HOUR),
                };
                self.own(office, StreamKind::Reception, id, held);
            }
            Some(false) => {
                let not = ReceptionNotHeld {
                    reason: code("illness"),
                    replacement_on: Some(date(2026, 3, 12)),
                };
                self.own(office, StreamKind::Reception, id, not);
            }
        }
    }

    pub fn measure(&mut self, office: &str, number: u32, due: Date, held: Option<bool>) {
        let id = id(4, number);
        let planned = MeasurePlanned {
            kind: code("lecture"),
            audience: code("judges"),
            due,
            directive: Some(DirectiveId::from(self::id(6, 1))),
        };
        self.own(office, StreamKind::Measure, id, planned);
        match held {
            None => {}
            Some(true) => {
                let class = |name, count| Participants { class: code(name), count };
                let participants = vec![class("judges", 12), class("staff", 30)];
                self.own(
                    office,
                    StreamKind::Measure,
                    id,
                    MeasureHeld { participants, minutes: 90 },
                );
            }
            Some(false) => {
                self.own(
                    office,
                    StreamKind::Measure,
                    id,
                    MeasureCancelled { reason: code("snow") },
                );
            }
        }
    }

    pub fn activity(&mut self, office: &str, number: u32, held: bool) {
        let id = id(5, number);
        let planned = ActivityPlanned {
            audience: code("society"),
            kind: code("briefing"),
            channel: code("press"),
            language: code("kk"),
            target_reach: 500,
            due: date(2026, 4, 1),
        };
        self.own(office, StreamKind::Activity, id, planned);
        if held {
            self.own(office, StreamKind::Activity, id, ActivityHeld { reach: 700 });
        }
    }

    pub fn opened(&mut self, office: &str, number: u32, records: u32) {
        let events = (0..records).map(|n| EventId::from(id(0xee, n))).collect();
        let fact = RecordsOpened { events, purpose: code("work") };
        self.own(office, StreamKind::Access, id(11, number), fact);
    }

    /// Issues a directive to `targets`, due on 2026-03-20.
    pub fn directive(&mut self, number: u32, targets: &[&str]) {
        let directive = DirectiveId::from(id(6, number));
        let offices: Vec<OfficeCode> = targets.iter().map(|target| office(target)).collect();
        let issued = DirectiveIssued {
            targets: offices.clone(),
            due: date(2026, 3, 20),
            subject: code("training"),
            order_number: None,
            indicators: vec![code("people")],
            evidence_required: vec![code("photo")],
        };
        self.own("KZ", StreamKind::Directive, id(6, number), issued);
        for office in offices {
            let dispatch = DispatchIssued {
                directive,
                office: office.clone(),
                due: date(2026, 3, 20),
                subject: code("training"),
                order_number: None,
                indicators: vec![code("people")],
                evidence_required: vec![code("photo")],
            };
            self.dispatch(number, office.as_str(), dispatch);
        }
    }

    pub fn dispatch(&mut self, number: u32, to: &str, fact: impl Into<Fact>) {
        let stream = DispatchId::of(DirectiveId::from(id(6, number)), &office(to));
        let log = format!("kz/{}", to.to_ascii_lowercase());
        self.record(&log, "KZ", StreamKind::Dispatch, stream.bytes(), fact);
    }

    pub fn delivered(&mut self, number: u32, office: &str) {
        let fact = TaskDelivered {
            log_epoch: 1,
            log_index: 0,
            due: date(2026, 3, 20),
            indicators: vec![code("people")],
            evidence_required: vec![code("photo")],
        };
        self.own(office, StreamKind::Task, id(6, number), fact);
    }

    pub fn acknowledged(&mut self, number: u32, office: &str) {
        self.own(office, StreamKind::Task, id(6, number), TaskAcknowledged {});
    }

    pub fn reported(&mut self, number: u32, office: &str, people: i64) {
        let fact = ExecutionReported {
            values: vec![IndicatorValue { indicator: code("people"), value: people }],
            evidence: vec![code("photo")],
        };
        self.own(office, StreamKind::Task, id(6, number), fact);
    }

    pub fn returned(&mut self, number: u32, office: &str, report: u32) {
        let fact =
            ExecutionReturned { report, remarks: code("incomplete"), new_due: date(2026, 3, 25) };
        self.dispatch(number, office, fact);
    }

    pub fn accepted(&mut self, number: u32, office: &str, report: u32) {
        self.dispatch(number, office, ExecutionAccepted { report });
    }

    /// Every record, log after log.
    pub fn in_order(&self) -> Vec<Envelope> {
        self.logs.values().flatten().cloned().collect()
    }
}
