//! TCP between processes, as far as a relay can tell: connections of some latency and window, cut at random, that end in
//! order, are reset, or fall silent.
//!
//! Bytes on a connection arrive in order. A reset overtakes nothing, but what the reader has not read when it arrives may be
//! lost, as in the kernel.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque};
use std::time::{Duration, Instant};

/// A process of the simulated world.
pub(crate) type Process = usize;
/// One end of a connection.
pub(crate) type Socket = usize;
/// Where a process can be reached.
pub(crate) type Address = u32;

/// The wires, and everything that is on them.
#[derive(Debug)]
pub(crate) struct Network {
    pub(crate) now: Instant,
    rng: fastrand::Rng,
    sockets: Vec<End>,
    listeners: BTreeMap<Address, Listener>,
    /// What will happen, by time; the number, which is its place below, keeps the order of what happens at once.
    agenda: BinaryHeap<Reverse<(Instant, usize)>>,
    happenings: Vec<LinkEvent>,
    latency_max: Duration,
    window: usize,
}

#[derive(Debug)]
struct End {
    owner: Process,
    peer: Socket,
    latency: Duration,
    state: State,
    /// Bytes that can be read.
    incoming: VecDeque<u8>,
    /// The peer's end of file is behind them.
    eof: bool,
    /// Bytes that the peer may still send.
    window: usize,
    shut: bool,
    /// Nothing passes any more, and nobody is told.
    silent: bool,
    heard: Instant,
    /// Since when something that was sent is not acknowledged.
    unacknowledged: Option<Instant>,
    /// The owner is woken when it can write again.
    writer_waits: bool,
    /// Something happened here since the owner last asked.
    changed: bool,
    /// What the dialler says the connection is for.
    label: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Connecting,
    Open,
    Refused,
    Reset,
    Closed,
}

#[derive(Debug)]
struct Listener {
    owner: Process,
    accepted: VecDeque<Socket>,
    mode: ListenMode,
    /// When it was dialled.
    dials: Vec<Instant>,
}

/// What a dial of an address meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ListenMode {
    Accept,
    Refuse,
    Silence,
}

#[derive(Debug)]
enum LinkEvent {
    Wake(Process),
    Dialled(Socket, Address),
    Bytes(Socket, Vec<u8>),
    Eof(Socket),
    Reset(Socket),
    Opened(Socket),
    Refused(Socket),
    Acknowledged(Socket),
    Writable(Socket),
}

/// What a reader finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Read {
    Bytes(usize),
    WouldBlock,
    Eof,
    Reset,
}

/// How a dial stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dial {
    Pending,
    Connected,
    Failed,
}

impl Network {
    pub(crate) fn new(
        now: Instant,
        rng: fastrand::Rng,
        latency_max: Duration,
        window: usize,
    ) -> Self {
        Self {
            now,
            rng,
            sockets: Vec::new(),
            listeners: BTreeMap::new(),
            agenda: BinaryHeap::new(),
            happenings: Vec::new(),
            latency_max,
            window,
        }
    }

    /// The next moment at which something happens, if that is before `end`; and the processes that notice.
    pub(crate) fn advance(&mut self, end: Instant, noticed: &mut BTreeSet<Process>) -> bool {
        let Some(&Reverse((at, _))) = self.agenda.peek() else {
            return false;
        };
        if at >= end {
            return false;
        }
        self.now = at;
        while let Some(&Reverse((next, event))) = self.agenda.peek()
            && next == at
        {
            self.agenda.pop();
            let event = std::mem::replace(&mut self.happenings[event], LinkEvent::Wake(NOBODY));
            noticed.extend(self.happen(event));
        }
        true
    }

    /// Wakes the process at that time.
    pub(crate) fn wake_at(&mut self, process: Process, at: Instant) {
        self.schedule(at.max(self.now), LinkEvent::Wake(process));
    }

    /// The process accepts at the address, until it dies.
    pub(crate) fn listen(&mut self, owner: Process, address: Address) {
        let dials = self
            .listeners
            .remove(&address)
            .map_or(Vec::new(), |listener| listener.dials);
        let mode = ListenMode::Accept;
        self.listeners.insert(
            address,
            Listener {
                owner,
                accepted: VecDeque::new(),
                mode,
                dials,
            },
        );
    }

    /// What a dial of the address meets from now on.
    pub(crate) fn set_mode(&mut self, address: Address, mode: ListenMode) {
        if let Some(listener) = self.listeners.get_mut(&address) {
            listener.mode = mode;
        }
    }

    /// When the address was dialled.
    pub(crate) fn dials_of(&self, address: Address) -> &[Instant] {
        self.listeners
            .get(&address)
            .map_or(&[], |listener| &listener.dials)
    }

    pub(crate) fn accept(&mut self, address: Address) -> Option<Socket> {
        self.listeners.get_mut(&address)?.accepted.pop_front()
    }

    pub(crate) fn dial(&mut self, owner: Process, address: Address, label: u32) -> Socket {
        let latency = self.latency_max.mul_f64(self.rng.f64());
        let socket = self.end(owner, NOBODY, latency, label);
        let at = self.now + latency;
        if let Some(listener) = self.listeners.get_mut(&address) {
            listener.dials.push(self.now);
        }
        self.schedule(at, LinkEvent::Dialled(socket, address));
        socket
    }

