//! Where messages go, and the only code that prints.

use std::fmt::{self, Display};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::{SFlag, fstat};
use nix::syslog;

use super::session_line::SessionLine;
use super::text::{TEXT_BYTES_MAX, cut, printable};

/// Where messages go, and which. A clone speaks with the same voice.
#[derive(Clone, Debug)]
pub struct Report {
    program: &'static str,
    verbosity: Verbosity,
    format: LogFormat,
    destination: Destination,
    /// Messages that found no room in stderr since the last one that did.
    lost: Arc<AtomicU64>,
}

impl Report {
    /// A report as asked for.
    pub fn with(program: &'static str, verbosity: Verbosity, format: LogFormat) -> Self {
        let report = Self {
            program,
            verbosity,
            format,
            destination: Destination::find(),
            lost: Arc::default(),
        };
        if report.destination == Destination::Syslog {
            report.keep_stderr_silent();
        }
        report
    }

    /// Turns to syslog also what the runtime would write to stderr by itself.
    fn keep_stderr_silent(&self) {
        // Without an ident the C library takes the program's name. Failing is not among what openlog(3) does.
        let _ = syslog::openlog(
            None,
            syslog::LogFlags::LOG_PID,
            syslog::Facility::LOG_DAEMON,
        );
        let report = self.clone();
        std::panic::set_hook(Box::new(move |panic| report.fatal(panic)));
    }

    /// Why the process ends.
    pub fn fatal(&self, text: impl Display) {
        self.say(Severity::Fatal, &text, None);
    }

    /// What goes wrong while the process goes on.
    pub fn warning(&self, text: impl Display) {
        self.say_if(Verbosity::Warning, Severity::Warning, &text);
    }

    /// What happens.
    pub fn info(&self, text: impl Display) {
        self.say_if(Verbosity::Info, Severity::Info, &text);
    }

    /// How it happens.
    pub fn debug(&self, text: impl Display) {
        self.say_if(Verbosity::Debug, Severity::Debug, &text);
    }

    /// The answer to someone who asked by a signal: said at any verbosity.
    pub fn status(&self, text: impl Display) {
        self.say(Severity::Info, &text, None);
    }

    /// How the command line is to be written.
    pub fn usage(&self, text: impl Display) {
        self.say(Severity::Usage, &text, None);
    }

    /// One session, at its end.
    pub fn session(&self, line: &SessionLine<'_>) {
        if self.shows(Verbosity::Info) {
            self.say(Severity::Info, line, Some(line));
        }
    }

    /// Whose voice this is.
    pub fn program(&self) -> &'static str {
        self.program
    }

    /// Whether messages go to stderr, and not to syslog.
    pub fn is_on_stderr(&self) -> bool {
        self.destination == Destination::Stderr
    }

    /// Whether messages of a verbosity are shown; for callers whose text is costly to make.
    pub fn shows(&self, verbosity: Verbosity) -> bool {
        verbosity <= self.verbosity
    }

    fn say_if(&self, verbosity: Verbosity, severity: Severity, text: &dyn Display) {
        if self.shows(verbosity) {
            self.say(severity, text, None);
        }
    }

    fn say(&self, severity: Severity, text: &dyn Display, session: Option<&SessionLine<'_>>) {
        match self.destination {
            Destination::Syslog => {
                let text = printable(&format!("{}: {text}", severity.name()));
                let priority =
                    syslog::Priority::new(severity.syslog(), syslog::Facility::LOG_DAEMON);
                // There is no place left to report that syslog failed.
                let _ = syslog::syslog(priority, text.as_str());
            }
            Destination::Stderr => self.write(severity, &self.line(severity, text, session)),
        }
    }

    /// One line with its newline, short enough for a pipe to take it at once.
    fn line(
        &self,
        severity: Severity,
        text: &dyn Display,
        session: Option<&SessionLine<'_>>,
    ) -> String {
        let text = cut(printable(&text.to_string()), TEXT_BYTES_MAX);
        match self.format {
            LogFormat::Text => format!("{}: {}: {text}\n", self.program, severity.name()),
            LogFormat::Json => {
                let time = humantime::format_rfc3339_millis(SystemTime::now()).to_string();
                let mut object = serde_json::json!({
                    "time": time,
                    "program": self.program,
                    "severity": severity.name(),
                    "message": text,
                });
                if let Some(session) = session {
                    object["session"] = session.json();
                }
                format!("{object}\n")
            }
        }
    }

    fn write(&self, severity: Severity, line: &str) {
        // A fatal message is the last one: for that it is worth waiting a moment.
        let patience_ms = if severity == Severity::Fatal {
            FATAL_PATIENCE_MS
        } else {
            0
        };
        let mut stderr = io::stderr().lock();
        let lost = self.lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            let text = format!("{lost} messages were lost: stderr was full");
            if !write_line(
                &mut stderr,
                &self.line(Severity::Warning, &text, None),
                patience_ms,
            ) {
                self.lost.fetch_add(lost + 1, Ordering::Relaxed);
                return;
            }
        }
        if !write_line(&mut stderr, line, patience_ms) {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// How much is logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verbosity {
    /// Why the process ends, and nothing else.
    Fatal,
    /// And what goes wrong.
    #[default]
    Warning,
    /// And each session.
    Info,
    /// And each step.
    Debug,
}

