//! Word lists for names and texts. Every name is put together by chance from common parts; every
//! text from sentences written for this crate.

use domain::Text;

use crate::dice::Dice;

const NAMES_KK_M: [&str; 12] = [
    "Асқар",
    "Ерлан",
    "Нұрлан",
    "Қайрат",
    "Бауыржан",
    "Дәурен",
    "Арман",
    "Талғат",
    "Серік",
    "Мұрат",
    "Әділет",
    "Жандос",
];
const NAMES_KK_F: [&str; 12] = [
    "Айгүл",
    "Гүлнар",
    "Сәуле",
    "Динара",
    "Әсел",
    "Жанар",
    "Қарлығаш",
    "Мәдина",
    "Назгүл",
    "Ұлжан",
    "Айнұр",
    "Шолпан",
];
const STEMS_KK: [&str; 12] = [
    "Ахмет",
    "Сейіт",
    "Қасым",
    "Омар",
    "Нұрғали",
    "Жұмабек",
    "Тұрсын",
    "Ібрай",
    "Бекен",
    "Сәтбай",
    "Әбдірахман",
    "Есен",
];
const NAMES_RU_M: [&str; 8] =
    ["Сергей", "Андрей", "Виктор", "Олег", "Павел", "Дмитрий", "Николай", "Юрий"];
const NAMES_RU_F: [&str; 8] =
    ["Ольга", "Елена", "Наталья", "Ирина", "Светлана", "Марина", "Татьяна", "Галина"];
const STEMS_RU: [&str; 10] = [
    "Кузнецов",
    "Смирнов",
    "Волков",
    "Морозов",
    "Лебедев",
    "Соколов",
    "Новиков",
    "Фролов",
    "Зайцев",
    "Гончаров",
];
const FATHERS_RU: [(&str, &str); 6] = [
    ("Иванович", "Ивановна"),
    ("Петрович", "Петровна"),
    ("Сергеевич", "Сергеевна"),
    ("Викторович", "Викторовна"),
    ("Андреевич", "Андреевна"),
    ("Николаевич", "Николаевна"),
];

const STREETS: [&str; 8] = [
    "Абай көшесі",
    "Сәтбаев көшесі",
    "Достық даңғылы",
    "Бейбітшілік көшесі",
    "ул. Толе би",
    "ул. Гагарина",
    "пр. Республики",
    "ул. Садовая",
];

const PLAINTS_KK: [&str; 10] = [
    "Аудандық соттың кеңсесі құжаттарымды үш рет қабылдамай қайтарды.",
    "Сот отырысы екі рет ескертусіз кейінге қалдырылды.",
    "Сот хатшысы қоңырауларға жауап бермейді.",
    "Сот қызметкері менімен дөрекі сөйлесті.",
    "Іс материалдарымен танысуға екі апта бойы мүмкіндік бермей келеді.",
    "Сот актісінің көшірмесін белгіленген мерзімде ала алмадым.",
    "Қабылдау бөлмесінде кезек күту тәртібі сақталмайды.",
    "Күту залында қабылдау кестесі ілінбеген.",
    "Өтінішіме бір айдан бері жауап жоқ.",
    "Аудармашының болмауынан отырыс өтпей қалды.",
];
const PLAINTS_RU: [&str; 10] = [
    "Канцелярия районного суда трижды вернула мои документы без приёма.",
    "Судебное заседание дважды откладывали без предупреждения.",
    "Секретарь суда не отвечает на звонки.",
    "Сотрудник суда разговаривал со мной грубо.",
    "Уже две недели не дают ознакомиться с материалами дела.",
    "Копию судебного акта в установленный срок получить не удалось.",
    "В приёмной не соблюдается порядок очереди.",
    "В зале ожидания нет графика приёма граждан.",
    "На моё заявление нет ответа больше месяца.",
    "Заседание не состоялось из-за отсутствия переводчика.",
];
const SIGNS_KK: [&str; 3] = [
    "Істі тез қарау үшін ақша беру керек деп айтты.",
    "Сот қызметкерінің тараптардың бірімен оңаша кездескенін көрдім.",
    "Құжатты кезектен тыс беру үшін сыйлық сұрады.",
];
const SIGNS_RU: [&str; 3] = [
    "Мне сказали, что за быстрое рассмотрение дела нужно заплатить.",
    "Я видел, как сотрудник суда наедине встречался с одной из сторон.",
    "За выдачу документа вне очереди просили подарок.",
];
const ASKS_KK: [&str; 4] = [
    "Тексеріп, шара қолдануыңызды сұраймын.",
    "Жазбаша жауап беруіңізді сұраймын.",
    "Осы мәселені шешуге көмектесуіңізді сұраймын.",
    "Нәтижесін хабарлауыңызды сұраймын.",
];
const ASKS_RU: [&str; 4] = [
    "Прошу проверить и принять меры.",
    "Прошу дать письменный ответ.",
    "Прошу помочь решить этот вопрос.",
    "Прошу сообщить о результатах.",
];
const ANSWERS_KK: [&str; 4] = [
    "Жолданымыңыз қаралды. Көрсетілген мәселе бойынша түсіндірме жұмысы жүргізілді.",
    "Жолданымыңызда көрсетілген деректер тексерілді. Қызметкерге ескерту жасалды.",
    "Жолданымыңыз қаралды, кемшіліктер жойылды.",
    "Тексеру барысында көрсетілген деректер расталмады.",
];
const ANSWERS_RU: [&str; 4] = [
    "Ваше обращение рассмотрено. По указанному вопросу проведена разъяснительная работа.",
    "Указанные в обращении сведения проверены. Сотруднику сделано замечание.",
    "Ваше обращение рассмотрено, недостатки устранены.",
    "В ходе проверки указанные сведения не подтвердились.",
];
const RIGHTS_KK: &str = " Шешіммен келіспеген жағдайда оған шағымдануға құқығыңыз бар.";
const RIGHTS_RU: &str = " При несогласии с решением Вы вправе его обжаловать.";
const NOTES_KK: [&str; 4] = [
    "Өтініш беру тәртібі түсіндірілді.",
    "Қабылдау күні мен уақыты айтылды.",
    "Сот актісіне шағымдану тәртібі түсіндірілді.",
    "Жолданымның қаралу барысы туралы мәлімет берілді.",
];
const NOTES_RU: [&str; 4] = [
    "Разъяснён порядок подачи заявления.",
    "Сообщены день и время приёма.",
    "Разъяснён порядок обжалования судебного акта.",
    "Даны сведения о ходе рассмотрения обращения.",
];

