//! `adal office`: offices of the country.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use domain::office::{EnrolOffice, RekeyOffice};
use domain::{OfficeCode, Request, Zone};
use identity::PublicKeys;
use uuid::Uuid;
use wire::pb::operator::v1 as pb;

use crate::connect::Way;
use crate::errors::{Failure, Outcome};
use crate::input;
use crate::output::{Cell, Output, Row};
use crate::query::{self, FilterArgs, ListArgs, QueryCommand};
use crate::record::receipt_row;
use crate::send::{self, Meta};

/// Commands about offices.
#[derive(Debug, Subcommand)]
pub enum OfficeCommand {
    /// Make an office known to the centre, which mirrors its log from then on
    Enrol(EnrolArgs),
    /// Enrolled offices with the state of their replication
    List,
    /// Change the key that signs the logs of the node's own office; it goes on in a new epoch
    RotateKey(RotateArgs),
    /// Give an office whose keys are lost new ones, at the centre
    Rekey(RekeyArgs),
}

/// Whose key to change.
#[derive(Debug, Args)]
#[command(
    after_help = "To be run against the office's own node, by its operator, with or without \
                        a link to the centre. The old key signs a last record and a statement that \
                        names the new key, so the centre and the other offices take it by \
                        themselves. The new key's file lies in the folder `keys` of the node's \
                        data: it is in no backup, copy it to where the other keys are kept. Once \
                        `adal sync status` shows both epochs live, the old key's file may be \
                        destroyed, except `log.key`, which the node needs to start.\n\n\
                        Example:\n  adal --as operator office rotate-key --code KZ-75 --yes"
)]
pub struct RotateArgs {
    /// Code of the office, as a check that this is the right node.
    #[arg(long, value_parser = input::office)]
    code: OfficeCode,
    /// Do it; without this, only what would be done is said.
    #[arg(long)]
    yes: bool,
}

/// The office and its new keys.
#[derive(Debug, Args)]
#[command(after_help = "To be run against the centre, by a national officer or its operator, and \
                        only when the office's old keys are certainly lost: whoever has the new \
                        ones speaks for the office from then on. FILE is the public.toml that the \
                        office's node wrote into the folder `keys` of its data when it opened its \
                        new epoch; compare it with the office by telephone.\n\n\
                        Example:\n  adal --as national office rekey --code KZ-75 \
                        --public public.toml --yes")]
pub struct RekeyArgs {
    /// Code of the office.
    #[arg(long, value_parser = input::office)]
    code: OfficeCode,
    /// public.toml of the office, with the keys of its new epoch.
    #[arg(long, value_name = "FILE")]
    public: PathBuf,
    /// Do it; without this, only what would be done is said.
    #[arg(long)]
    yes: bool,
}

/// The office to enrol.
#[derive(Debug, Args)]
#[command(after_help = "To be run against the centre, by a national officer or its operator.\n\n\
                        Example:\n  adal --node kz.adal.example:7475 --as national office enrol \
                        --code KZ-75 \\\n    --zone Asia/Almaty --public kz-75-keys/public.toml \
                        \\\n    --name-en Almaty --name-kk Алматы --name-ru Алматы")]
pub struct EnrolArgs {
    /// Code of the office.
    #[arg(long, value_parser = input::office)]
    code: OfficeCode,
    /// Its zone.
    #[arg(long, value_parser = input::zone, default_value = "Asia/Almaty")]
    zone: Zone,
    /// public.toml of the office, made by `adal pki issue node`.
    #[arg(long, value_name = "FILE")]
    public: PathBuf,
    /// Its name in Kazakh.
    #[arg(long)]
    name_kk: String,
    /// Its name in Russian.
    #[arg(long)]
    name_ru: String,
    /// Its name in English.
    #[arg(long)]
    name_en: String,
}

