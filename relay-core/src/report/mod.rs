//! Every message and the exit status. Nothing else prints.
//!
//! A message is one line, `program: severity: text`, in djb's grammar (what failed, on which object, why), or one JSON object. It goes to
//! stderr. If descriptor 2 is a socket, as under inetd, it is the client's, and messages go to syslog.
//!
//! Invariants: a message never blocks, panics or ends the process, whatever happened to stderr. A message without room is counted, and
//! the next one reports the count. A message holds no control character, so it cannot fake a second line.
//!
//! Not here: a text does not show which part of it came from a peer. Code that logs a peer's text calls [`sanitise`] first.

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