/// The form of a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// One line of text.
    #[default]
    Text,
    /// One JSON object on a line.
    Json,
}

/// What a handler of signals says before it ends the process: it takes no lock and no memory, since whoever was interrupted may be
/// about to. The text is cut to `LAST_WORDS_BYTES_MAX`, and lost where nobody reads: that would block.
pub fn last_words(program: &str, text: fmt::Arguments<'_>) {
    let mut line = [0; LAST_WORDS_BYTES_MAX];
    let mut rest = line.as_mut_slice();
    let _ = writeln!(rest, "{program}: {}: {text}", Severity::Fatal.name());
    let unused = rest.len();
    let stderr = io::stderr();
    let mut room = [PollFd::new(stderr.as_fd(), PollFlags::POLLOUT)];
    if poll(&mut room, PollTimeout::ZERO) == Ok(1) {
        let _ = nix::unistd::write(stderr.as_fd(), &line[..LAST_WORDS_BYTES_MAX - unused]);
    }
}

/// Prints one line of `--print-address` on stdout.
///
/// # Errors
/// What the system says of stdout.
pub fn print_address(word: &str, address: impl Display) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(format!("{} {address}\n", printable(word)).as_bytes())?;
    stdout.flush()
}

/// Prints a further line of `--print-address`, if stdout takes it now: the relay does not wait for its reader.
pub fn print_further_address(word: &str, address: &str) -> bool {
    let line = format!("{} {address}\n", printable(word));
    write_line(&mut io::stdout().lock(), &line, 0)
}

/// Prints help or version on stdout. A reader that left early (`| head -1`) has had enough.
pub fn print_text(text: &str) {
    let mut stdout = io::stdout().lock();
    let _ = stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush());
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Destination {
    Stderr,
    Syslog,
}

