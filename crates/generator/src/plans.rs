//! Preventive measures and activities of the image-policy plan: planned weekly, held later,
//! sometimes late, sometimes cancelled, sometimes forgotten.

use domain::image::{HoldActivity, PlanActivity};
use domain::measure::{CancelMeasure, HoldMeasure, Participants, PlanMeasure};
use domain::{Code, Role};
use jiff::civil::{Date, Weekday};

use crate::calendar::working_day;
use crate::contacts::language;
use crate::desk::Desk;

const MEASURES: [(Code, u32); 7] = [
    (Code::from_static("lecture"), 30),
    (Code::from_static("integrity_talk"), 25),
    (Code::from_static("test"), 12),
    (Code::from_static("training"), 12),
    (Code::from_static("survey"), 8),
    (Code::from_static("memo"), 8),
    (Code::from_static("inspection"), 5),
];
const AUDIENCES: [(Code, u32); 5] = [
    (Code::from_static("court_staff"), 45),
    (Code::from_static("judges"), 25),
    (Code::from_static("new_staff"), 15),
    (Code::from_static("bailiffs"), 10),
    (Code::from_static("citizens"), 5),
];
const CANCEL_REASONS: [(Code, u32); 3] = [
    (Code::from_static("merged"), 50),
    (Code::from_static("speaker_absent"), 35),
    (Code::from_static("no_longer_needed"), 15),
];
const ACTIVITIES: [(Code, Code, u32); 6] = [
    (Code::from_static("press_release"), Code::from_static("web"), 30),
    (Code::from_static("article"), Code::from_static("newspaper"), 20),
    (Code::from_static("video"), Code::from_static("social_network"), 20),
    (Code::from_static("interview"), Code::from_static("television"), 12),
    (Code::from_static("briefing"), Code::from_static("meeting"), 10),
    (Code::from_static("open_day"), Code::from_static("meeting"), 8),
];

/// The plans of a day.
pub(crate) fn day(desk: &mut Desk, day: Date) {
    match day.weekday() {
        Weekday::Monday => {
            for _ in 0..desk.dice.between(1, 2) {
                measure(desk, day);
            }
        }
        Weekday::Tuesday | Weekday::Thursday => activity(desk, day),
        _ => {}
    }
}

fn measure(desk: &mut Desk, day: Date) {
    let mut stream = desk.stream();
    let at = desk.moment(day);
    let audience = desk.dice.weighted(&AUDIENCES).clone();
    let term = desk.dice.between(2, 12);
    let plan = PlanMeasure {
        kind: desk.dice.weighted(&MEASURES).clone(),
        audience: audience.clone(),
        due: working_day(day, term),
        directive: None,
    };
    desk.put(&mut stream, at, Role::Clerk, 1, plan);
    match desk.dice.between(1, 100) {
        1..=88 => {
            // One in eight or so is held after its day.
            let days = desk.dice.between(1, term + 1);
            let at = desk.later(at, days);
            let main = match audience.as_str() {
                "judges" => Code::from_static("judges"),
                "bailiffs" => Code::from_static("bailiffs"),
                "citizens" => Code::from_static("citizens"),
                _ => Code::from_static("civil_servants"),
            };
            let mut participants =
                vec![Participants { class: main, count: desk.dice.between(5, 60) }];
            if desk.dice.percent(40) {
                let class = Code::from_static("technical_staff");
                participants.push(Participants { class, count: desk.dice.between(1, 15) });
            }
            let minutes = desk.dice.between(2, 12) * 15;
            desk.put(&mut stream, at, Role::Clerk, 1, HoldMeasure { participants, minutes });
        }
        89..=95 => {
            let at = desk.later(at, 1);
            let reason = desk.dice.weighted(&CANCEL_REASONS).clone();
            desk.put(&mut stream, at, Role::Clerk, 1, CancelMeasure { reason });
        }
        _ => {}
    }
}

fn activity(desk: &mut Desk, day: Date) {
    let mut stream = desk.stream();
    let at = desk.moment(day);
    let weights = ACTIVITIES.map(|(kind, channel, weight)| ((kind, channel), weight));
    let (kind, channel) = desk.dice.weighted(&weights).clone();
    let audience = if desk.dice.percent(70) {
        Code::from_static("society")
    } else {
        Code::from_static("court_officials")
    };
    let target_reach = desk.dice.between(2, 80) * 100;
    let term = desk.dice.between(3, 15);
    let kazakh = desk.dice.percent(60);
    let plan = PlanActivity {
        audience,
        kind,
        channel,
        language: language(kazakh),
        target_reach,
        due: working_day(day, term),
    };
    desk.put(&mut stream, at, Role::Clerk, 1, plan);
    if desk.dice.percent(88) {
        let days = desk.dice.between(1, term + 1);
        let at = desk.later(at, days);
        // Half to one and a half of what was aimed at.
        let reach = target_reach / 100 * desk.dice.between(50, 150);
        desk.put(&mut stream, at, Role::Clerk, 1, HoldActivity { reach });
    }
}
