//! The ids of sessions and nodes.

/// Random bytes of the system. Ids must differ, not be secret: where there is no generator (no getrandom(2), no
/// /dev/urandom) the clock and the process id do.
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    if getrandom::fill(&mut bytes).is_err() {
        let clock = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default();
        let mut rng =
            fastrand::Rng::with_seed(clock.as_nanos() as u64 ^ u64::from(std::process::id()) << 32);
        rng.fill(&mut bytes);
    }
    bytes
}
