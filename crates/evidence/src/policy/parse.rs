//! Reading a policy ("Policy file syntax and structure").

use std::str::FromStr;

use super::{MAX_POLICY, NONE, Policy, PolicyBuilder, PolicyError, PolicyProblem, Threshold, Word};
use crate::log::decimal;
use crate::note::{NoteError, Verifier};

const LOG: &str = "log <vkey> [<url>]";
const WITNESS: &str = "witness <name> <vkey> [<url>]";
const GROUP: &str = "group <name> any|all|<k> <member>...";
const QUORUM: &str = "quorum <name>|none";

impl Policy {
    /// Reads a policy.
    ///
    /// # Errors
    /// [`PolicyError`] naming the line and what is wrong with it.
    pub fn parse(text: &[u8]) -> Result<Self, PolicyError> {
        if text.len() > MAX_POLICY {
            let problem = PolicyProblem::TooLarge { size: text.len() };
            return Err(PolicyError { line: 1, problem });
        }
        let mut builder = Self::builder();
        let mut line = 0;
        for whole in text.split_inclusive(|octet| *octet == b'\n') {
            line += 1;
            read_line(&mut builder, whole).map_err(|problem| PolicyError { line, problem })?;
        }
        builder.build().map_err(|problem| PolicyError { line: line + 1, problem })
    }
}

impl FromStr for Policy {
    type Err = PolicyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text.as_bytes())
    }
}

/// Reads one line with its newline.
fn read_line(builder: &mut PolicyBuilder, line: &[u8]) -> Result<(), PolicyProblem> {
    let line = line.strip_suffix(b"\n").ok_or(PolicyProblem::Unterminated)?;
    let allowed = |octet: &u8| matches!(octet, b'\t' | 0x20..=0x7e | 0x80..=0xff);
    if let Some(at) = line.iter().position(|octet| !allowed(octet)) {
        return Err(PolicyProblem::Control { at: at + 1 });
    }
    let items = line.split(|octet| matches!(octet, b' ' | b'\t'));
    let items: Vec<&[u8]> = items.filter(|item| !item.is_empty()).collect();
    let Some((keyword, items)) = items.split_first() else { return Ok(()) };
    match *keyword {
        comment if comment.starts_with(b"#") => return Ok(()),
        b"log" => {
            let (vkey, url) = match items {
                [vkey] => (vkey, None),
                [vkey, url] => (vkey, Some(Word::new(url)?)),
                _ => return Err(PolicyProblem::Items { form: LOG }),
            };
            builder.log(key(vkey)?, url)?;
        }
        b"witness" => {
            let (name, vkey, url) = match items {
                [name, vkey] => (name, vkey, None),
                [name, vkey, url] => (name, vkey, Some(Word::new(url)?)),
                _ => return Err(PolicyProblem::Items { form: WITNESS }),
            };
            builder.witness(Word::new(name)?, key(vkey)?, url)?;
        }
        b"group" => {
            let [name, threshold, members @ ..] = items else {
                return Err(PolicyProblem::Items { form: GROUP });
            };
            let members = members.iter().map(|member| Word::new(member)).collect::<Result<_, _>>();
            builder.group(Word::new(name)?, read_threshold(threshold)?, members?)?;
        }
        b"quorum" => {
            let [name] = items else { return Err(PolicyProblem::Items { form: QUORUM }) };
            builder.quorum(if *name == NONE { None } else { Some(Word::new(name)?) })?;
        }
        _ => return Err(PolicyProblem::Keyword),
    }
    Ok(())
}

/// `any`, `all` or a decimal number.
fn read_threshold(text: &[u8]) -> Result<Threshold, PolicyProblem> {
    match text {
        b"any" => return Ok(Threshold::Any),
        b"all" => return Ok(Threshold::All),
        _ => {}
    }
    let k = str::from_utf8(text).ok().and_then(decimal).and_then(|k| usize::try_from(k).ok());
    k.map(Threshold::AtLeast).ok_or(PolicyProblem::Threshold)
}

/// A verifier key. Its name must be UTF-8, as all of a note is.
fn key(text: &[u8]) -> Result<Verifier, PolicyProblem> {
    let text = str::from_utf8(text).map_err(|_| PolicyProblem::Key(NoteError::Name))?;
    text.parse().map_err(PolicyProblem::Key)
}
