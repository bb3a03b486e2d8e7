//! Everything this process says, and how it exits. Nothing else prints.
//!
//! A message is one line, `program: severity: text`, in djb's grammar (what could not be done, on which object, why),
//! or one JSON object. It goes to stderr; where descriptor 2 is a socket, as under inetd, that socket is the client's,
//! and messages go to syslog.
//!
//! Invariants: a message never blocks, panics or ends the process, whatever became of stderr; one that finds no room
//! is counted, and the next one tells. A message holds no control character, so it cannot fake a second line.
//!
//! Not here: which part of a text came from a peer is not known any more; whoever logs such text calls [`sanitise`].

mod exit;
mod session_line;
mod text;
mod throttle;
mod writer;

pub use exit::Exit;
pub use session_line::SessionLine;
pub use text::{PEER_TEXT_BYTES_MAX, reason, sanitise};
pub use throttle::Throttle;
pub use writer::{
    LogFormat, Report, Verbosity, last_words, print_address, print_further_address, print_text,
};
