//! The report: how it was measured, which targets are reached, and the tables.

use std::fmt::Write;

use crate::args::Plan;
use crate::columns::{Column, columns};
use crate::contestant::{self, Contest, Contestant};
use crate::figures::Figures;
use crate::load::Load;
use crate::namespace::Isolation;
use crate::punch::Setting;
use crate::punches::Punches;
use crate::{machine, table, targets};

/// Returns the whole report, in Markdown.
pub(crate) fn write(plan: &Plan, rounds: u32, isolation: Isolation, figures: &Figures) -> String {
    let mut report = introduction(plan, rounds, isolation);
    report += &targets_section(figures);
    for (contest, title) in [
        (Contest::OneRelay, "One relay"),
        (Contest::TwoNodes, "Two nodes, a link between them"),
    ] {
        if !has_section(contest, plan) {
            continue;
        }
        let tables: String = plan
            .loads
            .iter()
            .filter_map(|load| load_section(contest, *load, figures))
            .collect();
        if !tables.is_empty() {
            let _ = write!(report, "\n## {title}\n{tables}");
        }
    }
    report += &punches_section(figures);
    report += &skipped_section(figures);
    report
}

fn introduction(plan: &Plan, rounds: u32, isolation: Isolation) -> String {
    let machine = machine::describe();
    if rounds == 0 {
        return format!("# Benchmarks\n\n{machine}.\n");
    }
    format!(
        "# Benchmarks

{machine}; {}.
Clients, relay and server run on the same machine and use its loopback interface. Rounds: {rounds}. Each load is measured
for {} s. Figures are medians; the range is in parentheses. × is the ratio to another contestant in the same
round. The bound is a minimal relay: one thread per direction, blocking splice(2), pipes of 1 MiB.
",
        isolation.describe(),
        plan.duration.as_secs_f64()
    )
}

fn targets_section(figures: &Figures) -> String {
    let measured = targets::outcomes(figures)
        .into_iter()
        .filter_map(|outcome| {
            let reached = format!("{:.2}", outcome.reached?);
            let verdict = if outcome.passed { "pass" } else { "FAIL" };
            Some(vec![
                outcome.what,
                outcome.wanted,
                reached,
                verdict.to_owned(),
            ])
        });
    let rows: Vec<_> = measured.collect();
    if rows.is_empty() {
        return String::new();
    }
    format!(
        "\n## Targets\n\n{}",
        table::render(&["figure", "wanted", "reached", ""], &rows)
    )
}

/// Reports whether the report has a section for `contest`. The direct connection takes part in both contests; if it is
/// the only contestant, only the first has a section.
fn has_section(contest: Contest, plan: &Plan) -> bool {
    contest == Contest::OneRelay
        || plan
            .contestants
            .iter()
            .any(|contestant| contestant.contests == [contest])
}

/// Returns a heading and a table, or None if no contestant was measured under this load.
fn load_section(contest: Contest, load: Load, figures: &Figures) -> Option<String> {
    let columns = columns(contest, load);
    let rows: Vec<_> = contestant::ALL
        .iter()
        .filter(|contestant| contestant.contests.contains(&contest))
        .filter_map(|contestant| row(contestant, load, &columns, figures))
        .collect();
    if rows.is_empty() {
        return None;
    }
    let header: Vec<_> = [""]
        .into_iter()
        .chain(columns.iter().map(|column| column.title))
        .collect();
    Some(format!(
        "\n### {}\n\n{}",
        heading(load),
        table::render(&header, &rows)
    ))
}

fn row(
    contestant: &Contestant,
    load: Load,
    columns: &[Column],
    figures: &Figures,
) -> Option<Vec<String>> {
    let cells: Vec<_> = columns
        .iter()
        .map(|column| column.cell(contestant.name, load, figures))
        .collect();
    if cells.iter().all(Option::is_none) {
        return None;
    }
    let cells = cells
        .into_iter()
        .map(|cell| cell.unwrap_or_else(|| "–".to_owned()));
    Some(
        [contestant.title.to_owned()]
            .into_iter()
            .chain(cells)
            .collect(),
    )
}

/// Returns the section about hosts behind firewalls, or nothing if they were not measured.
fn punches_section(figures: &Figures) -> String {
    let rows: Vec<_> = Setting::ALL
        .into_iter()
        .filter_map(|setting| Some(punches_row(setting, &figures.punches(setting)?)))
        .collect();
    if rows.is_empty() {
        return String::new();
    }
    let header = [
        "",
        "trials",
        "connected %",
        "first try %",
        "min ms",
        "median ms",
        "p90 ms",
        "max ms",
    ];
    format!(
        "
## 4way: two hosts behind firewalls

Each trial runs two `connect-connect`. The second starts 0.2 to 1.2 s after the first. The time is from the start of the
second until each has received the other's message. The column `first try %` counts the trials in which the first dial of
the second succeeded. Each trial uses a new port.

{}",
        table::render(&header, &rows)
    )
}

fn punches_row(setting: Setting, punches: &Punches<'_>) -> Vec<String> {
    let percent = |share: f64| format!("{:.0}", share * 100.0);
    let milliseconds = |part| {
        let seconds = punches.quantile(part);
        seconds.map_or_else(|| "–".to_owned(), |seconds| format!("{:.1}", seconds * 1e3))
    };
    vec![
        setting.title().to_owned(),
        punches.trials().to_string(),
        percent(punches.share_within(f64::INFINITY)),
        percent(punches.share_of_first_tries()),
        milliseconds(0.0),
        milliseconds(0.5),
        milliseconds(0.9),
        milliseconds(1.0),
    ]
}

fn skipped_section(figures: &Figures) -> String {
    let lines: String = figures
        .skipped()
        .map(|(contestant, load, why)| format!("- {contestant}, {load}: {why}\n"))
        .collect();
    if lines.is_empty() {
        lines
    } else {
        format!("\n## Skipped\n\n{lines}")
    }
}

fn heading(load: Load) -> String {
    match load {
        Load::Bulk { streams, both_ways } => {
            let streams = if streams == 1 {
                "1 stream".to_owned()
            } else {
                format!("{streams} streams")
            };
            format!(
                "Bulk, {streams}, {}",
                if both_ways {
                    "both ways at once"
                } else {
                    "one way"
                }
            )
        }
        Load::PingPong => "Ping-pong, 64 bytes on 64 connections".to_owned(),
        Load::PingPongBesideBulk { connections: 1 } => {
            "Ping-pong, 64 bytes on one connection beside a bulk stream".to_owned()
        }
        Load::PingPongBesideBulk { connections } => {
            format!("Ping-pong, 64 bytes on {connections} connections beside a bulk stream")
        }
        Load::Sessions => "New sessions, 32 at once".to_owned(),
        Load::Idle => "Idle sessions (two nodes: outer + inner)".to_owned(),
    }
}