/// A person of a play.
#[derive(Clone, Debug)]
pub(crate) struct Person {
    /// Whether they speak Kazakh (otherwise Russian) with the office.
    pub(crate) kazakh: bool,
    name: String,
}

impl Person {
    /// Somebody; two of three speak Kazakh.
    pub(crate) fn new(dice: &mut Dice) -> Self {
        let kazakh = dice.percent(66);
        let woman = dice.percent(50);
        let name = if kazakh { name_kk(dice, woman) } else { name_ru(dice, woman) };
        Self { kazakh, name }
    }

    /// Surname, name and patronymic.
    pub(crate) fn name(&self) -> Text {
        Text::new(self.name.as_str())
    }
}

fn name_kk(dice: &mut Dice, woman: bool) -> String {
    let name = dice.pick(if woman { &NAMES_KK_F } else { &NAMES_KK_M });
    let (family, father) = (dice.pick(&STEMS_KK), dice.pick(&NAMES_KK_M));
    let (ending, child) = if woman { ("қызы", "қызы") } else { ("ұлы", "ұлы") };
    if dice.percent(50) {
        format!("{family} {name} {father}{child}")
    } else {
        format!("{name} {family}{ending}")
    }
}

fn name_ru(dice: &mut Dice, woman: bool) -> String {
    let name = dice.pick(if woman { &NAMES_RU_F } else { &NAMES_RU_M });
    let (family, (his, her)) = (dice.pick(&STEMS_RU), dice.pick(&FATHERS_RU));
    if woman { format!("{family}а {name} {her}") } else { format!("{family} {name} {his}") }
}

/// A telephone number with an area code that cannot exist, so that it is nobody's.
pub(crate) fn phone(dice: &mut Dice) -> Text {
    let (a, b, c) = (dice.between(0, 999), dice.between(0, 99), dice.between(0, 99));
    Text::new(format!("+7 000 {a:03} {b:02} {c:02}"))
}

/// An address and a telephone number.
pub(crate) fn contacts(dice: &mut Dice) -> Text {
    let street = *dice.pick(&STREETS);
    let (house, flat) = (dice.between(1, 180), dice.between(1, 90));
    let phone = phone(dice);
    Text::new(format!("{street}, {house}-{flat}; {}", phone.expose()))
}

/// The text of an appeal.
pub(crate) fn plaint(dice: &mut Dice, kazakh: bool, corruption: bool) -> Text {
    let (plaints, signs, asks) = if kazakh {
        (&PLAINTS_KK, &SIGNS_KK, &ASKS_KK)
    } else {
        (&PLAINTS_RU, &SIGNS_RU, &ASKS_RU)
    };
    let mut text = (*dice.pick(plaints)).to_owned();
    if corruption {
        text = text + " " + *dice.pick(signs);
    }
    Text::new(text + " " + *dice.pick(asks))
}

/// The text of a decision or an answer.
pub(crate) fn answer(dice: &mut Dice, kazakh: bool) -> Text {
    let (answers, rights) =
        if kazakh { (&ANSWERS_KK, RIGHTS_KK) } else { (&ANSWERS_RU, RIGHTS_RU) };
    Text::new((*dice.pick(answers)).to_owned() + rights)
}

/// What a clerk notes of a talk.
pub(crate) fn note(dice: &mut Dice, kazakh: bool) -> Text {
    Text::from(*dice.pick(if kazakh { &NOTES_KK } else { &NOTES_RU }))
}