    pub(crate) fn dial_state(&self, socket: Socket) -> Dial {
        match self.sockets[socket].state {
            State::Connecting => Dial::Pending,
            State::Open => Dial::Connected,
            State::Refused | State::Reset | State::Closed => Dial::Failed,
        }
    }

    /// Reads at most `max` bytes, and sometimes fewer than there are.
    pub(crate) fn read(&mut self, socket: Socket, max: usize, into: &mut Vec<u8>) -> Read {
        let end = &mut self.sockets[socket];
        if end.state == State::Reset {
            return Read::Reset;
        }
        if end.incoming.is_empty() {
            return if end.eof { Read::Eof } else { Read::WouldBlock };
        }
        let count = cut(&mut self.rng, end.incoming.len().min(max));
        into.extend(end.incoming.drain(..count));
        end.window += count;
        let (peer, at) = (end.peer, self.now + end.latency);
        if std::mem::take(&mut self.sockets[peer].writer_waits) {
            self.schedule(at, LinkEvent::Writable(peer));
        }
        Read::Bytes(count)
    }

    /// Writes some of the bytes; `None` if the connection was reset.
    pub(crate) fn write(&mut self, socket: Socket, bytes: &[u8]) -> Option<usize> {
        let end = &self.sockets[socket];
        if end.state == State::Reset {
            return None;
        }
        assert!(end.state == State::Open && !end.shut, "{end:?}");
        let (peer, latency, silent) = (end.peer, end.latency, end.silent);
        let count = cut(&mut self.rng, bytes.len().min(self.sockets[peer].window));
        if count < bytes.len() {
            if self.sockets[peer].window > count {
                self.schedule(self.now, LinkEvent::Writable(socket));
            } else {
                self.sockets[socket].writer_waits = true;
            }
        }
        if count > 0 {
            self.sockets[peer].window -= count;
            self.sockets[socket].unacknowledged.get_or_insert(self.now);
            if !silent {
                self.schedule(
                    self.now + latency,
                    LinkEvent::Bytes(peer, bytes[..count].to_vec()),
                );
            }
        }
        Some(count)
    }

    /// Nothing more is written.
    pub(crate) fn shutdown_write(&mut self, socket: Socket) {
        let end = &mut self.sockets[socket];
        if end.state == State::Open && !std::mem::replace(&mut end.shut, true) && !end.silent {
            let (peer, at) = (end.peer, self.now + end.latency);
            self.schedule(at, LinkEvent::Eof(peer));
        }
    }

    /// The owner is done with it. Orderly if both directions have ended, else a reset.
    pub(crate) fn close(&mut self, socket: Socket) {
        let end = &self.sockets[socket];
        if end.state == State::Open && end.shut && end.eof && end.incoming.is_empty() {
            self.sockets[socket].state = State::Closed;
        } else {
            self.reset(socket);
        }
    }

    pub(crate) fn reset(&mut self, socket: Socket) {
        let end = &mut self.sockets[socket];
        let was = std::mem::replace(&mut end.state, State::Closed);
        if was == State::Open && !end.silent {
            let (peer, at) = (end.peer, self.now + end.latency);
            self.schedule(at, LinkEvent::Reset(peer));
        }
    }

    /// The process has died, or has left: its listeners refuse, and its connections are reset.
    pub(crate) fn kill(&mut self, process: Process) {
        for socket in 0..self.sockets.len() {
            if self.sockets[socket].owner == process {
                self.reset(socket);
            }
        }
        for listener in self
            .listeners
            .values_mut()
            .filter(|listener| listener.owner == process)
        {
            listener.mode = ListenMode::Refuse;
            listener.accepted.clear();
        }
    }

    /// Something between the two nodes forgets the connection.
    pub(crate) fn silence(&mut self, socket: Socket) {
        let peer = self.sockets[socket].peer;
        self.sockets[socket].silent = true;
        if peer != NOBODY {
            self.sockets[peer].silent = true;
        }
    }

    /// Something between the two nodes resets the connection at both ends.
    pub(crate) fn cut_off(&mut self, socket: Socket) {
        let peer = self.sockets[socket].peer;
        for end in [socket, peer] {
            if end != NOBODY {
                self.schedule(self.now, LinkEvent::Reset(end));
            }
        }
    }

    /// Whether something happened here since this was last asked.
    pub(crate) fn take_stirred(&mut self, socket: Socket) -> bool {
        std::mem::take(&mut self.sockets[socket].changed)
    }

    pub(crate) fn random_byte(&mut self) -> u8 {
        self.rng.u8(..)
    }

    /// What the dialler said the connection is for.
    pub(crate) fn label(&self, socket: Socket) -> u32 {
        self.sockets[socket].label
    }

    /// Whether the peer's reset, or its end of file with nothing before it, can be seen.
    pub(crate) fn is_dead(&self, socket: Socket) -> bool {
        let end = &self.sockets[socket];
        end.state == State::Reset || (end.eof && end.incoming.is_empty())
    }

