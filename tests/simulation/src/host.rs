//! What runs on one computer: the office, from opening to its end.

use std::time::Duration;

use node::supervisor::OnEnd;
use node::{SharedOffice, duties, link, project, start};

use crate::country::{Country, State};
use crate::network::{self, Road};
use crate::work;

/// Time that tasks have to end in good order.
const DRAIN: Duration = Duration::from_secs(1);

/// Time between two looks at what the office shows of its links.
const LOOK: Duration = Duration::from_millis(200);

/// The life of one process.
pub async fn live(country: Country, name: String) -> turmoil::Result {
    let (machine, random) = country.boot(&name);
    match machine.open(random).await {
        Ok(office) => {
            let ended = serve(&country, &name, office).await;
            country.set(&name, State::Ended(ended));
        }
        Err(error) => country.set(&name, State::Refused(format!("{error:#}"))),
    }
    Ok(())
}

async fn serve(country: &Country, name: &str, office: SharedOffice) -> String {
    country.started(name, &office);
    let supervisor = office.supervisor.clone();
    // What cannot be read is told by the fold, again and again.
    let _ = project::learn_now(&office);
    supervisor.spawn("keep the index", OnEnd::StopNode, duties::keep::run(office.clone()));
    start::begin_duties(&office);
    let fold = fold(country.clone(), name.to_owned(), office.clone());
    supervisor.spawn("fold", OnEnd::StopNode, fold);
    if office.code.is_centre() {
        let listen = network::listen(country.clone(), office.clone());
        supervisor.spawn("listen", OnEnd::StopNode, listen);
    } else {
        let road = Road { country: country.clone(), name: name.to_owned() };
        let dial = link::dial::run(office.clone(), road);
        supervisor.spawn("dial the centre", OnEnd::StopNode, dial);
    }
    let look = look(country.clone(), name.to_owned(), office.clone());
    supervisor.spawn("look at links", OnEnd::Ignore, look);
    let work = work::run(country.clone(), name.to_owned(), office.clone());
    supervisor.spawn("work", OnEnd::Ignore, work);
    supervisor.stopped().await;
    let ended = supervisor.drain(DRAIN).await;
    country.observe(name, &office);
    start::close(&office).await;
    ended.err().unwrap_or_else(|| "stopped".to_owned())
}

/// Shows the auditor, again and again, what an operator would see of the links.
async fn look(country: Country, name: String, office: SharedOffice) -> Result<(), String> {
    let stopping = office.supervisor.stopping();
    loop {
        tokio::select! {
            biased;
            () = stopping.cancelled() => return Ok(()),
            () = tokio::time::sleep(LOOK) => country.look_at_links(&name, &office),
        }
    }
}

/// Learns what the centre publishes and folds every log, each record once, into the view in memory
/// that the auditor holds against the logs.
async fn fold(country: Country, name: String, office: SharedOffice) -> Result<(), String> {
    let stopping = office.supervisor.stopping();
    let mut grown = office.writer.grown();
    country.notes().audit.fold_anew(&name);
    loop {
        grown.mark_seen();
        let _ = project::learn_now(&office);
        country.notes().audit.fold(&name, &office);
        tokio::select! {
            biased;
            () = stopping.cancelled() => return Ok(()),
            changed = grown.changed() => {
                changed.map_err(|ended| ended.to_string())?;
            }
        }
    }
}
