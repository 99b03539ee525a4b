//! One office of a play: its chance, its people and what lies on its desk for later.

use std::collections::BTreeMap;

use domain::ids::CommandId;
use domain::{OfficeCode, Post, Request, Role, Timestamp, Zone};
use jiff::civil::Date;
use uuid::Uuid;

use crate::calendar::working_day;
use crate::dice::Dice;
use crate::step::Step;

/// A stream in the making: its id, and how many facts it will have when the next step comes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stream {
    pub(crate) id: Uuid,
    version: u32,
}

/// One office.
#[derive(Clone, Debug)]
pub(crate) struct Desk {
    pub(crate) dice: Dice,
    office: OfficeCode,
    zone: Zone,
    queue: BTreeMap<(Timestamp, u64), Step>,
    queued: u64,
}

impl Desk {
    pub(crate) fn new(seed: u64, office: OfficeCode, zone: Zone) -> Self {
        let dice = Dice::new(seed, office.as_str());
        Self { dice, office, zone, queue: BTreeMap::new(), queued: 0 }
    }

    /// A new stream.
    pub(crate) fn stream(&mut self) -> Stream {
        Stream { id: self.dice.uuid(), version: 0 }
    }

    /// A post of this office, for example `kz-75/executor-2`.
    pub(crate) fn post(&self, name: &str) -> Post {
        const ANY: Post = Post::from_static("office");
        Post::new(&format!("{}/{name}", self.office.lower())).unwrap_or(ANY)
    }

    /// An instant on a day; the end of time where the calendar has no such one, which is after
    /// any play.
    pub(crate) fn at(&self, day: Date, minute_of_day: u32) -> Timestamp {
        let minute = minute_of_day.min(24 * 60 - 1);
        let hour = i8::try_from(minute / 60).unwrap_or(0);
        let minute = i8::try_from(minute % 60).unwrap_or(0);
        self.zone.at(day, hour, minute).unwrap_or(Timestamp::from_micros(i64::MAX))
    }

    /// A moment of the working hours (09:00 to 18:00) of a day.
    pub(crate) fn moment(&mut self, day: Date) -> Timestamp {
        let minute = self.dice.between(9 * 60, 17 * 60);
        let second = self.dice.between(0, 59);
        self.at(day, minute).plus_micros(i64::from(second) * 1_000_000)
    }

    /// The date of an instant in the office's zone.
    pub(crate) fn day_of(&self, at: Timestamp) -> Date {
        self.zone.date_of(at).unwrap_or(Date::MAX)
    }

    /// A moment some working days after an instant, never before it.
    pub(crate) fn later(&mut self, after: Timestamp, days: u32) -> Timestamp {
        let day = working_day(self.day_of(after), days);
        let moment = self.moment(day);
        moment.max(after.plus_micros(60_000_000))
    }

    /// Puts a step on the desk; `facts` is how many facts the request will record.
    pub(crate) fn put(
        &mut self,
        stream: &mut Stream,
        at: Timestamp,
        role: Role,
        facts: u32,
        request: impl Into<Request>,
    ) {
        let step = Step {
            office: self.office.clone(),
            occurred_at: at,
            role,
            stream: stream.id,
            expected_version: stream.version,
            command: CommandId::new(self.dice.uuid()),
            request: request.into(),
        };
        stream.version += facts;
        self.queue.insert((at, self.queued), step);
        self.queued += 1;
    }

    /// Takes everything off the desk that happens before an instant, in time order.
    pub(crate) fn take_before(&mut self, end: Timestamp) -> impl Iterator<Item = Step> + use<> {
        let rest = self.queue.split_off(&(end, 0));
        std::mem::replace(&mut self.queue, rest).into_values()
    }

    /// The first instant after a day.
    pub(crate) fn end_of(&self, day: Date) -> Timestamp {
        day.tomorrow().map_or(Timestamp::from_micros(i64::MAX), |next| self.at(next, 0))
    }
}

/// That many minutes later.
pub(crate) fn minutes(at: Timestamp, minutes: u32) -> Timestamp {
    at.plus_micros(i64::from(minutes) * 60_000_000)
}