    pub(crate) fn is_reset(&self, socket: Socket) -> bool {
        self.sockets[socket].state == State::Reset
    }

    /// When the kernel last heard of the peer: now, if bytes wait to be read.
    pub(crate) fn heard_at(&self, socket: Socket) -> Instant {
        let end = &self.sockets[socket];
        if end.incoming.is_empty() {
            end.heard
        } else {
            self.now
        }
    }

    /// What the kernel knows of the peer's host: something is not acknowledged for that long.
    pub(crate) fn unacknowledged_for(&self, socket: Socket, silence: Duration) -> bool {
        self.sockets[socket]
            .unacknowledged
            .is_some_and(|since| since + silence <= self.now)
    }

    /// The connections between the two processes that are open.
    pub(crate) fn between(&self, left: Process, right: Process) -> Vec<Socket> {
        let owner = |socket: Socket| self.sockets.get(socket).map(|end| end.owner);
        (0..self.sockets.len())
            .filter(|&socket| {
                self.sockets[socket].state == State::Open && self.sockets[socket].owner == left
            })
            .filter(|&socket| owner(self.sockets[socket].peer) == Some(right))
            .collect()
    }

    fn happen(&mut self, event: LinkEvent) -> Option<Process> {
        let socket = match event {
            LinkEvent::Wake(process) => return Some(process),
            LinkEvent::Dialled(socket, address) => return self.dialled(socket, address),
            LinkEvent::Bytes(socket, bytes) => {
                let end = &mut self.sockets[socket];
                if end.silent {
                    return None;
                }
                let (peer, at) = (end.peer, self.now + end.latency);
                if end.state != State::Open {
                    self.schedule(at, LinkEvent::Reset(peer));
                    return None;
                }
                end.incoming.extend(&bytes);
                end.heard = self.now;
                self.schedule(at, LinkEvent::Acknowledged(peer));
                socket
            }
            LinkEvent::Acknowledged(socket) => {
                let end = &mut self.sockets[socket];
                if !end.silent {
                    end.unacknowledged = None;
                    end.heard = self.now;
                }
                return None;
            }
            LinkEvent::Eof(socket) => {
                let end = &mut self.sockets[socket];
                if end.silent || end.state != State::Open {
                    return None;
                }
                end.eof = true;
                end.heard = self.now;
                socket
            }
            LinkEvent::Reset(socket) => {
                if self.sockets[socket].state != State::Open {
                    return None;
                }
                self.sockets[socket].state = State::Reset;
                socket
            }
            LinkEvent::Opened(socket) => {
                if self.sockets[socket].state != State::Connecting {
                    // The dial was given up meanwhile.
                    let peer = self.sockets[socket].peer;
                    self.schedule(
                        self.now + self.sockets[socket].latency,
                        LinkEvent::Reset(peer),
                    );
                    return None;
                }
                self.sockets[socket].state = State::Open;
                socket
            }
            LinkEvent::Writable(socket) => socket,
            LinkEvent::Refused(socket) => {
                if self.sockets[socket].state == State::Connecting {
                    self.sockets[socket].state = State::Refused;
                }
                socket
            }
        };
        self.sockets[socket].changed = true;
        Some(self.sockets[socket].owner)
    }

    /// A dial has come to the address.
    fn dialled(&mut self, socket: Socket, address: Address) -> Option<Process> {
        let latency = self.sockets[socket].latency;
        let at = self.now + latency;
        let mode = self
            .listeners
            .get(&address)
            .map_or(ListenMode::Refuse, |listener| listener.mode);
        match mode {
            ListenMode::Silence => None,
            ListenMode::Refuse => {
                self.schedule(at, LinkEvent::Refused(socket));
                None
            }
            ListenMode::Accept => {
                let owner = self.listeners.get(&address)?.owner;
                let accepted = self.end(owner, socket, latency, self.sockets[socket].label);
                self.sockets[accepted].state = State::Open;
                self.sockets[socket].peer = accepted;
                self.schedule(at, LinkEvent::Opened(socket));
                self.listeners
                    .get_mut(&address)?
                    .accepted
                    .push_back(accepted);
                Some(owner)
            }
        }
    }

    fn end(&mut self, owner: Process, peer: Socket, latency: Duration, label: u32) -> Socket {
        self.sockets.push(End {
            owner,
            peer,
            latency,
            state: State::Connecting,
            incoming: VecDeque::new(),
            eof: false,
            window: self.window,
            shut: false,
            silent: false,
            heard: self.now,
            unacknowledged: None,
            writer_waits: false,
            changed: true,
            label,
        });
        self.sockets.len() - 1
    }

    fn schedule(&mut self, at: Instant, event: LinkEvent) {
        self.happenings.push(event);
        self.agenda.push(Reverse((at, self.happenings.len() - 1)));
    }
}

/// No process, and no socket.
const NOBODY: usize = usize::MAX;

/// All of them mostly, else any number of them.
fn cut(rng: &mut fastrand::Rng, count: usize) -> usize {
    if count > 1 && rng.u8(..) < 64 {
        rng.usize(1..=count)
    } else {
        count
    }
}
