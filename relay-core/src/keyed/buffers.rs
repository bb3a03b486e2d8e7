//! The buffers of a thread in which records are encrypted and decrypted, and how large they are.

use std::cell::RefCell;

use crate::limits::TLS_BATCH_BYTES;

/// The work of one call; lives in the thread.
pub(super) struct Scratch {
    pub(super) input: Box<[u8]>,
    pub(super) output: Box<[u8]>,
    /// The first record of what is sent, where that comes in two parts.
    pub(super) first: Box<[u8]>,
}

/// RFC 8446 §5.1 and §5.2: plaintext in a record; header, type and tag around it; and what a record may add at most.
pub(super) const RECORD_PAYLOAD: usize = 1 << 14;

pub(super) const RECORD_OVERHEAD: usize = 5 + 1 + 16;

pub(super) const RECORD_BYTES_MAX: usize = 5 + RECORD_PAYLOAD + 256;

pub(super) const INPUT_BYTES: usize =
    TLS_BATCH_BYTES + TLS_BATCH_BYTES / RECORD_PAYLOAD * RECORD_OVERHEAD;

/// One more record than the batch fills, since its first one may be short, and room for what rustls says of its own accord.
pub(super) const OUTPUT_BYTES: usize = INPUT_BYTES + RECORD_BYTES_MAX;

/// As many bytes of records as hold what the buffer has room for, and at least one whole record.
pub(super) fn read_limit(room: usize) -> usize {
    let records = room.min(TLS_BATCH_BYTES) / RECORD_PAYLOAD;
    (room.min(TLS_BATCH_BYTES) + records * RECORD_OVERHEAD).max(RECORD_BYTES_MAX)
}

thread_local! {
    pub(super) static SCRATCH: RefCell<Scratch> = RefCell::new(Scratch {
        input: vec![0; INPUT_BYTES].into(),
        output: vec![0; OUTPUT_BYTES].into(),
        first: vec![0; RECORD_PAYLOAD].into(),
    });
}

const _: () = assert!(
    INPUT_BYTES >= RECORD_BYTES_MAX && TLS_BATCH_BYTES.is_multiple_of(RECORD_PAYLOAD),
    "a batch is whole records"
);
