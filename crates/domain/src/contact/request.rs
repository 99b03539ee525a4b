//! Requests about a contact.

use crate::check;
use crate::classifier::{Classifiers, list};
use crate::code::Code;
use crate::contact::facts::{CallerPart, FilePart};
use crate::ids::AppealId;
use crate::limits;
use crate::macros::requests;
use crate::refusal::{Refusal, RefusalCode};

/// Begin a contact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenContact {
    /// Classifier `channel`.
    pub channel: Code,
    /// Classifier `line`.
    pub line: Option<Code>,
    /// Classifier `language`.
    pub language: Code,
    /// What the caller said of themselves; to be sealed.
    pub personal: Option<CallerPart>,
}

/// Note a consultation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GiveConsultation {
    /// Classifier `topic`.
    pub topic: Code,
}

/// Link an appeal that came of the contact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkContact {
    /// The appeal's stream.
    pub appeal: AppealId,
}

/// Add a file that is stored already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttachFile {
    /// SHA-256 of the file as it is stored, sealed.
    pub file: [u8; 32],
    /// Its size in bytes, sealed.
    pub size: u64,
    /// What it is called; to be sealed. Needed: with it the record names the key of the file.
    pub personal: Option<FilePart>,
}

/// End the contact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloseContact {
    /// Classifier `contact_outcome`; `appeal` needs a linked appeal.
    pub outcome: Code,
}

requests! {
    /// Requests about a contact stream.
    ContactRequest in Contact {
        /// Begin a contact.
        Open(OpenContact), "open_contact";
        /// Note a consultation.
        Consult(GiveConsultation), "give_consultation";
        /// Link an appeal.
        Link(LinkContact), "link_contact";
        /// End the contact.
        Close(CloseContact), "close_contact";
        /// Add a file.
        Attach(AttachFile), "attach_file";
    }
}

impl ContactRequest {
    /// Checks codes and lengths.
    pub(crate) fn validate(&self, lists: &Classifiers) -> Result<(), Refusal> {
        match self {
            Self::Open(request) => {
                lists.check("channel", list::CHANNEL, &request.channel)?;
                if let Some(line) = &request.line {
                    lists.check("line", list::LINE, line)?;
                }
                lists.check("language", list::LANGUAGE, &request.language)?;
                let Some(part) = &request.personal else { return Ok(()) };
                check::chars("personal.name", part.name.as_ref(), limits::NAME_CHARS)?;
                check::chars("personal.phone", part.phone.as_ref(), limits::PHONE_CHARS)?;
                check::free_text("personal.note", part.note.as_ref())
            }
            Self::Consult(request) => lists.check("topic", list::TOPIC, &request.topic),
            Self::Link(_) => Ok(()),
            Self::Attach(request) => {
                let Some(part) = &request.personal else {
                    let message = "is needed; its name may be left out";
                    return Err(Refusal::field(RefusalCode::Required, "personal", message));
                };
                check::chars("personal.name", part.name.as_ref(), limits::NAME_CHARS)
            }
            Self::Close(request) => lists.check("outcome", list::CONTACT_OUTCOME, &request.outcome),
        }
    }
}
