//! Every limit of the relay, with its unit, in one place. Each that a user can meet stands in a man page too.

use std::time::Duration;

/// Bytes of a link frame's header: type (1) and length (3).
pub const FRAME_HEADER_BYTES: usize = 4;
/// Bytes of a control frame's payload at most.
pub const CONTROL_BYTES_MAX: usize = 4096;
/// Bytes of a DATA frame's payload at most.
pub const DATA_BYTES_MAX: usize = 1 << 20;
/// Services that one HELLO may announce.
pub const SERVICES_MAX: usize = 64;
/// Bytes of a reason's text in REFUSED and ERROR at most.
pub const REASON_TEXT_BYTES_MAX: usize = 200;

/// How long the outside node waits for HELLO, and the inside node for WELCOME.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// The shortest heartbeat that two nodes agree on.
pub const HEARTBEAT_MIN: Duration = Duration::from_secs(1);
/// The longest heartbeat that two nodes agree on.
pub const HEARTBEAT_MAX: Duration = Duration::from_secs(3600);
/// If bytes of a link arrived within this time, it counts as up. Otherwise it is probed, and has this time to answer.
pub const LINK_WARM: Duration = Duration::from_secs(2);
/// How long a link has to become idle after an ABORT or REFUSED.
pub const ABORT_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a link stays for the end of file that follows BYE.
pub const BYE_TIMEOUT: Duration = Duration::from_secs(2);
/// Bytes of payload that are dropped at most before a link becomes idle after an ABORT or REFUSED.
pub const ABORT_DROPPED_BYTES_MAX: u32 = 1 << 20;
/// Window probes that may go unanswered before a link that is not read is called dead.
pub const WINDOW_PROBES_MAX: u8 = 2;
/// After ERROR was sent: how long, and how many bytes, are read and dropped so that the peer reads it before the reset.
pub const ERROR_LINGER: Duration = Duration::from_secs(1);
/// See [`ERROR_LINGER`].
pub const ERROR_DROPPED_BYTES_MAX: usize = 64 * 1024;

/// Bytes of a client that are sent, and kept, before the server has accepted.
pub const KEPT_BYTES_MAX: usize = 16 * 1024;
/// How long OPENED waits for payload to travel with.
pub const OPENED_DELAY: Duration = Duration::from_millis(5);
/// Bytes read from a link at once, and so the most that is kept of it while the far end is blocked.
pub const LINK_READ_BYTES: usize = 16 * 1024;
/// Bytes copied at once where nothing is framed; with a frame's header they fill whole records of a keyed link.
pub const COPY_BYTES: usize = TLS_BATCH_BYTES - FRAME_HEADER_BYTES;
/// A read of at least this many bytes says that the direction carries bulk, and the next one is spliced.
pub const BULK_BYTES_MIN: usize = 16 * 1024;
/// A splice of fewer bytes than this says that the direction no longer carries bulk.
pub const SPLICE_BYTES_MIN: usize = 4096;
/// Bytes of a pipe, where the system allows it.
pub const PIPE_BYTES: usize = 1 << 20;
/// Empty pipes that the pool keeps for the next bulk transfer.
pub const PIPES_KEPT_MAX: usize = 16;
/// Pipes in use at once; a direction that gets none copies.
pub const PIPES_MAX: usize = 512;
/// Bytes that one direction may move before others have their turn: two pipes full.
pub const SHARE_BYTES_MAX: usize = 2 << 20;
/// The same where many wait.
pub const SHARE_BYTES_MIN: usize = 256 * 1024;
/// Between the two, this number of bytes is divided among the ready entries.
pub const TURN_BYTES: usize = 16 << 20;
/// The same while messages pass beside bulk: some 25 µs of splicing, which is what a message waits for.
pub const SHARE_BYTES_BESIDE_MESSAGES: usize = 128 * 1024;
/// So long after the last message, none pass.
pub const MESSAGES_OVER: Duration = Duration::from_millis(10);
/// A turn of the loop that moves this number of bytes moves bulk.
pub const BULK_TURN_BYTES_MIN: u64 = 64 * 1024;
/// So long after the last such turn, it is over.
pub const BULK_OVER: Duration = Duration::from_secs(1);
/// Clients or links accepted from one listener before others have their turn.
pub const ACCEPTS_PER_TURN: usize = 64;

