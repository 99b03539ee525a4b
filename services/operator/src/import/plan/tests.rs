use domain::appeal::AppealRequest;
use domain::contact::ContactRequest;

use super::*;
use crate::import::mapping::tests::SMALL;

const HEADER: [&str; 8] = ["id", "office", "channel", "opened", "due", "closed", "type", "queue"];

fn header() -> Vec<String> {
    HEADER.iter().map(|name| (*name).to_owned()).collect()
}

fn now() -> Timestamp {
    // 2026-03-02T00:00:00Z
    Timestamp::from_micros(1_772_409_600_000_000)
}

fn line(row: u64, text: &str) -> Line {
    let columns = Ok(text.split(',').map(str::to_owned).collect());
    Line { row, line: row + 1, columns }
}

const GOOD: &str = "1,A1,Call,2011-07-01 01:32:33,2011-07-15 01:32:32,2011-07-01 05:06:58,Lamp,";

fn plans(lines: &[&str]) -> Vec<Result<Row, Reject>> {
    let mapping = Mapping::parse(SMALL).unwrap();
    let mut planner = Planner::new(&mapping, &header(), now()).unwrap();
    (1..).zip(lines).map(|(row, text)| planner.plan(&line(row, text))).collect()
}

fn plan(text: &str) -> Result<Row, Reject> {
    plans(&[text]).remove(0)
}

#[test]
fn a_row_makes_two_streams_with_their_own_times() {
    let row = plan(GOOD).unwrap();
    assert_eq!((row.office.as_str(), row.row, row.line), ("KZ-10", 1, 2));
    assert!(row.warnings.is_empty());
    let names: Vec<Vec<_>> =
        row.lanes.iter().map(|lane| lane.iter().map(|p| p.request.name()).collect()).collect();
    assert_eq!(names, [["open_contact", "close_contact"], ["receive_appeal", "close_appeal"]]);
    let times: Vec<_> = row.lanes[1].iter().map(|planned| planned.at.to_string()).collect();
    assert_eq!(times, ["2011-07-01T05:32:33Z", "2011-07-01T09:06:58Z"]);
    assert!(row.lanes.iter().flatten().all(|planned| planned.stream != planned.command));
    let Request::Appeal(AppealRequest::Receive(request)) = &row.lanes[1][0].request else {
        panic!("another request");
    };
    assert_eq!(request.contact.map(|id| id.uuid()), Some(row.lanes[0][0].stream));
    assert_eq!(request.due_on, Some(jiff::civil::date(2011, 7, 15)));
    let text = request.personal.as_ref().unwrap().text.as_ref().unwrap();
    assert_eq!(text.expose(), "Type: Lamp", "a line without a value is left out");
}

#[test]
fn an_open_case_is_not_closed() {
    let row = plan("1,,Web,2011-07-01 01:32:33,,,Lamp,Q").unwrap();
    assert_eq!(row.office.as_str(), "KZ");
    assert_eq!(row.lanes.iter().map(Vec::len).collect::<Vec<_>>(), [1, 1]);
    let Request::Contact(ContactRequest::Open(request)) = &row.lanes[0][0].request else {
        panic!("another request");
    };
    assert_eq!(request.channel.as_str(), "web");
}

#[test]
fn ids_are_the_same_in_every_run_and_never_shared() {
    let (first, again) = (plan(GOOD).unwrap(), plan(GOOD).unwrap());
    assert_eq!(first, again);
    let other = plan(&GOOD.replacen('1', "2", 1)).unwrap();
    let ids = |row: &Row| -> Vec<Uuid> {
        row.lanes.iter().flatten().flat_map(|p| [p.command, p.stream]).collect()
    };
    assert!(ids(&first).iter().all(|id| !ids(&other).contains(id)));
    let commands: HashSet<_> = first.lanes.iter().flatten().map(|p| p.command).collect();
    assert_eq!(commands.len(), 4);
    // Frozen: a change of these ids would import everything a second time.
    assert_eq!(first.lanes[0][0].stream.to_string(), FROZEN.0);
    assert_eq!(first.lanes[0][0].command.to_string(), FROZEN.1);
}

/// Stream and command of the first command of [`GOOD`].
const FROZEN: (&str, &str) =
    ("bd1bf1ef-ff85-5885-984b-eedfba909518", "d54e308f-68ef-5276-9b90-897a8342f0ac");

