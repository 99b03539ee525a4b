//! Facts of a contact: one act of intake (a call to the trust line, a letter, a visit).

use crate::code::Code;
use crate::ids::AppealId;
use crate::macros::facts;
use crate::text::Text;

/// Who called and what was noted: personal data, sealed before it is encoded. The caller's
/// number is kept only when the caller agrees.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallerPart {
    /// The caller's name, as given.
    pub name: Option<Text>,
    /// The number or address to call back.
    pub phone: Option<Text>,
    /// What was said, in the words of the person who took the contact.
    pub note: Option<Text>,
}

/// A contact began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContactOpened {
    /// Classifier `channel`: call, letter, web, email, ...
    pub channel: Code,
    /// Classifier `line`: which trust line or counter, where there are several.
    pub line: Option<Code>,
    /// Classifier `language`: the language the person used.
    pub language: Code,
    /// Sealed; `None` when nothing was given or the part was not opened.
    pub personal: Option<CallerPart>,
}

/// A question was answered without an appeal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsultationGiven {
    /// Classifier `topic`.
    pub topic: Code,
}

/// The contact led to an appeal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContactLinked {
    /// The appeal's stream.
    pub appeal: AppealId,
}

/// What a file is called: free text, sealed before it is encoded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FilePart {
    /// Its name, as given.
    pub name: Option<Text>,
}

/// A file was added: a recording, a scanned letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileAttached {
    /// SHA-256 of the file as it is stored, sealed.
    pub file: [u8; 32],
    /// Its size in bytes, sealed.
    pub size: u64,
    /// Sealed; `None` when the part was not opened.
    pub personal: Option<FilePart>,
}

/// The contact is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContactClosed {
    /// Classifier `contact_outcome`.
    pub outcome: Code,
}

facts! {
    /// Facts of a contact stream.
    ContactFact in Contact, Contact {
        /// A contact began.
        Opened(ContactOpened) = 1, "contact.opened";
        /// A question was answered without an appeal.
        Consulted(ConsultationGiven) = 2, "contact.consultation_given";
        /// The contact led to an appeal.
        Linked(ContactLinked) = 3, "contact.linked";
        /// The contact is over.
        Closed(ContactClosed) = 4, "contact.closed";
        /// A file was added.
        FileAttached(FileAttached) = 5, "contact.file_attached";
    }
}