/// How long a client that comes through a proxy may take to send its PROXY header.
pub const PROXY_HEADER_TIMEOUT: Duration = Duration::from_secs(3);

/// Keepalive on the sockets of clients and servers: quiet time before the first probe, between probes, and their number.
pub const KEEPALIVE_IDLE: Duration = Duration::from_secs(300);
/// See [`KEEPALIVE_IDLE`].
pub const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);
/// See [`KEEPALIVE_IDLE`].
pub const KEEPALIVE_PROBES: u32 = 4;
/// Connections that the kernel holds for a listener until they are accepted (cut by net.core.somaxconn).
pub const BACKLOG: i32 = 4096;

/// RFC 8305 §5, Connection Attempt Delay: the head start of each address over the next.
pub const ATTEMPT_DELAY: Duration = Duration::from_millis(250);
/// The pause before a Unix socket whose backlog is full is tried again.
pub const UNIX_RETRY: Duration = Duration::from_millis(20);
/// If a 4way dial is not answered for this long, the log says that it waits.
pub const FOUR_WAY_SILENCE: Duration = Duration::from_millis(1500);
/// If a 4way dial has not met the peer's for this long, a warning is logged. Each further warning comes after twice the time.
pub const FOUR_WAY_WARNING_MIN: Duration = Duration::from_secs(30);
/// See [`FOUR_WAY_WARNING_MIN`].
pub const FOUR_WAY_WARNING_MAX: Duration = Duration::from_secs(3600);
/// A 4way connection is trusted when no reset has come for this time and one and a half round trips.
pub const FOUR_WAY_PROOF: Duration = Duration::from_millis(2);
/// The name of a 4way address is looked up anew after this time: it may mean another address by then.
pub const FOUR_WAY_NAME_FRESH: Duration = Duration::from_secs(300);
/// The loop wakes this long before a tick, because epoll counts in milliseconds and the loop rounds up.
pub const FOUR_WAY_LEAD: Duration = Duration::from_micros(2500);
/// Addresses of one name that are tried.
pub const ADDRESSES_MAX: usize = 32;
/// The age up to which an answer counts as new.
pub const LOOKUP_FRESH: Duration = Duration::from_secs(2);
/// The age from which the answer of a name in use is looked up again in the background.
pub const LOOKUP_REFRESH: Duration = Duration::from_secs(30);
/// The time for which the name server has to say that a name does not exist before its last good answer is dropped.
pub const NAME_MISSING_FOR: Duration = Duration::from_secs(60);
/// Dials that wait for the first answer of one name.
pub const NAME_REQUESTERS_MAX: usize = 10_000;
/// Threads that resolve names. One lookup per name is in flight, so up to this number of names no name waits for another.
pub const RESOLVERS_MAX: usize = 256;

/// Bytes of the head of a proxy's HTTP answer at most, interim answers included.
pub const HTTP_HEAD_BYTES_MAX: usize = 64 * 1024;
/// Fields of the head of a proxy's HTTP answer at most.
pub const HTTP_FIELDS_MAX: usize = 128;
/// Proxies of a chain at most.
pub const PROXIES_MAX: usize = 8;

/// The longest pause before a request to a proxy that does not listen is repeated.
pub const BIND_PAUSE_MAX: Duration = Duration::from_secs(2);

/// The first pause of accepting when descriptors or memory ran out; it doubles up to [`ACCEPT_PAUSE_MAX`].
pub const ACCEPT_PAUSE_MIN: Duration = Duration::from_millis(100);
/// See [`ACCEPT_PAUSE_MIN`].
pub const ACCEPT_PAUSE_MAX: Duration = Duration::from_secs(1);

/// If descriptors or memory run out this long after the last time, a new warning is logged.
pub const SHORTAGE_OVER: Duration = Duration::from_secs(10);

