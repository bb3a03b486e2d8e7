//! Clients and servers: each says its bytes, hears the other's, and notices when one is lost, doubled or out of place.

use std::time::Instant;

use crate::network::{Dial, Network, Read, Socket};

/// One end of a conversation. What it says begins with its key, by which the listener knows all the rest.
#[derive(Debug)]
pub(crate) struct Talker {
    socket: Socket,
    key: u32,
    habits: Habits,
    said: usize,
    heard: Heard,
    shut: bool,
    pub(crate) outcome: Outcome,
}

/// How a talker behaves.
#[derive(Clone, Debug)]
pub(crate) struct Habits {
    /// Bytes that it says.
    pub(crate) says: usize,
    /// Only when the other has ended.
    pub(crate) answers: bool,
    /// Its end of file follows the other's.
    pub(crate) ends_last: bool,
    /// Its end of file waits until then.
    pub(crate) ends_after: Instant,
    /// It does not read until then.
    pub(crate) reads_after: Instant,
    /// It resets the connection then.
    pub(crate) resets_at: Option<Instant>,
}

/// What was heard of the other.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    pub(crate) bytes: usize,
    key: [u8; 4],
    pub(crate) eof: bool,
}

/// How it ended for this end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Talking,
    /// Both directions by end of file.
    Complete,
    /// By the other, or by what is between.
    Reset,
    /// By itself.
    Left,
}

impl Talker {
    pub(crate) fn new(socket: Socket, key: u32, habits: Habits) -> Self {
        let heard = Heard::default();
        Self {
            socket,
            key,
            habits,
            said: 0,
            heard,
            shut: false,
            outcome: Outcome::Talking,
        }
    }

    pub(crate) fn turn(&mut self, net: &mut Network) {
        if self.outcome != Outcome::Talking {
            return;
        }
        match net.dial_state(self.socket) {
            Dial::Connected => {}
            Dial::Pending => return,
            Dial::Failed => {
                self.outcome = Outcome::Reset;
                return;
            }
        }
        if self.habits.resets_at.is_some_and(|at| at <= net.now) {
            net.reset(self.socket);
            self.outcome = Outcome::Left;
            return;
        }
        if self.listen(net).is_none() || self.talk(net).is_none() {
            net.reset(self.socket);
            self.outcome = Outcome::Reset;
        } else if self.shut && self.heard.eof {
            net.close(self.socket);
            self.outcome = Outcome::Complete;
        }
    }

    pub(crate) fn poll_timeout(&self, now: Instant) -> Option<Instant> {
        if self.outcome != Outcome::Talking {
            return None;
        }
        let Habits {
            ends_after,
            reads_after,
            resets_at,
            ..
        } = self.habits;
        [Some(ends_after), Some(reads_after), resets_at]
            .into_iter()
            .flatten()
            .filter(|&at| at > now)
            .min()
    }

    pub(crate) fn heard(&self) -> &Heard {
        &self.heard
    }

    /// The key of the other, if enough was heard.
    pub(crate) fn other(&self) -> Option<u32> {
        (self.heard.bytes >= 4).then(|| u32::from_le_bytes(self.heard.key))
    }

    /// Whether it has said all, and its end of file.
    pub(crate) fn has_ended(&self) -> bool {
        self.shut && self.said == self.habits.says
    }

    pub(crate) fn says(&self) -> usize {
        self.habits.says
    }

    fn listen(&mut self, net: &mut Network) -> Option<()> {
        let mut bytes = Vec::new();
        while net.now >= self.habits.reads_after && !self.heard.eof {
            match net.read(self.socket, 64 * 1024, &mut bytes) {
                Read::Bytes(_) => {}
                Read::WouldBlock => break,
                Read::Eof => self.heard.eof = true,
                Read::Reset => return None,
            }
        }
        self.heard.take(&bytes);
        (!net.is_reset(self.socket)).then_some(())
    }

    fn talk(&mut self, net: &mut Network) -> Option<()> {
        if self.shut || (self.habits.answers && !self.heard.eof) {
            return Some(());
        }
        while self.said < self.habits.says {
            let end = self.habits.says.min(self.said + 8 * 1024);
            let bytes: Vec<u8> = (self.said..end).map(|at| byte(self.key, at)).collect();
            let count = net.write(self.socket, &bytes)?;
            if count == 0 {
                return Some(());
            }
            self.said += count;
        }
        if net.now >= self.habits.ends_after && (!self.habits.ends_last || self.heard.eof) {
            net.shutdown_write(self.socket);
            self.shut = true;
        }
        Some(())
    }
}

impl Heard {
    fn take(&mut self, bytes: &[u8]) {
        for &heard in bytes {
            if let Some(key) = self.key.get_mut(self.bytes) {
                *key = heard;
            } else {
                let key = u32::from_le_bytes(self.key);
                assert_eq!(
                    heard,
                    byte(key, self.bytes),
                    "byte {} of talker {key}",
                    self.bytes
                );
            }
            self.bytes += 1;
        }
    }
}

/// What the talker says at that place.
fn byte(key: u32, at: usize) -> u8 {
    match key.to_le_bytes().get(at) {
        Some(&byte) => byte,
        None => {
            let mixed = (at as u32 ^ key.wrapping_mul(0x9e37_79b9)).wrapping_mul(0x85eb_ca6b);
            (mixed >> 24) as u8
        }
    }
}
