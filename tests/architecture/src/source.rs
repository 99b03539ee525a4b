//! Rust text split into code, comments and literals, by a scanner of a few rules.
//!
//! It knows line and nested block comments, strings with escapes, raw strings, byte and C
//! strings, character literals and lifetimes. It does not parse: macros are text to it.

use crate::tree::TextFile;

/// One string literal of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Literal {
    /// Line on which it begins, from 1.
    pub line: usize,
    /// What stands between its quotes, escapes as written.
    pub text: String,
}

/// A Rust file, split. `code` and `comments` have exactly the lines of `text`.
#[derive(Debug, Clone)]
pub struct Source {
    /// Path from the root of the repository.
    pub path: String,
    /// The file as it is.
    pub text: String,
    /// Code only: comments and the inside of literals are blanks.
    pub code: String,
    /// Comments only: everything else is blank.
    pub comments: String,
    /// String literals in order.
    pub literals: Vec<Literal>,
    in_test: Vec<bool>,
}

impl Source {
    /// Splits the file.
    pub fn new(path: impl Into<String>, text: impl Into<String>) -> Self {
        let (path, text) = (path.into(), text.into());
        let split = Splitter::new(&text).run();
        let in_test = test_lines(&path, &split.code);
        let (code, comments, literals) = (split.code, split.comments, split.literals);
        Self { path, text, code, comments, literals, in_test }
    }

    /// Whether the line (from 1) belongs to tests: a test file, or an item under `cfg(test)`.
    pub fn is_test(&self, line: usize) -> bool {
        self.in_test.get(line.saturating_sub(1)).copied().unwrap_or(false)
    }

    /// Names of modules declared as `#[cfg(test)] mod name;`, which live in other files.
    pub fn test_modules(&self) -> Vec<String> {
        let mut names = Vec::new();
        for (at, _) in self.code.match_indices("#[cfg(test)]") {
            let rest = self.code[at + "#[cfg(test)]".len()..].trim_start();
            let rest = rest.strip_prefix("pub ").unwrap_or(rest);
            if let Some(rest) = rest.strip_prefix("mod ") {
                let name: String = rest.chars().take_while(|c| is_ident(*c)).collect();
                if rest[name.len()..].trim_start().starts_with(';') {
                    names.push(name);
                }
            }
        }
        names
    }

    fn mark_all_test(&mut self) {
        self.in_test.iter_mut().for_each(|line| *line = true);
    }
}

/// Splits all Rust files, and marks those that a `#[cfg(test)] mod name;` brings in.
pub fn split_all(files: &[TextFile]) -> Vec<Source> {
    let rust = files.iter().filter(|f| f.extension() == "rs");
    let mut sources: Vec<Source> = rust.map(|f| Source::new(&f.path, &f.text)).collect();
    let mut of_tests = Vec::new();
    for source in &sources {
        let folder = module_folder(&source.path);
        for name in source.test_modules() {
            of_tests.push(format!("{folder}/{name}.rs"));
            of_tests.push(format!("{folder}/{name}/"));
        }
    }
    for source in &mut sources {
        if of_tests
            .iter()
            .any(|t| source.path == *t || t.ends_with('/') && source.path.starts_with(t))
        {
            source.mark_all_test();
        }
    }
    sources
}

/// Folder in which the modules of the file at `path` live.
fn module_folder(path: &str) -> String {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    match name {
        "lib.rs" | "main.rs" | "mod.rs" => folder.to_owned(),
        _ => format!("{folder}/{}", name.trim_end_matches(".rs")),
    }
}

/// Line number (from 1) of a byte offset.
pub fn line_at(text: &str, offset: usize) -> usize {
    text.as_bytes()[..offset].iter().filter(|b| **b == b'\n').count() + 1
}

/// Whether the character can be part of an identifier.
pub fn is_ident(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Byte offsets of `word` in `text` that are no part of a longer identifier.
pub fn words<'a>(text: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let whole = move |at: &usize| {
        let before = text[..*at].chars().next_back();
        let after = text[*at + word.len()..].chars().next();
        let open = word.starts_with(is_ident) && before.is_some_and(is_ident);
        let close = word.ends_with(is_ident) && after.is_some_and(is_ident);
        !open && !close
    };
    text.match_indices(word).map(|(at, _)| at).filter(whole)
}

/// Whether `text` has `word` as a whole word.
pub fn has_word(text: &str, word: &str) -> bool {
    words(text, word).next().is_some()
}

