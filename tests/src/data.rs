//! Bytes to send, and their comparison.

/// Returns `length` bytes in which no part repeats, so that a lost, doubled or moved block is noticed.
/// Different seeds give different bytes.
pub fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        // xorshift64, Marsaglia 2003: enough to tell blocks apart, and fast without optimisation too.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    let mut bytes: Vec<u8> = (0..length.div_ceil(8)).flat_map(|_| next()).collect();
    bytes.truncate(length);
    bytes
}

/// Fails unless `received` equals `sent`. Reports where they differ instead of printing both.
#[track_caller]
pub fn assert_same(received: &[u8], sent: &[u8]) {
    if received != sent {
        let agreeing = received
            .iter()
            .zip(sent)
            .take_while(|(left, right)| left == right)
            .count();
        panic!(
            "{} bytes were sent and {} received; {agreeing} agree",
            sent.len(),
            received.len()
        );
    }
}

/// Fails unless `sent` begins with `received`.
#[track_caller]
pub fn assert_prefix(received: &[u8], sent: &[u8]) {
    assert!(
        received.len() <= sent.len(),
        "{} bytes were sent and {} received",
        sent.len(),
        received.len()
    );
    assert_same(received, &sent[..received.len()]);
}

/// A mebibyte.
pub const MIB: usize = 1 << 20;
