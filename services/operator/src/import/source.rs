//! Rows of a CSV file, compressed or not, and whether the file is whole.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use csv::ByteRecord;
use flate2::bufread::MultiGzDecoder;
use sha2::{Digest, Sha256};

use crate::errors::{Failure, Outcome, chain};
use crate::output::hex;

/// First bytes of a gzip file (RFC 1952, section 2.3.1).
const GZIP: [u8; 2] = [0x1f, 0x8b];
/// Longest row: no register has longer ones, and a lost quotation mark must not fill the memory.
const MOST_BYTES: usize = 4 * 1024 * 1024;

/// One row as it stands in the file.
#[derive(Clone, Debug)]
pub struct Line {
    /// Number of the row: 1 is the first after the header.
    pub row: u64,
    /// Number of the line in the file at which it begins.
    pub line: u64,
    /// Its columns, or what is wrong with it as a whole.
    pub columns: Result<Vec<String>, String>,
}

/// The rows of a file, in order.
pub struct Rows {
    reader: csv::Reader<Tail<Box<dyn Read>>>,
    name: String,
    header: Vec<String>,
    next: Option<ByteRecord>,
    row: u64,
    final_newline: bool,
}

/// Remembers the last byte that was read, and whether quotation marks came in pairs.
struct Tail<R> {
    inner: R,
    last: u8,
    odd_quotes: bool,
}

impl<R: Read> Read for Tail<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        if let Some(last) = buffer[..read].last() {
            self.last = *last;
        }
        let quotes = buffer[..read].iter().filter(|byte| **byte == b'"').count();
        self.odd_quotes ^= quotes % 2 == 1;
        Ok(read)
    }
}

impl Rows {
    /// Opens a file; whether it is compressed shows in its first bytes.
    ///
    /// # Errors
    /// The file cannot be read, is empty, or has a column twice.
    pub fn open(path: &Path, delimiter: char, final_newline: bool) -> Outcome<Self> {
        let name = path.display().to_string();
        let failed = |error: io::Error| Failure::wrong(format!("read {name}"), &error);
        let mut file = BufReader::with_capacity(128 * 1024, File::open(path).map_err(failed)?);
        let gzip = file.fill_buf().map_err(failed)?.starts_with(&GZIP);
        let plain: Box<dyn Read> = match gzip {
            true => Box::new(BufReader::new(MultiGzDecoder::new(file))),
            false => Box::new(file),
        };
        let delimiter = u8::try_from(delimiter).unwrap_or(b',');
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(delimiter)
            .flexible(true)
            .from_reader(Tail { inner: plain, last: 0, odd_quotes: false });
        let header = reader.headers().map_err(|error| broken(&name, 0, &error))?;
        let header: Vec<String> =
            header.iter().map(|column| column.trim_start_matches('\u{feff}').to_owned()).collect();
        if header.iter().all(String::is_empty) {
            return Err(Failure::usage(format!(
                "{name} is empty: it must begin with a header row"
            )));
        }
        if let Some(at) = (1..header.len()).find(|at| header[..*at].contains(&header[*at])) {
            let column = &header[at];
            return Err(Failure::usage(format!("{name} has the column {column:?} twice")));
        }
        let mut rows = Self { reader, name, header, next: None, row: 0, final_newline };
        rows.next = rows.read()?;
        Ok(rows)
    }

    /// Names of the columns.
    #[must_use]
    pub fn header(&self) -> &[String] {
        &self.header
    }

    fn read(&mut self) -> Outcome<Option<ByteRecord>> {
        let mut record = ByteRecord::new();
        match self.reader.read_byte_record(&mut record) {
            Ok(true) if record.as_slice().len() > MOST_BYTES => Err(Failure::usage(format!(
                "{}: row {} has more than {MOST_BYTES} bytes: a quotation mark is missing before \
                 it",
                self.name,
                self.row + 1
            ))),
            Ok(true) => Ok(Some(record)),
            Ok(false) => Ok(None),
            Err(error) => Err(broken(&self.name, self.row, &error)),
        }
    }

    /// The next row; `None` after the last one of a whole file.
    ///
    /// # Errors
    /// The file is cut or broken; rows before are good.
    pub fn take(&mut self) -> Outcome<Option<Line>> {
        let Some(record) = self.next.take() else { return Ok(None) };
        self.row += 1;
        self.next = self.read()?;
        let (row, width) = (self.row, self.header.len());
        let line = record.position().map_or(0, csv::Position::line);
        if self.next.is_none() {
            self.check_end(&record, line)?;
        }
        let columns = if record.len() == width {
            let texts = record.iter().map(|bytes| std::str::from_utf8(bytes).map(str::to_owned));
            texts.collect::<Result<_, _>>().map_err(|_| "is not UTF-8".to_owned())
        } else {
            Err(format!("has {} columns, the header has {width}", record.len()))
        };
        Ok(Some(Line { row, line, columns }))
    }

