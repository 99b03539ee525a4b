//! The national page: every office with the age of its signed head and its lag, overdue work, and
//! totals per kind of work. It holds no content of any case and needs no script.

use askama::Template;
use thiserror::Error;

use crate::{
    amounts::{Moment, moment, number, span},
    texts::{Lang, Text},
};

/// The `Content-Security-Policy` that fits every page of this crate: nothing but its own inline
/// style sheet is loaded, no script runs, no form is sent, no frame may hold it.
pub const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; \
     img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// A page could not be rendered; the cause names the template, never its data.
#[derive(Debug, Error)]
#[error("the page could not be rendered: {0}")]
pub struct PageError(#[from] askama::Error);

/// How the centre hears from an office.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkState {
    /// Linked, and everything its last signed head names is held.
    Live,
    /// Linked, and records its last signed head names are still on their way.
    CatchingUp,
    /// A connection is open, and the office has not said hello on it yet.
    Connecting,
    /// Not heard from within the expected time.
    Silent,
    /// Heard from, and refused (fork, rollback, wrong certificate): an operator must look.
    Refused,
    /// A log that the centre writes for it accepts no more records: an operator must look.
    ReadOnly,
    /// Enrolled, never heard from.
    NeverSeen,
}

impl LinkState {
    fn text(self) -> Text {
        match self {
            Self::Live => Text::Live,
            Self::CatchingUp => Text::CatchingUp,
            Self::Connecting => Text::Connecting,
            Self::Silent => Text::Silent,
            Self::Refused => Text::Refused,
            Self::ReadOnly => Text::ReadOnly,
            Self::NeverSeen => Text::NeverSeen,
        }
    }

    /// The class of the style sheet and a sign, so that colour is never the only difference.
    fn mark(self) -> (&'static str, &'static str) {
        match self {
            Self::Live => ("good", "●"),
            Self::CatchingUp => ("fair", "◐"),
            Self::Connecting => ("fair", "◌"),
            Self::Silent => ("poor", "○"),
            Self::Refused => ("poor", "✕"),
            Self::ReadOnly => ("poor", "✕"),
            Self::NeverSeen => ("none", "–"),
        }
    }
}

/// Whether the heads of an office's log carry all cosignatures that its policy asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cosignatures {
    /// Nothing is held of its log, or nothing is known.
    Unknown,
    /// Every record is below a head with all of them.
    Complete,
    /// The oldest record without has waited for so many seconds.
    Waiting(u64),
    /// They are missing for too long, or a contradiction was found: an operator must look.
    Alarm,
}

impl Cosignatures {
    /// Class, sign and words.
    fn mark(self, lang: Lang) -> (&'static str, &'static str, String) {
        let text = |text: Text| text.in_lang(lang).to_owned();
        match self {
            Self::Unknown => ("none", "–", text(Text::Unknown)),
            Self::Complete => ("good", "●", text(Text::CosignaturesComplete)),
            Self::Waiting(seconds) => ("fair", "◐", span(seconds, lang)),
            Self::Alarm => ("poor", "✕", text(Text::CosignaturesAlarm)),
        }
    }
}

/// A kind of work that the page counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Contacts on the trust line and by other ways.
    Contacts,
    /// Appeals.
    Appeals,
    /// Personal receptions.
    Receptions,
    /// Preventive measures.
    Measures,
    /// Activities of the image-policy plan.
    Activities,
    /// Directives, counted per addressed office.
    Directives,
}

impl Work {
    /// The name of the kind of work.
    pub fn text(self) -> Text {
        match self {
            Self::Contacts => Text::Contacts,
            Self::Appeals => Text::Appeals,
            Self::Receptions => Text::Receptions,
            Self::Measures => Text::Measures,
            Self::Activities => Text::Activities,
            Self::Directives => Text::Directives,
        }
    }
}

/// How many pieces of an office's work are past the day they were due, without an outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Overdue {
    /// Appeals without an answer.
    pub appeals: u64,
    /// Planned receptions with neither a session nor a reason recorded.
    pub receptions: u64,
    /// Planned preventive measures neither held nor cancelled.
    pub measures: u64,
    /// Planned activities not held.
    pub activities: u64,
    /// Directives without an accepted report.
    pub directives: u64,
}

