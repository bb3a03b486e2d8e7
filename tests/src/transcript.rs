//! The output of a program, recorded while it runs, so that a test can wait for a line of it.

use std::io::Read;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

use crate::timeouts::TIMEOUT;

/// A growing record of one output of a program.
#[derive(Clone)]
pub struct Transcript(Arc<Record>);

struct Record {
    written: Mutex<Written>,
    grew: Condvar,
}

#[derive(Default)]
struct Written {
    bytes: Vec<u8>,
    ended: bool,
}

impl Transcript {
    /// Records `output` until its end, on a thread of its own; of no output, nothing.
    pub(crate) fn of(output: Option<impl Read + Send + 'static>) -> Transcript {
        let written = Written {
            bytes: Vec::new(),
            ended: output.is_none(),
        };
        let transcript = Transcript(Arc::new(Record {
            written: Mutex::new(written),
            grew: Condvar::new(),
        }));
        if let Some(output) = output {
            let record = transcript.clone();
            thread::spawn(move || record.follow(output));
        }
        transcript
    }

    /// All that was written so far.
    pub fn bytes(&self) -> Vec<u8> {
        self.written().bytes.clone()
    }

    /// All that was written so far, as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.written().bytes).into_owned()
    }

    /// How many lines hold `needle` so far.
    pub fn count(&self, needle: &str) -> usize {
        self.text()
            .lines()
            .filter(|line| line.contains(needle))
            .count()
    }

    /// Waits for a complete line that holds `needle`, and returns it.
    pub fn wait_for(&self, needle: &str) -> String {
        self.wait_for_number(needle, 1)
    }

    /// Waits for the `number`th complete line that holds `needle`, counted from 1, and returns it.
    pub fn wait_for_number(&self, needle: &str, number: usize) -> String {
        let found = |written: &Written| {
            let text = String::from_utf8_lossy(&written.bytes);
            let complete = text
                .split_inclusive('\n')
                .filter(|line| line.ends_with('\n'));
            complete
                .filter(|line| line.contains(needle))
                .nth(number - 1)
                .map(|line| line.trim_end().to_owned())
        };
        self.wait(&format!("a line with {needle:?}"), found)
    }

    /// Waits until the program has closed this output, and returns all it wrote.
    pub fn wait_for_end(&self) -> Vec<u8> {
        self.wait("its end", |written| {
            written.ended.then(|| written.bytes.clone())
        })
    }

    fn wait<T>(&self, what: &str, found: impl Fn(&Written) -> Option<T>) -> T {
        let deadline = Instant::now() + TIMEOUT;
        let mut written = self.written();
        loop {
            if let Some(found) = found(&written) {
                return found;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let so_far = String::from_utf8_lossy(&written.bytes);
            assert!(
                !written.ended,
                "no {what} came before the end of:\n{so_far}"
            );
            assert!(
                !left.is_zero(),
                "{what} did not come within {TIMEOUT:?} in:\n{so_far}"
            );
            let woken = self.0.grew.wait_timeout(written, left);
            written = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn follow(&self, mut output: impl Read) {
        let mut buffer = [0; 64 * 1024];
        loop {
            let length = output.read(&mut buffer).unwrap_or(0);
            let mut written = self.written();
            written.bytes.extend_from_slice(&buffer[..length]);
            written.ended = length == 0;
            self.0.grew.notify_all();
            if written.ended {
                return;
            }
        }
    }

    fn written(&self) -> MutexGuard<'_, Written> {
        // A test that fails while it waits poisons the lock, but the record is still correct.
        self.0
            .written
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