/// Byte offset of the brace that closes the one at `open` in masked code.
pub fn closing_brace(code: &str, open: usize) -> Option<usize> {
    let mut depth = 0usize;
    for (at, c) in code[open..].char_indices() {
        match c {
            '{' => depth += 1,
            '}' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(open + at);
                }
            }
            _ => {}
        }
    }
    None
}

fn test_lines(path: &str, code: &str) -> Vec<bool> {
    let lines = code.lines().count().max(1);
    let in_tests_folder = path.starts_with("tests/") || path.contains("/tests/");
    if in_tests_folder || path.ends_with("/tests.rs") || is_measurement(path) {
        return vec![true; lines];
    }
    let mut marks = vec![false; lines];
    for (at, _) in code.match_indices("#[cfg(test)]") {
        let from = line_at(code, at);
        let rest = &code[at..];
        let Some(end) = rest.find(['{', ';']) else { continue };
        let to = if rest.as_bytes()[end] == b'{' {
            closing_brace(code, at + end).map_or(lines, |close| line_at(code, close))
        } else {
            line_at(code, at + end)
        };
        marks[from - 1..to.min(lines)].iter_mut().for_each(|mark| *mark = true);
    }
    marks
}

/// Benchmarks and examples: programs of their own that print what they measured.
fn is_measurement(path: &str) -> bool {
    path.contains("/benches/") || path.contains("/examples/")
}

struct Split {
    code: String,
    comments: String,
    literals: Vec<Literal>,
}

struct Splitter<'a> {
    rest: std::iter::Peekable<std::str::Chars<'a>>,
    line: usize,
    last: char,
    before_last: char,
    out: Split,
}

impl<'a> Splitter<'a> {
    fn new(text: &'a str) -> Self {
        let out = Split { code: String::new(), comments: String::new(), literals: Vec::new() };
        Self { rest: text.chars().peekable(), line: 1, last: ' ', before_last: ' ', out }
    }

    fn run(mut self) -> Split {
        while let Some(c) = self.rest.peek().copied() {
            match c {
                '/' if self.second() == Some('/') => self.line_comment(),
                '/' if self.second() == Some('*') => self.block_comment(),
                '"' => self.string(),
                'r' if self.raw_hashes().is_some() => self.raw_string(),
                '\'' => self.quote(),
                _ => {
                    self.take_code();
                }
            }
        }
        self.out
    }

    fn second(&self) -> Option<char> {
        let mut ahead = self.rest.clone();
        ahead.next();
        ahead.next()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.rest.next()?;
        if c == '\n' {
            self.line += 1;
        }
        Some(c)
    }

    fn take_code(&mut self) -> Option<char> {
        let c = self.next()?;
        self.put(c, blank(c));
        (self.before_last, self.last) = (self.last, c);
        Some(c)
    }

    fn take_comment(&mut self) -> Option<char> {
        let c = self.next()?;
        self.put(blank(c), c);
        Some(c)
    }

    fn take_literal(&mut self) -> Option<char> {
        let c = self.next()?;
        self.put(blank(c), blank(c));
        Some(c)
    }

    fn put(&mut self, code: char, comment: char) {
        self.out.code.push(code);
        self.out.comments.push(comment);
    }

    fn line_comment(&mut self) {
        while self.rest.peek().is_some_and(|c| *c != '\n') {
            self.take_comment();
        }
    }

    fn block_comment(&mut self) {
        let mut depth = 0;
        while let Some(c) = self.rest.peek().copied() {
            let pair = (c, self.second());
            self.take_comment();
            match pair {
                ('/', Some('*')) => depth += 1,
                ('*', Some('/')) => depth -= 1,
                _ => continue,
            }
            self.take_comment();
            if depth == 0 {
                return;
            }
        }
    }

    fn string(&mut self) {
        let line = self.line;
        let mut text = String::new();
        self.take_code();
        while let Some(c) = self.rest.peek().copied() {
            if c == '"' {
                self.take_code();
                break;
            }
            text.extend(self.take_literal());
            if c == '\\' {
                text.extend(self.take_literal());
            }
        }
        self.out.literals.push(Literal { line, text });
    }

    /// Number of hashes, if a raw string begins at the `r` that comes next.
    fn raw_hashes(&self) -> Option<usize> {
        let prefix = matches!(self.last, 'b' | 'c') && !is_ident(self.before_last);
        if is_ident(self.last) && !prefix {
            return None;
        }
        let mut ahead = self.rest.clone();
        ahead.next();
        let mut hashes = 0;
        loop {
            match ahead.next()? {
                '#' => hashes += 1,
                '"' => return Some(hashes),
                _ => return None,
            }
        }
    }

