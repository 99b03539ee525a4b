//! Appeals, followed from receipt to answer over the days that follow.

use domain::appeal::{
    AnswerAppeal, AnswerPart, ApplicantPart, ApproveDecision, AssignAppeal, CloseAppeal,
    CorrectAppeal, CorrectionPart, DecisionPart, PrepareDecision, ReceiveAppeal, TriageAppeal,
    VoidRegistration,
};
use domain::ids::ContactId;
use domain::{Code, Role, Timestamp};
use jiff::civil::{Date, Weekday};
use uuid::Uuid;

use crate::calendar::working_day;
use crate::contacts::language;
use crate::desk::{Desk, Stream, minutes};
use crate::words::{self, Person};

const KINDS: [(Code, u32); 7] = [
    (Code::from_static("statement"), 40),
    (Code::from_static("complaint"), 25),
    (Code::from_static("message"), 12),
    (Code::from_static("violation_message"), 10),
    (Code::from_static("inquiry"), 8),
    (Code::from_static("suggestion"), 4),
    (Code::from_static("response"), 1),
];
const WRITTEN_CHANNELS: [(Code, u32); 5] = [
    (Code::from_static("web"), 40),
    (Code::from_static("letter"), 25),
    (Code::from_static("email"), 20),
    (Code::from_static("other_body"), 10),
    (Code::from_static("drop_box"), 5),
];
const CATEGORIES: [(Code, u32); 7] = [
    (Code::from_static("red_tape"), 30),
    (Code::from_static("service"), 20),
    (Code::from_static("rudeness"), 12),
    (Code::from_static("staff_conduct"), 12),
    (Code::from_static("ethics"), 12),
    (Code::from_static("personnel"), 6),
    (Code::from_static("other"), 8),
];
const CORRUPT_CATEGORIES: [(Code, u32); 3] = [
    (Code::from_static("corruption"), 50),
    (Code::from_static("non_procedural_contact"), 30),
    (Code::from_static("conflict_of_interest"), 20),
];
const SEVERITIES: [(Code, u32); 3] = [
    (Code::from_static("low"), 45),
    (Code::from_static("medium"), 45),
    (Code::from_static("high"), 10),
];
const DECISIONS: [(Code, Code, u32); 6] = [
    (Code::from_static("answer"), Code::from_static("explained"), 45),
    (Code::from_static("favourable_act"), Code::from_static("satisfied"), 20),
    (Code::from_static("order_check"), Code::from_static("partly"), 12),
    (Code::from_static("leave_without_satisfaction"), Code::from_static("refused"), 13),
    (Code::from_static("take_note"), Code::from_static("explained"), 6),
    (Code::from_static("refer"), Code::from_static("explained"), 4),
];
const ANSWER_CHANNELS: [(Code, u32); 4] = [
    (Code::from_static("portal"), 40),
    (Code::from_static("letter"), 30),
    (Code::from_static("email"), 25),
    (Code::from_static("in_person"), 5),
];
const EARLY_CLOSURES: [(Code, u32); 4] = [
    (Code::from_static("redirected"), 50),
    (Code::from_static("withdrawn"), 25),
    (Code::from_static("duplicate"), 15),
    (Code::from_static("not_compliant"), 10),
];

/// Where an appeal comes from.
pub(crate) struct Origin {
    pub(crate) channel: Code,
    pub(crate) contact: Option<ContactId>,
    pub(crate) oral: bool,
    /// The person, where they are known from a contact or a reception.
    pub(crate) person: Option<Person>,
}

/// What the rest of a case follows from.
struct Case {
    kazakh: bool,
    anonymous: bool,
    corruption: bool,
    judicial: bool,
    urgent: bool,
}

/// Appeals of a day that came without a contact; on Mondays also those of the weekend.
pub(crate) fn day(desk: &mut Desk, day: Date) {
    for _ in 0..desk.dice.between(2, 5) {
        let at = desk.moment(day);
        written(desk, at, None);
    }
    if day.weekday() == Weekday::Monday {
        for _ in 0..desk.dice.between(0, 2) {
            let Ok(sunday) = day.yesterday() else { return };
            let received = desk.moment(sunday);
            let minute = 9 * 60 + desk.dice.between(0, 20);
            let at = desk.at(day, minute);
            written(desk, at, Some(received));
        }
    }
}