    /// Whether the file ends where a row ends.
    fn check_end(&self, last: &ByteRecord, line: u64) -> Outcome {
        let cut = |why: String| {
            Err(Failure::usage(format!(
                "{}: the last row, {} (line {line}), {why}: the file is cut; get it whole and run \
                 the same command again, rows already imported are recognised",
                self.name, self.row
            )))
        };
        if last.len() < self.header.len() {
            return cut(format!("has {} of {} columns", last.len(), self.header.len()));
        }
        // An open quotation mark swallows every line break up to the end of the file.
        let open = last.iter().next_back().is_some_and(|text| text.ends_with(b"\n"));
        if open && self.reader.get_ref().odd_quotes {
            return cut("ends inside a quotation".to_owned());
        }
        if self.final_newline && self.reader.get_ref().last != b'\n' {
            return cut("does not end with a line break (source.final_newline)".to_owned());
        }
        Ok(())
    }
}

fn broken(name: &str, row: u64, error: &csv::Error) -> Failure {
    Failure::usage(format!(
        "{name} breaks off after row {row}: {}; get the file whole and run the same command again, \
         rows already imported are recognised",
        chain(error)
    ))
}

/// SHA-256 of a file, in hexadecimal.
///
/// # Errors
/// The file cannot be read.
pub fn digest(path: &Path) -> Outcome<String> {
    let failed = |error: io::Error| Failure::wrong(format!("read {}", path.display()), &error);
    let mut file = File::open(path).map_err(failed)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match file.read(&mut buffer).map_err(failed)? {
            0 => return Ok(hex(&hasher.finalize())),
            read => hasher.update(&buffer[..read]),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;
    use crate::errors::Exit;

    fn file(bytes: &[u8]) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    /// All rows of a file, or its failure after so many rows.
    fn read(bytes: &[u8]) -> (Vec<Line>, Option<Failure>) {
        let file = file(bytes);
        let mut rows = match Rows::open(file.path(), ',', true) {
            Ok(rows) => rows,
            Err(failure) => return (Vec::new(), Some(failure)),
        };
        let mut lines = Vec::new();
        loop {
            match rows.take() {
                Ok(Some(line)) => lines.push(line),
                Ok(None) => return (lines, None),
                Err(failure) => return (lines, Some(failure)),
            }
        }
    }

    const WHOLE: &[u8] = b"id,text\n1,a\n2,\"b\nc\"\n3,d\n";

    #[test]
    fn plain_and_compressed_are_the_same() {
        for bytes in [WHOLE.to_vec(), gzip(WHOLE)] {
            let (lines, failure) = read(&bytes);
            assert_eq!(failure, None);
            assert_eq!(lines.len(), 3);
            assert_eq!(lines[1].columns.as_ref().unwrap(), &["2", "b\nc"]);
            assert_eq!((lines[2].row, lines[2].line), (3, 5));
        }
    }

    #[test]
    fn a_cut_file_is_told_with_its_row() {
        let (lines, failure) = read(b"id,text,more\n1,a,x\n2,b");
        let failure = failure.unwrap();
        assert_eq!((lines.len(), failure.exit), (1, Exit::Usage));
        assert!(failure.text.contains("the last row, 2 (line 3), has 2 of 3"), "{failure}");
        let (_, failure) = read(b"id,text\n1,a\n2,b");
        assert!(failure.unwrap().text.contains("line break"));
        let (_, failure) = read(b"id,text\n1,a\n2,\"b\n");
        assert!(failure.unwrap().text.contains("inside a quotation"));
    }

    #[test]
    fn broken_compression_is_told_with_its_row() {
        let mut text = b"id,text\n".to_vec();
        for row in 0..20_000 {
            // Not compressible, so that many rows come out before the break.
            let noise = Sha256::digest(u32::to_be_bytes(row));
            text.extend_from_slice(format!("{row},{}\n", hex(&noise)).as_bytes());
        }
        let whole = gzip(&text);
        let (lines, failure) = read(&whole[..whole.len() / 2]);
        let failure = failure.unwrap();
        assert!(lines.len() > 1_000, "{}", lines.len());
        assert!(failure.text.contains("breaks off after row"), "{failure}");
        let mut flipped = whole.clone();
        let end = flipped.len() - 6;
        flipped[end] ^= 0xff;
        assert!(read(&flipped).1.unwrap().text.contains("breaks off"));
        assert_eq!(read(&whole).0.len(), 20_000);
    }

    #[test]
    fn rows_that_are_wrong_as_a_whole_are_kept_apart() {
        let (lines, failure) = read(b"id,text\n1\n2,b,c\n3,\xff\n4,d\n");
        assert_eq!(failure, None);
        let good = lines.iter().filter(|line| line.columns.is_ok()).count();
        assert_eq!((lines.len(), good), (4, 1));
        assert!(lines[2].columns.as_ref().unwrap_err().contains("UTF-8"));
    }

    #[test]
    fn wrong_headers() {
        assert!(read(b"").1.unwrap().text.contains("empty"));
        assert!(read(b"a,b,a\n1,2,3\n").1.unwrap().text.contains("twice"));
        assert_eq!(read(b"a,b\n").0.len(), 0);
    }
}
