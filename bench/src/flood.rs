//! The two ends of a bulk stream: one thread that sends and one that receives, as fast as they can.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicU64, Ordering};

/// Sends until the connection ends.
pub(crate) fn flood(mut stream: &TcpStream) {
    let bytes = vec![0; SEND_BYTES];
    while stream.write_all(&bytes).is_ok() {}
}

/// Receives until the connection ends and adds the number of bytes to `received`.
///
/// It reads the bytes as an ordinary receiver does. With MSG_TRUNC the kernel would drop them, and the thread would sleep
/// and wake for each segment; that would be measured instead.
pub(crate) fn drain(mut stream: &TcpStream, received: &AtomicU64) {
    let mut buffer = vec![0; RECEIVE_BYTES];
    while let Ok(count @ 1..) = stream.read(&mut buffer) {
        received.fetch_add(count as u64, Ordering::Relaxed);
    }
}

/// Bytes of one write(2). They fit in the cache.
const SEND_BYTES: usize = 256 * 1024;

/// The most bytes of one read(2). They fit in the cache.
const RECEIVE_BYTES: usize = 256 * 1024;
