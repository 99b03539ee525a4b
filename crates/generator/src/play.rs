//! The iterator over a play.

use std::collections::VecDeque;

use domain::{OfficeCode, Zone};
use jiff::civil::Date;

use crate::calendar::is_working;
use crate::desk::Desk;
use crate::step::Step;
use crate::{appeals, contacts, plans, receptions};

/// The zone of the whole country since 2024-03-01.
const ZONE: &str = "Asia/Almaty";

/// Working days of several offices, one step after another, in time order over all of them.
/// Steps of cases that would go on after the last day are left out: the cases stay open.
#[derive(Clone, Debug)]
pub struct Play {
    desks: Vec<Desk>,
    day: Date,
    days_left: u32,
    first: bool,
    today: VecDeque<Step>,
}

impl Play {
    /// A play of `days` calendar days from `from` on, in the zone Asia/Almaty. Nothing happens
    /// at weekends. An office that stands twice in the list plays once.
    pub fn new(seed: u64, offices: Vec<OfficeCode>, from: Date, days: u32) -> Self {
        // The compiled-in database has it; a program without it would play in UTC.
        let zone = Zone::new(ZONE).unwrap_or_else(|_| Zone::utc());
        Self::in_zone(seed, offices, from, days, &zone)
    }

    /// The same in another zone; a session of reception must lie on one day in the zone of the
    /// office that records it.
    pub fn in_zone(
        seed: u64,
        offices: Vec<OfficeCode>,
        from: Date,
        days: u32,
        zone: &Zone,
    ) -> Self {
        let mut offices = offices;
        offices.sort();
        offices.dedup();
        let desks =
            offices.into_iter().map(|office| Desk::new(seed, office, zone.clone())).collect();
        Self { desks, day: from, days_left: days, first: true, today: VecDeque::new() }
    }

    /// Plays one day into `today`; `false` when there is no further one.
    fn play_day(&mut self) -> bool {
        if self.days_left == 0 {
            return false;
        }
        let day = self.day;
        let mut steps = Vec::new();
        for desk in &mut self.desks {
            if is_working(day) {
                receptions::day(desk, day, self.first);
                contacts::day(desk, day);
                appeals::day(desk, day);
                plans::day(desk, day);
            }
            let end = desk.end_of(day);
            steps.extend(desk.take_before(end));
        }
        if is_working(day) {
            self.first = false;
        }
        // Stable: steps of one office at one instant keep their order.
        steps.sort_by_key(|step| step.occurred_at);
        self.today = steps.into();
        self.days_left -= 1;
        match day.tomorrow() {
            Ok(next) => self.day = next,
            Err(_) => self.days_left = 0,
        }
        true
    }
}

