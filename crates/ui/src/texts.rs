//! Languages and the one table of strings of all pages.
//!
//! A string is named by [`Text`]; [`Text::row`] holds its three forms side by side, so that a
//! missing translation cannot be written.

/// A language of the pages. Russian is the default until a page is asked for another one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lang {
    /// Kazakh, the state language.
    Kk,
    /// Russian.
    #[default]
    Ru,
    /// English.
    En,
}

impl Lang {
    /// Every language, in the order the pages offer them.
    pub const ALL: [Self; 3] = [Self::Kk, Self::Ru, Self::En];

    /// The language named by the value of `?lang=` (an ISO 639-1 code, any case); anything else,
    /// or nothing, is the default language.
    pub fn of(code: Option<&str>) -> Self {
        let known = |lang: &Self| code.is_some_and(|code| code.eq_ignore_ascii_case(lang.code()));
        Self::ALL.into_iter().find(known).unwrap_or_default()
    }

    /// The ISO 639-1 code, as used in `?lang=` and in the `lang` attribute.
    pub fn code(self) -> &'static str {
        ["kk", "ru", "en"][self as usize]
    }

    /// What the language calls itself.
    pub fn own_name(self) -> &'static str {
        ["Қазақша", "Русский", "English"][self as usize]
    }
}

/// A string of the pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each string is its own description, see `Text::row`")]
pub enum Text {
    Title,
    Department,
    AsOf,
    SkipToContent,
    Languages,
    RefreshEvery,
    RefreshStop,
    RefreshOff,
    RefreshStart,
    Offices,
    OfficesHelp,
    NoOffices,
    Code,
    Office,
    State,
    HeadAge,
    Lag,
    Previews,
    Held,
    Cosignatures,
    CosignaturesComplete,
    CosignaturesAlarm,
    NoHead,
    Unknown,
    Live,
    CatchingUp,
    Connecting,
    Silent,
    Refused,
    ReadOnly,
    SilentSince,
    NeverSeen,
    Overdue,
    OverdueHelp,
    NothingOverdue,
    Total,
    Totals,
    Work,
    InWork,
    OverdueCount,
    Country,
    Contacts,
    Appeals,
    Receptions,
    Measures,
    Activities,
    Directives,
    Days,
    Hours,
    Minutes,
    Seconds,
    Footer,
}

