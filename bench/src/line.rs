//! The lines in which a trial reports its figures.

use std::fmt;
use std::io::{self, Write};

use crate::contestant::Contestant;
use crate::load::Load;
use crate::punch::{Punch, Setting};
use crate::quantity::Quantity;
use crate::result::Result;

/// One line of stdout of a process that measures. Tabs separate its words.
#[derive(Debug, PartialEq)]
pub(crate) enum Line {
    Figure(Figure),
    Skipped(Skipped),
    Punch(Setting, Punch),
}

/// One number that a trial measured.
#[derive(Debug, PartialEq)]
pub(crate) struct Figure {
    pub(crate) contestant: &'static str,
    pub(crate) load: Load,
    pub(crate) quantity: Quantity,
    pub(crate) value: f64,
}

/// A trial that measured nothing, and the reason.
#[derive(Debug, PartialEq)]
pub(crate) struct Skipped {
    pub(crate) contestant: &'static str,
    pub(crate) load: Load,
    pub(crate) why: String,
}

impl Line {
    /// Writes the line to stdout, for [`Line::parse`].
    pub(crate) fn print(&self) -> Result<()> {
        let mut stdout = io::stdout().lock();
        match self {
            Line::Figure(figure) => writeln!(
                stdout,
                "figure\t{}\t{}\t{}\t{}",
                figure.contestant,
                figure.load,
                figure.quantity.name(),
                figure.value
            )?,
            Line::Skipped(skipped) => writeln!(
                stdout,
                "skipped\t{}\t{}\t{}",
                skipped.contestant, skipped.load, skipped.why
            )?,
            Line::Punch(setting, punch) => {
                let seconds = punch.seconds.unwrap_or(f64::INFINITY);
                writeln!(stdout, "punch\t{setting}\t{seconds}\t{}", punch.dials)?;
            }
        }
        Ok(stdout.flush()?)
    }

    /// Reads a line that [`Line::print`] wrote. Returns None if it is not such a line.
    pub(crate) fn parse(line: &str) -> Option<Line> {
        let words: Vec<&str> = line.split('\t').collect();
        Some(match words.as_slice() {
            ["figure", contestant, load, quantity, value] => Line::Figure(Figure {
                contestant: Contestant::named(contestant).ok()?.name,
                load: Load::named(load)?,
                quantity: Quantity::named(quantity)?,
                value: value.parse().ok()?,
            }),
            ["skipped", contestant, load, why @ ..] => Line::Skipped(Skipped {
                contestant: Contestant::named(contestant).ok()?.name,
                load: Load::named(load)?,
                why: why.join(" "),
            }),
            ["punch", setting, seconds, dials] => Line::Punch(
                Setting::named(setting)?,
                Punch {
                    seconds: Some(seconds.parse().ok()?)
                        .filter(|seconds: &f64| seconds.is_finite()),
                    dials: dials.parse().ok()?,
                },
            ),
            _ => return None,
        })
    }
}

/// The line as progress for a person who waits.
impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Line::Figure(figure) => {
                write!(f, "{}, {}: ", figure.load, figure.contestant)?;
                match (figure.load, figure.quantity) {
                    (Load::Bulk { .. }, Quantity::Rate) => {
                        write!(f, "{:.2} GB/s", figure.value * 1e-9)
                    }
                    (_, quantity) => write!(f, "{} {:.3}", quantity.name(), figure.value),
                }
            }
            Line::Skipped(Skipped {
                contestant,
                load,
                why,
            }) => write!(f, "{load}, {contestant}: skipped: {why}"),
            Line::Punch(setting, punch) => match punch.seconds {
                Some(seconds) => {
                    write!(f, "4way, {setting}: {seconds:.3} s, dials {}", punch.dials)
                }
                None => write!(f, "4way, {setting}: never, dials {}", punch.dials),
            },
        }
    }
}
