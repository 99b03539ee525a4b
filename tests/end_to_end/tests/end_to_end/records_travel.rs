//! What is recorded in the regions reaches the centre's tables by itself, once, and unchanged.

use anyhow::{Context, Result, ensure};
use evidence::hash::Hash;
use evidence::merkle::{leaf_hash, verify_inclusion};
use evidence::record::Record;
use testkit::country::Country;
use testkit::feed;
use tokio::task::JoinSet;
use tonic::Code;
use uuid::Uuid;
use wire::pb::command::v1::command::Request;
use wire::pb::command::v1::command_service_client::CommandServiceClient;
use wire::pb::command::v1::{Command, GiveConsultation};
use wire::pb::query::v1::{Dimension, Table};

use crate::support::call::{accepted, fields, is_refusal, own_log, refused};
use crate::support::requests::{command, contact};
use crate::support::{expected, feed as enter, land, play, reading, until};

const OFFICES: [&str; 3] = ["KZ-71", "KZ-75", "KZ-79"];
const CENTRE: (&str, &str) = ("KZ", "national");

/// A week of three offices; the centre counts what the generator's own steps amount to.
#[tokio::test(flavor = "multi_thread")]
async fn a_week_of_three_offices_is_in_the_centres_tables() -> Result<()> {
    let land = land(&OFFICES).await?;
    let country = &land.country;
    let steps = play(1, &OFFICES, 7)?;
    let fed = enter(country, &steps).await?;
    country.settle().await?;
    until("the centre's tables are complete", async || {
        reading::folded(country, "KZ", "national").await
    })
    .await?;

    let facts: u64 = steps.iter().map(expected::facts).sum();
    ensure!(fed.facts() == facts, "{} facts acknowledged, {facts} expected", fed.facts());
    let rows = expected::rows(&steps);
    for table in
        [Table::Contacts, Table::Appeals, Table::Receptions, Table::Measures, Table::Activities]
    {
        let by = [Dimension::Office, Dimension::State];
        let (here, wanted) =
            (reading::totals(country, CENTRE, table, &by).await?, expected::by_state(&rows, table));
        ensure!(here == wanted, "{table:?} by state: the centre counts {here:?}, not {wanted:?}");
    }
    for table in [Table::Contacts, Table::Appeals, Table::Activities] {
        let by = [Dimension::Office, Dimension::Channel];
        let (here, wanted) = (
            reading::totals(country, CENTRE, table, &by).await?,
            expected::by_channel(&rows, table),
        );
        ensure!(here == wanted, "{table:?} by channel: the centre counts {here:?}, not {wanted:?}");
    }
    for office in OFFICES {
        equal_at_both_ends(country, office).await?;
    }
    reading::all_intact(country).await
}

/// Every record of an office is the same at the centre, and its inclusion can be checked.
async fn equal_at_both_ends(country: &Country, office: &str) -> Result<()> {
    let log = office.to_ascii_lowercase();
    let (here, there) = (
        reading::records(country, office, &log).await?,
        reading::records(country, "KZ", &log).await?,
    );
    ensure!(!here.is_empty() && here == there, "the mirror of {log} shows other records");
    for sequence in [0, here.len() as u64 / 2, here.len() as u64 - 1] {
        let at = format!("{log} {sequence}");
        let original = reading::record(country, office, &log, sequence).await??;
        let copy = reading::record(country, "KZ", &log, sequence).await??;
        ensure!(original.record == copy.record, "the mirror holds other bytes of {at}");
        let record = Record::parse(copy.record).with_context(|| at.clone())?;
        ensure!(leaf_hash(&record.leaf_data()) == record.leaf_hash(), "leaf hash of {at}");
        let hash = |bytes: &Vec<u8>| Hash::try_from(bytes.as_slice()).context("32 bytes");
        let proof = copy.inclusion_proof.iter().map(hash).collect::<Result<Vec<_>>>()?;
        let (size, root) = (copy.tree_size, hash(&copy.root)?);
        verify_inclusion(sequence, size, &record.leaf_hash(), &proof, &root)
            .with_context(|| format!("the centre's proof of {at}"))?;
        ensure!(!copy.head.is_empty(), "no signed head covers {at} although all is settled");
    }
    Ok(())
}

