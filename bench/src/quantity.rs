//! What a trial measures.

/// One number that a trial found.
pub(crate) type Reading = (Quantity, f64);

/// What a number is.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) enum Quantity {
    /// Bytes, pings or sessions in a second.
    Rate,
    /// Half of the pings or sessions took less, in milliseconds.
    P50,
    /// 99 of 100 took less, in milliseconds.
    P99,
    /// Bytes in a second of the bulk stream beside the pings.
    BulkBeside,
    /// The share of the sessions that did not get their answer.
    Failed,
    /// User and system time of the relay's processes for 2^30 bytes, in seconds.
    CpuPerGib,
    /// Memory of a node's processes for each idle session, in KiB. Node 0 is the one that clients connect to.
    KibPerSession(usize),
    /// Descriptors of a node's processes for each idle session.
    DescriptorsPerSession(usize),
}

impl Quantity {
    /// Every quantity of relays that have two nodes at most.
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

    /// The word that stands for it in the output of a trial.
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

    /// The quantity of this name.
    pub(crate) fn named(name: &str) -> Option<Quantity> {
        Quantity::ALL
            .into_iter()
            .find(|quantity| quantity.name() == name)
    }
}
