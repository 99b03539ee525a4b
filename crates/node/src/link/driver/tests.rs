//! The driver against a peer that is made of two channels.

use std::sync::Arc;

use domain::contact::{ContactRequest, OpenContact};
use domain::office::OfficeRekeyed;
use domain::permission::Actor;
use domain::{Code, Post, Request};
use journal::{CommitError, IndexStatus, ReadError};
use replication::message::{Cosigned, Head, Hello, Holding, Message, PROTOCOL, Refused, Role};
use replication::{Session, SessionConfig};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::ReceiverStream;
use uuid::Uuid;

use super::*;
use crate::decide::{self, Order};
use crate::grpc::operator::{self, Wanted};
use crate::grpc::stat;
use crate::grpc::sync::{self, LinkWord};
use crate::heads;
use crate::link::plan;
use crate::project;
use crate::testing::network::Network;
use crate::testing::{self, Desk, Gate};
use crate::writer::WriteError;

const PATIENCE: Duration = Duration::from_secs(10);
const SHORT: Duration = Duration::from_millis(100);

/// The centre's end of a link: what the region receives and sends.
struct Centre {
    send: mpsc::Sender<Result<Frame, Status>>,
    receive: mpsc::Receiver<Frame>,
    stop: CancellationToken,
}

/// A driver of the region's link, not yet running, and the other end of it.
async fn link(region: &Desk) -> (Driver, Centre) {
    let (send, inbound) = mpsc::channel(1);
    let (outbound, receive) = mpsc::channel(4);
    let stop = CancellationToken::new();
    let peer = "KZ".parse().unwrap();
    let keys = region.office.country.known().new_keys(&peer);
    let config: SessionConfig = plan::to_centre(&region.office, &peer).await.unwrap();
    let driver = Driver {
        office: region.office.clone(),
        session: Session::new(config, Now { mono: 0, unix: region.office.clock.now() }).unwrap(),
        peer,
        inbound: Box::pin(ReceiverStream::new(inbound)),
        outbound,
        stop: stop.clone(),
        keys,
        began: Instant::now(),
        told: Told::default(),
        round: Round::default(),
        lane: Lane::default(),
    };
    (driver, Centre { send, receive, stop })
}

#[allow(clippy::disallowed_methods)] // a test has no supervisor
fn in_background<T: Send + 'static>(
    task: impl Future<Output = T> + Send + 'static,
) -> JoinHandle<T> {
    tokio::spawn(task)
}

fn run(driver: Driver) -> JoinHandle<Ended> {
    in_background(driver.run())
}

impl Centre {
    async fn say(&self, message: Message) {
        self.send.send(Ok(wire::encode_frame(message))).await.unwrap();
    }

    async fn greet(&self) {
        self.greet_with(Vec::new()).await;
    }

    async fn greet_with(&self, holdings: Vec<Holding>) {
        self.say(Message::Hello(Hello {
            protocol: PROTOCOL,
            office: "KZ".to_owned(),
            instance: [9; 16],
            software: "test".to_owned(),
            holdings,
            features: Vec::new(),
            witnessed: Vec::new(),
            shown: Vec::new(),
        }))
        .await;
    }

    async fn hear(&mut self) -> Message {
        let frame = tokio::time::timeout(PATIENCE, self.receive.recv()).await.unwrap().unwrap();
        wire::decode_frame(frame).unwrap()
    }
}

#[tokio::test]
async fn a_refusal_is_heard_although_the_peer_takes_nothing_more() {
    let region = testing::desk("KZ-75").await;
    let (mut driver, centre) = link(&region).await;
    let (said, inbound) = mpsc::channel(4);
    driver.inbound = Box::pin(ReceiverStream::new(inbound));
    let centre = Centre { send: said, ..centre };
    centre.greet().await;
    let (code, text) = (RefusalCode::DuplicateOffice, "two machines".to_owned());
    let refused = Refused { log: None, epoch: 0, code, text: text.clone(), note: None };
    centre.say(Message::Refused(refused)).await;
    drop(centre);
    // The hello of this side finds nobody; what the centre said lies there unread.
    let ended = run(driver).await.unwrap();
    let Ended::Closed(Close::Refused { by, code, text: why }) = ended else { panic!("{ended:?}") };
    assert_eq!((by, code, why), (replication::Party::Peer, RefusalCode::DuplicateOffice, text));
}