impl Overdue {
    /// All kinds together.
    pub fn total(&self) -> u64 {
        self.cells().iter().sum()
    }

    fn cells(&self) -> [u64; 5] {
        [self.appeals, self.receptions, self.measures, self.activities, self.directives]
    }
}

/// One office on the page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfficeLine {
    /// The office's code, such as `KZ-75`.
    pub code: String,
    /// Its name in Kazakh, Russian and English; an empty name falls back to the Russian one, then
    /// to the code.
    pub names: [String; 3],
    /// How the centre hears from it.
    pub state: LinkState,
    /// Since when it is silent, microseconds since 1970; shown for [`LinkState::Silent`].
    pub since: Option<i64>,
    /// Why it is refused or read-only, e.g. `fork`; empty otherwise.
    pub reason: String,
    /// What that means, for whoever rests on it with the pointer; empty if there is nothing to say.
    pub meaning: String,
    /// It has been silent for too long, or was enrolled long ago and never linked.
    pub is_silence_alarm: bool,
    /// Seconds since the newest head that the office signed and the centre has; `None` = no head.
    pub head_age_seconds: Option<u64>,
    /// Records its newest signed head names that the centre does not hold; `None` = not known.
    pub lag: Option<u64>,
    /// Urgent records that it has shown ahead of that lag.
    pub previews: u64,
    /// Records of its log that the centre holds durably.
    pub held: u64,
    /// Whether its heads carry all cosignatures.
    pub cosignatures: Cosignatures,
    /// Work past its day.
    pub overdue: Overdue,
}

/// Totals of one kind of work, over all offices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkLine {
    /// The kind of work.
    pub work: Work,
    /// Everything recorded.
    pub total: u64,
    /// Of it, not finished.
    pub open: u64,
    /// Of it, past the day it was due; `None` where this kind of work has no due day.
    pub overdue: Option<u64>,
}

/// All that the national page shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NationalView {
    /// The moment the figures were read, microseconds since 1970 UTC.
    pub as_of: i64,
    /// The IANA zone in which moments are shown.
    pub zone: String,
    /// Seconds between automatic renewals of the page; 0 switches them off (`?refresh=0`).
    pub refresh_seconds: u32,
    /// The offices, in the order to be shown.
    pub offices: Vec<OfficeLine>,
    /// The kinds of work, in the order to be shown.
    pub totals: Vec<WorkLine>,
}

/// The columns of the overdue table, in the order of [`Overdue::cells`].
const OVERDUE_COLUMNS: [Text; 5] =
    [Text::Appeals, Text::Receptions, Text::Measures, Text::Activities, Text::Directives];

#[derive(Template)]
#[template(path = "national.html")]
struct Page<'a> {
    lang: Lang,
    as_of: Option<Moment>,
    refresh_seconds: u32,
    refresh_span: String,
    offices: Vec<OfficeRow<'a>>,
    overdue: Vec<OverdueRow<'a>>,
    overdue_all: Vec<(&'static str, String)>,
    overdue_total: String,
    totals: Vec<TotalRow>,
}

impl Page<'_> {
    fn t(&self, text: Text) -> &'static str {
        text.in_lang(self.lang)
    }
}

struct OfficeRow<'a> {
    code: &'a str,
    name: &'a str,
    class: &'static str,
    sign: &'static str,
    state: String,
    meaning: &'a str,
    alarm: &'static str,
    age: String,
    lag: String,
    previews: String,
    held: String,
    signed_class: &'static str,
    signed_sign: &'static str,
    signed: String,
}

struct OverdueRow<'a> {
    code: &'a str,
    name: &'a str,
    cells: Vec<(&'static str, String)>,
    total: String,
}

struct TotalRow {
    name: &'static str,
    total: String,
    open: String,
    overdue: String,
}

