//! Personal data and free text: a type that cannot be printed by accident.

use std::fmt;

/// A personal or free text. `Debug` shows nothing of it, there is no `Display`; whoever needs
/// the content says so with [`Text::expose`]. Limits are checked where a request is validated,
/// not here: a record of newer software must still be carried.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Text(String);

impl Text {
    /// Takes the text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The content. Only for sealing, for showing to an authorised person and for tests.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The content, taken out; same purpose as [`Text::expose`].
    pub fn into_exposed(self) -> String {
        self.0
    }

    /// Whether there is nothing but white space.
    pub fn is_blank(&self) -> bool {
        self.0.trim().is_empty()
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Text(..)")
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_prints_nothing_of_it() {
        let text = Text::from("Асқар Сейітов");
        assert_eq!(format!("{text:?}"), "Text(..)");
        assert_eq!(text.expose(), "Асқар Сейітов");
    }

    #[test]
    fn blank() {
        assert!(Text::from(" \n").is_blank());
        assert!(!Text::from("а").is_blank());
    }
}