#[tokio::test]
async fn a_link_ends_when_the_keys_of_the_peer_are_replaced() {
    let (region, kz) = (testing::desk("KZ-75").await, testing::desk("KZ").await);
    let all = testing::log("kz/all");
    kz.record(&all, &[testing::enrolment("KZ")]).await;
    region.mirror(&kz, &all).await;
    project::learn_now(&region.office).unwrap();
    let (driver, centre) = link(&region).await;
    let running = run(driver);
    centre.greet().await;
    let [log_key, witness_key] = [[1; 32], [2; 32]];
    let code = "KZ".parse().unwrap();
    let fact = OfficeRekeyed { code, epoch: 2, log_key, witness_key, mirror_key: None };
    kz.record(&all, &[(Uuid::from_u128(1), fact.into())]).await;
    region.mirror(&kz, &all).await;
    project::learn_now(&region.office).unwrap();
    let ended = tokio::time::timeout(PATIENCE, running).await.unwrap().unwrap();
    assert!(matches!(ended, Ended::Closed(Close::OtherKeys)), "{ended:?}");
}

#[tokio::test]
async fn a_peer_that_floods_and_does_not_read_is_not_read() {
    let region = testing::desk("KZ-75").await;
    let (driver, mut centre) = link(&region).await;
    let running = run(driver);
    centre.greet().await;
    let mut taken = 0;
    let flood = async {
        for nonce in 0..10 * OUTGOING_LIMIT as u64 {
            centre.say(Message::Ping { nonce }).await;
            taken += 1;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(2), flood).await.is_err(), "it stops");
    assert!((OUTGOING_LIMIT..OUTGOING_LIMIT + 16).contains(&taken), "{taken} pings were taken");
    // What was taken is answered once the peer reads again, and then more is taken.
    let mut answered = 0;
    while answered < taken {
        answered += usize::from(matches!(centre.hear().await, Message::Pong { .. }));
    }
    tokio::time::timeout(PATIENCE, centre.say(Message::Ping { nonce: 0 })).await.unwrap();
    centre.stop.cancel();
    assert!(matches!(running.await.unwrap(), Ended::Stopped));
}

#[tokio::test]
async fn a_log_that_is_not_of_the_link_leaves_nothing_behind() {
    let region = testing::desk("KZ-75").await;
    let (driver, mut centre) = link(&region).await;
    let running = run(driver);
    centre.greet().await;
    for epoch in 2..20 {
        let (log, note) = ("kz/elsewhere".parse().unwrap(), String::new());
        centre.say(Message::Head(Head { log, epoch, note, old_size: 0, proof: vec![] })).await;
        loop {
            if let Message::Refused(refused) = centre.hear().await {
                assert_eq!((refused.code, refused.epoch), (RefusalCode::UnknownLog, epoch));
                break;
            }
        }
    }
    centre.stop.cancel();
    running.await.unwrap();
    assert_eq!(region.office.journal.controls(b"fault/"), []);
}

#[tokio::test]
async fn a_link_that_is_replaced_is_not_live_and_a_stopping_one_says_goodbye() {
    let region = testing::desk("KZ-75").await;
    let word = || sync::lines(&region.office)[&"KZ".parse().unwrap()].state.word;
    assert_eq!(word(), LinkWord::NeverConnected);
    let (driver, mut centre) = link(&region).await;
    let running = run(driver);
    assert!(matches!(centre.hear().await, Message::Hello(_)));
    assert_eq!(word(), LinkWord::Connecting, "open, and without a hello");
    centre.greet().await;
    centre.say(Message::Ping { nonce: 1 }).await;
    while !matches!(centre.hear().await, Message::Pong { .. }) {}
    assert!(matches!(word(), LinkWord::CatchingUp | LinkWord::Live));
    centre.stop.cancel();
    assert!(matches!(running.await.unwrap(), Ended::Stopped));
    assert_eq!(word(), LinkWord::SilentSince);

    let (driver, mut centre) = link(&region).await;
    let running = run(driver);
    assert!(matches!(centre.hear().await, Message::Hello(_)));
    region.office.supervisor.stop();
    let ended = tokio::time::timeout(PATIENCE, running).await.unwrap().unwrap();
    assert!(matches!(ended, Ended::Closed(Close::ShutDown)), "{ended:?}");
}

#[tokio::test]
async fn a_link_ends_after_the_writer_has_answered() {
    let (answer, answered) = oneshot::channel();
    let mut storing: Storing<()> = Storing::new();
    storing.push_write(async move { answered.await.unwrap() });
    let peer = "KZ".parse().unwrap();
    let ending = settle(&peer, storing);
    tokio::pin!(ending);
    assert!(tokio::time::timeout(SHORT, &mut ending).await.is_err(), "records are on their way");
    answer.send(()).unwrap();
    tokio::time::timeout(PATIENCE, ending).await.unwrap();
}

