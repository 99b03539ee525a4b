//! Attachments reach the centre byte for byte, over cut links and a killed centre; a region that
//! has lost everything gets them back; and a clerk puts files in and takes them out.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use evidence::hash::{Hash, hex, sha256};
use evidence::record::{AttachmentRef, Draft, StreamRef};
use journal::{Append, ExpectedVersion, Journal, Transaction};
use testkit::country::Country;
use uuid::Uuid;

use crate::support::call::{link, log, record_contacts};
use crate::support::tool::{Tool, text};
use crate::support::{files, land, reading, until};

const OFFICE: &str = "KZ-75";
const LOG: &str = "kz-75";

/// Bytes that follow from `number` and that no line compresses.
fn content(number: u64, len: usize) -> Vec<u8> {
    let blocks = (0..=len as u64 / 32).flat_map(|block| {
        let seed = [number.to_be_bytes(), block.to_be_bytes()].concat();
        sha256(&seed)
    });
    blocks.take(len).collect()
}

/// The file of an attachment at an office: whole, or what is here of it.
fn file(country: &Country, office: &str, hash: &Hash, whole: bool) -> PathBuf {
    let name = hex(hash);
    let folder = if whole { &name[..2] } else { "incoming" };
    country.installation.data(office).join("journal/attachments").join(folder).join(name)
}

fn size(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |data| data.len())
}

/// Stores attachments at an office that does not run, and records that name them, one each.
fn attach(country: &Country, attachments: &[Vec<u8>]) -> Result<()> {
    let dir = country.installation.data(OFFICE).join("journal");
    let (journal, _) = Journal::open(&dir, journal::Options::default())?;
    let name = LOG.parse()?;
    let like = journal.range(&name, 1, 0, 1, usize::MAX)?.pop().context("a record")?;
    for bytes in attachments {
        let mut writer = journal.attachment_writer(None)?;
        writer.write(bytes)?;
        let info = writer.finish()?;
        let mut header = like.header().clone();
        let id = Uuid::now_v7().into_bytes();
        (header.event_id, header.command_id) = (id, id);
        header.stream = StreamRef { id, ..header.stream };
        header.attachments = vec![AttachmentRef { hash: info.hash, size: info.size, media: 1 }];
        let (open, sealed) = (like.open().to_vec(), like.sealed().to_vec());
        let at = header.recorded_at;
        let draft = Draft { header, blind: [7; 32], open, sealed };
        let (stream, expected) = (draft.header.stream, ExpectedVersion::Any);
        let append = Append { log: name.clone(), expected, stream, drafts: vec![draft] };
        let transaction = Transaction { appends: vec![append], ..Transaction::default() };
        for outcome in journal.commit(vec![transaction], at)? {
            outcome?;
        }
    }
    journal.close();
    Ok(())
}

/// Everything is held at the centre, and nothing is pending.
async fn held(country: &Country, attachments: &[Vec<u8>]) -> Result<()> {
    until("the centre holds every attachment", async || {
        there(country, "KZ", attachments)?;
        let there = link(country, "KZ", OFFICE).await?;
        let pending = log(&there, LOG)?.attachments_pending;
        ensure!(pending == 0, "{pending} are pending");
        let here = link(country, OFFICE, "KZ").await?;
        let line = log(&here, LOG)?;
        ensure!(line.cosigned_size == line.own_size, "{} co-signed", line.cosigned_size);
        Ok(())
    })
    .await
}

