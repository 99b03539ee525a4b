//! Lengths of files, functions and lines.

use crate::report::Rule;
use crate::source::{Source, closing_brace, is_ident, line_at};
use crate::tree::TextFile;

/// Most lines of one source file.
pub const FILE_LINES: usize = 500;
/// Most lines of one function, from its `fn` to its closing brace.
pub const FUNCTION_LINES: usize = 70;
/// Most characters of one line of Rust, as in `rustfmt.toml`.
pub const COLUMNS: usize = 100;

/// A file that does not fit on a reader's desk.
pub const FILE: Rule = Rule {
    name: "file-lines",
    says: "A .rs, .proto or .html file has at most 500 lines.",
    remedy: "Split the file by subject; a module of its own is cheaper than a long one.",
};
/// A function that does more than one thing.
pub const FUNCTION: Rule = Rule {
    name: "function-lines",
    says: "A function has at most 70 lines.",
    remedy: "Take a named step out of it; push conditions up and loops down.",
};
/// A line that wraps.
pub const LINE: Rule = Rule {
    name: "columns",
    says: "A line of Rust has at most 100 columns.",
    remedy: "Run `cargo fmt`; break strings and comments by hand.",
};

/// One length above its limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Oversize {
    /// Which of the three rules.
    pub rule: Rule,
    /// File, from the root of the repository.
    pub file: String,
    /// Name of the function; empty for files and lines.
    pub item: String,
    /// Line at which it begins.
    pub line: usize,
    /// The length found.
    pub actual: usize,
}

/// Files longer than [`FILE_LINES`].
pub fn long_files(files: &[TextFile]) -> Vec<Oversize> {
    let limited = files.iter().filter(|f| matches!(f.extension(), "rs" | "proto" | "html"));
    let long = limited.filter_map(|f| {
        let actual = f.text.lines().count();
        let of =
            Oversize { rule: FILE, file: f.path.clone(), item: String::new(), line: 1, actual };
        (actual > FILE_LINES).then_some(of)
    });
    long.collect()
}

/// Functions longer than [`FUNCTION_LINES`].
pub fn long_functions(source: &Source) -> Vec<Oversize> {
    let long = functions(source).into_iter().filter(|f| f.lines > FUNCTION_LINES);
    let of = long.map(|f| Oversize {
        rule: FUNCTION,
        file: source.path.clone(),
        item: f.name,
        line: f.line,
        actual: f.lines,
    });
    of.collect()
}

/// The longest line of the file, if it is longer than [`COLUMNS`].
pub fn long_line(source: &Source) -> Option<Oversize> {
    let widths = source.text.lines().map(|line| line.chars().count()).enumerate();
    let (at, actual) = widths.max_by_key(|(_, width)| *width)?;
    let (file, item) = (source.path.clone(), String::new());
    let of = Oversize { rule: LINE, file, item, line: at + 1, actual };
    (actual > COLUMNS).then_some(of)
}

/// A function with a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// Line of its `fn`.
    pub line: usize,
    /// Lines from `fn` to the closing brace, both counted.
    pub lines: usize,
}

/// Every function of the file that has a body; functions inside others are counted on their own
/// too.
pub fn functions(source: &Source) -> Vec<Function> {
    let code = &source.code;
    let mut found = Vec::new();
    for (at, _) in code.match_indices("fn ") {
        if code[..at].chars().next_back().is_some_and(is_ident) {
            continue;
        }
        let rest = code[at + 3..].trim_start().trim_start_matches("r#");
        let name: String = rest.chars().take_while(|c| is_ident(*c)).collect();
        let Some(open) = body(code, at).filter(|_| !name.is_empty()) else { continue };
        let close = closing_brace(code, open).unwrap_or(code.len());
        let line = line_at(code, at);
        found.push(Function { name, line, lines: line_at(code, close) - line + 1 });
    }
    found
}

/// Offset of the brace that opens the body of the function declared at `from`; none if the
/// declaration ends without one.
fn body(code: &str, from: usize) -> Option<usize> {
    let mut depth = 0i32;
    for (at, c) in code[from..].char_indices() {
        match c {
            '(' | '[' => depth += 1,
            ')' | ']' => depth -= 1,
            '{' if depth == 0 => return Some(from + at),
            ';' if depth == 0 => return None,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        Source::new("crates/x/src/y.rs", text)
    }

    fn of_lines(count: usize) -> String {
        format!("fn long() {{\n{}}}\n", "    step();\n".repeat(count - 2))
    }

    #[test]
    fn functions_are_measured_from_fn_to_brace() {
        let text = "trait T {\n    fn a(&self) -> [u8; 4];\n    fn b(\n        x: u8,\n\
                    \x20   ) -> u8 {\n        x // }\n    }\n}\nconst F: fn(u8) = c;\n";
        let found = functions(&source(text));
        assert_eq!(found, [Function { name: "b".into(), line: 3, lines: 5 }]);
    }

    #[test]
    fn braces_in_text_do_not_end_a_function() {
        let text = "fn a() {\n    f(\"}\", '}', r\"}\"); /* } */\n    g();\n}\n";
        assert_eq!(functions(&source(text))[0].lines, 4);
    }

    #[test]
    fn functions_inside_functions_are_found() {
        let text = "fn a() { fn b() {} let c = |x| { x }; }";
        let names: Vec<String> = functions(&source(text)).into_iter().map(|f| f.name).collect();
        assert_eq!(names, ["a", "b"]);
    }

    #[test]
    fn a_function_of_70_lines_passes_and_of_71_does_not() {
        assert!(long_functions(&source(&of_lines(70))).is_empty());
        let found = long_functions(&source(&of_lines(71)));
        assert_eq!((found[0].item.as_str(), found[0].actual), ("long", 71));
    }

    #[test]
    fn a_file_of_500_lines_passes_and_of_501_does_not() {
        let file =
            |lines: usize, path: &str| TextFile { path: path.into(), text: "x\n".repeat(lines) };
        assert!(long_files(&[file(500, "a.rs"), file(900, "a.md")]).is_empty());
        assert_eq!(long_files(&[file(501, "a.proto")])[0].actual, 501);
    }

    #[test]
    fn columns_are_characters_not_bytes() {
        assert_eq!(long_line(&source(&"ә".repeat(100))), None);
        let found = long_line(&source(&format!("short\n{}\n", "ә".repeat(101)))).unwrap();
        assert_eq!((found.line, found.actual), (2, 101));
    }
}