impl Destination {
    fn find() -> Self {
        match fstat(io::stderr()) {
            Ok(stat)
                if SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT == SFlag::S_IFSOCK =>
            {
                Self::Syslog
            }
            _ => Self::Stderr,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Severity {
    Fatal,
    Usage,
    Warning,
    Info,
    Debug,
}

impl Severity {
    fn name(self) -> &'static str {
        match self {
            Self::Fatal => "fatal",
            Self::Usage => "usage",
            Self::Warning => "warning",
            Self::Info => "info",
            Self::Debug => "debug",
        }
    }

    fn syslog(self) -> syslog::Severity {
        match self {
            Self::Fatal | Self::Usage => syslog::Severity::LOG_ERR,
            Self::Warning => syslog::Severity::LOG_WARNING,
            Self::Info => syslog::Severity::LOG_INFO,
            Self::Debug => syslog::Severity::LOG_DEBUG,
        }
    }
}

/// Writes a line if the descriptor takes it now, or within `patience_ms`; says whether the line is dealt with. What is
/// closed or broken will never take anything: its lines count as dealt with.
fn write_line(out: &mut (impl AsFd + Write), line: &str, patience_ms: u16) -> bool {
    loop {
        match poll(
            &mut [PollFd::new(out.as_fd(), PollFlags::POLLOUT)],
            PollTimeout::from(patience_ms),
        ) {
            Ok(0) => return false,
            Err(Errno::EINTR) => {}
            // Where poll fails, the write fails too and says so.
            Ok(_) | Err(_) => break,
        }
    }
    match out.write_all(line.as_bytes()) {
        Ok(()) => true,
        Err(error) => error.kind() != io::ErrorKind::WouldBlock,
    }
}

/// Of what is said from a handler of signals.
const LAST_WORDS_BYTES_MAX: usize = 256;

/// How long the last message waits for a stderr that is full, in milliseconds.
const FATAL_PATIENCE_MS: u16 = 500;

#[cfg(test)]
mod tests {
    use std::io::{Read, pipe};
    use std::time::{Duration, Instant};

    use super::*;
    use crate::report::{Exit, Throttle, reason, sanitise};

    fn session_line() -> SessionLine<'static> {
        SessionLine {
            id: &"0011223344556677-5",
            client: &"192.0.2.7:4000",
            to: &"srv:80",
            bytes_to_server: 78,
            bytes_to_client: 20_000_000,
            duration: Duration::from_millis(1_042),
            closed_first: &"client",
            why: &"end of file",
        }
    }

    #[test]
    fn a_message_is_one_line_in_djbs_grammar() {
        let report = Report::with("tcpfwd", Verbosity::default(), LogFormat::default());
        let text = "unable to bind to 127.0.0.1:80: permission denied";
        let line = report.line(Severity::Fatal, &text, None);
        assert_eq!(
            line,
            "tcpfwd: fatal: unable to bind to 127.0.0.1:80: permission denied\n"
        );
    }

    #[test]
    fn a_message_cannot_fake_a_second_line_or_an_escape_sequence() {
        let report = Report::with("tcpfwd", Verbosity::default(), LogFormat::default());
        let line = report.line(
            Severity::Warning,
            &"a\ntcpfwd: fatal: b\u{1b}[31m \u{fc}",
            None,
        );
        assert_eq!(
            line,
            "tcpfwd: warning: a\\ntcpfwd: fatal: b\\u{1b}[31m \u{fc}\n"
        );
    }

    #[test]
    fn a_long_message_is_cut_between_characters() {
        let report = Report::with("tcpfwd", Verbosity::default(), LogFormat::default());
        let line = report.line(Severity::Info, &"\u{20ac}".repeat(TEXT_BYTES_MAX), None);
        assert_eq!(
            line.len(),
            "tcpfwd: info: \n".len() + TEXT_BYTES_MAX / 3 * 3
        );
    }

    #[test]
    fn a_session_is_one_line_of_text() {
        let report = Report::with("tcpfwd", Verbosity::default(), LogFormat::default());
        let line = session_line();
        assert_eq!(
            report.line(Severity::Info, &line, Some(&line)),
            "tcpfwd: info: session 0011223344556677-5 from 192.0.2.7:4000 to srv:80: 78 bytes to server, \
             20000000 bytes to client, 1.042 s, client closed first: end of file\n"
        );
    }

    #[test]
    fn a_session_in_json_has_a_field_for_each_fact() {
        let report = Report::with("tcpfwd", Verbosity::Info, LogFormat::Json);
        let line = session_line();
        let json = report.line(Severity::Info, &line, Some(&line));
        assert_eq!(json.matches('\n').count(), 1);
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(value["program"], "tcpfwd");
        assert_eq!(value["severity"], "info");
        assert_eq!(value["session"]["id"], "0011223344556677-5");
        assert_eq!(value["session"]["client"], "192.0.2.7:4000");
        assert_eq!(value["session"]["to"], "srv:80");
        assert_eq!(value["session"]["bytes_to_server"], 78);
        assert_eq!(value["session"]["bytes_to_client"], 20_000_000);
        assert_eq!(value["session"]["duration_ms"], 1_042);
        assert_eq!(value["session"]["closed_first"], "client");
        assert_eq!(value["session"]["why"], "end of file");
    }

    #[test]
    fn quiet_shows_nothing_below_fatal_and_each_v_adds_a_severity() {
        let shown = |verbosity| {
            let report = Report::with("tcpfwd", verbosity, LogFormat::Text);
            [Verbosity::Warning, Verbosity::Info, Verbosity::Debug]
                .map(|verbosity| report.shows(verbosity))
        };
        assert_eq!(shown(Verbosity::Fatal), [false, false, false]);
        assert_eq!(shown(Verbosity::Warning), [true, false, false]);
        assert_eq!(shown(Verbosity::Info), [true, true, false]);
        assert_eq!(shown(Verbosity::Debug), [true, true, true]);
    }

    #[test]
    fn a_full_pipe_takes_no_line_and_does_not_block() {
        let (mut reader, mut writer) = pipe().unwrap();
        let mut lines = 0;
        while write_line(&mut writer, &"x".repeat(TEXT_BYTES_MAX), 0) {
            lines += 1;
        }
        assert!(lines > 0);
        reader.read_exact(&mut [0; 8192]).unwrap();
        assert!(write_line(&mut writer, "there is room again\n", 0));
    }

    #[test]
    fn a_pipe_without_a_reader_counts_as_dealt_with() {
        let (reader, mut writer) = pipe().unwrap();
        drop(reader);
        assert!(write_line(&mut writer, "nobody reads this\n", 0));
    }

    #[test]
    fn one_warning_a_period_gets_through_and_the_next_tells_how_many_did_not() {
        let mut throttle = Throttle::per_second();
        let start = Instant::now();
        let after = |ms| start + Duration::from_millis(ms);
        assert_eq!(throttle.admit(after(0)), Some(0));
        assert_eq!(throttle.admit(after(1)), None);
        assert_eq!(throttle.admit(after(999)), None);
        assert_eq!(throttle.admit(after(1000)), Some(2));
        assert_eq!(throttle.admit(after(2000)), Some(0));
    }

    #[test]
    fn reasons_are_those_of_strerror_in_lower_case() {
        let of_errno = |errno| reason(&io::Error::from_raw_os_error(errno));
        assert_eq!(of_errno(libc::EACCES), "permission denied");
        assert_eq!(of_errno(libc::EADDRINUSE), "address already in use");
        assert_eq!(of_errno(libc::ECONNREFUSED), "connection refused");
        assert_eq!(
            reason(&io::Error::other("no address of this family")),
            "no address of this family"
        );
    }

    #[test]
    fn text_from_a_peer_is_printable_and_short() {
        assert_eq!(sanitise(b"GET / HTTP/1.1"), "GET / HTTP/1.1");
        assert_eq!(
            sanitise(b"a\r\n\x1b[0m\\\xff"),
            "a\\x0d\\x0a\\x1b[0m\\\\\\xff"
        );
        assert_eq!(sanitise(&[b'a'; 200]), "a".repeat(200));
        assert_eq!(sanitise(&[b'a'; 201]), "a".repeat(200) + "...");
        assert_eq!(sanitise(&[0; 1 << 20]), "\\x00".repeat(50) + "...");
    }

    #[test]
    fn exit_statuses_are_those_of_ucspi_tcp() {
        assert_eq!(
            [
                Exit::Done as u8,
                Exit::Permanent as u8,
                Exit::Temporary as u8
            ],
            [0, 100, 111]
        );
    }
}
