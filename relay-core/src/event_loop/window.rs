//! The bytes of a link between the socket and the parser.

use crate::limits::LINK_READ_BYTES;

/// A buffer that is filled at its end and used up from its front. It serves one link at a time: what a link could not use
/// up in its turn is kept with the link ([`Window::save`]), which happens only while its far end is blocked.
#[derive(Debug)]
pub struct Window {
    bytes: Box<[u8]>,
    start: usize,
    end: usize,
}

impl Default for Window {
    fn default() -> Self {
        Self {
            bytes: vec![0; LINK_READ_BYTES].into(),
            start: 0,
            end: 0,
        }
    }
}

impl Window {
    /// Takes over what was kept with a link.
    pub fn load(&mut self, kept: Option<Box<[u8]>>) {
        (self.start, self.end) = (0, 0);
        if let Some(kept) = kept {
            self.end = kept.len();
            self.bytes[..kept.len()].copy_from_slice(&kept);
        }
    }

    /// What is left, to be kept with the link.
    pub fn save(&mut self) -> Option<Box<[u8]>> {
        let left = (self.start < self.end).then(|| self.bytes[self.start..self.end].into());
        (self.start, self.end) = (0, 0);
        left
    }

    /// The bytes that were read and not used.
    pub fn unused(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// Takes `count` bytes off the front.
    pub fn advance(&mut self, count: usize) -> &[u8] {
        let start = self.start;
        self.start += count;
        debug_assert!(self.start <= self.end);
        &self.bytes[start..self.start]
    }

    /// Room for at most `max` bytes behind the unused ones.
    pub fn room(&mut self, max: usize) -> &mut [u8] {
        if self.start > 0 {
            self.bytes.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        let end = self.bytes.len().min(self.end.saturating_add(max));
        &mut self.bytes[self.end..end]
    }

    /// `count` bytes were read into the room.
    pub fn grow(&mut self, count: usize) {
        self.end += count;
        debug_assert!(self.end <= self.bytes.len());
    }
}