/// The same command again is answered and adds nothing; the same id for another one is refused.
#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_command_adds_nothing() -> Result<()> {
    let land = land(&["KZ-75"]).await?;
    let country = &land.country;
    let steps = play(2, &["KZ-75"], 1)?;
    enter(country, &steps).await?;
    let before = own_log(country, "KZ-75").await?;
    for step in &steps {
        let person = step.role.as_str();
        let receipt = accepted(country, "KZ-75", person, feed::command(step)?).await?;
        let name = step.request.name();
        ensure!(receipt.replayed, "{name} was carried out twice");
        let facts = receipt.last_sequence - receipt.first_sequence + 1;
        ensure!(facts == expected::facts(step), "the receipt of {name} names {facts} facts");
        ensure!(
            receipt.stream_version == step.expected_version + facts as u32
                && receipt.stream_id == step.stream.to_string(),
            "the receipt of {name} speaks of another version or stream"
        );
        ensure!(
            receipt.reg_no.is_empty() == (name != "receive_appeal"),
            "the registration number of {name} in a repeated receipt"
        );
    }
    ensure!(own_log(country, "KZ-75").await? == before, "repeated commands changed a log");

    let first = steps.first().context("steps")?;
    let mut other = feed::command(first)?;
    other.request = Some(contact("Somebody Else", "another text"));
    let person = first.role.as_str();
    let reused = (Code::AlreadyExists, "COMMAND_REUSED");
    let details = refused(country, "KZ-75", person, other, reused).await?;
    ensure!(fields(&details) == ["meta.command_id"], "fields: {:?}", fields(&details));
    let mut other = feed::command(first)?;
    other.meta.as_mut().context("meta")?.correlation_id = Uuid::now_v7().to_string();
    refused(country, "KZ-75", person, other, reused).await?;
    ensure!(own_log(country, "KZ-75").await? == before, "refused commands changed a log");
    Ok(())
}

/// Who decides on an old version of a stream is told which one it is at.
#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_expected_version_is_refused_with_both_versions() -> Result<()> {
    let land = land(&["KZ-75"]).await?;
    let country = &land.country;
    let stream = Uuid::now_v7();
    let open = || contact("A Caller", "a question");
    let receipt = accepted(country, "KZ-75", "clerk", command(stream, 0, open())).await?;
    ensure!(receipt.stream_version == 1 && !receipt.replayed, "the first receipt is no first one");
    let before = own_log(country, "KZ-75").await?;
    for wrong in [0, 2, 7] {
        let again = command(stream, wrong, open());
        let conflict = (Code::Aborted, "VERSION_CONFLICT");
        let details = refused(country, "KZ-75", "clerk", again, conflict).await?;
        ensure!(fields(&details) == ["meta.expected_version"], "fields: {:?}", fields(&details));
        let metadata = &details.error_info().context("ErrorInfo")?.metadata;
        ensure!(
            metadata.get("expected") == Some(&wrong.to_string())
                && metadata.get("actual") == Some(&"1".to_owned()),
            "the refusal names other versions: {metadata:?}"
        );
    }
    ensure!(own_log(country, "KZ-75").await? == before, "refused commands changed a log");
    Ok(())
}

/// Many send the same command at once, and many decide at once on the same version: one wins.
#[tokio::test(flavor = "multi_thread")]
async fn of_many_at_once_one_wins() -> Result<()> {
    const CALLERS: usize = 16;
    let land = land(&["KZ-75"]).await?;
    let country = &land.country;
    let channel = country.connect("KZ-75", "clerk").await?;
    let send = |command: Command| {
        let mut client = CommandServiceClient::new(channel.clone());
        async move { client.execute(command).await.map(tonic::Response::into_inner) }
    };
    let stream = Uuid::now_v7();
    let same = command(stream, 0, contact("A Caller", "a question"));
    let mut calls = JoinSet::new();
    (0..CALLERS).for_each(|_| drop(calls.spawn(send(same.clone()))));
    let receipts = calls.join_all().await.into_iter().collect::<Result<Vec<_>, _>>()?;
    let first = receipts.iter().filter(|receipt| !receipt.replayed).count();
    ensure!(first == 1, "one command was carried out {first} times");
    ensure!(
        receipts.iter().all(|receipt| receipt.first_sequence == receipts[0].first_sequence),
        "the receipts of one command name several places"
    );

    let mut calls = JoinSet::new();
    for _ in 0..CALLERS {
        let topic = "other".to_owned();
        let consult = Request::GiveConsultation(GiveConsultation { topic });
        calls.spawn(send(command(stream, 1, consult)));
    }
    let outcomes = calls.join_all().await;
    let won = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    ensure!(won == 1, "{won} of {CALLERS} decided on the same version");
    for status in outcomes.into_iter().filter_map(Result::err) {
        is_refusal(&status, Code::Aborted, "VERSION_CONFLICT")?;
    }
    ensure!(own_log(country, "KZ-75").await?.0 == 2, "more was recorded than acknowledged");
    Ok(())
}
