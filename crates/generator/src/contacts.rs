//! Calls and letters to the intake.

use domain::contact::{CallerPart, CloseContact, GiveConsultation, LinkContact, OpenContact};
use domain::ids::{AppealId, ContactId};
use domain::{Code, Role};
use jiff::civil::Date;

use crate::appeals::{self, Origin};
use crate::desk::{Desk, minutes};
use crate::words::{self, Person};

const CHANNELS: [(Code, u32); 5] = [
    (Code::from_static("call"), 60),
    (Code::from_static("in_person"), 15),
    (Code::from_static("messenger"), 10),
    (Code::from_static("email"), 10),
    (Code::from_static("letter"), 5),
];
const LINES: [(Code, u32); 3] = [
    (Code::from_static("trust_line"), 70),
    (Code::from_static("call_centre"), 20),
    (Code::from_static("office_phone"), 10),
];
const TOPICS: [(Code, u32); 7] = [
    (Code::from_static("how_to_appeal"), 25),
    (Code::from_static("appeal_status"), 25),
    (Code::from_static("reception_schedule"), 15),
    (Code::from_static("judicial_act"), 15),
    (Code::from_static("court_procedure"), 10),
    (Code::from_static("ethics"), 5),
    (Code::from_static("other"), 5),
];
const OTHER_OUTCOMES: [(Code, u32); 4] = [
    (Code::from_static("out_of_scope"), 45),
    (Code::from_static("redirected"), 25),
    (Code::from_static("abandoned"), 20),
    (Code::from_static("spam"), 10),
];
const CONSULTATION: Code = Code::from_static("consultation");
const APPEAL: Code = Code::from_static("appeal");

/// The language a person speaks with the office.
pub(crate) const fn language(kazakh: bool) -> Code {
    if kazakh { Code::from_static("kk") } else { Code::from_static("ru") }
}

/// All contacts of a day.
pub(crate) fn day(desk: &mut Desk, day: Date) {
    for _ in 0..desk.dice.between(5, 12) {
        contact(desk, day);
    }
}

fn contact(desk: &mut Desk, day: Date) {
    let at = desk.moment(day);
    let mut stream = desk.stream();
    let person = Person::new(&mut desk.dice);
    let channel = desk.dice.weighted(&CHANNELS).clone();
    let line = (channel == "call").then(|| desk.dice.weighted(&LINES).clone());
    let named = desk.dice.percent(70);
    let personal = named.then(|| CallerPart {
        name: Some(person.name()),
        phone: desk.dice.percent(60).then(|| words::phone(&mut desk.dice)),
        note: Some(words::note(&mut desk.dice, person.kazakh)),
    });
    let open =
        OpenContact { channel: channel.clone(), line, language: language(person.kazakh), personal };
    desk.put(&mut stream, at, Role::Clerk, 1, open);
    let talk = desk.dice.between(2, 12);
    let outcome = match desk.dice.between(1, 100) {
        1..=50 => {
            let topic = desk.dice.weighted(&TOPICS).clone();
            let consult = GiveConsultation { topic };
            desk.put(&mut stream, minutes(at, talk), Role::Clerk, 1, consult);
            CONSULTATION
        }
        51..=75 => {
            let origin = Origin {
                channel,
                contact: Some(ContactId::new(stream.id)),
                oral: false,
                person: Some(person),
            };
            let appeal = appeals::appeal(desk, minutes(at, talk), origin);
            let link = LinkContact { appeal: AppealId::new(appeal) };
            desk.put(&mut stream, minutes(at, talk + 1), Role::Clerk, 1, link);
            APPEAL
        }
        _ => desk.dice.weighted(&OTHER_OUTCOMES).clone(),
    };
    desk.put(&mut stream, minutes(at, talk + 2), Role::Clerk, 1, CloseContact { outcome });
}
