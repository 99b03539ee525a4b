//! `adal office`: offices of the country.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use domain::office::EnrolOffice;
use domain::{OfficeCode, Request, Zone};
use identity::PublicKeys;
use uuid::Uuid;

use crate::connect::Way;
use crate::errors::{Failure, Outcome};
use crate::input;
use crate::output::Output;
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
    }
}

async fn enrol(args: &EnrolArgs, way: &Way, output: Output) -> Outcome {
    let public = PublicKeys::load(&args.public)?;
    if public.office != args.code.as_str() {
        return Err(Failure::usage(format!(
            "{} holds the keys of {}, not of {}",
            args.public.display(),
            public.office,
            args.code
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
    }
    .into();
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