    fn raw_string(&mut self) {
        let hashes = self.raw_hashes().unwrap_or(0);
        let line = self.line;
        for _ in 0..hashes + 2 {
            self.take_code();
        }
        let end = format!("\"{}", "#".repeat(hashes));
        let mut text = String::new();
        while self.rest.peek().is_some() {
            if self.rest.clone().take(end.len()).eq(end.chars()) {
                for _ in 0..end.len() {
                    self.take_code();
                }
                break;
            }
            text.extend(self.take_literal());
        }
        self.out.literals.push(Literal { line, text });
    }

    /// A character literal, or the tick of a lifetime or label.
    fn quote(&mut self) {
        let mut ahead = self.rest.clone();
        ahead.next();
        let (first, second) = (ahead.next(), ahead.next());
        self.take_code();
        if first == Some('\\') {
            self.take_literal();
            self.take_literal();
            while self.rest.peek().is_some_and(|c| *c != '\'' && *c != '\n') {
                self.take_literal();
            }
            self.take_code();
        } else if second == Some('\'') {
            self.take_literal();
            self.take_code();
        }
    }
}

fn blank(c: char) -> char {
    if c == '\n' { '\n' } else { ' ' }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str) -> Source {
        Source::new("crates/x/src/y.rs", text)
    }

    fn squeeze(text: &str) -> String {
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn comments_and_literals_leave_the_code() {
        let s = split("let a = \"{ // no\"; // {{\n/* { /* nested } */ { */ let b = 'x';");
        assert_eq!(squeeze(&s.code), "let a = \" \"; let b = ' ';");
        assert_eq!(s.literals, [Literal { line: 1, text: "{ // no".into() }]);
        assert_eq!(squeeze(&s.comments), "// {{ /* { /* nested } */ { */");
    }

    #[test]
    fn raw_strings_end_at_their_own_hashes() {
        let s = split("let a = r#\"say \"{\" \\\"#; let r#type = br\"}\"; f(cr##\"\"#{\"##)");
        assert_eq!(
            s.literals.iter().map(|l| l.text.as_str()).collect::<Vec<_>>(),
            ["say \"{\" \\", "}", "\"#{"]
        );
        assert!(!s.code.contains(['{', '}']));
        assert!(s.code.contains("let r#type = br"));
    }

    #[test]
    fn identifiers_ending_in_r_are_not_raw_strings() {
        let s = split("concat!(bar\"{\", \"}\")");
        assert_eq!(s.literals.len(), 2);
    }

    #[test]
    fn characters_are_told_from_lifetimes() {
        let s = split("fn f<'a>(x: &'a str) { g('{', '\\'', '\"', '\\u{7d}', b'}', 'outer) }");
        assert_eq!(s.code.matches('{').count(), 1);
        assert_eq!(s.code.matches('}').count(), 1);
        assert!(s.code.contains("fn f<'a>(x: &'a str)"));
        assert!(s.code.contains("'outer)"));
        assert!(s.literals.is_empty());
    }

    #[test]
    fn lines_stay_where_they_are() {
        let text = "a\n\"b\nc\"\n/* d\ne */\nf // g\nr#\"\nh\"#";
        let s = split(text);
        assert_eq!(s.code.lines().count(), text.lines().count());
        assert_eq!(s.comments.lines().count(), text.lines().count());
        assert_eq!(s.literals[1].line, 7);
    }

    #[test]
    fn items_under_cfg_test_are_tests() {
        let s = split("fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\nfn c() {}\n");
        let marks: Vec<bool> = (1..=6).map(|line| s.is_test(line)).collect();
        assert_eq!(marks, [false, true, true, true, true, false]);
        assert!(s.test_modules().is_empty());
    }

    #[test]
    fn test_modules_in_other_files_are_tests() {
        let file = |path: &str, text: &str| TextFile { path: path.into(), text: text.into() };
        let sources = split_all(&[
            file("crates/x/src/lib.rs", "#[cfg(test)]\nmod harness;\npub mod real;"),
            file("crates/x/src/harness.rs", "fn a() {}"),
            file("crates/x/src/real.rs", "#[cfg(test)] mod deep;"),
            file("crates/x/src/real/deep.rs", "fn b() {}"),
            file("crates/x/README.md", "no rust"),
        ]);
        let tests: Vec<bool> = sources.iter().map(|s| s.is_test(1)).collect();
        assert_eq!(sources.len(), 4);
        assert_eq!(tests, [true, true, true, true]);
        assert!(!sources[0].is_test(3));
    }

    #[test]
    fn a_brace_without_its_end_has_none() {
        assert_eq!(closing_brace("{ {} ", 0), None);
        assert_eq!(closing_brace("{ {} }", 0), Some(5));
    }
}
