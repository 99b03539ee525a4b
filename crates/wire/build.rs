//! Compiles `proto/` to Rust without protoc, and writes the descriptor set with comments that
//! the reflection service serves.

use std::error::Error;
use std::path::{Path, PathBuf};

use prost::Message as _;

/// Packages and messages that may hold personal data, free text or whole records: they get no
/// derived `Debug`, so that none of it can slip into a log line. See [`redacted`].
const WITHOUT_DEBUG: [&str; 16] = [
    ".adal.access.v1",
    ".adal.appeal.v1",
    ".adal.classifier.v1",
    ".adal.command.v1",
    ".adal.contact.v1",
    ".adal.directive.v1",
    ".adal.evidence.v1.GetProofRequest",
    ".adal.evidence.v1.GetProofResponse",
    ".adal.image.v1",
    ".adal.integrity.v1",
    ".adal.measure.v1",
    ".adal.office.v1",
    ".adal.operator.v1.BackupPiece",
    ".adal.reception.v1",
    ".adal.replication.v1",
    ".adal.task.v1",
];

fn main() -> Result<(), Box<dyn Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto");
    println!("cargo::rerun-if-changed={}", root.display());
    let mut files = Vec::new();
    collect(&root, &mut files)?;
    files.sort();

    let mut compiler = protox::Compiler::new([&root])?;
    compiler.include_imports(true).include_source_info(true).open_files(&files)?;
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    let set = compiler.file_descriptor_set();
    std::fs::write(out.join("descriptors.bin"), set.encode_to_vec())?;
    std::fs::write(out.join("redacted.rs"), redacted(&set))?;
    tonic_prost_build::configure()
        .include_file("adal.rs")
        .skip_debug(WITHOUT_DEBUG)
        .compile_fds(set)?;
    Ok(())
}

/// `Debug` for the messages of these packages: name and encoded length, nothing of the content.
fn redacted(set: &protox::prost_reflect::prost_types::FileDescriptorSet) -> String {
    let mut code = String::new();
    for file in &set.file {
        let package = file.package();
        let is_listed = |path: &str| WITHOUT_DEBUG.iter().any(|listed| listed[1..] == *path);
        let module = package.replace('.', "::");
        for message in &file.message_type {
            let name = message.name();
            if !is_listed(package) && !is_listed(&format!("{package}.{name}")) {
                continue;
            }
            code += &format!(
                "impl ::core::fmt::Debug for {module}::{name} {{\n    fn fmt(&self, f: &mut \
                 ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {{\n        write!(f, \
                 \"{name}({{}} bytes)\", ::prost::Message::encoded_len(self))\n    }}\n}}\n"
            );
        }
    }
    code
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), Box<dyn Error>> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "proto") {
            files.push(path);
        }
    }
    Ok(())
}
