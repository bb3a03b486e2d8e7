//! A long way through a short network: each packet waits in this process for a while.
//!
//! The kernel that tests run on may lack the queueing discipline that delays packets (netem), so the way leads through
//! a tun device. A read of the device returns a packet that was routed to it; what is written to it arrives there. All
//! packets wait equally long, so they form one queue and keep their order.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, PipeWriter, Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, ppoll};

use super::Namespace;

/// A tun device, and the thread that passes on what comes.
pub(super) struct SlowPath {
    /// The thread ends when this is closed.
    stop: Option<PipeWriter>,
    thread: Option<JoinHandle<()>>,
}

struct Packet {
    due: Instant,
    bytes: Vec<u8>,
}

impl SlowPath {
    /// Adds the device [`DEVICE`] to `network`, which returns each packet after `delay`. It is gone with this value.
    pub(super) fn new(network: &Namespace, delay: Duration) -> io::Result<SlowPath> {
        // The device is of the network of the thread that opens the file.
        let device = network.run(open_device)?;
        let (stopped, stop) = io::pipe()?;
        let thread = thread::spawn(move || {
            let mut waiting = VecDeque::new();
            loop {
                let until_due = waiting
                    .front()
                    .map(|packet: &Packet| packet.due.saturating_duration_since(Instant::now()));
                let mut wanted = [
                    PollFd::new(device.as_fd(), PollFlags::POLLIN),
                    PollFd::new(stopped.as_fd(), PollFlags::POLLIN),
                ];
                ppoll(&mut wanted, until_due.map(Into::into), None)
                    .expect("descriptors can be polled");
                if wanted[1].any() == Some(true) {
                    return;
                }
                take_what_came(&device, delay, &mut waiting);
                pass_on_what_is_due(&device, &mut waiting);
            }
        });
        Ok(SlowPath {
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for SlowPath {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has reported it.
            let _ = thread.join();
        }
    }
}

fn take_what_came(mut device: &File, delay: Duration, waiting: &mut VecDeque<Packet>) {
    let mut buffer = [0; PACKET_MAX];
    loop {
        match device.read(&mut buffer) {
            Ok(length) => waiting.push_back(Packet {
                due: Instant::now() + delay,
                bytes: buffer[..length].to_vec(),
            }),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return,
            Err(error) => panic!("{DEVICE}: {error}"),
        }
    }
}

fn pass_on_what_is_due(mut device: &File, waiting: &mut VecDeque<Packet>) {
    while waiting
        .front()
        .is_some_and(|packet| packet.due <= Instant::now())
    {
        if let Some(packet) = waiting.pop_front() {
            // A network may lose packets.
            let _ = device.write(&packet.bytes);
        }
    }
}

/// Opens a new tun device.
#[allow(
    unsafe_code,
    reason = "a device is made by an ioctl that takes a structure"
)]
fn open_device() -> io::Result<File> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NONBLOCK)
        .open("/dev/net/tun")?;
    let mut request = Request {
        name: [0; libc::IFNAMSIZ],
        flags: (libc::IFF_TUN | libc::IFF_NO_PI) as libc::c_short,
        _rest: [0; REQUEST_REST],
    };
    request.name[..DEVICE.len()].copy_from_slice(DEVICE.as_bytes());
    // SAFETY: the structure is as large as the kernel's `struct ifreq` and lives through the call.
    unsafe { set_interface(file.as_raw_fd(), (&raw const request).cast()) }?;
    Ok(file)
}

/// The kernel's `struct ifreq`, of which TUNSETIFF reads the name and the flags.
#[repr(C)]
struct Request {
    name: [u8; libc::IFNAMSIZ],
    flags: libc::c_short,
    _rest: [u8; REQUEST_REST],
}

// TUNSETIFF, which the kernel declares with an int though it takes a `struct ifreq`.
nix::ioctl_write_ptr_bad!(set_interface, libc::TUNSETIFF, libc::ifreq);

/// The name of the device.
pub(super) const DEVICE: &str = "slow";

/// The size of `struct ifreq` less the name and the flags.
const REQUEST_REST: usize = size_of::<libc::ifreq>() - libc::IFNAMSIZ - size_of::<libc::c_short>();

/// The largest packet of IPv4; those of veth and tun devices are of 1500 bytes.
const PACKET_MAX: usize = 65535;
