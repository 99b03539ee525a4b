use super::*;

pub(crate) const SMALL: &str = r#"
name = "small"
[source]
case_id = ["id"]
zone = "America/New_York"
times = ["%Y-%m-%d %H:%M:%S"]
[offices]
column = "office"
values = { A1 = "KZ-10", "" = "KZ" }
[maps.channel]
values = { Call = "call", Web = "web" }
[[order]]
first = "opened"
then = "due"
warning = "deadline before opening"
[[command]]
stream = "contact"
request = "open_contact"
occurred_at = { column = "opened" }
[command.fields]
channel = { column = "channel", map = "channel" }
language = "en"
[[command]]
stream = "contact"
request = "close_contact"
occurred_at = { column = "closed" }
when = [{ column = "closed", present = true }]
[command.fields]
outcome = "recorded"
[[command]]
stream = "appeal"
request = "receive_appeal"
occurred_at = { column = "opened" }
[command.fields]
kind = "message"
form = "oral"
character = "individual"
applicants = 1
anonymous = true
language = "en"
channel = { column = "channel", map = "channel" }
contact = { stream = "contact" }
due_on = { column = "due", not_before = "opened" }
"personal.text" = { text = ["Type: {type}", "Queue: {queue}"] }
[[command]]
stream = "appeal"
request = "close_appeal"
occurred_at = { column = "closed" }
when = [{ column = "closed", present = true }]
[command.fields]
closure = "resolved"
"#;

fn wrong(from: &str, to: &str) -> String {
    assert!(SMALL.contains(from), "{from}");
    Mapping::parse(&SMALL.replace(from, to)).expect_err(to)
}

#[test]
fn a_mapping_names_its_columns_and_offices() {
    let mapping = Mapping::parse(SMALL).unwrap();
    let columns: Vec<_> = mapping.columns().into_iter().collect();
    assert_eq!(columns, ["channel", "closed", "due", "id", "office", "opened", "queue", "type"]);
    let offices: Vec<_> = mapping.office_codes().iter().map(ToString::to_string).collect();
    assert_eq!(offices, ["KZ", "KZ-10"]);
    assert!(mapping.unknown_codes.is_empty());
    assert_eq!(mapping.commands.len(), 4);
}

#[test]
fn mistakes_are_named_with_their_place() {
    for (from, to, word) in [
        ("[maps.channel]", "[maps.other]", "no [maps.channel]"),
        ("Call = \"call\"", "Call = \"Call!\"", "open_contact.channel"),
        ("A1 = \"KZ-10\"", "A1 = \"Boston\"", "office code"),
        ("America/New_York", "America/Nowhere", "America/Nowhere"),
        ("outcome = \"recorded\"", "outcom = \"recorded\"", "it has: outcome"),
        ("outcome = \"recorded\"", "", "needs the field(s) outcome"),
        ("request = \"close_contact\"", "request = \"shut_contact\"", "use one of: open_contact"),
        (
            "stream = \"appeal\"\nrequest = \"close",
            "stream = \"contact\"\nrequest = \"close",
            "kind",
        ),
        ("{ stream = \"contact\" }", "{ stream = \"visit\" }", "no stream \"visit\""),
        ("{ column = \"closed\", present = true }", "{ column = \"closed\" }", "present, is"),
        ("applicants = 1", "applicants = \"many\"", "whole number"),
        ("anonymous = true", "anonymous = \"maybe\"", "true or false"),
        ("\"Type: {type}\"", "\"Type: {type\"", "lacks a }"),
        ("channel\", map", "channel\", mapp", "unknown key \"mapp\""),
        ("name = \"small\"", "name = \"small\"\ncolour = 1", "colour"),
        ("closure = \"resolved\"", "closure = { stream = \"contact\" }", "a code"),
    ] {
        let why = wrong(from, to);
        assert!(why.contains(word), "{to}: {why}");
    }
}

#[test]
fn a_stream_is_begun_once_and_first() {
    let why = wrong("request = \"open_contact\"", "request = \"link_contact\"");
    assert!(why.contains("field") || why.contains("begins"), "{why}");
    let twice = format!(
        "{SMALL}\n[[command]]\nstream = \"contact\"\nrequest = \"open_contact\"\n\
        occurred_at = {{ column = \"opened\" }}\n\
        fields = {{ channel = \"call\", language = \"en\" }}"
    );
    assert!(Mapping::parse(&twice).unwrap_err().contains("begun twice"));
}

#[test]
fn codes_outside_the_built_in_lists_are_a_remark_only() {
    let mapping = Mapping::parse(&SMALL.replace("Web = \"web\"", "Web = \"pigeon\"")).unwrap();
    assert_eq!(mapping.unknown_codes.len(), 2);
    assert!(mapping.unknown_codes[0].contains("pigeon"));
}

#[test]
fn braces_and_columns_in_lines() {
    assert_eq!(
        parts("a {b}c{{d").unwrap(),
        [Part::Literal("a ".into()), Part::Column("b".into()), Part::Literal("c{d".into())]
    );
    assert_eq!(parts("").unwrap(), []);
}

#[test]
fn the_mapping_of_the_boston_register_is_whole() {
    let text = include_str!("../../../../../tests/end_to_end/mappings/boston311.toml");
    let mapping = Mapping::parse(text).unwrap();
    assert_eq!(mapping.unknown_codes, Vec::<String>::new());
    assert_eq!(mapping.office_codes().len(), 13);
}
