//! Which files belong to the repository.

use std::io;
use std::path::{Path, PathBuf};

/// Folders of the root that hold nothing of the repository (`.gitignore` names them too).
const NOT_OURS_AT_ROOT: [&str; 2] = [".git", "demo"];

/// The folder of the workspace: two levels above this crate.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_path_buf()
}

/// A text file of the repository.
#[derive(Debug, Clone)]
pub struct TextFile {
    /// Path from the root, with `/` between its parts.
    pub path: String,
    /// The whole text.
    pub text: String,
}

impl TextFile {
    /// The part of the name after the last dot, or the whole name.
    pub fn extension(&self) -> &str {
        let name = self.path.rsplit('/').next().unwrap_or(&self.path);
        name.rsplit('.').next().unwrap_or(name)
    }
}

/// Every UTF-8 file below `root`, sorted by path; build output and binary files are left out.
///
/// # Errors
/// Any folder or file that cannot be read.
pub fn text_files(root: &Path) -> io::Result<Vec<TextFile>> {
    let mut files = Vec::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_symlink() {
                continue;
            }
            if path.is_dir() {
                if is_ours(root, &path) {
                    folders.push(path);
                }
            } else if let Ok(text) = String::from_utf8(std::fs::read(&path)?) {
                files.push(TextFile { path: relative(root, &path), text });
            }
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

fn is_ours(root: &Path, folder: &Path) -> bool {
    let name = folder.file_name().and_then(|n| n.to_str()).unwrap_or_default();
    let at_root = folder.parent() == Some(root);
    name != "target" && !(at_root && NOT_OURS_AT_ROOT.contains(&name))
}

fn relative(root: &Path, path: &Path) -> String {
    let parts = path.strip_prefix(root).unwrap_or(path);
    let parts: Vec<_> = parts.components().map(|c| c.as_os_str().to_string_lossy()).collect();
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_is_the_workspace() {
        assert!(root().join("Cargo.lock").is_file());
    }

    #[test]
    fn own_sources_are_found_and_build_output_is_not() {
        let files = text_files(&root()).unwrap();
        assert!(files.iter().any(|f| f.path == "tests/architecture/src/tree.rs"));
        assert!(files.iter().all(|f| !f.path.contains("target/")));
        assert!(files.iter().all(|f| !f.path.starts_with(".git/")));
    }

    #[test]
    fn extension_is_what_follows_the_last_dot() {
        let of = |path: &str| TextFile { path: path.into(), text: String::new() };
        assert_eq!(of("a/b.tar.rs").extension(), "rs");
        assert_eq!(of("a.b/Makefile").extension(), "Makefile");
    }
}
