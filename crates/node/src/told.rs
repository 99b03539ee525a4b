//! Reasons that were told, so that a fault that lasts stands in the log once and not after every
//! group.

use std::collections::BTreeMap;

/// The last reason told of each subject, such as a log.
#[derive(Debug, Default)]
pub struct Told {
    last: BTreeMap<String, String>,
}

impl Told {
    /// Whether this reason is not the one that was told last of the subject; it is from now on.
    pub fn is_new(&mut self, subject: &str, reason: &str) -> bool {
        let last = self.last.insert(subject.to_owned(), reason.to_owned());
        last.as_deref() != Some(reason)
    }

    /// The fault is over: the same reason is new when it comes again.
    pub fn forget(&mut self, subject: &str) {
        self.last.remove(subject);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_told_once_until_it_changes_or_is_over() {
        let mut told = Told::default();
        assert!(told.is_new("kz", "damaged"));
        assert!(!told.is_new("kz", "damaged"));
        assert!(told.is_new("kz-75", "damaged"), "another log");
        assert!(told.is_new("kz", "disk full"));
        told.forget("kz");
        assert!(told.is_new("kz", "disk full"));
    }
}
