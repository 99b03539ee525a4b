//! The people at their desks: commands that follow from the seed, some of them asked twice, some of
//! them asked again after a crash whose outcome nobody knows.

use std::time::Duration;

use domain::contact::{ContactFact, ContactRequest, OpenContact};
use domain::directive::{DirectiveRequest, IssueDirective};
use domain::ids::{OfficeId, PersonId};
use domain::office::{EnrolOffice, OfficeRequest, RekeyOffice};
use domain::permission::Actor;
use domain::{Code, Fact, OfficeCode, Post, Request, Role, StreamKind};
use evidence::hash::sha256;
use evidence::log::Position;
use evidence::record::{StreamRef, Urgency};
use identity::PublicKeys;
use journal::{Append, CommandClaim, CommandKey, ExpectedVersion, Transaction};
use node::SharedOffice;
use node::decide::{self, ExecuteError, Order};
use node::seal::{self, Provenance};
use node::writer::WriteError;
use uuid::Uuid;

use crate::chance::Chance;
use crate::country::Country;
use crate::machine::Machine;

/// What people do by turns, in milliseconds of pause.
const PAUSE: (u64, u64) = (150, 1_800);
/// Contacts of one burst.
const BURST: u64 = 12;

/// A desk.
#[derive(Default)]
pub struct Desk {
    /// What was asked and answered.
    answered: Vec<(Order, Position)>,
    /// What was asked and not answered: asked again.
    unanswered: Option<Order>,
    /// The first command of a burst that was not answered.
    burst: Option<(u128, u64)>,
}

/// Runs until the office stops or people go home.
pub async fn run(country: Country, name: String, office: SharedOffice) -> Result<(), String> {
    let stopping = office.supervisor.stopping();
    let boot = country.notes().machines[&name].boots;
    let mut chance = Chance::of(country.seed, &format!("work {boot} of {name}"));
    if office.code.is_centre() {
        enrol(&country, &office).await;
    }
    loop {
        let pause = Duration::from_millis(chance.between(PAUSE.0, PAUSE.1));
        tokio::select! {
            biased;
            () = stopping.cancelled() => return Ok(()),
            () = tokio::time::sleep(pause) => {}
        }
        if country.now() > country.notes().work_until {
            return Ok(());
        }
        let in_doubt = country.notes().desks.entry(name.clone()).or_default().burst;
        if in_doubt.is_some() || chance.once_in(6) {
            let new = (u128::from(chance.number()) << 64, chance.between(2, BURST));
            burst(&country, &name, &office, in_doubt.unwrap_or(new)).await;
        } else {
            let order = next(&country, &name, &office, &mut chance);
            ask(&country, &name, &office, order).await;
        }
    }
}

/// The centre enrols every office whose keys it was given; again after each start, to no effect.
async fn enrol(country: &Country, office: &SharedOffice) {
    let others: Vec<PublicKeys> = {
        let notes = country.notes();
        let machines = notes.machines.values();
        let regions = machines.filter(|one| !one.code.is_centre() && one.generation == 0);
        regions.map(crate::machine::Machine::public).collect()
    };
    for keys in others {
        let code: OfficeCode = keys.office.parse().unwrap();
        let text = || code.to_string();
        let request = OfficeRequest::Enrol(EnrolOffice {
            name_kk: text(),
            name_ru: text(),
            name_en: text(),
            zone: "Asia/Almaty".to_owned(),
            log_key: keys.log,
            witness_key: keys.witness,
            mirror_key: Some(keys.mirror),
            code: code.clone(),
        });
        let stream = OfficeId::of(&code).uuid();
        let id = Uuid::new_v5(&Uuid::nil(), code.as_str().as_bytes());
        let order = order(id, stream, Request::Office(request));
        ask(country, "kz", office, order).await;
    }
}

/// The centre gives an office whose keys were lost the ones that it has made since; false: not yet.
pub async fn rekey(country: &Country, machine: &Machine) -> bool {
    let Some(office) = country.office("kz") else { return false };
    let made = machine.folder.join("data/keys/public.toml");
    let Ok(keys) = PublicKeys::load(&made) else { return false };
    let request = OfficeRequest::Rekey(RekeyOffice {
        code: machine.code.clone(),
        epoch: keys.epoch,
        log_key: keys.log,
        witness_key: keys.witness,
        mirror_key: Some(keys.mirror),
    });
    let stream = OfficeId::of(&machine.code).uuid();
    let id = Uuid::new_v5(&Uuid::nil(), &keys.log);
    let order = Order { expected_version: 1, ..order(id, stream, Request::Office(request)) };
    ask(country, "kz", &office, order).await
}

fn order(command_id: Uuid, stream_id: Uuid, request: Request) -> Order {
    Order {
        command_id,
        stream_id,
        expected_version: 0,
        occurred_at: None,
        zone: None,
        causation: Uuid::nil(),
        correlation: Uuid::nil(),
        request,
        request_hash: sha256(command_id.as_bytes()),
        controls: Vec::new(),
    }
}

fn code(text: &str) -> Code {
    Code::new(text).unwrap()
}

