//! What a trial measures.

/// One number that a trial measured.
pub(crate) type Reading = (Quantity, f64);

/// What a number means.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) enum Quantity {
    /// Bytes, pings or sessions per second.
    Rate,
    /// The median latency of pings or sessions, in milliseconds.
    P50,
    /// The latency that 99 of 100 pings or sessions stay below, in milliseconds.
    P99,
    /// Bytes per second of the bulk stream beside the pings.
    BulkBeside,
    /// The share of the sessions that got no answer, from 0 to 1.
    Failed,
    /// User and system time of the relay's processes per 2^30 bytes, in seconds.
    CpuPerGib,
    /// Memory of a node's processes per idle session, in KiB. Clients connect to node 0.
    KibPerSession(usize),
    /// Descriptors of a node's processes per idle session.
    DescriptorsPerSession(usize),
}

impl Quantity {
    /// Every quantity. A relay has at most two nodes.
    pub(crate) const ALL: [Quantity; 10] = [
        Quantity::Rate,
        Quantity::P50,
        Quantity::P99,
        Quantity::BulkBeside,
        Quantity::Failed,
        Quantity::CpuPerGib,
        Quantity::KibPerSession(0),
        Quantity::KibPerSession(1),
        Quantity::DescriptorsPerSession(0),
        Quantity::DescriptorsPerSession(1),
    ];

    /// Returns the name in the output of a trial and in the report.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Quantity::Rate => "rate",
            Quantity::P50 => "p50-ms",
            Quantity::P99 => "p99-ms",
            Quantity::BulkBeside => "bulk-beside",
            Quantity::Failed => "failed",
            Quantity::CpuPerGib => "cpu-s-per-gib",
            Quantity::KibPerSession(0) => "outer-kib-per-session",
            Quantity::KibPerSession(_) => "inner-kib-per-session",
            Quantity::DescriptorsPerSession(0) => "outer-descriptors-per-session",
            Quantity::DescriptorsPerSession(_) => "inner-descriptors-per-session",
        }
    }

    /// Returns the quantity of this name.
    pub(crate) fn named(name: &str) -> Option<Quantity> {
        Quantity::ALL
            .into_iter()
            .find(|quantity| quantity.name() == name)
    }
}