/// The national page as one HTML document in `lang`. Every text of the view is escaped.
///
/// # Errors
/// [`PageError`] when the template cannot be rendered.
pub fn national_page(view: &NationalView, lang: Lang) -> Result<String, PageError> {
    let late: Vec<&OfficeLine> =
        view.offices.iter().filter(|office| office.overdue.total() > 0).collect();
    let mut sums = [0_u64; 5];
    for office in &late {
        for (sum, cell) in sums.iter_mut().zip(office.overdue.cells()) {
            *sum = sum.saturating_add(cell);
        }
    }
    let page = Page {
        lang,
        as_of: moment(view.as_of, &view.zone, lang),
        refresh_seconds: view.refresh_seconds,
        refresh_span: span(view.refresh_seconds.into(), lang),
        offices: view.offices.iter().map(|office| office_row(office, &view.zone, lang)).collect(),
        overdue: late.iter().map(|office| overdue_row(office, lang)).collect(),
        overdue_all: cells(sums, lang),
        overdue_total: number(sums.iter().sum()),
        totals: view.totals.iter().map(|line| total_row(line, lang)).collect(),
    };
    Ok(page.render()?)
}

fn cells(values: [u64; 5], lang: Lang) -> Vec<(&'static str, String)> {
    OVERDUE_COLUMNS.map(|text| text.in_lang(lang)).into_iter().zip(values.map(number)).collect()
}

fn name(office: &OfficeLine, lang: Lang) -> &str {
    [&office.names[lang as usize], &office.names[Lang::Ru as usize], &office.code]
        .into_iter()
        .find(|name| !name.is_empty())
        .map_or("", String::as_str)
}

/// The state in words: `refused: fork`, `silent since 2024-03-01 05:00:00 UTC+05:00`.
fn state(office: &OfficeLine, zone: &str, lang: Lang) -> String {
    let word = office.state.text().in_lang(lang);
    let since = office.since.filter(|_| office.state == LinkState::Silent);
    match since.and_then(|at| moment(at, zone, lang)) {
        Some(since) => format!("{} {}", Text::SilentSince.in_lang(lang), since.shown),
        None if office.reason.is_empty() => word.to_owned(),
        None => format!("{word}: {}", office.reason),
    }
}

fn office_row<'a>(office: &'a OfficeLine, zone: &str, lang: Lang) -> OfficeRow<'a> {
    let (class, sign) = office.state.mark();
    let (signed_class, signed_sign, signed) = office.cosignatures.mark(lang);
    let unless = |text: Text| text.in_lang(lang).to_owned();
    OfficeRow {
        code: &office.code,
        name: name(office, lang),
        class,
        sign,
        state: state(office, zone, lang),
        meaning: &office.meaning,
        alarm: if office.is_silence_alarm { Text::CosignaturesAlarm.in_lang(lang) } else { "" },
        age: office.head_age_seconds.map_or_else(|| unless(Text::NoHead), |age| span(age, lang)),
        lag: office.lag.map_or_else(|| unless(Text::Unknown), number),
        previews: match office.previews {
            0 => String::new(),
            count => format!("{}: {}", Text::Previews.in_lang(lang), number(count)),
        },
        held: number(office.held),
        signed_class,
        signed_sign,
        signed,
    }
}

fn overdue_row(office: &OfficeLine, lang: Lang) -> OverdueRow<'_> {
    OverdueRow {
        code: &office.code,
        name: name(office, lang),
        cells: cells(office.overdue.cells(), lang),
        total: number(office.overdue.total()),
    }
}

