//! `adal record reception`: a personal reception session.

use clap::{Args, Subcommand};
use domain::ids::AppealId;
use domain::reception::{HoldReception, MissReception, PlanReception, ReceiveVisitor, VisitorPart};
use domain::{Code, Post, Zone};
use jiff::civil::Date;
use uuid::Uuid;

use super::{Common, Undertaking};
use crate::errors::Outcome;
use crate::input;

/// Steps of a session.
#[derive(Debug, Subcommand)]
pub enum ReceptionCommand {
    /// Promise a session
    Plan(PlanArgs),
    /// It took place
    Hold(HoldArgs),
    /// It did not take place
    Miss(MissArgs),
    /// One visitor was received
    Visitor(VisitorArgs),
}

/// A promised session.
#[derive(Debug, Args)]
#[command(after_help = "Example: adal record reception plan --on 2026-12-01 --post kz-75/chief")]
pub struct PlanArgs {
    /// The day, in the office's zone.
    #[arg(long, value_parser = input::day, value_name = "DAY")]
    on: Date,
    /// The post that will receive.
    #[arg(long, value_parser = input::post)]
    post: Post,
    /// Id of the session [default: a new one].
    #[arg(long, value_parser = input::id, value_name = "UUID")]
    id: Option<Uuid>,
    #[command(flatten)]
    common: Common,
}

/// A session that took place.
#[derive(Debug, Args)]
pub struct HoldArgs {
    /// Id of the session.
    #[arg(long, value_parser = input::id, value_name = "UUID")]
    id: Uuid,
    /// Mode: a code of `reception_mode`.
    #[arg(long, value_parser = input::code, default_value = "in_person")]
    mode: Code,
    /// How many people came.
    #[arg(long)]
    visitors: u32,
    /// When the door opened: RFC 3339, or local time in --zone.
    #[arg(long, value_name = "TIME")]
    opened_at: String,
    /// When it closed.
    #[arg(long, value_name = "TIME")]
    closed_at: String,
    #[command(flatten)]
    common: Common,
}

/// A session that did not take place.
#[derive(Debug, Args)]
pub struct MissArgs {
    /// Id of the session.
    #[arg(long, value_parser = input::id, value_name = "UUID")]
    id: Uuid,
    /// Why: a code of `not_held_reason`.
    #[arg(long, value_parser = input::code)]
    reason: Code,
    /// Day on which it will be made up for.
    #[arg(long, value_parser = input::day, value_name = "DAY")]
    replacement_on: Option<Date>,
    #[command(flatten)]
    common: Common,
}

/// A visitor.
#[derive(Debug, Args)]
pub struct VisitorArgs {
    /// Id of the session.
    #[arg(long, value_parser = input::id, value_name = "UUID")]
    id: Uuid,
    /// What came of it: a code of `visitor_outcome`.
    #[arg(long, value_parser = input::code)]
    outcome: Code,
    /// The appeal taken down.
    #[arg(long, value_parser = input::id, value_name = "UUID")]
    appeal: Option<Uuid>,
    /// The visitor's name, to be sealed: @FILE, - or the text.
    #[arg(long, value_name = "TEXT")]
    visitor_name: Option<String>,
    /// How to reach the visitor, to be sealed.
    #[arg(long, value_name = "TEXT")]
    contacts: Option<String>,
    /// What was said and promised, to be sealed.
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    #[command(flatten)]
    common: Common,
}

impl ReceptionCommand {
    /// The request of this command line, and its common options.
    pub(super) fn undertaking(&self) -> Outcome<(Undertaking, &Common)> {
        Ok(match self {
            Self::Plan(args) => {
                let request = PlanReception { on: args.on, post: args.post.clone() };
                (Undertaking::begin(args.id, request), &args.common)
            }
            Self::Hold(args) => {
                let zone = args.common.zone.clone().unwrap_or_else(Zone::utc);
                let request = HoldReception {
                    mode: args.mode.clone(),
                    visitors: args.visitors,
                    opened_at: input::moment(&args.opened_at, &zone)?,
                    closed_at: input::moment(&args.closed_at, &zone)?,
                };
                (Undertaking::on(args.id, request), &args.common)
            }
            Self::Miss(args) => {
                let request = MissReception {
                    reason: args.reason.clone(),
                    replacement_on: args.replacement_on,
                };
                (Undertaking::on(args.id, request), &args.common)
            }
            Self::Visitor(args) => {
                let part = VisitorPart {
                    name: input::text(args.visitor_name.as_deref())?,
                    contacts: input::text(args.contacts.as_deref())?,
                    note: input::text(args.note.as_deref())?,
                };
                let request = ReceiveVisitor {
                    outcome: args.outcome.clone(),
                    appeal: args.appeal.map(AppealId::new),
                    personal: (part != VisitorPart::default()).then_some(part),
                };
                (Undertaking::on(args.id, request), &args.common)
            }
        })
    }
}
