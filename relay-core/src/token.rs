//! What an epoll token means. The bits are known here only.

use mio::Token;

/// What an event belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// An entry's socket.
    Entry(Key, Slot),
    /// A listener, by its place in the list.
    Listener(u32),
    /// A socket of a listener that a proxy keeps, by its place in the list.
    Bind(u32, Key, Slot),
    /// The signal descriptor.
    Signals,
    /// The helper threads have an answer.
    Resolver,
}

/// Names an entry for as long as it lives: the generation keeps a stale name from reaching the next entry in the same place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// Place in the slab.
    pub index: u32,
    /// Cut to [`GENERATION_BITS`].
    pub generation: u32,
}

impl Key {
    /// Names what a listener has registered that a proxy keeps, by its place in the list.
    pub fn of_bind(at: u32) -> Self {
        Self {
            index: BINDS_FROM | at,
            generation: 0,
        }
    }

    /// The place in the list of listeners, if it is such a name.
    pub fn bind(self) -> Option<u32> {
        (self.index >= BINDS_FROM).then_some(self.index & !BINDS_FROM)
    }
}

/// Which of an entry's descriptors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot(pub u8);

impl Slot {
    /// The left end: the client, or the link.
    pub const LEFT: Self = Self(0);
    /// The right end: the server, or the plain end that shares the entry with the link.
    pub const RIGHT: Self = Self(1);
    /// The write half of the left end, where that is a descriptor of its own.
    pub const LEFT_WRITE: Self = Self(2);
    /// The write half of the right end.
    pub const RIGHT_WRITE: Self = Self(3);
    /// The first of the slots for further attempts of a dial; the first attempt has the end's own slot.
    pub const ATTEMPT: Self = Self(4);
    /// Attempts that can run at once beside the first.
    pub const ATTEMPTS: u8 = (1 << SLOT_BITS) - Self::ATTEMPT.0;

    /// The slot of the same end's write half.
    pub fn write_half(self) -> Self {
        Self(self.0 + 2)
    }
}

const INDEX_BITS: u32 = 32;
/// No slab has so many entries: the upper half of the indexes is for listeners that a proxy keeps.
const BINDS_FROM: u32 = 1 << 31;
/// Bits of a generation that a token has room for.
pub const GENERATION_BITS: u32 = 26;
const SLOT_BITS: u32 = 4;
const KIND_SHIFT: u32 = INDEX_BITS + GENERATION_BITS + SLOT_BITS;

const KIND_ENTRY: usize = 0;
const KIND_LISTENER: usize = 1;
const KIND_OTHER: usize = 2;

const _: () = assert!(KIND_SHIFT + 2 == usize::BITS, "a token is 64 bits");

/// The token for a source.
pub fn token(source: Source) -> Token {
    Token(match source {
        Source::Entry(key, slot) | Source::Bind(_, key, slot) => {
            KIND_ENTRY << KIND_SHIFT
                | usize::from(slot.0) << (INDEX_BITS + GENERATION_BITS)
                | (key.generation as usize) << INDEX_BITS
                | key.index as usize
        }
        Source::Listener(at) => KIND_LISTENER << KIND_SHIFT | at as usize,
        Source::Signals => KIND_OTHER << KIND_SHIFT,
        Source::Resolver => KIND_OTHER << KIND_SHIFT | 1,
    })
}

/// The source of a token that [`token`] made.
pub fn source(token: Token) -> Source {
    let bits = token.0;
    let low = (bits & ((1 << INDEX_BITS) - 1)) as u32;
    match bits >> KIND_SHIFT {
        KIND_ENTRY => {
            let generation = (bits >> INDEX_BITS & ((1 << GENERATION_BITS) - 1)) as u32;
            let slot = (bits >> (INDEX_BITS + GENERATION_BITS) & ((1 << SLOT_BITS) - 1)) as u8;
            let key = Key {
                index: low,
                generation,
            };
            match key.bind() {
                Some(at) => Source::Bind(at, key, Slot(slot)),
                None => Source::Entry(key, Slot(slot)),
            }
        }
        KIND_LISTENER => Source::Listener(low),
        _ if low == 0 => Source::Signals,
        _ => Source::Resolver,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_token_means_the_source_it_was_made_for(index in 0..BINDS_FROM, generation in 0..1_u32 << GENERATION_BITS, slot in 0..1_u8 << SLOT_BITS) {
            let entry = Source::Entry(Key { index, generation }, Slot(slot));
            let bind = Source::Bind(index, Key { generation, ..Key::of_bind(index) }, Slot(slot));
            for known in [entry, bind, Source::Listener(index), Source::Signals, Source::Resolver] {
                prop_assert_eq!(source(token(known)), known);
            }
        }
    }
}