/// What is asked next: what has no answer yet, something once more, or something new.
fn next(country: &Country, name: &str, office: &SharedOffice, chance: &mut Chance) -> Order {
    let regions: Vec<OfficeCode> = office.country.known().offices.keys().cloned().collect();
    let regions: Vec<_> = regions.into_iter().filter(|code| !code.is_centre()).collect();
    let mut notes = country.notes();
    let desk = notes.desks.entry(name.to_owned()).or_default();
    let mut id = [0; 16];
    chance.fill(&mut id);
    let repeats = chance.once_in(8) && !desk.answered.is_empty();
    let order = match desk.unanswered.take() {
        Some(order) => order,
        None if repeats => chance.of_these(&desk.answered).0.clone(),
        None if office.code.is_centre() && !regions.is_empty() && chance.once_in(2) => {
            order(Uuid::from_bytes(id), Uuid::from_bytes(id), directive(regions, chance))
        }
        None => order(Uuid::from_bytes(id), Uuid::from_bytes(id), contact()),
    };
    desk.unanswered = Some(order.clone());
    order
}

fn contact() -> Request {
    let opening =
        OpenContact { channel: code("call"), line: None, language: code("kk"), personal: None };
    Request::Contact(ContactRequest::Open(opening))
}

/// A directive to all regions or to some.
fn directive(mut targets: Vec<OfficeCode>, chance: &mut Chance) -> Request {
    if !chance.once_in(3) {
        let first = chance.below(targets.len() as u64) as usize;
        targets.rotate_left(first);
        targets.truncate(chance.between(1, targets.len() as u64) as usize);
    }
    Request::Directive(DirectiveRequest::Issue(IssueDirective {
        targets,
        due: "2026-12-20".parse().unwrap(),
        subject: code("trust_line"),
        order_number: None,
        indicators: Vec::new(),
        evidence_required: Vec::new(),
    }))
}

fn actor(office: &SharedOffice) -> Actor {
    let role = if office.code.is_centre() { Role::National } else { Role::Clerk };
    Actor {
        person: PersonId::new(Uuid::from_u128(7)),
        post: Post::new(&format!("{}/desk", office.logs.own)).unwrap(),
        role,
        office: office.code.clone(),
    }
}

/// True if it is recorded.
async fn ask(country: &Country, name: &str, office: &SharedOffice, order: Order) -> bool {
    let outcome = decide::execute(office, &actor(office), order.clone()).await;
    let unknown = matches!(&outcome, Err(ExecuteError::Write(WriteError::Stopped)));
    match &outcome {
        Ok(receipt) => {
            let (place, replayed) = (&receipt.first, receipt.replayed);
            country.tell(name, format!("answered {place} replayed {replayed}"));
        }
        Err(error) => country.tell(name, format!("not recorded: {error}")),
    }
    let mut notes = country.notes();
    if let Err(error @ ExecuteError::VersionConflict { .. }) = &outcome {
        let command = *order.command_id.as_bytes();
        notes.audit.not_answered_again(name, command, &error.to_string());
    }
    let desk = notes.desks.entry(name.to_owned()).or_default();
    if !unknown {
        desk.unanswered = None;
    }
    let Ok(receipt) = outcome else { return false };
    let known = desk.answered.iter().any(|(known, _)| known.command_id == order.command_id);
    if !known {
        desk.answered.push((order.clone(), receipt.first.clone()));
    }
    let command = *order.command_id.as_bytes();
    notes.audit.answered(name, command, &[receipt.first], office);
    true
}

/// Several contacts at once, past the rules: the writer takes them as one group or as several.
async fn burst(country: &Country, name: &str, office: &SharedOffice, (first, count): (u128, u64)) {
    country.notes().desks.entry(name.to_owned()).or_default().burst = Some((first, count));
    let mut submitted = Vec::new();
    for number in 0..u128::from(count) {
        let id = Uuid::from_u128(first + number);
        let Ok(waiting) = office.writer.submit(opened(office, id)).await else { return };
        submitted.push((id, waiting));
    }
    for (id, waiting) in submitted {
        match waiting.outcome().await {
            Ok(committed) => {
                let places: Vec<_> = committed.positions.iter().map(ToString::to_string).collect();
                country.tell(name, format!("recorded {}", places.join(" ")));
                let command = *id.as_bytes();
                country.notes().audit.answered(name, command, &committed.positions, office);
            }
            Err(WriteError::Stopped) => return,
            Err(error) => country.tell(name, format!("not recorded: {error}")),
        }
    }
    country.notes().desks.entry(name.to_owned()).or_default().burst = None;
}

/// The transaction that opens a contact.
fn opened(office: &SharedOffice, id: Uuid) -> Transaction {
    let actor = actor(office);
    let fact = domain::contact::ContactOpened {
        channel: code("call"),
        line: None,
        language: code("ru"),
        personal: None,
    };
    let fact: Fact = ContactFact::Opened(fact).into();
    let log = &office.logs.own;
    let stream = StreamRef { kind: StreamKind::Contact.code(), id: id.into_bytes() };
    let provenance = Provenance {
        actor: &actor,
        occurred_at: office.now(),
        zone: &office.zone,
        command: id,
        causation: Uuid::nil(),
        correlation: Uuid::nil(),
    };
    let mut draft = seal::draft(office, log, stream, &fact, &provenance).unwrap();
    if id.as_u128().is_multiple_of(5) {
        draft.header.urgency = Urgency::Urgent;
    }
    let drafts = vec![draft];
    let key = CommandKey { principal: actor.person.bytes(), command_id: id.into_bytes() };
    let command = Some(CommandClaim { key, request_hash: sha256(id.as_bytes()) });
    let append = Append { log: log.clone(), expected: ExpectedVersion::Exact(0), stream, drafts };
    Transaction { command, appends: vec![append], ..Transaction::default() }
}