/// Carries out one of them.
///
/// # Errors
/// The node refused or could not be reached.
pub async fn run(command: &OfficeCommand, way: &Way, output: Output) -> Outcome {
    match command {
        OfficeCommand::Enrol(args) => enrol(args, way, output).await,
        OfficeCommand::List => {
            let all = ListArgs { filter: FilterArgs::default(), limit: 0, all: true };
            query::run(&QueryCommand::Offices(all), way, output).await
        }
        OfficeCommand::RotateKey(args) => rotate(args, way, output).await,
        OfficeCommand::Rekey(args) => rekey(args, way, output).await,
    }
}

/// The public keys of a file, which must be those of this office.
fn public_keys(file: &Path, code: &OfficeCode) -> Outcome<PublicKeys> {
    let public = PublicKeys::load(file)?;
    if public.office == code.as_str() {
        return Ok(public);
    }
    let (file, office) = (file.display(), public.office);
    Err(Failure::usage(format!("{file} holds the keys of {office}, not of {code}")))
}

async fn enrol(args: &EnrolArgs, way: &Way, output: Output) -> Outcome {
    let public = public_keys(&args.public, &args.code)?;
    if public.epoch != 1 {
        return Err(Failure::usage(format!(
            "{} holds the key of epoch {}: an office is enrolled with its first one",
            args.public.display(),
            public.epoch
        )));
    }
    let request: Request = EnrolOffice {
        code: args.code.clone(),
        name_kk: args.name_kk.clone(),
        name_ru: args.name_ru.clone(),
        name_en: args.name_en.clone(),
        zone: args.zone.name().to_owned(),
        log_key: public.log,
        witness_key: public.witness,
        mirror_key: Some(public.mirror),
    }
    .into();
    record(request, way, output).await
}

async fn rotate(args: &RotateArgs, way: &Way, output: Output) -> Outcome {
    if !args.yes {
        return Err(Failure::usage(format!(
            "the node of {} would end the epoch of each of its logs, make a new key and go on \
             under it; there is no way back. Say --yes to do it",
            args.code
        )));
    }
    let request = pb::RotateKeyRequest { office: args.code.to_string() };
    let answer = way.operator().await?.rotate_key(request).await?.into_inner();
    let row = |log: &pb::RotatedLog| -> Row {
        vec![
            ("log", Cell::text(&log.log)),
            ("ended_epoch", Cell::number(log.closed_epoch)),
            ("records", Cell::number(log.closed_size)),
            ("goes_on_in_epoch", Cell::number(log.epoch)),
            ("verifier_key", Cell::text(&log.verifier_key)),
        ]
    };
    let rows: Vec<Row> = answer.logs.iter().map(row).collect();
    output.table(&rows, "the node writes no log")
}

async fn rekey(args: &RekeyArgs, way: &Way, output: Output) -> Outcome {
    let public = public_keys(&args.public, &args.code)?;
    if public.epoch < 2 {
        return Err(Failure::usage(format!(
            "{} holds the key of the first epoch. New keys are for a new epoch: restore the \
             office's journal with `adal journal restore`, start its node, and take the \
             public.toml that it writes into the folder `keys` of its data",
            args.public.display()
        )));
    }
    if !args.yes {
        return Err(Failure::usage(format!(
            "the centre would take epoch {} of {} under a key that the office's old key did not \
             name. If the old keys are certainly lost, say --yes",
            public.epoch, args.code
        )));
    }
    let request: Request = RekeyOffice {
        code: args.code.clone(),
        epoch: public.epoch,
        log_key: public.log,
        witness_key: public.witness,
        mirror_key: Some(public.mirror),
    }
    .into();
    record(request, way, output).await
}

/// Records what begins with nothing that the caller has seen.
async fn record(request: Request, way: &Way, output: Output) -> Outcome {
    let meta = Meta {
        stream: None,
        expected: Some(0),
        command: Uuid::now_v7(),
        at: None,
        zone: None,
        correlation: None,
    };
    let mut client = way.commands().await?;
    let receipt = send::execute(&mut client, &meta, &request).await?;
    output.one(&receipt_row(&receipt))
}