fn written(desk: &mut Desk, at: Timestamp, received_at: Option<Timestamp>) {
    let channel = match received_at {
        Some(_) => Code::from_static("web"),
        None => desk.dice.weighted(&WRITTEN_CHANNELS).clone(),
    };
    let origin = Origin { channel, contact: None, oral: false, person: None };
    begin(desk, at, received_at, origin);
}

/// Puts a whole case on the desk and returns its stream.
pub(crate) fn appeal(desk: &mut Desk, at: Timestamp, origin: Origin) -> Uuid {
    begin(desk, at, None, origin)
}

fn begin(desk: &mut Desk, at: Timestamp, received_at: Option<Timestamp>, origin: Origin) -> Uuid {
    let mut stream = desk.stream();
    let corruption = desk.dice.percent(7);
    let case = Case {
        corruption,
        anonymous: origin.person.is_none() && desk.dice.percent(if corruption { 40 } else { 6 }),
        judicial: !corruption && desk.dice.percent(12),
        urgent: corruption && desk.dice.percent(50),
        kazakh: match &origin.person {
            Some(person) => person.kazakh,
            None => desk.dice.percent(66),
        },
    };
    let kind = if corruption {
        Code::from_static("violation_message")
    } else {
        desk.dice.weighted(&KINDS).clone()
    };
    let request = receipt(desk, at, received_at, origin, &case, kind);
    let named = request.personal.as_ref().is_some_and(|part| part.name.is_some());
    let channel = request.channel.clone();
    desk.put(&mut stream, at, Role::Clerk, 2, request);
    if desk.dice.percent(1) {
        let reason = Code::from_static("registered_twice");
        let at = desk.later(at, 1);
        desk.put(&mut stream, at, Role::Chief, 1, VoidRegistration { reason });
    } else {
        let at = correct(desk, &mut stream, at, named, &channel);
        follow(desk, &mut stream, at, &case);
    }
    stream.id
}

fn receipt(
    desk: &mut Desk,
    at: Timestamp,
    received_at: Option<Timestamp>,
    origin: Origin,
    case: &Case,
    kind: Code,
) -> ReceiveAppeal {
    let paper = ["letter", "drop_box", "other_body", "in_person"];
    let form = if origin.oral {
        "oral"
    } else if paper.contains(&origin.channel.as_str()) {
        "paper"
    } else {
        "electronic"
    };
    let form = match form {
        "oral" => Code::from_static("oral"),
        "paper" => Code::from_static("paper"),
        _ => Code::from_static("electronic"),
    };
    let collective = !case.anonymous && !origin.oral && desk.dice.percent(6);
    let (character, applicants) = if collective {
        (Code::from_static("collective"), desk.dice.between(2, 40))
    } else {
        (Code::from_static("individual"), 1)
    };
    let person = origin.person.unwrap_or_else(|| {
        loop {
            let person = Person::new(&mut desk.dice);
            if person.kazakh == case.kazakh {
                break person;
            }
        }
    });
    let personal = ApplicantPart {
        name: (!case.anonymous).then(|| person.name()),
        contacts: (!case.anonymous).then(|| words::contacts(&mut desk.dice)),
        text: Some(words::plaint(&mut desk.dice, case.kazakh, case.corruption)),
    };
    // Working days of Art 76 and Art 99; the counting rule itself is data of the centre.
    let term = if kind == "complaint" { 20 } else { 15 };
    let registered_on = desk.day_of(at);
    ReceiveAppeal {
        kind,
        form,
        character,
        applicants,
        anonymous: case.anonymous,
        language: language(case.kazakh),
        channel: origin.channel,
        contact: origin.contact,
        received_at,
        registered_on: Some(registered_on),
        due_on: Some(working_day(registered_on, term)),
        personal: Some(personal),
    }
}