/// What a clerk asks who opens a contact.
fn contact_order(id: u128) -> (Actor, Order) {
    let code = |text| Code::new(text).unwrap();
    let actor = Actor {
        person: Uuid::from_u128(7).into(),
        post: Post::new("kz-75/clerk").unwrap(),
        role: domain::Role::Clerk,
        office: "KZ-75".parse().unwrap(),
    };
    let request =
        OpenContact { channel: code("call"), line: None, language: code("kk"), personal: None };
    let order = Order {
        command_id: Uuid::from_u128(id),
        stream_id: Uuid::from_u128(id),
        expected_version: 0,
        occurred_at: None,
        zone: None,
        causation: Uuid::nil(),
        correlation: Uuid::nil(),
        request: Request::Contact(ContactRequest::Open(request)),
        request_hash: [1; 32],
        controls: Vec::new(),
    };
    (actor, order)
}

/// On one thread: whoever waited on it for the index would hold up everything else.
#[tokio::test]
async fn a_node_goes_on_while_questions_by_key_wait_for_the_index() {
    let (region, log) = (testing::desk("KZ-75").await, testing::log("kz-75"));
    region.record(&log, &[testing::contact(1)]).await;
    let event = Uuid::from_bytes(region.records(&log)[0].header().event_id);
    drop(link(&region).await); // it opens the mirrors
    let gate = Arc::new(Gate::default());
    let region = region.killed_and_opened(&*gate.clone().opening()).await;
    gate.reached();
    let office = region.office.clone();
    let ordering = in_background(async move {
        let (actor, order) = contact_order(2);
        decide::execute(&office, &actor, order).await
    });
    let office = region.office.clone();
    let asking = in_background(async move {
        operator::find_record(&office, Some(Wanted::EventId(event.to_string()))).await
    });
    tokio::task::yield_now().await;

    let (driver, mut centre) = link(&region).await;
    let running = run(driver);
    let (epoch, size, root) = (1, 0, evidence::merkle::empty_root());
    let role = Role::Follower;
    centre
        .greet_with(vec![Holding {
            log,
            epoch,
            role,
            size,
            root,
            head: None,
            succession: None,
            first: None,
        }])
        .await;
    let sent = loop {
        if let Message::Entries(entries) = centre.hear().await {
            break entries.records.len();
        }
    };
    assert_eq!(sent, 1, "records go out");
    assert_eq!(stat::stat(&region.office).await.unwrap().index_state, "opening");
    let word = sync::lines(&region.office)[&"KZ".parse().unwrap()].state.word;
    assert_eq!(word, LinkWord::CatchingUp);
    assert!(!ordering.is_finished() && !asking.is_finished(), "they wait for the index");
    gate.open();
    assert_eq!(ordering.await.unwrap().unwrap().stream_version, 1);
    assert_eq!(asking.await.unwrap().unwrap().header().event_id, *event.as_bytes());
    centre.stop.cancel();
    running.await.unwrap();
}

#[tokio::test]
async fn an_index_that_is_being_built_pauses_a_log_and_is_no_violation() {
    let status = || IndexStatus::Building { reason: "lost".to_owned(), groups: 1, of: 2 };
    let refusals = [
        CommitError::IndexBuilding { status: status() },
        CommitError::Read(ReadError::IndexBuilding { status: status() }),
    ];
    for refused in refusals {
        let (answer, answered) = oneshot::channel();
        answer.send(Err(WriteError::Refused(refused))).unwrap();
        assert_eq!(outcome(Submitted::of(answered)).await, Err(Failure::IndexBuilding));
    }
}

