//! The command line as typed.
//!
//! Not here: what the words mean (`address`), and which of them go together (`plan`).
#![allow(
    rustdoc::broken_intra_doc_links,
    reason = "the help texts show defaults in brackets"
)]

mod access;
mod explain;
mod groups;
mod lines;
mod run;
mod values;
mod via;

pub use access::{ClientAccess, ClientOptions};
pub use groups::{
    Common, Dialing, FourWayOptions, InsideOptions, LinkOptions, Messages, OutsideOptions,
};
pub use lines::{CommandLine, InsideLine, OutsideLine, RouteLine};
pub use run::run_tool;
pub use values::{OrOff, Switch};
pub use via::TypedUrl;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use clap::{CommandFactory, Parser};

    use super::explain::explain;
    use super::values::*;
    use super::*;
    use crate::config::settings;
    use crate::report::Verbosity;

    #[derive(Debug, Parser)]
    #[command(version)]
    struct CommandLine {
        #[arg(required = true, value_name = "CLIENTS")]
        clients: Vec<String>,
        #[arg(value_name = "LINK")]
        link: String,
        #[command(flatten)]
        messages: Messages,
        #[command(flatten)]
        dialing: Dialing,
        #[command(flatten)]
        common: Common,
        #[command(flatten)]
        links: LinkOptions,
        #[command(flatten)]
        outside: OutsideOptions,
        #[command(flatten)]
        inside: InsideOptions,
    }

    fn typed(words: &[&str]) -> CommandLine {
        CommandLine::try_parse_from([&["tool", "8000", "8001"], words].concat()).unwrap()
    }

    fn refused(words: &[&str]) -> String {
        refused_by::<CommandLine>(words)
    }

    fn refused_by<T: Parser>(words: &[&str]) -> String {
        match T::try_parse_from([&["tool"], words].concat()) {
            Ok(_) => panic!("{words:?}: not refused"),
            Err(error) => explain(&error, &T::command()),
        }
    }

    #[test]
    fn the_help_text_of_each_option_is_one_line_and_tells_the_default() {
        let command = CommandLine::command();
        let help = |option: &str| {
            let arg = command
                .get_arguments()
                .find(|arg| arg.get_id() == option)
                .unwrap();
            arg.get_help().unwrap().to_string()
        };
        let default = |option: &str| {
            let help = help(option);
            help[help.rfind('[').unwrap()..].to_owned()
        };
        let time = |time: Duration| format!("[{}]", humantime::format_duration(time));
        assert_eq!(
            default("connect_timeout"),
            time(settings::CONNECT_TIMEOUT_DEFAULT)
        );
        assert_eq!(
            default("half_close_timeout"),
            time(settings::HALF_CLOSE_TIMEOUT_DEFAULT)
        );
        assert_eq!(
            default("drain_timeout"),
            time(settings::DRAIN_TIMEOUT_DEFAULT)
        );
        assert_eq!(default("heartbeat"), time(settings::HEARTBEAT_DEFAULT));
        assert_eq!(
            default("wait_timeout"),
            time(settings::WAIT_TIMEOUT_DEFAULT)
        );
        assert_eq!(default("interval"), time(settings::INTERVAL_DEFAULT));
        assert_eq!(
            default("max_sessions"),
            format!("[{}]", settings::SESSIONS_MAX_DEFAULT)
        );
        assert_eq!(
            default("queue"),
            format!("[{}]", settings::QUEUE_MAX_DEFAULT)
        );
        assert_eq!(
            default("idle"),
            format!("[{}]", settings::IDLE_LINKS_DEFAULT)
        );
        for arg in command.get_opts() {
            assert!(!arg.get_help().unwrap().to_string().contains('\n'), "{arg}");
            assert!(arg.get_long_help().is_none(), "{arg}");
        }
    }

    #[test]
    fn clap_finds_nothing_wrong_with_the_options_as_declared() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn a_time_has_a_unit() {
        assert_eq!(parse_duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_duration("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(parse_duration("5m"), Ok(Duration::from_secs(300)));
        assert_eq!(parse_duration("2h"), Ok(Duration::from_secs(7200)));
        assert_eq!(parse_duration("1m 30s"), Ok(Duration::from_secs(90)));
        assert_eq!(parse_duration("1h30m"), Ok(Duration::from_secs(5400)));
        assert_eq!(parse_duration("8760h"), Ok(TIME_MAX));
        assert_eq!(parse_duration("0s"), Ok(Duration::ZERO));
        for (text, why) in [
            ("30", "no unit: write 30s, or 30ms, 30m, 30h"),
            ("", "expected a time as in 500ms, 30s, 5m or 2h"),
            ("-1s", "expected a time as in 500ms, 30s, 5m or 2h"),
            ("soon", "expected a time as in 500ms, 30s, 5m or 2h"),
            ("1d", "expected a time as in 500ms, 30s, 5m or 2h"),
            ("1.5s", "expected a time as in 500ms, 30s, 5m or 2h"),
            ("1m 30", "expected a time as in 500ms, 30s, 5m or 2h"),
            ("1m ", "expected a time as in 500ms, 30s, 5m or 2h"),
            ("30 s", "expected a time as in 500ms, 30s, 5m or 2h"),
            ("30\u{b5}s", "expected a time as in 500ms, 30s, 5m or 2h"),
            ("8760h 1ms", "too long: expected at most 8760h"),
            ("99999999999999999999h", "too long: expected at most 8760h"),
        ] {
            assert_eq!(parse_duration(text), Err(why.to_owned()), "{text}");
        }
    }

    #[test]
    fn only_the_idle_timeout_can_be_off() {
        assert_eq!(
            typed(&["--idle-timeout", "off"]).common.idle_timeout,
            Some(OrOff(None))
        );
        assert_eq!(
            parse_timeout_or_off("0s"),
            Err("expected a time above zero, or off".to_owned())
        );
        assert_eq!(
            parse_timeout("off"),
            Err("this cannot be off: expected a time as in 30s".to_owned())
        );
        assert_eq!(
            parse_timeout("0s"),
            Err("expected a time above zero".to_owned())
        );
    }

    #[test]
    fn quiet_and_verbose_choose_what_is_shown() {
        let shows =
            |words: &[&str], verbosity| typed(words).messages.report("tool").shows(verbosity);
        assert!(!shows(&["-q"], Verbosity::Warning));
        assert!(shows(&[], Verbosity::Warning) && !shows(&[], Verbosity::Info));
        assert!(shows(&["-v"], Verbosity::Info) && !shows(&["-v"], Verbosity::Debug));
        assert!(shows(&["-vv"], Verbosity::Debug) && shows(&["-vvv"], Verbosity::Debug));
    }

    #[test]
    fn the_words_that_are_missing_are_the_last_ones() {
        let none: [&str; 0] = [];
        assert_eq!(
            refused_by::<RouteLine>(&none),
            "too few words: LISTEN TARGET missing"
        );
        assert_eq!(
            refused_by::<OutsideLine>(&none),
            "too few words: CLIENTS and LINK missing"
        );
        assert_eq!(
            refused_by::<OutsideLine>(&["8000"]),
            "too few words: LINK missing"
        );
        assert_eq!(
            refused_by::<InsideLine>(&none),
            "too few words: LINK and SERVER missing"
        );
        assert_eq!(
            refused_by::<InsideLine>(&["ll:8001"]),
            "too few words: SERVER missing"
        );
    }

    #[test]
    fn an_option_of_another_tool_is_told_as_one() {
        let both = "listen-listen and connect-connect";
        for (why, expected) in [
            (
                refused_by::<OutsideLine>(&["1", "2", "--send-proxy", "v1"]),
                "unable to use --send-proxy: this is an option of tcpfwd and connect-connect"
                    .to_owned(),
            ),
            (
                refused_by::<InsideLine>(&["1", "2", "--wait-timeout=5s"]),
                "unable to use --wait-timeout: this is an option of listen-listen".to_owned(),
            ),
            (
                refused_by::<RouteLine>(&["1", "2", "--heartbeat", "5s"]),
                format!("unable to use --heartbeat: this is an option of {both}"),
            ),
            (
                refused_by::<RouteLine>(&["1", "2", "--raw"]),
                format!("unable to use --raw: this is an option of {both}"),
            ),
            (
                refused_by::<RouteLine>(&["1", "2", "--idle", "5"]),
                "unable to use --idle: this is an option of connect-connect".to_owned(),
            ),
            (
                refused_by::<RouteLine>(&["1", "2", "--link", "5"]),
                format!("unable to use --link: no such option: LINK is a word of {both}"),
            ),
        ] {
            assert_eq!(why, expected);
        }
    }

    #[test]
    fn the_habits_of_netcat_get_a_hint() {
        for (words, why) in [
            (
                &["-l", "8080"][..],
                "-l: no such option: the first word is where to listen",
            ),
            (
                &["-lp", "8080"],
                "-l: no such option: the first word is where to listen",
            ),
            (
                &["-p", "8080"],
                "-p: no such option: the port is part of the word, as in 8080 or srv:80",
            ),
            (
                &["-k"],
                "-k: no such option: clients are served until the end, unless --once is given",
            ),
            (
                &["-e", "/bin/sh"],
                "-e: no such option: no program is run: expected an address",
            ),
            (
                &["-u", "1", "2"],
                "-u: no such option: udp is not relayed: expected tcp or a unix stream socket",
            ),
            (
                &["-w", "5"],
                "-w: no such option: expected --connect-timeout or --idle-timeout",
            ),
        ] {
            assert_eq!(
                refused_by::<RouteLine>(words),
                format!("unable to use {why}")
            );
        }
        assert_eq!(
            refused_by::<OutsideLine>(&["-w", "5"]),
            "unable to use -w: no such option: expected --connect-timeout or --idle-timeout"
        );
        assert_eq!(
            refused_by::<InsideLine>(&["-l", "5"]),
            "unable to use -l: no such option: this tool dials, listen-listen listens"
        );
    }

    #[test]
    fn each_usage_error_is_one_sentence_of_ours() {
        for (words, why) in [
            (&[][..], "too few words: CLIENTS and LINK missing"),
            (&["1"], "too few words: LINK missing"),
            (&["1", "2", "--foo"], "unable to use --foo: no such option"),
            (&["1", "2", "-z"], "unable to use -z: no such option"),
            (
                &["1", "2", "--quit"],
                "unable to use --quit: no such option: did you mean --quiet",
            ),
            (
                &["1", "2", "--log-format"],
                "unable to use --log-format: it needs a value: write --log-format FORMAT",
            ),
            (
                &["1", "2", "--log-format="],
                "unable to use --log-format: it needs a value: write --log-format FORMAT",
            ),
            (
                &["1", "2", "--log-format", "xml"],
                "unable to use --log-format xml: expected text or json",
            ),
            (
                &["1", "2", "--once=yes"],
                "unable to use --once=yes: it takes no value",
            ),
            (
                &["1", "2", "--verbose=1"],
                "unable to use --verbose=1: it takes no value",
            ),
            (
                &["1", "2", "-v=1"],
                "unable to use = behind a short option: it takes no value",
            ),
            (
                &["1", "2", "--expire"],
                "unable to use --expire: it needs a value: write --expire TIME",
            ),
            (
                &["1", "2", "--max-sessions", "-5"],
                "unable to use --max-sessions -5: expected a number from 1 to 1000000",
            ),
            (
                &["1", "2", "--expire", "-5s"],
                "unable to use --expire -5s: expected a time as in 500ms, 30s, 5m or 2h",
            ),
            (
                &["1", "2", "--connect-time", "5s"],
                "unable to use --connect-time: no such option: did you mean --connect-timeout",
            ),
            (
                &["1", "2", "--timeout", "5s"],
                "unable to use --timeout: no such option",
            ),
            (
                &["1", "2", "--once", "--once"],
                "unable to use --once twice",
            ),
            (
                &["1", "2", "--expire", "1h", "--expire", "2h"],
                "unable to use --expire twice",
            ),
            (
                &["1", "2", "-v", "-q"],
                "unable to use --verbose with --quiet",
            ),
            (&["1", "2", "-4", "-6"], "unable to use -4 with -6"),
            (
                &["1", "2", "--raw", "--heartbeat", "5s"],
                "unable to use --raw with --heartbeat",
            ),
            (
                &["1", "2", "--raw", "--idle", "5"],
                "unable to use --raw with --idle",
            ),
            (
                &["1", "2", "--expire", "10"],
                "unable to use --expire 10: no unit: write 10s, or 10ms, 10m, 10h",
            ),
            (
                &["1", "2", "--heartbeat", "500ms"],
                "unable to use --heartbeat 500ms: expected 1s to 1h",
            ),
            (
                &["1", "2", "--heartbeat", "2h"],
                "unable to use --heartbeat 2h: expected 1s to 1h",
            ),
            (
                &["1", "2", "--interval", "1ms"],
                "unable to use --interval 1ms: expected at least 50ms",
            ),
            (
                &["1", "2", "--max-sessions", "0"],
                "unable to use --max-sessions 0: expected a number from 1 to 1000000",
            ),
            (
                &["1", "2", "--idle", "257"],
                "unable to use --idle 257: expected a number from 1 to 256",
            ),
            (
                &["1", "2", "--ready-fd=-1"],
                "unable to use --ready-fd -1: expected the number of a descriptor",
            ),
            (
                &["1", "2", "--bind", "srv"],
                "unable to use --bind srv: expected ADDR, ADDR:PORT or :PORT, with ADDR an ip address",
            ),
        ] {
            assert_eq!(refused(words), why);
        }
    }
}