/// A correction now and then; returns when the case goes on.
fn correct(
    desk: &mut Desk,
    stream: &mut Stream,
    at: Timestamp,
    named: bool,
    channel: &Code,
) -> Timestamp {
    if !desk.dice.percent(5) {
        return at;
    }
    let reason = Code::from_static("typing_error");
    let at = minutes(at, desk.dice.between(5, 40));
    let field = |name| CorrectAppeal {
        of: Some(1),
        field: name,
        before: None,
        after: None,
        reason,
        personal: None,
    };
    let request = if named && desk.dice.percent(60) {
        let after = Person::new(&mut desk.dice).name();
        let personal = Some(CorrectionPart { before: None, after: Some(after) });
        CorrectAppeal { personal, ..field(Code::from_static("applicant_name")) }
    } else {
        let other = if *channel == "web" { "email" } else { "web" };
        let after =
            if other == "web" { Code::from_static("web") } else { Code::from_static("email") };
        CorrectAppeal {
            before: Some(channel.clone()),
            after: Some(after),
            ..field(Code::from_static("channel"))
        }
    };
    desk.put(stream, at, Role::Clerk, 1, request);
    at
}

/// Triage and what follows from it.
fn follow(desk: &mut Desk, stream: &mut Stream, at: Timestamp, case: &Case) {
    let days = desk.dice.between(0, 1);
    let at = desk.later(at, days);
    let categories = if case.corruption { &CORRUPT_CATEGORIES[..] } else { &CATEGORIES[..] };
    let category = if case.judicial {
        Code::from_static("judicial_act")
    } else {
        desk.dice.weighted(categories).clone()
    };
    let severity = if case.corruption {
        Code::from_static("high")
    } else {
        desk.dice.weighted(&SEVERITIES).clone()
    };
    let urgency =
        if case.urgent { Code::from_static("urgent") } else { Code::from_static("normal") };
    let triage = TriageAppeal {
        category,
        severity,
        urgency,
        corruption_signs: case.corruption,
        judicial_matter: case.judicial,
    };
    desk.put(stream, at, Role::Clerk, 1, triage);
    let early = if case.judicial {
        Some(Code::from_static("judicial_matter"))
    } else if case.anonymous && !case.corruption {
        Some(Code::from_static("anonymous"))
    } else if !case.corruption && desk.dice.percent(8) {
        Some(desk.dice.weighted(&EARLY_CLOSURES).clone())
    } else {
        None
    };
    match early {
        Some(closure) => {
            let days = desk.dice.between(1, 3);
            let at = desk.later(at, days);
            desk.put(stream, at, Role::Clerk, 1, CloseAppeal { closure });
        }
        None => consider(desk, stream, at, case),
    }
}

/// Assignment, decision, approval, answer, closure.
fn consider(desk: &mut Desk, stream: &mut Stream, at: Timestamp, case: &Case) {
    let executor = desk.dice.between(1, 4);
    let executor = desk.post(&format!("executor-{executor}"));
    let days = desk.dice.between(0, 1);
    let at = desk.later(at, days);
    desk.put(stream, at, Role::Chief, 1, AssignAppeal { executor });

    // Most are worked on within the term, some late.
    let days = if case.urgent { desk.dice.between(1, 4) } else { desk.dice.between(3, 15) };
    let at = desk.later(at, days);
    let weights = DECISIONS.map(|(decision, nature, weight)| ((decision, nature), weight));
    let (decision, answer_nature) = desk.dice.weighted(&weights).clone();
    let text = words::answer(&mut desk.dice, case.kazakh);
    let personal = Some(DecisionPart { text: Some(text.clone()) });
    desk.put(stream, at, Role::Clerk, 1, PrepareDecision { decision, answer_nature, personal });

    let days = desk.dice.between(0, 2);
    let at = desk.later(at, days);
    desk.put(stream, at, Role::Chief, 1, ApproveDecision {});

    let days = desk.dice.between(0, 1);
    let at = desk.later(at, days);
    let answer = AnswerAppeal {
        channel: desk.dice.weighted(&ANSWER_CHANNELS).clone(),
        language: language(case.kazakh),
        personal: Some(AnswerPart { text: Some(text) }),
    };
    desk.put(stream, at, Role::Clerk, 1, answer);
    let at = minutes(at, desk.dice.between(2, 30));
    let closure = Code::from_static("answered");
    desk.put(stream, at, Role::Clerk, 1, CloseAppeal { closure });
}