/// The first pause after a failed dial of a link; it doubles up to `--interval`.
pub const BACKOFF_MIN: Duration = Duration::from_millis(50);
/// The longest pause where the outside node said that it will not take this node (version, services).
pub const BACKOFF_UNWANTED: Duration = Duration::from_secs(60);
/// A link that lived this long was healthy: the pause starts small again.
pub const LINK_HEALTHY: Duration = Duration::from_secs(5);
/// After a raw link was made, how long the next dial waits: meanwhile the outside node accepts, and closes its port if nobody
/// else waits. A dial that came before that would be lost, and repeated by the kernel after a second.
pub const RAW_DIAL_PAUSE: Duration = Duration::from_millis(10);
/// Idle links kept at most; beyond it they go back at once.
pub const IDLE_LINKS_MAX: usize = 256;
/// Links dialled at once to one outside node.
pub const LINK_DIALS_MAX: usize = 128;
/// The time over which idle links must have been too many before the surplus goes back.
pub const SURPLUS_WINDOW: Duration = Duration::from_secs(60);
/// Links of one inside node that the outside node takes, beyond its `--max-sessions`.
pub const LINKS_SPARE: usize = 2 * IDLE_LINKS_MAX;
/// While LINK cannot be reached, one warning is logged in this time.
pub const OUTAGE_PERIOD: Duration = Duration::from_secs(60);
/// All unauthenticated links together log one line in this time.
pub const UNAUTHENTICATED_LINKS_PERIOD: Duration = Duration::from_secs(60);
/// Links that have not yet told whose they are, from places without a node.
pub const UNAUTHENTICATED_LINKS_MAX: usize = 128;
/// Of those, from one IPv4 address or one IPv6 network of 48 bits.
pub const UNAUTHENTICATED_LINKS_PER_ORIGIN_MAX: usize = 16;
/// Links that have not yet told whose they are, from places where a node has a link: it may dial so many at once.
pub const UNAUTHENTICATED_LINKS_OF_NODES_MAX: usize = 1024;

/// The first time for which a node that refused is passed over while another can serve; it doubles up to [`PASS_OVER_MAX`].
pub const PASS_OVER_MIN: Duration = Duration::from_secs(1);
/// See [`PASS_OVER_MIN`].
pub const PASS_OVER_MAX: Duration = Duration::from_secs(30);

/// Bytes of a key at least.
pub const KEY_BYTES_MIN: usize = 32;
/// Keys in a key file.
pub const KEYS_MAX: usize = 2;
/// Bytes of a key file.
pub const KEY_FILE_BYTES_MAX: usize = 16 * 1024;
/// Bytes that a keyed link encrypts or decrypts at once: four full records.
pub const TLS_BATCH_BYTES: usize = 64 * 1024;
/// Handshakes of keyed links that go on in one turn of the loop. A step of one computes for a tenth of a millisecond.
pub const HANDSHAKES_PER_TURN: usize = 8;
/// Reads of a keyed link that may bring records and no bytes, one after the other.
pub const TLS_FRUITLESS_READS_MAX: usize = 64;

/// TCP ports on a command line beyond which the sandbox lets any be dialled: the list would cost more than it is worth.
pub const SANDBOX_PORTS_MAX: usize = 1024;

/// Descriptors that are neither sessions nor links: standard ones, epoll, signals, listeners, some pipes, the resolver's sockets.
pub const DESCRIPTORS_SPARE: usize = 64;

const _: () = {
    assert!(
        DATA_BYTES_MAX < 1 << 24,
        "the length of a frame has 24 bits"
    );
    assert!(
        PIPE_BYTES <= DATA_BYTES_MAX,
        "what one splice takes fits in one frame"
    );
    assert!(
        CONTROL_BYTES_MAX + FRAME_HEADER_BYTES <= LINK_READ_BYTES,
        "a control frame can be read whole"
    );
    assert!(
        UNAUTHENTICATED_LINKS_OF_NODES_MAX >= LINK_DIALS_MAX,
        "what a node dials at once is let in"
    );
    assert!(LINK_READ_BYTES <= COPY_BYTES, "one buffer serves both");
};
/// Ports in the list of one name: the place in the list has 16 bits in a frame.
pub const SERVICE_PORTS_MAX: usize = 65_535;