impl Text {
    /// The string in `lang`.
    pub fn in_lang(self, lang: Lang) -> &'static str {
        self.row()[lang as usize]
    }

    /// The string in Kazakh, Russian and English.
    pub fn row(self) -> [&'static str; 3] {
        match self {
            Self::Title
            | Self::Department
            | Self::AsOf
            | Self::SkipToContent
            | Self::Languages
            | Self::RefreshEvery
            | Self::RefreshStop
            | Self::RefreshOff
            | Self::RefreshStart
            | Self::Country
            | Self::Footer => self.frame(),
            Self::Offices
            | Self::OfficesHelp
            | Self::NoOffices
            | Self::Code
            | Self::Office
            | Self::State
            | Self::HeadAge
            | Self::Lag
            | Self::Previews
            | Self::Held
            | Self::Cosignatures
            | Self::CosignaturesComplete
            | Self::CosignaturesAlarm
            | Self::NoHead
            | Self::Unknown
            | Self::Live
            | Self::CatchingUp
            | Self::Connecting
            | Self::Silent
            | Self::Refused
            | Self::ReadOnly
            | Self::SilentSince
            | Self::NeverSeen => self.office(),
            _ => self.work(),
        }
    }

    fn frame(self) -> [&'static str; 3] {
        match self {
            Self::Title => ["Ел бойынша жағдай", "Обстановка по стране", "State of the country"],
            Self::AsOf => ["Жағдай уақыты", "По состоянию на", "As of"],
            Self::SkipToContent => ["Мазмұнға өту", "Перейти к содержанию", "Skip to content"],
            Self::Languages => ["Тілдер", "Языки", "Languages"],
            Self::RefreshEvery => {
                ["Бет өздігінен жаңарады", "Страница обновляется сама", "The page renews itself"]
            }
            Self::RefreshStop => ["Тоқтату", "Остановить", "Stop"],
            Self::RefreshOff => [
                "Бет өздігінен жаңармайды",
                "Страница сама не обновляется",
                "The page does not renew itself",
            ],
            Self::RefreshStart => ["Қайта қосу", "Возобновить", "Resume"],
            Self::Country => ["Бүкіл ел", "Вся страна", "Whole country"],
            Self::Footer => [
                "Бетте істердің мазмұны жоқ, тек сандар ғана.",
                "На странице нет содержания дел, только количество.",
                "This page holds counts only, no content of any case.",
            ],
            _ => [
                "Ішкі қауіпсіздік және сыбайлас жемқорлықтың алдын алу департаменті",
                "Департамент внутренней безопасности и предупреждения коррупции",
                "Department of internal security and prevention of corruption",
            ],
        }
    }

    fn office(self) -> [&'static str; 3] {
        match self {
            Self::Offices => ["Бөлімшелер", "Подразделения", "Offices"],
            Self::OfficesHelp => [
                "Артта қалу бөлімшенің өзі қол қойған соңғы журнал басынан есептеледі. \
                 Қол қойылған басы ескі болса, үнсіздік «бәрі жақсы» дегенді білдірмейді.",
                "Отставание считается от последней головы журнала, подписанной самим \
                 подразделением. Если она давняя, молчание не значит «всё в порядке».",
                "Lag is counted from the last log head that the office itself signed. Where that \
                 head is old, silence does not mean that all is well.",
            ],
            Self::NoOffices => [
                "Әзірге бірде-бір бөлімше тіркелмеген.",
                "Ни одно подразделение ещё не зарегистрировано.",
                "No office has been enrolled yet.",
            ],
            Self::Code => ["Код", "Код", "Code"],
            Self::Office => ["Бөлімше", "Подразделение", "Office"],
            Self::State => ["Байланыс күйі", "Состояние связи", "Link"],
            Self::HeadAge => {
                ["Қол қойылған басының жасы", "Возраст подписанной головы", "Age of signed head"]
            }
            Self::Lag => ["Артта қалу, жазба", "Отставание, записей", "Lag, records"],
            Self::Previews => {
                ["алдын ала көрсетілген шұғыл", "срочных видно заранее", "urgent, shown ahead"]
            }
            Self::Held => ["Орталықта сақталған", "Хранится в центре", "Held by the centre"],
            Self::Cosignatures => ["Куәлердің қолтаңбалары", "Подписи свидетелей", "Cosignatures"],
            Self::CosignaturesComplete => ["толық", "собраны", "complete"],
            Self::CosignaturesAlarm => ["ДАБЫЛ", "ТРЕВОГА", "ALARM"],
            Self::NoHead => ["қол қойылмаған", "не подписана", "none signed"],
            Self::Unknown => ["белгісіз", "неизвестно", "unknown"],
            Self::Live => ["байланыста", "на связи", "live"],
            Self::CatchingUp => ["қуып жетуде", "догоняет", "catching up"],
            Self::Connecting => ["қосылуда", "соединяется", "connecting"],
            Self::Silent => ["үнсіз", "молчит", "silent"],
            Self::ReadOnly => ["тек оқуға", "только чтение", "read-only"],
            Self::SilentSince => ["үнсіз, мына уақыттан бері:", "молчит с", "silent since"],
            Self::Refused => ["қабылданбады", "отказано", "refused"],
            _ => ["әлі хабарласпаған", "ещё не выходило на связь", "never seen"],
        }
    }

    fn work(self) -> [&'static str; 3] {
        match self {
            Self::Overdue => ["Мерзімі өткен жұмыс", "Просроченная работа", "Overdue work"],
            Self::OverdueHelp => [
                "Мерзімі өткен, бірақ нәтижесі жазылмаған істер.",
                "Срок прошёл, а исход не записан.",
                "The day it was due has passed and no outcome is recorded.",
            ],
            Self::NothingOverdue => {
                ["Мерзімі өткен жұмыс жоқ.", "Просроченной работы нет.", "Nothing is overdue."]
            }
            Self::Total => ["Барлығы", "Всего", "Total"],
            Self::Totals => ["Жұмыс түрлері бойынша", "По видам работы", "Totals by kind of work"],
            Self::Work => ["Жұмыс түрі", "Вид работы", "Kind of work"],
            Self::InWork => ["Аяқталмаған", "Не завершено", "Not finished"],
            Self::OverdueCount => ["Мерзімі өткен", "Просрочено", "Overdue"],
            Self::Contacts => ["Сенім телефоны", "Телефон доверия", "Trust line"],
            Self::Appeals => ["Жолданымдар", "Обращения", "Appeals"],
            Self::Receptions => ["Жеке қабылдаулар", "Личные приёмы", "Receptions"],
            Self::Measures => {
                ["Алдын алу шаралары", "Профилактические мероприятия", "Preventive measures"]
            }
            Self::Activities => {
                ["Имидждік жоспар", "План имиджевой политики", "Image-policy activities"]
            }
            Self::Directives => ["Тапсырмалар", "Поручения", "Directives"],
            Self::Days => ["тәул", "дн", "d"],
            Self::Hours => ["сағ", "ч", "h"],
            Self::Minutes => ["мин", "мин", "min"],
            _ => ["сек", "с", "s"],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_language_comes_from_the_query_and_falls_back_to_russian() {
        assert_eq!(Lang::of(Some("kk")), Lang::Kk);
        assert_eq!(Lang::of(Some("EN")), Lang::En);
        assert_eq!(Lang::of(Some("de")), Lang::Ru);
        assert_eq!(Lang::of(None), Lang::Ru);
    }

    #[test]
    fn strings_that_must_differ_do() {
        use Text::{
            Code, Department, Minutes, NeverSeen, NoHead, Offices, Seconds, Title, Unknown,
        };
        for text in [Title, Department, NoHead, Unknown, NeverSeen, Offices, Seconds] {
            let [kk, ru, en] = text.row();
            assert!(kk != ru && ru != en && kk != en, "{text:?} is not translated");
        }
        assert_eq!(Code.row()[2], "Code");
        assert_eq!(Minutes.in_lang(Lang::En), "min");
        assert_eq!(NeverSeen.in_lang(Lang::Ru), "ещё не выходило на связь");
    }
}
