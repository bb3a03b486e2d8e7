//! The idle links of one node.

/// Taken last in, first out: the link used last is the surest to be up, and what stays unused at the bottom is surplus.
#[derive(Debug, Default)]
pub struct IdleLinks<K> {
    stack: Vec<K>,
}

impl<K: Copy + Eq> IdleLinks<K> {
    /// An empty pool.
    pub fn new() -> Self {
        Self { stack: Vec::new() }
    }

    /// The link has become idle.
    pub fn put(&mut self, link: K) {
        debug_assert!(!self.stack.contains(&link));
        self.stack.push(link);
    }

    /// The idle link that was used last.
    pub fn take(&mut self) -> Option<K> {
        self.stack.pop()
    }

    /// The idle link that was unused for longest.
    pub fn take_oldest(&mut self) -> Option<K> {
        (!self.stack.is_empty()).then(|| self.stack.remove(0))
    }

    /// The link is gone or busy; false if it was not idle.
    pub fn remove(&mut self, link: K) -> bool {
        // From the top: the link that a peer closes or uses is mostly a recent one.
        let Some(at) = self.stack.iter().rposition(|&known| known == link) else {
            return false;
        };
        self.stack.remove(at);
        true
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.stack.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.stack.is_empty()
    }
}
