//! A process of this binary, and what it said.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::child::ORDER;

/// What has been said so far; the end of the pipe ends it.
#[derive(Default)]
struct Said {
    lines: Vec<String>,
    ended: bool,
}

/// A running process. It is killed, at the latest, when this is dropped.
pub struct Process {
    child: Child,
    said: Arc<(Mutex<Said>, Condvar)>,
    readers: Vec<JoinHandle<()>>,
    errors: Arc<Mutex<Vec<u8>>>,
}

/// The last words of a process.
pub struct Ended {
    /// Whole lines, without their ends.
    pub lines: Vec<String>,
    /// What it wrote to standard error.
    pub errors: String,
    /// How it ended.
    pub status: ExitStatus,
}

impl Ended {
    /// Whether it said a line that starts with this word.
    pub fn said(&self, word: &str) -> bool {
        self.lines.iter().any(|line| line.split(' ').next() == Some(word))
    }

    /// Whether one of its threads panicked. The one that opens sled may: it is guarded.
    pub fn panicked(&self) -> bool {
        let panics = self.errors.lines().filter(|line| line.contains("panicked at"));
        panics.into_iter().any(|line| !line.contains("journal-index-open"))
    }
}

impl Process {
    /// Starts one: what, with which seed, as which generation, up to which limit, in which folder.
    pub fn start(what: &str, seed: u64, generation: u32, limit: u64, dir: &Path) -> Self {
        let order = format!("{what} {seed} {generation} {limit} {}", dir.display());
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "child::child_process", "--nocapture", "--test-threads=1"]);
        command.env(ORDER, order).stdin(Stdio::null());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let said: Arc<(Mutex<Said>, Condvar)> = Arc::default();
        let errors: Arc<Mutex<Vec<u8>>> = Arc::default();
        let (out, err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let (heard, kept) = (Arc::clone(&said), Arc::clone(&errors));
        let listen = std::thread::spawn(move || {
            for line in BufReader::new(out).split(b'\n') {
                let Ok(line) = line else { break };
                let line = String::from_utf8_lossy(&line);
                if let Some(whole) = line.strip_suffix(" .") {
                    heard.0.lock().unwrap().lines.push(whole.to_owned());
                    heard.1.notify_all();
                }
            }
            heard.0.lock().unwrap().ended = true;
            heard.1.notify_all();
        });
        let collect = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            // What was read before an error is kept.
            let _ = BufReader::new(err).read_to_end(&mut bytes);
            *kept.lock().unwrap() = bytes;
        });
        Self { child, said, readers: vec![listen, collect], errors }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it says a line that starts with `word`; false if it ended or `limit` passed.
    pub fn hear(&self, word: &str, limit: Duration) -> bool {
        self.hear_times(word, 1, limit)
    }

    /// Waits until it has said `times` such lines.
    pub fn hear_times(&self, word: &str, times: usize, limit: Duration) -> bool {
        let until = Instant::now() + limit;
        let mut said = self.said.0.lock().unwrap();
        let (mut seen, mut count) = (0, 0);
        loop {
            let new = said.lines[seen..].iter();
            count += new.filter(|line| line.split(' ').next() == Some(word)).count();
            let left = until.saturating_duration_since(Instant::now());
            if count >= times || said.ended || left.is_zero() {
                return count >= times;
            }
            seen = said.lines.len();
            said = self.said.1.wait_timeout(said, left).unwrap().0;
        }
    }

    /// Whether it has closed its output: it is ending.
    pub fn has_ended(&self) -> bool {
        self.said.0.lock().unwrap().ended
    }

    /// Kills it (`SIGKILL`) and returns what it said until then.
    pub fn kill(mut self) -> Ended {
        // It may have ended by itself.
        let _ = self.child.kill();
        self.end()
    }

    /// Waits for its end; it is killed after `limit`.
    pub fn wait(mut self, limit: Duration) -> Ended {
        if !self.hear("closed", limit) {
            let _ = self.child.kill();
        }
        self.end()
    }

    fn end(&mut self) -> Ended {
        let status = self.child.wait().unwrap();
        self.readers.drain(..).for_each(|reader| reader.join().unwrap());
        let lines = std::mem::take(&mut self.said.0.lock().unwrap().lines);
        let errors = String::from_utf8_lossy(&self.errors.lock().unwrap()).into_owned();
        Ended { lines, errors, status }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both do nothing if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
