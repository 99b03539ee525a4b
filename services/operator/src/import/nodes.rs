//! Where the nodes of the offices are, and who enters the rows there. A file of its own, so that a
//! mapping carries no addresses.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use domain::OfficeCode;
use serde::Deserialize;
use wire::client::Target;

use crate::connect::Way;
use crate::errors::{Failure, Outcome};

/// One node, and the person who enters rows there.
#[derive(Clone)]
pub struct Node {
    /// Its office.
    pub office: OfficeCode,
    /// How to dial it.
    pub target: Target,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    people: Option<String>,
    #[serde(rename = "as")]
    person: Option<String>,
    #[serde(default)]
    node: BTreeMap<String, NodeFile>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NodeFile {
    address: String,
    server_name: Option<String>,
    people: Option<String>,
    #[serde(rename = "as")]
    person: Option<String>,
}

/// The nodes of `offices` from a nodes file, or the one node of the command line.
///
/// # Errors
/// The file is wrong, lacks an office, or names a certificate that cannot be used or belongs to
/// another office.
pub fn nodes(file: Option<&Path>, way: &Way, offices: &BTreeSet<OfficeCode>) -> Outcome<Vec<Node>> {
    let ways = match file {
        Some(path) => ways(path, way, offices)?,
        None => match offices.len() {
            1 => offices.iter().map(|office| (office.clone(), way.clone())).collect(),
            count => {
                return Err(Failure::usage(format!(
                    "the rows go to {count} offices: name their nodes with --nodes FILE, or one \
                     office with --only"
                )));
            }
        },
    };
    let node = |(office, way): (OfficeCode, Way)| {
        let (target, person) = way.target()?;
        if person.office != office {
            return Err(Failure::usage(format!(
                "the certificate in {} is for {}, the rows are of {office}",
                way.people.display(),
                person.office
            )));
        }
        Ok(Node { office, target })
    };
    ways.into_iter().map(node).collect()
}

fn ways(
    path: &Path,
    global: &Way,
    offices: &BTreeSet<OfficeCode>,
) -> Outcome<Vec<(OfficeCode, Way)>> {
    let wrong = |why: String| {
        Failure::usage(format!(
            "the nodes file {} is wrong: {}; MAPPING.md describes the format",
            path.display(),
            crate::errors::one_line(&why)
        ))
    };
    let text = fs::read_to_string(path).map_err(|error| {
        Failure::wrong(format!("read the nodes file {}", path.display()), &error)
    })?;
    let file: File = toml::from_str(&text).map_err(|error| wrong(error.to_string()))?;
    for code in file.node.keys() {
        code.parse::<OfficeCode>().map_err(|error| wrong(format!("{code:?} {error}")))?;
    }
    let missing: Vec<_> =
        offices.iter().filter(|office| !file.node.contains_key(office.as_str())).collect();
    if !missing.is_empty() {
        let names: Vec<_> = missing.iter().map(ToString::to_string).collect();
        return Err(wrong(format!(
            "it has no [node.{}] (missing: {}); add the nodes, or leave the offices out with \
             --only",
            names[0],
            names.join(", ")
        )));
    }
    let folder = path.parent().unwrap_or(Path::new("."));
    let way = |office: &OfficeCode| {
        let node = &file.node[office.as_str()];
        let people = node.people.as_ref().or(file.people.as_ref());
        let people = people.map_or_else(
            || global.people.clone(),
            |text| folder.join(PathBuf::from(text.replace("{office}", &office.lower()))),
        );
        let person = node.person.as_ref().or(file.person.as_ref()).or(global.person.as_ref());
        let way = Way {
            node: node.address.clone(),
            server_name: node.server_name.clone(),
            people,
            person: person.cloned(),
        };
        (office.clone(), way)
    };
    Ok(offices.iter().map(way).collect())
}

#[cfg(test)]
mod tests {
    use identity::{Authority, Role, Validity};
    use uuid::Uuid;

    use super::*;

    fn offices(codes: &[&str]) -> BTreeSet<OfficeCode> {
        codes.iter().map(|code| code.parse().unwrap()).collect()
    }

    fn way(people: &Path) -> Way {
        Way {
            node: "127.0.0.1:1".into(),
            server_name: None,
            people: people.to_owned(),
            person: None,
        }
    }

    #[test]
    fn nodes_come_from_the_file_with_folders_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let validity = Validity::days(1_700_000_000, 1);
        let authority =
            Authority::create("adal.example", &dir.path().join("ca"), validity).unwrap();
        for office in ["KZ-10", "KZ-11"] {
            let person = authority.issue_person(office, Role::Clerk, Uuid::from_u128(1), validity);
            let folder = dir.path().join(office.to_lowercase()).join("people");
            person.unwrap().write_person(&folder, "clerk").unwrap();
        }
        let file = dir.path().join("nodes.toml");
        let text = "people = \"{office}/people\"\nas = \"clerk\"\n[node.KZ-10]\naddress = \"a:1\"\n\
                    [node.KZ-11]\naddress = \"b:2\"\nserver_name = \"localhost\"\n";
        fs::write(&file, text).unwrap();
        let way = way(dir.path());
        let nodes = |codes: &[&str]| nodes(Some(&file), &way, &offices(codes));
        let found = nodes(&["KZ-10", "KZ-11"]).unwrap();
        assert_eq!(found[0].target.address, "a:1");
        assert_eq!(found[0].target.server_name, "kz-10.adal.example");
        assert_eq!(found[1].target.server_name, "localhost");
        let missing = nodes(&["KZ-10", "KZ-15"]).err().unwrap();
        assert!(missing.text.contains("missing: KZ-15") && missing.text.contains("--only"));
        fs::write(&file, text.replace("KZ-11", "KZ-12").replace("{office}", "kz-10")).unwrap();
        let other = nodes(&["KZ-12"]).err().unwrap();
        assert!(other.text.contains("is for KZ-10, the rows are of KZ-12"), "{other}");
        fs::write(&file, "[node.Boston]\naddress = \"a:1\"\n").unwrap();
        assert!(nodes(&["KZ-10"]).err().unwrap().text.contains("office code"));
    }

    #[test]
    fn several_offices_need_a_nodes_file() {
        let failure = nodes(None, &way(Path::new("people")), &offices(&["KZ-10", "KZ"]));
        assert!(failure.err().unwrap().text.contains("--nodes"));
    }
}
