//! Files of nodes: found, copied, damaged, searched.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Every file below `dir`, in order.
pub fn below(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).with_context(|| format!("list {}", dir.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(below(&path)?);
        } else {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// Copies a folder with everything in it; what was at `to` is removed first.
pub fn copy(from: &Path, to: &Path) -> Result<()> {
    if to.exists() {
        fs::remove_dir_all(to).with_context(|| format!("remove {}", to.display()))?;
    }
    for file in below(from)? {
        let place = to.join(file.strip_prefix(from)?);
        fs::create_dir_all(place.parent().context("a file in a folder")?)?;
        // The mode comes along: keys must stay private to be accepted.
        fs::copy(&file, &place).with_context(|| format!("copy {}", file.display()))?;
    }
    Ok(())
}

/// Flips one bit of the byte at `offset`, in place: a node may have the file open.
pub fn flip(file: &Path, offset: usize) -> Result<()> {
    let name = || format!("flip a bit of {}", file.display());
    let open = fs::File::options().read(true).write(true).open(file).with_context(name)?;
    let mut byte = [0];
    open.read_exact_at(&mut byte, offset as u64).with_context(name)?;
    open.write_all_at(&[byte[0] ^ 0x20], offset as u64).with_context(name)
}

/// Where `needle` first stands in `hay`.
pub fn find(hay: &[u8], needle: &[u8]) -> Option<usize> {
    let first = *needle.first()?;
    let mut from = 0;
    while let Some(at) = hay[from..].iter().position(|byte| *byte == first) {
        let at = from + at;
        if hay[at..].starts_with(needle) {
            return Some(at);
        }
        from = at + 1;
    }
    None
}