/// Each attachment is at an office byte for byte, and no part is left over.
fn there(country: &Country, office: &str, attachments: &[Vec<u8>]) -> Result<()> {
    for bytes in attachments {
        let hash = sha256(bytes);
        let found = fs::read(file(country, office, &hash, true)).context("it is not there")?;
        ensure!(found == *bytes, "{} bytes of {}", found.len(), bytes.len());
        ensure!(size(&file(country, office, &hash, false)) == 0, "a part is left");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn attachments_reach_the_centre_and_come_back_after_a_loss() -> Result<()> {
    let mut land = land(&[OFFICE]).await?;
    let vault = land.dir.path().join("vault-copy");
    let country = &mut land.country;
    record_contacts(country, OFFICE, 3).await?;
    country.settle().await?;
    ensure!(country.stop_region(OFFICE).await?, "the region did not end cleanly");
    let attachments = [content(1, 1_000_000), content(2, 1), content(3, 0), content(4, 70_000)];
    attach(country, &attachments)?;

    country.region(OFFICE)?.link.cut();
    country.start_region(OFFICE).await?;
    country.region(OFFICE)?.link.mend_for(300_000);
    let part = file(country, "KZ", &sha256(&attachments[0]), false);
    until("a part is at the centre, and the head waits for the rest", async || {
        ensure!((1..1_000_000).contains(&size(&part)), "{} bytes", size(&part));
        let there = link(country, "KZ", OFFICE).await?;
        let line = log(&there, LOG)?;
        ensure!((line.own_size, line.attachments_pending) == (7, 4), "{line:?}");
        let here = link(country, OFFICE, "KZ").await?;
        ensure!(log(&here, LOG)?.cosigned_size == 3, "{here:?}");
        Ok(())
    })
    .await?;
    country.kill_coordinator().await?;
    let before = size(&part);
    country.region(OFFICE)?.link.cut();
    country.start_coordinator().await?;
    ensure!(size(&part) == before, "{} bytes of {before} outlived the centre", size(&part));
    country.region(OFFICE)?.link.mend();
    held(country, &attachments).await?;

    country.kill_region(OFFICE).await?;
    let data = country.installation.data(OFFICE);
    files::copy(&data.join("vault"), &vault)?;
    fs::remove_dir_all(&data)?;
    files::copy(&vault, &data.join("vault"))?;
    country.start_region_with(OFFICE, &["--reseed"]).await?;
    country.until_writable(OFFICE).await?;
    until("the attachments are back", async || there(country, OFFICE, &attachments)).await?;
    record_contacts(country, OFFICE, 2).await?;
    country.settle().await?;
    reading::all_intact(country).await
}

/// Whether these bytes stand anywhere in a file of an office.
fn is_plain(country: &Country, office: &str, bytes: &[u8]) -> Result<bool> {
    for file in files::below(&country.installation.data(office))? {
        if files::find(&fs::read(file)?, bytes).is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clerk_attaches_a_file_and_reads_it_back() -> Result<()> {
    let land = land(&[OFFICE]).await?;
    let (country, dir) = (&land.country, land.dir.path());
    let clerk = Tool::of(country, OFFICE, "clerk")?;
    let contact = clerk.one(&["record", "contact", "--channel", "call"]).await?;
    let contact = text(&contact, "stream")?;
    let (recording, empty) = (dir.join("Name of a caller.ogg"), dir.join("empty"));
    let plain = content(5, 300_000);
    fs::write(&recording, &plain)?;
    fs::write(&empty, [])?;
    let path = |path: &Path| path.display().to_string();
    let line = ["record", "attach", "--contact", contact, &path(&recording)];
    let operator = Tool::of(country, OFFICE, "operator")?;
    operator.fails(&line, 3, &["operator"]).await?;
    let attached = clerk.one(&line).await?;
    let nothing = clerk.one(&["record", "attach", "--contact", contact, &path(&empty)]).await?;
    let unknown = ["record", "attach", "--contact", &Uuid::now_v7().to_string(), &path(&empty)];
    clerk.fails(&unknown, 3, &["contact"]).await?;
    country.settle().await?;
    until("the centre holds both", async || {
        let there = link(country, "KZ", OFFICE).await?;
        ensure!(log(&there, LOG)?.attachments_pending == 0, "{there:?}");
        let here = link(country, OFFICE, "KZ").await?;
        let line = log(&here, LOG)?;
        ensure!(line.own_size == 3 && line.cosigned_size == 3, "{line:?}");
        Ok(())
    })
    .await?;
    for office in ["KZ", OFFICE] {
        ensure!(!is_plain(country, office, &plain[..64])?, "the file lies open at {office}");
        ensure!(!is_plain(country, office, b"Name of a caller")?, "its name lies open");
    }
    for (record, expected) in [(&attached, &plain), (&nothing, &Vec::new())] {
        let out = dir.join(text(record, "position")?.replace(':', "-"));
        let out = path(&out);
        let position = text(record, "position")?;
        let line = ["record", "file", position, "--purpose", "case_work", "--out", &out];
        operator.fails(&line, 3, &["operator"]).await?;
        let read = clerk.one(&line).await?;
        ensure!(read["bytes"] == expected.len() && fs::read(&out)? == *expected, "{read}");
        ensure!(read["sealed_part"]["name"].is_string(), "{read}");
        clerk.fails(&line, 2, &["exists"]).await?;
    }
    let records = reading::records(country, OFFICE, LOG).await?;
    let opened = records.iter().filter(|record| record.type_name == "access.records_opened");
    ensure!(opened.count() >= 2, "openings are not recorded");
    reading::all_intact(country).await
}
