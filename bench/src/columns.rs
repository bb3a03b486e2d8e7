//! The columns of the table of each load: which figures it shows, and how.

use crate::contestant::Contest;
use crate::figures::Figures;
use crate::load::Load;
use crate::quantity::Quantity;

/// One column of a table.
pub(crate) struct Column {
    pub(crate) title: &'static str,
    /// One quantity, or one for each node.
    quantities: &'static [Quantity],
    /// The contestant by whose figure this one is divided.
    against: Option<&'static str>,
    scale: f64,
    decimals: usize,
}

/// Returns the columns for `load`, from left to right.
pub(crate) fn columns(contest: Contest, load: Load) -> Vec<Column> {
    match load {
        Load::Bulk { .. } => vec![
            absolute("GB/s", RATE, 1e-9, 2),
            ratio("× direct", RATE, "direct"),
            ratio("× bound", RATE, contest.bound()),
            absolute("CPU s/GiB", CPU, 1.0, 3),
            ratio("× bound", CPU, contest.bound()),
        ],
        Load::PingPong => pings().into(),
        Load::PingPongBesideBulk { .. } => pings()
            .into_iter()
            .chain([absolute("bulk GB/s", &[Quantity::BulkBeside], 1e-9, 2)])
            .collect(),
        Load::Sessions => vec![
            absolute("1000/s", RATE, 1e-3, 2),
            ratio("× direct", RATE, "direct"),
            absolute("p50 ms", P50, 1.0, 2),
            absolute("p99 ms", P99, 1.0, 2),
            absolute("failed %", &[Quantity::Failed], 100.0, 1),
        ],
        Load::Idle => vec![
            absolute("KiB/session", KIB, 1.0, 2),
            absolute("descriptors/session", DESCRIPTORS, 1.0, 2),
        ],
    }
}

impl Column {
    /// Returns the text for the row of `contestant`, or None if it was not measured.
    pub(crate) fn cell(
        &self,
        contestant: &'static str,
        load: Load,
        figures: &Figures,
    ) -> Option<String> {
        let cells = self.quantities.iter().filter_map(|quantity| {
            let spread = match self.against {
                None => figures.absolute(contestant, load, *quantity),
                Some(other) => figures.ratio(contestant, &[other], load, *quantity),
            };
            Some(spread?.show(self.scale, self.decimals))
        });
        cells.reduce(|left, right| format!("{left} + {right}"))
    }
}

fn pings() -> [Column; 5] {
    [
        absolute("1000/s", RATE, 1e-3, 1),
        ratio("× direct", RATE, "direct"),
        absolute("p50 ms", P50, 1.0, 2),
        absolute("p99 ms", P99, 1.0, 2),
        ratio("p99 × direct", P99, "direct"),
    ]
}

fn absolute(
    title: &'static str,
    quantities: &'static [Quantity],
    scale: f64,
    decimals: usize,
) -> Column {
    Column {
        title,
        quantities,
        against: None,
        scale,
        decimals,
    }
}

fn ratio(title: &'static str, quantities: &'static [Quantity], against: &'static str) -> Column {
    Column {
        title,
        quantities,
        against: Some(against),
        scale: 1.0,
        decimals: 2,
    }
}

const RATE: &[Quantity] = &[Quantity::Rate];
const P50: &[Quantity] = &[Quantity::P50];
const P99: &[Quantity] = &[Quantity::P99];
const CPU: &[Quantity] = &[Quantity::CpuPerGib];
const KIB: &[Quantity] = &[Quantity::KibPerSession(0), Quantity::KibPerSession(1)];
const DESCRIPTORS: &[Quantity] = &[
    Quantity::DescriptorsPerSession(0),
    Quantity::DescriptorsPerSession(1),
];