#[tokio::test]
async fn a_fork_that_cannot_be_noted_ends_the_link() {
    let (region, log) = (testing::desk("KZ-75").await, testing::log("kz-75"));
    region.record(&log, &[testing::contact(1)]).await;
    drop(link(&region).await); // it opens the mirrors
    let region = region.killed_and_opened(&testing::no_index).await;
    while region.office.journal.index_status() == IndexStatus::Opening {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let origin = evidence::log::origin(&region.office.options.domain, &log, 1);
    let other = evidence::checkpoint::Checkpoint { origin, size: 1, root: [5; 32] };
    let head = other.sign(&heads::log_signer(&region.office, &log, 1).unwrap()).unwrap();
    let (driver, mut centre) = link(&region).await;
    let running = run(driver);
    assert!(matches!(centre.hear().await, Message::Hello(_)));
    let (epoch, size, root, head) = (1, 0, evidence::merkle::empty_root(), Some(head));
    centre
        .greet_with(vec![Holding {
            log,
            epoch,
            role: Role::Follower,
            size,
            root,
            head,
            succession: None,
            first: None,
        }])
        .await;
    let ended = tokio::time::timeout(PATIENCE, running).await.unwrap().unwrap();
    let Ended::Broken(reason) = ended else { panic!("{ended:?}") };
    assert!(reason.contains("no evidence against kz-75 can be kept"), "{reason}");
    assert_eq!(store::read_only_reason(&region.office.journal, &testing::log("kz-75")), None);
}

/// Gate: a line that the centre passes on from another view is not of the head held here.
#[tokio::test(flavor = "multi_thread")]
async fn a_line_of_another_view_is_kept_and_told() {
    let mut network = Network::of(&["KZ-71", "KZ-75"]).await;
    network.link_all().await;
    let knows = |network: &Network| {
        let known = network.region("KZ-75").office.country.known();
        (known.offices.len() == 2).then_some(())
    };
    network.until("KZ-75 knows both offices", knows).await;
    network.cut_all().await;
    // KZ-71 has co-signed another head of the same size.
    let name = "adal.example/witness/kz-71";
    let seed = network.region("KZ-71").office.keys.witness_seed();
    let signer = evidence::note::Signer::cosigner(name, seed).unwrap();
    let origin = "adal.example/log/kz/all".to_owned();
    let other = evidence::checkpoint::Checkpoint { origin, size: 2, root: [9; 32] };
    let cosignature = evidence::checkpoint::cosign(&other.body(), &signer, 7).unwrap();

    let region = network.region("KZ-75");
    let (driver, mut centre) = link(region).await;
    let running = run(driver);
    centre.greet().await;
    let log: LogName = "kz/all".parse().unwrap();
    let passed = Cosigned { log, epoch: 1, size: 2, cosignature: cosignature.clone() };
    centre.say(Message::Cosigned(passed)).await;
    centre.say(Message::Ping { nonce: 1 }).await;
    while !matches!(centre.hear().await, Message::Pong { .. }) {}
    centre.stop.cancel();
    running.await.unwrap();
    let alarm = region.alarm("kz/all");
    let text = format!(
        "other_view: the cosignature of {name} that the centre passed on for kz/all size 2 is not \
         of the head that is held here: that office was shown another head, or the line was \
         changed on its way; compare this office's head with that office's: adal evidence compare"
    );
    assert!(alarm.starts_with(&text), "{alarm}");
    let kept = region.faults("kz/all", "other_view").concat();
    assert!(kept.contains(&cosignature) && kept.contains("adal.example/log/kz/all\n2\n"), "{kept}");
}

/// Who has signed nothing of a closed epoch keeps what it is shown beyond its end.
#[tokio::test(flavor = "multi_thread")]
async fn a_head_beyond_the_end_of_an_epoch_is_kept_by_who_witnessed_nothing_of_it() {
    let mut network = Network::of(&["KZ-71", "KZ-75"]).await;
    let own = testing::log("kz-75");
    let fact = domain::integrity::LogClosed {
        log: domain::code::LogId::new("kz-75").unwrap(),
        epoch: 1,
        size: 4,
        root: [4; 32],
        successor_epoch: 2,
        successor_key: [2; 32],
        reason: Code::new("succeeded").unwrap(),
        missing_from: None,
        missing_to: None,
    };
    let id = domain::ids::IntegrityId::of_closings(&fact.log).uuid();
    network.centre.record(&testing::log("kz/all"), &[(id, fact.into())]).await;
    network.link("KZ-71").await;
    let knows = |network: &Network| {
        let known = network.region("KZ-71").office.country.known();
        known.closed.contains_key(&(own.clone(), 1)).then_some(())
    };
    network.until("KZ-71 knows the end", knows).await;
    network.cut_all().await;
    network.region("KZ-75").contacts(1..=5).await;
    let note = heads::sign(&network.region("KZ-75").office, &own, 1, 5).unwrap();
    let region = network.region("KZ-71");
    let (driver, mut centre) = link(region).await;
    let running = run(driver);
    centre.greet().await;
    for (name, note) in [("kz-75", note.clone()), ("kz-10", note.clone())] {
        let (log, proof) = (testing::log(name), Vec::new());
        let asked = replication::Witness { log, epoch: 1, note, old_size: 0, proof };
        centre.say(Message::Witness(asked)).await;
    }
    centre.say(Message::Ping { nonce: 1 }).await;
    while !matches!(centre.hear().await, Message::Pong { .. }) {}
    centre.stop.cancel();
    running.await.unwrap();
    let [kept] = &region.faults("kz-75", "fork")[..] else { panic!("it is kept") };
    assert!(kept.contains(&note) && kept.contains("closed at 4 records"), "{kept}");
    assert!(region.faults("kz-10", "unknown_log").is_empty(), "what concerns nobody is not");
}
