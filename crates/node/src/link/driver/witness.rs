//! The driver's part where offices are further witnesses of each other's heads.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use evidence::checkpoint::Checkpoint;
use evidence::log::LogName;
use evidence::note::Verifier;
use journal::Transaction;
use replication::action::{
    CosignatureKind, Countersigned, Failure, Fault, PersistWitness, ProveHead, ReadRegister,
    Register, StoreCosignature,
};
use replication::{Cosigned, Mirrored};
use tokio::time::Instant;
use tracing::{error, warn};

use super::reading::proof;
use super::{Driver, Ended, STATUS_EVERY, Stored, Storing, outcome};
use crate::escrow::Seen;
use crate::heads;
use crate::keys;
use crate::link::store::{self, Head};
use crate::notes::{self, Added, NotesError};
use crate::office::Office;
use crate::policy::{self, Part};
use crate::project::chain;
use crate::relay::{self, Passing};

/// Kind of the fault that is kept where a line is of another head than the one held here.
pub const OTHER_VIEW: &str = "other_view";
/// How often the notes are looked at while none changes.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Lines that may wait until the head and the enrolment that they need have arrived.
const EARLY: usize = 256;

/// What one link has asked of its peer and passed on to it.
#[derive(Debug, Default)]
pub struct Round {
    asked: BTreeMap<(LogName, u32), (u64, Instant)>,
    passing: Passing,
    /// Lines that came before what they need to be understood, newest last.
    early: VecDeque<Cosigned>,
    looked: Option<Instant>,
    /// What was seen of the keys that are wanted.
    pub(super) keys: Seen,
}

impl Round {
    /// The peer has said what it understands.
    pub(super) fn look_again(&mut self) {
        self.looked = None;
    }

    /// Whether it is time to look at the notes: when one has changed, and now and then, because
    /// the peer may have said hello and a question may have to be repeated.
    pub(super) fn is_due(&mut self, changed: bool) -> bool {
        let pause = if self.early.is_empty() { LOOK_EVERY } else { STATUS_EVERY };
        let due = changed || self.looked.is_none_or(|at| at.elapsed() >= pause);
        if due {
            self.looked = Some(Instant::now());
        }
        due
    }
}

impl Driver {
    /// Asks the peer for its line on heads that lack it, and passes on to it what others gave.
    pub(super) async fn go_round(&mut self) {
        for line in std::mem::take(&mut self.round.early) {
            self.take_cosignature(line).await;
        }
        if !self.session.speaks_of_witnesses() {
            return;
        }
        let again = Duration::from_millis(self.office.options.replication.relay_interval_ms);
        for (offer, size) in relay::wanted(&self.office, &self.peer) {
            let key = (offer.log.clone(), offer.epoch);
            // What was asked for and did not come, e.g. for want of space there, is asked again.
            let asked = self.round.asked.get(&key);
            if asked.is_some_and(|(of, at)| *of == size && at.elapsed() < again) {
                continue;
            }
            self.round.asked.insert(key, (size, Instant::now()));
            let now = self.now();
            self.session.offer(now, offer);
        }
        for line in self.round.passing.lines(&self.office, &self.peer) {
            self.session.pass_on(line);
        }
    }

    /// A head has both of our lines.
    pub(super) fn mirrored(&self, mirrored: Mirrored) {
        if self.office.code.is_centre() {
            self.office.relay.offer(mirrored);
        }
    }

    pub(super) fn prove_head(&mut self, ask: ProveHead) {
        let proof = proof(&self.office, &ask.log, ask.epoch, ask.old_size, ask.size);
        let now = self.now();
        self.session.head_proved(now, ask.ticket, proof);
    }

    /// A further witness has co-signed.
    pub(super) async fn countersigned(&self, signed: Countersigned) {
        self.office.metrics.cosigned("peer");
        self.add_line((&signed.log, signed.epoch), &signed.note, signed.line).await;
    }

    /// The reader of one of our logs has co-signed. At a region such lines come with every head;
    /// those of the heads that go round come from the centre once more.
    pub(super) async fn keep_line(&self, line: &StoreCosignature) {
        let of_policy = line.kind == CosignatureKind::Witness || line.log != self.office.logs.all;
        if self.office.code.is_centre() && of_policy {
            self.add_line((&line.log, line.epoch), &line.note, line.line.clone()).await;
        }
    }

    async fn add_line(&self, log: (&LogName, u32), note: &str, line: String) {
        match self.office.notes.add(&self.office, log, note, &[line]) {
            Ok(_) | Err(NotesError::Policy(_)) => {}
            Err(error) => warn!(log = %log.0, error = chain(&error), "keep a cosignature"),
        }
    }

