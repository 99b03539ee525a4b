//! Every limit of the domain, in one place, with its reason.

/// Longest classifier code, in bytes: a readable English word or two, never a sentence.
pub const CODE_BYTES: usize = 48;
/// Longest post, in bytes: what the record header's short text holds.
pub const POST_BYTES: usize = 63;
/// Longest order number, in bytes; the longest found in the sources has 15.
pub const ORDER_NUMBER_BYTES: usize = 40;
/// Longest name of a log, in bytes: the limit of log names everywhere.
pub const LOG_BYTES: usize = 63;
/// Most heads that one record of accepted heads holds: 16 times the offices there may ever be, so
/// that a few epochs and the centre's own logs have room; about 120 KiB of a record's 256.
pub const ACCEPTED_HEADS: usize = 1_000;
/// Longest IANA zone name, in bytes: what the record header's short text holds.
pub const ZONE_BYTES: usize = 63;
/// Longest name of a person or an office, in characters.
pub const NAME_CHARS: usize = 300;
/// Longest telephone number or other single way to reach somebody, in characters.
pub const PHONE_CHARS: usize = 64;
/// Longest address and contact details, in characters.
pub const CONTACT_CHARS: usize = 1_000;
/// Longest free text, in bytes of UTF-8. Two of them (a correction's before and after) and the
/// record's header stay under the record limit of 256 KiB.
pub const TEXT_BYTES: usize = 64 * 1024;
/// Longest label of a classifier entry, in characters.
pub const LABEL_CHARS: usize = 300;
/// Most entries of one classifier; 300-character labels in three languages of two bytes a letter
/// would exceed a record long before, see [`CLASSIFIER_BYTES`].
pub const CLASSIFIER_ENTRIES: usize = 1_000;
/// Most bytes of all codes and labels of one classifier version: a record (256 KiB) with room for
/// its header and the encoding's own bytes.
pub const CLASSIFIER_BYTES: usize = 160 * 1024;
/// Most applicants of one collective appeal.
pub const APPLICANTS: u32 = 1_000_000;
/// Most visitors of one reception session.
pub const VISITORS: u32 = 10_000;
/// Most participants of one class in one measure.
pub const PARTICIPANTS: u32 = 1_000_000;
/// Most classes of participants named for one measure.
pub const PARTICIPANT_CLASSES: usize = 64;
/// Longest measure, in minutes: 31 days (a training course).
pub const MEASURE_MINUTES: u32 = 31 * 24 * 60;
/// Most people an activity can reach.
pub const REACH: u32 = 100_000_000;
/// Most addressees of one directive: every office there may ever be, twice over. The directive and
/// all its dispatches are one commit under one command, of which the journal takes 64 parts.
pub const DIRECTIVE_TARGETS: usize = 60;
/// Most indicators or kinds of evidence a directive may ask for.
pub const DIRECTIVE_DEMANDS: usize = 64;
/// Most records opened by one page view.
pub const OPENED_RECORDS: usize = 500;
/// How far an `occurred_at` may lie ahead of the writer's clock, in microseconds: five minutes,
/// the skew two office machines may show before an operator must act.
pub const AHEAD_MICROS: i64 = 5 * 60 * 1_000_000;
/// Earliest `occurred_at` in microseconds: 1990-01-01T00:00:00Z. Older registers are archives,
/// and an earlier time is nearly always a parsing error.
pub const EARLIEST_MICROS: i64 = 631_152_000 * 1_000_000;
/// Longest reception session, in microseconds: one day.
pub const RECEPTION_MICROS: i64 = 24 * 3_600 * 1_000_000;
/// Latest year a planned date or a deadline may name.
pub const LATEST_YEAR: i16 = 2199;
/// How many days ahead of the writer's clock a day of registration may lie: the longest row of
/// days off after which "the next working day" comes, doubled.
pub const REGISTRATION_DAYS: i32 = 31;
