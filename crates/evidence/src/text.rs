//! Lines that the text formats share: base64 (RFC 4648 section 4) in its only spelling.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::hash::Hash;

/// Characters of a base64 line with a 32-byte hash.
const HASH_LINE: usize = 44;

/// Base64 with padding.
pub(crate) fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// The inverse of [`base64`]: no other spelling is read.
pub(crate) fn from_base64(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

/// A 32-byte hash in base64. Other lengths are refused before they are decoded.
pub(crate) fn hash_from_base64(text: &str) -> Option<Hash> {
    if text.len() != HASH_LINE {
        return None;
    }
    Hash::try_from(from_base64(text)?.as_slice()).ok()
}

/// The text in front of the first newline, and what follows it.
pub(crate) fn line(text: &str) -> Option<(&str, &str)> {
    text.split_once('\n')
}

/// The value of a line `<key> <value>`, and what follows the line.
pub(crate) fn field<'a>(text: &'a str, key: &str) -> Option<(&'a str, &'a str)> {
    let (line, rest) = line(text)?;
    Some((line.strip_prefix(key)?.strip_prefix(' ')?, rest))
}

/// Lines with one hash each up to an empty line, at most `limit` of them, and what follows the
/// empty line. The error is the number (from 1) of the line that is not a hash.
pub(crate) fn hash_lines(text: &str, limit: usize) -> Result<(Vec<Hash>, &str), usize> {
    let (mut hashes, mut rest) = (Vec::new(), text);
    loop {
        let at = hashes.len() + 1;
        let (first, behind) = line(rest).ok_or(at)?;
        rest = behind;
        if first.is_empty() {
            return Ok((hashes, rest));
        }
        if at > limit {
            return Err(at);
        }
        hashes.push(hash_from_base64(first).ok_or(at)?);
    }
}

/// What [`hash_lines`] reads: the hashes, one a line, and the empty line.
pub(crate) fn put_hash_lines(out: &mut String, hashes: &[Hash]) {
    for hash in hashes {
        out.push_str(&base64(hash));
        out.push('\n');
    }
    out.push('\n');
}