#[test]
fn rejects_name_column_and_reason_but_no_value() {
    for (text, column, code) in [
        ("1,A1,Call", "", "MALFORMED_ROW"),
        (&GOOD.replace("A1", "Z9"), "office", "UNKNOWN_OFFICE"),
        (&GOOD.replace("Call", "Pigeon"), "channel", "UNMAPPED"),
        (&GOOD.replace("Call", ""), "channel", "EMPTY"),
        (&GOOD.replacen('1', "", 1), "id", "EMPTY"),
        (&GOOD.replace("2011-07-01 01:32:33", "yesterday"), "opened", "BAD_TIME"),
        (&GOOD.replace("2011-07-01 01:32:33", ""), "opened", "EMPTY"),
        (&GOOD.replace("2011-07-01 01:32:33", "1911-07-01 01:32:33"), "opened", "OUT_OF_RANGE"),
        (&GOOD.replace("2011-07-01 05:06:58", "2091-07-01 01:32:33"), "closed", "OUT_OF_RANGE"),
    ] {
        let mut row = line(1, text);
        if code == "MALFORMED_ROW" {
            row.columns = Err("has 3 columns, the header has 8".to_owned());
        }
        let mapping = Mapping::parse(SMALL).unwrap();
        let reject = Planner::new(&mapping, &header(), now()).unwrap().plan(&row).unwrap_err();
        assert_eq!((reject.column.as_str(), reject.code.as_str()), (column, code), "{reject:?}");
        assert!(!reject.reason.contains("Pigeon") && !reject.reason.contains("yesterday"));
    }
}

#[test]
fn a_case_stands_once() {
    let made = plans(&[GOOD, GOOD, &GOOD.replacen('1', "2", 1)]);
    assert!(made[0].is_ok() && made[2].is_ok());
    let reject = made[1].as_ref().unwrap_err();
    assert_eq!(reject.code, "DUPLICATE_CASE");
    assert!(reject.reason.contains("row 1"), "{reject:?}");
}

#[test]
fn odd_times_are_warnings_and_the_row_is_kept() {
    let early = plan(&GOOD.replace("2011-07-15", "2011-06-15")).unwrap();
    let warnings = ["deadline before opening", "due: left out, its day lies before opened"];
    assert_eq!(early.warnings, warnings);
    let Request::Appeal(AppealRequest::Receive(request)) = &early.lanes[1][0].request else {
        panic!("another request");
    };
    assert_eq!(request.due_on, None);
    let twice = plan(&GOOD.replace("2011-07-01 05:06:58", "2011-11-06 01:30:00")).unwrap();
    assert_eq!(twice.warnings, ["closed: a time that the clock showed twice"]);
    let mut counts = Warnings::default();
    counts.add(&twice.warnings);
    counts.add(&[twice.warnings.clone(), twice.warnings.clone()].concat());
    assert_eq!(counts.0["closed: a time that the clock showed twice"], 2);
}

#[test]
fn a_missing_column_is_told_before_anything_is_sent() {
    let mapping = Mapping::parse(SMALL).unwrap();
    let header: Vec<String> = header().into_iter().filter(|name| name != "queue").collect();
    let failure = Planner::new(&mapping, &header, now()).err().unwrap();
    assert!(failure.text.contains("\"queue\"") && failure.text.contains("it has: id"), "{failure}");
}

#[test]
fn conditions() {
    let texts: Vec<String> = ["a", ""].map(str::to_owned).to_vec();
    let columns = HashMap::from([("x", 0), ("y", 1)]);
    let cells = Cells { texts: &texts, columns: &columns };
    let condition = |column: &str, present, is: Option<&str>, is_not: Option<&str>| Condition {
        column: column.to_owned(),
        present,
        is: is.map(|value| vec![value.to_owned()]),
        is_not: is_not.map(|value| vec![value.to_owned()]),
    };
    assert!(holds(&condition("x", Some(true), None, None), &cells));
    assert!(!holds(&condition("y", Some(true), None, None), &cells));
    assert!(holds(&condition("y", Some(false), None, None), &cells));
    assert!(holds(&condition("x", None, Some("a"), None), &cells));
    assert!(!holds(&condition("x", None, Some("b"), None), &cells));
    assert!(!holds(&condition("x", None, None, Some("a")), &cells));
}
