//! The descriptor set that the reflection service serves.

pub use crate::generated::DESCRIPTORS;

#[cfg(test)]
mod tests {
    use prost::Message as _;
    use prost_types::field_descriptor_proto::Label;
    use prost_types::source_code_info::Location;
    use prost_types::{FieldDescriptorProto, FileDescriptorProto, FileDescriptorSet};

    use super::*;

    fn files() -> Vec<FileDescriptorProto> {
        FileDescriptorSet::decode(DESCRIPTORS).unwrap().file
    }

    /// Paths (descriptor.proto numbers) of everything in a file that must have a comment.
    fn described(file: &FileDescriptorProto) -> Vec<(Vec<i32>, String)> {
        let mut all = Vec::new();
        for (m, message) in (0..).zip(&file.message_type) {
            all.push((vec![4, m], message.name().to_owned()));
            for (f, field) in (0..).zip(&message.field) {
                all.push((vec![4, m, 2, f], format!("{}.{}", message.name(), field.name())));
            }
            for (o, oneof) in (0..).zip(&message.oneof_decl) {
                // An `optional` field has a oneof of its own that no one wrote.
                if !oneof.name().starts_with('_') {
                    all.push((vec![4, m, 8, o], format!("{}.{}", message.name(), oneof.name())));
                }
            }
        }
        for (e, kind) in (0..).zip(&file.enum_type) {
            all.push((vec![5, e], kind.name().to_owned()));
            for (v, value) in (0..).zip(&kind.value) {
                all.push((vec![5, e, 2, v], value.name().to_owned()));
            }
        }
        for (s, service) in (0..).zip(&file.service) {
            all.push((vec![6, s], service.name().to_owned()));
            for (r, method) in (0..).zip(&service.method) {
                all.push((vec![6, s, 2, r], method.name().to_owned()));
            }
        }
        all
    }

    #[test]
    fn everything_has_a_comment() {
        let mut silent = Vec::new();
        let mut seen = 0;
        for file in files().iter().filter(|file| file.package().starts_with("adal.")) {
            let locations: &[Location] =
                file.source_code_info.as_ref().map_or(&[], |i| &i.location);
            for (path, name) in described(file) {
                seen += 1;
                let comment = locations.iter().find(|l| l.path == path);
                if comment.is_none_or(|l| l.leading_comments().trim().is_empty()) {
                    silent.push(format!("{}: {name}", file.name()));
                }
            }
        }
        assert!(seen > 500, "only {seen} things found");
        assert_eq!(silent, Vec::<String>::new());
    }

    #[test]
    fn the_services_are_those_of_the_design() {
        let services: Vec<_> = files()
            .iter()
            .flat_map(|file| {
                file.service.iter().map(|s| format!("{}.{}", file.package(), s.name()))
            })
            .collect();
        assert_eq!(services.len(), 5, "{services:?}");
        for name in [
            "adal.command.v1.CommandService",
            "adal.evidence.v1.EvidenceService",
            "adal.operator.v1.OperatorService",
            "adal.query.v1.QueryService",
            "adal.replication.v1.ReplicationService",
        ] {
            assert!(services.iter().any(|s| s == name), "{name} is missing");
        }
    }

    const BODIES: [&str; 11] = [
        "access",
        "appeal",
        "classifier",
        "contact",
        "directive",
        "image",
        "integrity",
        "measure",
        "office",
        "reception",
        "task",
    ];

    fn bodies() -> impl Iterator<Item = FileDescriptorProto> {
        files().into_iter().filter(|file| {
            let area = file.package().split('.').nth(1);
            area.is_some_and(|area| BODIES.contains(&area))
        })
    }

    /// Lists of the domain are codes, so that a law can change them without new software.
    #[test]
    fn bodies_have_no_enums() {
        for file in bodies() {
            assert_eq!(file.enum_type.len(), 0, "{}", file.name());
        }
    }

    /// Stored bodies are read for ever: what was published once keeps name, number and type. A
    /// new field is added to the end of the list; no line is ever changed or taken away.
    #[test]
    fn stored_fields_are_frozen() {
        let present: Vec<String> = bodies()
            .flat_map(|file| {
                let package = file.package().to_owned();
                file.message_type.into_iter().flat_map(move |message| {
                    let name = format!("{package}.{}", message.name());
                    let fields: Vec<_> = message.field.iter().map(|f| field(&name, f)).collect();
                    std::iter::once(name).chain(fields)
                })
            })
            .chain((0..0x1_0000).filter_map(type_of))
            .collect();
        let frozen: Vec<&str> = include_str!("../frozen.txt").lines().collect();
        let lost: Vec<_> = frozen.iter().filter(|l| !present.iter().any(|p| p == *l)).collect();
        assert_eq!(lost, Vec::<&&str>::new(), "stored fields changed");
        let new: Vec<_> = present.iter().filter(|p| !frozen.contains(&p.as_str())).collect();
        assert_eq!(new, Vec::<&String>::new(), "add these lines to crates/wire/frozen.txt");
    }

    fn type_of(code: u32) -> Option<String> {
        let names = crate::fact::messages(code)?;
        let personal = names.personal.map(|name| format!(" + {name}")).unwrap_or_default();
        Some(format!("type {code:#06x} = {}{personal}", names.open))
    }

    fn field(message: &str, field: &FieldDescriptorProto) -> String {
        let kind = match field.type_name() {
            "" => field.r#type().as_str_name().trim_start_matches("TYPE_").to_ascii_lowercase(),
            name => name.trim_start_matches('.').to_owned(),
        };
        let label = match (field.label(), field.proto3_optional()) {
            (Label::Repeated, _) => "repeated ",
            (_, true) => "optional ",
            _ => "",
        };
        format!("{message}.{} = {}: {label}{kind}", field.name(), field.number())
    }
}