impl Iterator for Play {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        loop {
            if let Some(step) = self.today.pop_front() {
                return Some(step);
            }
            if !self.play_day() {
                return None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use domain::ids::PersonId;
    use domain::number::{NumberKey, RegistrationNumber};
    use domain::{Actor, Classifiers, Context, Fact, Post, StreamKind, decide};
    use jiff::civil::date;
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    fn offices(codes: &[&str]) -> Vec<OfficeCode> {
        codes.iter().map(|code| code.parse().unwrap()).collect()
    }

    /// Records a whole play with the domain's rules and returns the history of every stream.
    fn record(play: Play) -> BTreeMap<Uuid, (OfficeCode, Vec<Fact>)> {
        let zone = Zone::new(ZONE).unwrap();
        let classifiers = Classifiers::built_in().unwrap();
        let key = NumberKey::new([1; 32]);
        let mut streams: BTreeMap<Uuid, (OfficeCode, Vec<Fact>)> = BTreeMap::new();
        for (counter, step) in (0..).zip(play) {
            let actor = Actor {
                person: PersonId::from([1; 16]),
                post: Post::from_static("office"),
                role: step.role,
                office: step.office.clone(),
            };
            let number = RegistrationNumber::issue(&step.office, 2026, 1, counter, &key).unwrap();
            let (_, history) =
                streams.entry(step.stream).or_insert_with(|| (step.office.clone(), Vec::new()));
            assert_eq!(history.len(), step.expected_version as usize);
            let ctx = Context {
                office: &step.office,
                stream: step.stream,
                now: step.occurred_at,
                occurred_at: step.occurred_at,
                zone: &zone,
                actor: &actor,
                classifiers: &classifiers,
                number: Some(&number),
                offices: &[],
                report: None,
                epoch: None,
            };
            match decide(history, &step.request, &ctx) {
                Ok(decision) => history.extend_from_slice(decision.own()),
                Err(refusal) => {
                    panic!("{} at {}: {refusal}", step.request.name(), step.occurred_at)
                }
            }
        }
        streams
    }

    #[test]
    fn two_months_of_three_offices_are_accepted_and_complete() {
        let play = Play::new(7, offices(&["KZ-71", "KZ-75", "KZ"]), date(2026, 2, 2), 60);
        let streams = record(play);
        let facts = || streams.values().flat_map(|(_, history)| history);
        let names: BTreeSet<_> = facts().map(Fact::type_name).collect();
        let all = [
            "contact.opened",
            "contact.consultation_given",
            "contact.linked",
            "contact.closed",
            "appeal.received",
            "appeal.registered",
            "appeal.triaged",
            "appeal.assigned",
            "appeal.decision_prepared",
            "appeal.decision_approved",
            "appeal.answer_sent",
            "appeal.closed",
            "appeal.corrected",
            "appeal.registration_voided",
            "reception.planned",
            "reception.held",
            "reception.visitor_received",
            "reception.not_held",
            "measure.planned",
            "measure.held",
            "measure.cancelled",
            "activity.planned",
            "activity.held",
        ];
        assert_eq!(names, all.into_iter().collect());
        let count = |name| facts().filter(|fact| fact.type_name() == name).count();
        assert!(count("appeal.answer_sent") * 2 > count("appeal.received"), "cases are followed");
        assert!(count("appeal.closed") < count("appeal.received"), "some are still open");
        let sessions = |code: &str| {
            let of_office = |(office, history): &&(OfficeCode, Vec<Fact>)| {
                office.as_str() == code && history[0].stream_kind() == Some(StreamKind::Reception)
            };
            streams.values().filter(of_office).count()
        };
        // 2026-02-02 to 2026-04-02: 44 working days, each planned, and the one after the last.
        assert_eq!(sessions("KZ-75"), 45);
    }

    #[test]
    fn in_time_order_and_never_twice() {
        let steps: Vec<_> =
            Play::new(1, offices(&["KZ-71", "KZ-75"]), date(2026, 3, 2), 30).collect();
        assert!(steps.is_sorted_by_key(|step| step.occurred_at));
        let commands: BTreeSet<_> = steps.iter().map(|step| step.command).collect();
        assert_eq!(commands.len(), steps.len());
        let zone = Zone::new(ZONE).unwrap();
        let days: BTreeSet<_> = steps.iter().filter_map(|s| zone.date_of(s.occurred_at)).collect();
        assert!(days.iter().all(|day| is_working(*day)));
        assert_eq!(days.len(), 22);
    }

    #[test]
    fn an_office_plays_the_same_alone_and_longer() {
        let from = date(2026, 3, 2);
        let of_75 = |play: Play| play.filter(|step| step.office.as_str() == "KZ-75");
        let together: Vec<_> =
            of_75(Play::new(3, offices(&["KZ-71", "KZ-75"]), from, 14)).collect();
        let alone: Vec<_> = Play::new(3, offices(&["KZ-75", "KZ-75"]), from, 14).collect();
        assert_eq!(together, alone);
        let longer: Vec<_> = Play::new(3, offices(&["KZ-75"]), from, 28).collect();
        assert_eq!(longer[..alone.len()], alone[..]);
        let other: Vec<_> = Play::new(4, offices(&["KZ-75"]), from, 14).collect();
        assert_ne!(other, alone);
    }

    #[test]
    fn nothing_to_play() {
        assert_eq!(Play::new(1, vec![], date(2026, 3, 2), 9).count(), 0);
        assert_eq!(Play::new(1, offices(&["KZ-75"]), date(2026, 3, 2), 0).count(), 0);
        assert_eq!(Play::new(1, offices(&["KZ-75"]), date(2026, 3, 7), 2).count(), 0);
        assert_eq!(Play::new(1, offices(&["KZ-75"]), Date::MAX, 9).count(), 0);
    }

    #[test]
    fn people_differ() {
        let mut dice = crate::dice::Dice::new(1, "people");
        let name = |_| crate::words::Person::new(&mut dice).name().into_exposed();
        let names: BTreeSet<_> = (0..200).map(name).collect();
        assert!(names.len() > 150);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]
        #[test]
        fn any_seed_is_accepted(seed: u64, start in 0_i32..400) {
            let from = date(2025, 1, 1).saturating_add(jiff::Span::new().days(start));
            record(Play::new(seed, offices(&["KZ-63"]), from, 45));
        }
    }
}
