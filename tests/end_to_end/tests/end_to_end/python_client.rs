//! A client of another language, with nothing but the port and a certificate: reflection tells it
//! all it needs.

use std::path::{Path, PathBuf};
use std::process::Output;

use anyhow::{Context, Result, bail, ensure};
use identity::{Authority, Role, Validity};
use serde_json::Value;
use testkit::country::Country;
use testkit::installation::DOMAIN;
use tokio::process::Command;
use uuid::Uuid;
use wire::pb::query::v1 as query;

use crate::support::{land, until};

const OFFICE: &str = "KZ-75";

#[tokio::test(flavor = "multi_thread")]
async fn a_python_client_records_an_appeal_by_reflection() -> Result<()> {
    python_has_grpc().await?;
    let land = land(&["KZ-71", OFFICE]).await?;
    let country = &land.country;
    let clerk = Person::of(country, OFFICE, "clerk");

    let listed = clerk.calls(country, "list", None).await?;
    let services: Vec<_> =
        listed["services"].as_array().context("a list")?.iter().flat_map(Value::as_str).collect();
    for service in [
        "adal.command.v1.CommandService",
        "adal.query.v1.QueryService",
        "adal.operator.v1.OperatorService",
        "grpc.health.v1.Health",
    ] {
        ensure!(services.contains(&service), "{service} is not listed: {services:?}");
    }

    let stream = Uuid::now_v7();
    let receipt = clerk.calls(country, "record", Some(stream)).await?;
    let reg_no = receipt["regNo"].as_str().context("a registration number")?;
    ensure!(receipt["log"] == "kz-75" && receipt["streamVersion"] == 2, "receipt: {receipt}");
    country.settle().await?;
    let mut queries = country.queries("KZ", "national").await?;
    until("the appeal is in the centre's register", async || {
        let filter = query::Filter { reg_no: reg_no.to_owned(), ..query::Filter::default() };
        let request = query::ListAppealsRequest { filter: Some(filter), ..Default::default() };
        let rows = queries.list_appeals(request).await?.into_inner().rows;
        ensure!(rows.len() == 1 && rows[0].id == stream.to_string(), "rows: {rows:?}");
        Ok(())
    })
    .await?;
    strangers(country, land.dir.path()).await
}

/// A certificate of another authority gets no connection, one of another office no permission.
async fn strangers(country: &Country, dir: &Path) -> Result<()> {
    let now = jiff::Timestamp::now().as_second();
    let dir = dir.join("foreign");
    let foreign = Authority::create(DOMAIN, &dir.join("authority"), Validity::authority(now))?;
    let id = Uuid::now_v7();
    foreign
        .issue_person(OFFICE, Role::Clerk, id, Validity::person(now))?
        .write_person(&dir.join("people"), "clerk")?;
    // It knows the node's authority, so that it is the node that refuses.
    let ca = country.installation.people(OFFICE).join("ca.pem");
    let stranger = Person { folder: dir.join("people"), name: "clerk", ca };
    let (code, text) = stranger.is_refused(country, "list").await?;
    ensure!(code == "UNAVAILABLE", "another authority's certificate: {code} {text}");

    let neighbour = Person::of(country, "KZ-71", "clerk");
    let (code, text) = neighbour.is_refused(country, "record").await?;
    ensure!(code == "PERMISSION_DENIED", "another office's certificate: {code} {text}");
    ensure!(text.contains("KZ-75") && text.contains("KZ-71"), "it says: {text}");

    let before = country.logs(OFFICE).await?["kz-75"].0;
    ensure!(before == 2, "{before} records after one appeal");
    Ok(())
}

/// Certificate, key and authority with which to call.
struct Person {
    folder: PathBuf,
    name: &'static str,
    ca: PathBuf,
}

impl Person {
    fn of(country: &Country, office: &str, name: &'static str) -> Person {
        let folder = country.installation.people(office);
        Person { ca: folder.join("ca.pem"), folder, name }
    }

    /// What the client prints, as JSON.
    async fn calls(&self, country: &Country, what: &str, stream: Option<Uuid>) -> Result<Value> {
        let Output { status, stdout, stderr } = self.run(country, what, stream).await?;
        let said = String::from_utf8_lossy(&stderr);
        ensure!(status.success(), "client.py {what}: {status}: {said}");
        serde_json::from_slice(&stdout).context("JSON from client.py")
    }

    /// The code and text with which the client is refused.
    async fn is_refused(&self, country: &Country, what: &str) -> Result<(String, String)> {
        let Output { status, stdout, stderr } =
            self.run(country, what, Some(Uuid::now_v7())).await?;
        if status.code() != Some(3) {
            bail!("client.py {what}: {status}: {}", String::from_utf8_lossy(&stderr));
        }
        let said: Value = serde_json::from_slice(&stdout).context("JSON from client.py")?;
        let text = |key: &str| said[key].as_str().unwrap_or_default().to_owned();
        Ok((text("code"), text("details")))
    }

    async fn run(&self, country: &Country, what: &str, stream: Option<Uuid>) -> Result<Output> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/client.py");
        let mut command = Command::new("/usr/bin/python3");
        command
            .arg(script)
            .arg(country.address(OFFICE)?.to_string())
            .arg(format!("{}.{DOMAIN}", OFFICE.to_ascii_lowercase()))
            .arg(&self.ca)
            .arg(self.folder.join(format!("{}.pem", self.name)))
            .arg(self.folder.join(format!("{}.key", self.name)))
            .arg(what);
        if let Some(stream) = stream {
            command.arg(stream.to_string());
        }
        Ok(command.kill_on_drop(true).output().await?)
    }
}

async fn python_has_grpc() -> Result<()> {
    let program = "import grpc, google.protobuf";
    let output = Command::new("/usr/bin/python3").args(["-c", program]).output().await;
    let works = output.as_ref().is_ok_and(|output| output.status.success());
    ensure!(
        works,
        "/usr/bin/python3 has no grpc: install python3-grpcio and python3-protobuf with \
         `make test-packages`"
    );
    Ok(())
}
