//! Personal receptions: planned for every working day, mostly held.

use domain::ids::AppealId;
use domain::reception::{HoldReception, MissReception, PlanReception, ReceiveVisitor, VisitorPart};
use domain::{Code, Role, Timestamp};
use jiff::civil::Date;

use crate::appeals::{self, Origin};
use crate::calendar::working_day;
use crate::desk::{Desk, Stream, minutes};
use crate::words::{self, Person};

const MODES: [(Code, u32); 3] = [
    (Code::from_static("in_person"), 80),
    (Code::from_static("video"), 15),
    (Code::from_static("visiting"), 5),
];
const REASONS: [(Code, u32); 5] = [
    (Code::from_static("business_trip"), 35),
    (Code::from_static("official_event"), 25),
    (Code::from_static("illness"), 20),
    (Code::from_static("leave"), 15),
    (Code::from_static("emergency"), 5),
];
const OUTCOMES: [(Code, u32); 3] = [
    (Code::from_static("explained"), 60),
    (Code::from_static("instruction_given"), 25),
    (Code::from_static("redirected"), 15),
];

/// On a working day the next day's session is planned; on the first also the day's own.
pub(crate) fn day(desk: &mut Desk, day: Date, first: bool) {
    if first {
        session(desk, day, day, 8 * 60 + 30);
    }
    session(desk, day, working_day(day, 1), 17 * 60 + 30);
}

fn session(desk: &mut Desk, planned_on: Date, on: Date, minute: u32) {
    let mut stream = desk.stream();
    let minute = minute + desk.dice.between(0, 20);
    let at = desk.at(planned_on, minute);
    let post = desk.post("chief");
    desk.put(&mut stream, at, Role::Clerk, 1, PlanReception { on, post });
    // A few sessions are neither held nor excused: the office stays silent.
    match desk.dice.between(1, 100) {
        1..=87 => held(desk, &mut stream, on),
        88..=97 => missed(desk, &mut stream, on),
        _ => {}
    }
}

fn held(desk: &mut Desk, stream: &mut Stream, on: Date) {
    let opened_at = desk.at(on, 10 * 60);
    let visitors = desk.dice.between(0, 5);
    for number in 0..visitors {
        visitor(desk, stream, minutes(opened_at, 5 + number * 20));
    }
    let closed_at = minutes(opened_at, 120);
    let mode = desk.dice.weighted(&MODES).clone();
    let at = minutes(closed_at, desk.dice.between(1, 15));
    desk.put(stream, at, Role::Clerk, 1, HoldReception { mode, visitors, opened_at, closed_at });
}

fn visitor(desk: &mut Desk, stream: &mut Stream, at: Timestamp) {
    let person = Person::new(&mut desk.dice);
    let personal = Some(VisitorPart {
        name: Some(person.name()),
        contacts: desk.dice.percent(50).then(|| words::contacts(&mut desk.dice)),
        note: Some(words::note(&mut desk.dice, person.kazakh)),
    });
    let (outcome, appeal) = if desk.dice.percent(25) {
        let channel = Code::from_static("reception");
        let origin = Origin { channel, contact: None, oral: true, person: Some(person) };
        let appeal = appeals::appeal(desk, minutes(at, 10), origin);
        (Code::from_static("appeal_taken"), Some(AppealId::new(appeal)))
    } else {
        (desk.dice.weighted(&OUTCOMES).clone(), None)
    };
    let request = ReceiveVisitor { outcome, appeal, personal };
    desk.put(stream, minutes(at, 15), Role::Clerk, 1, request);
}

fn missed(desk: &mut Desk, stream: &mut Stream, on: Date) {
    let minute = 9 * 60 + desk.dice.between(0, 50);
    let at = desk.at(on, minute);
    let reason = desk.dice.weighted(&REASONS).clone();
    let days = desk.dice.between(1, 4);
    let replacement_on = desk.dice.percent(70).then(|| working_day(on, days));
    desk.put(stream, at, Role::Clerk, 1, MissReception { reason, replacement_on });
}
