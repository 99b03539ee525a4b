//! Every kind of tampering before every judge.

use std::fmt;

use crate::forge::Honest;
use crate::judge::{Judge, judged, versions};
use crate::tampering::{Scene, Tampering};

/// What a judge said of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Said {
    /// Refused in the file that had to betray it, for this reason.
    Refused(String),
    /// Accepted, as it must be by who reads neither signatures nor spelling.
    Blind,
    /// Not refused where it had to be: what was refused instead.
    Missed(Vec<(String, String)>),
}

/// The verdicts.
pub struct Matrix {
    judges: Vec<Judge>,
    rows: Vec<(&'static Tampering, Vec<Said>)>,
}

impl Matrix {
    /// Does each kind to the bundle and asks these judges.
    pub fn run(honest: &Honest, kinds: &[&'static Tampering], judges: &[Judge]) -> Matrix {
        let row = |kind: &&'static Tampering| {
            let _doing = Doing(kind.name);
            let mut scene = Scene { bundle: honest.bundle.clone(), keys: &honest.keys };
            let places = (kind.done)(&mut scene);
            assert_ne!(scene.bundle.0, honest.bundle.0, "{}: nothing was done", kind.name);
            let said = judges.iter().map(|judge| {
                let verdict = judged(*judge, &scene.bundle, &honest.policy);
                match verdict.refused_at(&places) {
                    Some((path, why)) => Said::Refused(format!("{path}: {why}")),
                    None if judge.may_miss(kind.seen) => Said::Blind,
                    None => Said::Missed(verdict.refused.into_iter().collect()),
                }
            });
            (*kind, said.collect())
        };
        Matrix { judges: judges.to_vec(), rows: kinds.iter().map(row).collect() }
    }

    /// Every judge must have refused every kind that it can see, in the right file.
    pub fn assert_refused(&self) {
        let mut missed = Vec::new();
        for (kind, said) in &self.rows {
            for (judge, said) in self.judges.iter().zip(said) {
                if let Said::Missed(instead) = said {
                    missed.push(format!("{} by {}: {instead:?}", kind.name, judge.name()));
                }
            }
        }
        for (at, judge) in self.judges.iter().enumerate() {
            let refused = |said: &&Vec<Said>| matches!(said[at], Said::Refused(_));
            let count = self.rows.iter().map(|(_, said)| said).filter(refused).count();
            assert!(count * 6 >= self.rows.len(), "{} refused only {count}", judge.name());
        }
        assert!(missed.is_empty(), "{} not refused:\n{}", missed.len(), missed.join("\n"));
    }
}

/// Names the kind that was being done when a test fails.
struct Doing(&'static str);

impl Drop for Doing {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("while doing: {}", self.0);
        }
    }
}

impl fmt::Display for Matrix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for version in versions() {
            writeln!(f, "{version}")?;
        }
        write!(f, "{:70}", "tampering")?;
        self.judges.iter().try_for_each(|judge| write!(f, " {:9}", judge.name()))?;
        writeln!(f, " betrayed by")?;
        for (kind, said) in &self.rows {
            write!(f, "{:70}", kind.name)?;
            for said in said {
                let word = match said {
                    Said::Refused(_) => "refused",
                    Said::Blind => "blind",
                    Said::Missed(_) => "MISSED",
                };
                write!(f, " {word:9}")?;
            }
            writeln!(f, " {}", kind.betrayed_by)?;
            if let Said::Refused(why) = &said[0] {
                writeln!(f, "    {why}")?;
            }
        }
        writeln!(f, "{} kinds; blind: that judge reads trees only", self.rows.len())
    }
}