fn total_row(line: &WorkLine, lang: Lang) -> TotalRow {
    TotalRow {
        name: line.work.text().in_lang(lang),
        total: number(line.total),
        open: number(line.open),
        overdue: line.overdue.map_or_else(|| "–".to_owned(), number),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn office(code: &str, name: &str, state: LinkState) -> OfficeLine {
        OfficeLine {
            code: code.into(),
            names: [String::new(), name.into(), format!("{name} (en)")],
            state,
            since: None,
            reason: String::new(),
            meaning: String::new(),
            is_silence_alarm: false,
            head_age_seconds: Some(7),
            lag: Some(1_204),
            previews: 0,
            held: 98_765,
            cosignatures: Cosignatures::Complete,
            overdue: Overdue::default(),
        }
    }

    fn view() -> NationalView {
        let mut almaty = office("KZ-75", "город <Алматы> & Ко", LinkState::CatchingUp);
        almaty.overdue = Overdue { appeals: 3, directives: 1, ..Overdue::default() };
        almaty.previews = 2;
        let mut abay = office("KZ-10", "область Абай", LinkState::NeverSeen);
        (abay.head_age_seconds, abay.lag, abay.held) = (None, None, 0);
        abay.cosignatures = Cosignatures::Alarm;
        let line = |work, total, open, overdue| WorkLine { work, total, open, overdue };
        NationalView {
            as_of: 1_709_251_200_000_000,
            zone: "Asia/Almaty".into(),
            refresh_seconds: 15,
            offices: vec![almaty, abay],
            totals: vec![
                line(Work::Contacts, 1_234_567, 4, None),
                line(Work::Appeals, 20, 9, Some(3)),
            ],
        }
    }

    #[test]
    fn the_page_shows_offices_overdue_work_and_totals() {
        let page = national_page(&view(), Lang::Ru).unwrap();
        for part in [
            "<html lang=\"ru\">",
            "01.03.2024 05:00:00 UTC+05:00",
            "datetime=\"2024-03-01T00:00:00Z\"",
            "http-equiv=\"refresh\" content=\"15\"",
            "KZ-75",
            "догоняет",
            "7\u{a0}с",
            "1\u{202f}204",
            "98\u{202f}765",
            "срочных видно заранее: 2",
            "не подписана",
            "собраны",
            "ТРЕВОГА",
            "ещё не выходило на связь",
            "1\u{202f}234\u{202f}567",
        ] {
            assert!(page.contains(part), "{part:?} is missing");
        }
        assert!(!page.contains("<script"), "the page needs no script");
    }

    #[test]
    fn text_of_the_view_is_escaped() {
        let page = national_page(&view(), Lang::Ru).unwrap();
        assert!(!page.contains("<Алматы>"));
        assert!(page.contains("&#60;Алматы&#62; &#38; Ко"));
    }

    #[test]
    fn a_missing_name_falls_back_and_each_language_has_its_own() {
        let mut view = view();
        view.offices[1].names = Default::default();
        let kk = national_page(&view, Lang::Kk).unwrap();
        assert!(kk.contains("<html lang=\"kk\">") && kk.contains("Ел бойынша жағдай"));
        assert!(kk.contains("&#60;Алматы&#62;"), "no Kazakh name: the Russian one is shown");
        assert_eq!(name(&view.offices[1], Lang::Kk), "KZ-10");
        let en = national_page(&view, Lang::En).unwrap();
        assert!(en.contains("(en)") && en.contains("catching up"));
    }

    #[test]
    fn the_state_has_its_reason_its_time_and_its_alarm() {
        let mut view = view();
        let fork = office("KZ-71", "", LinkState::Refused);
        let meaning = "two <histories>".to_owned();
        view.offices.push(OfficeLine { reason: "fork".into(), meaning, ..fork });
        let silent = office("KZ-27", "", LinkState::Silent);
        let since = Some(1_709_251_200_000_000);
        view.offices.push(OfficeLine { since, is_silence_alarm: true, ..silent });
        view.offices[1].cosignatures = Cosignatures::Complete;
        let page = national_page(&view, Lang::En).unwrap();
        for part in [
            "refused: fork",
            "title=\"two &#60;histories&#62;\"",
            "silent since 2024-03-01 05:00:00 UTC+05:00",
        ] {
            assert!(page.contains(part), "{part:?} is missing");
        }
        assert_eq!(page.matches("ALARM").count(), 1);
        let ru = national_page(&view, Lang::Ru).unwrap();
        assert!(ru.contains("отказано: fork") && ru.contains("молчит с 01.03.2024"));
    }

    #[test]
    fn renewal_can_be_stopped_and_nothing_overdue_is_said() {
        let mut view = view();
        view.refresh_seconds = 0;
        view.offices.truncate(0);
        let page = national_page(&view, Lang::En).unwrap();
        assert!(!page.contains("http-equiv=\"refresh\""));
        assert!(page.contains("Nothing is overdue.") && page.contains("No office has been"));
    }

    #[test]
    fn only_offices_with_overdue_work_are_listed_as_such() {
        let page = national_page(&view(), Lang::En).unwrap();
        let table = page.split("id=\"overdue\"").nth(1).unwrap();
        let table = table.split("</section>").next().unwrap();
        assert!(table.contains("KZ-75") && !table.contains("KZ-10"));
    }
}