    /// What is kept as a further witness of a log. The centre is none: it is asked by nobody.
    pub(super) fn read_register(&mut self, ask: ReadRegister) {
        let office = &self.office;
        let may = match policy::part(&ask.log) {
            _ if office.code.is_centre() => false,
            Some(Part::Region(code)) => code != office.code,
            // Of the others this office is a reader, or has no part in them.
            _ => ask.log.as_str() == "kz",
        };
        let key = keys::log_key(office, &ask.log, ask.epoch).filter(|_| may);
        let verifier = key.and_then(|key| {
            heads::log_verifier(&office.options.domain, &ask.log, ask.epoch, &key).ok()
        });
        let register = Register {
            verifier,
            head: store::witnessed(office, &ask.log, ask.epoch).map(|head| head.note),
            closed_at: keys::closed_at(office, &ask.log, ask.epoch),
            frozen: store::frozen(office, &ask.log, ask.epoch).is_some(),
        };
        let now = self.now();
        self.session.register_read(now, ask.ticket, Ok(register));
    }

    /// Makes a witnessed head durable by compare-and-swap: links to one office run one after the
    /// other, and the session has one head of a log under way.
    pub(super) async fn persist_witness(
        &self,
        ask: PersistWitness,
        storing: &mut Storing,
    ) -> Result<(), Ended> {
        let held = store::witnessed(&self.office, &ask.log, ask.epoch).map(|head| head.size);
        let ticket = ask.ticket;
        if held != ask.replaces {
            storing.push_write(async { Stored::Witness(ticket, Err(Failure::OutOfStep)) });
            return Ok(());
        }
        let head = Head { at: ask.received_at, size: ask.size, root: ask.root, note: ask.note };
        let controls = vec![store::witness(&ask.log, ask.epoch, &head)];
        let submitted = self.submit(Transaction { controls, ..Transaction::default() }).await?;
        storing.push_write(async { Stored::Witness(ticket, outcome(submitted).await) });
        Ok(())
    }

    /// The centre passes a line on. One that cannot be understood yet waits: a region learns of
    /// the other offices from the very log whose heads they co-sign.
    pub(super) async fn take_cosignature(&mut self, cosigned: Cosigned) {
        let (log, epoch, size) = (cosigned.log.clone(), cosigned.epoch, cosigned.size);
        let office = &self.office;
        let Some(note) = notes::base(office, &log, epoch, size) else {
            // A head that was replaced does not come back.
            if notes::newest(office, &log, epoch) < size {
                self.wait_with(cosigned);
            }
            return;
        };
        let lines = [cosigned.cosignature.clone()];
        match office.notes.add(office, (&log, epoch), &note, &lines) {
            Ok(Added::New | Added::Known) => {}
            Ok(Added::Stranger) | Err(NotesError::Policy(_)) => self.wait_with(cosigned),
            Err(NotesError::OtherHead { name }) => {
                let [line] = lines;
                other_view(office, (&log, epoch), size, &name, [note, line]).await;
            }
            Err(error) => warn!(%log, epoch, error = chain(&error), "keep a cosignature"),
        }
    }

    fn wait_with(&mut self, cosigned: Cosigned) {
        if self.round.early.len() == EARLY {
            self.round.early.pop_front();
        }
        self.round.early.push_back(cosigned);
    }
}

/// Whether a fault that was met as a further witness is this office's affair: it witnesses the log,
/// or it was shown heads that contradict each other, or the end of an epoch, under a key that it
/// knows to be the log's. What a peer only says concerns nobody.
pub(super) fn is_signed(office: &Office, fault: &Fault) -> bool {
    let (log, epoch) = (&fault.log, fault.epoch);
    let key = || {
        let key = keys::log_key(office, log, epoch)?;
        heads::log_verifier(&office.options.domain, log, epoch, &key).ok()
    };
    let shows = |key: Verifier| {
        let opened = |note: &String| Checkpoint::open(note, &key).is_ok();
        store::contradicts(fault) && fault.notes.iter().any(opened)
    };
    store::witnessed(office, log, epoch).is_some() || key().is_some_and(shows)
}

/// A line that is not of the head held here: its cosigner was shown another one, or whoever passed
/// it on has changed it.
async fn other_view(
    office: &Office,
    (log, epoch): (&LogName, u32),
    size: u64,
    cosigner: &str,
    evidence: [String; 2],
) {
    let text = format!(
        "the cosignature of {cosigner} that the centre passed on for {log} size {size} is not of \
         the head that is held here: that office was shown another head, or the line was changed \
         on its way; compare this office's head with that office's: adal evidence compare"
    );
    match store::keep_found(office, (log, epoch), OTHER_VIEW, &text, evidence).await {
        Ok(true) => {
            error!(%log, epoch, size, text, "two views of a log");
            office.metrics.fork_met();
        }
        Ok(false) => {}
        Err(error) => {
            error!(%log, epoch, size, text, error = chain(&error), "keep evidence of two views");
        }
    }
}
