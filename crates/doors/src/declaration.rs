//! What a door says of itself; its page in the documentation is made from this.

/// One way in.
#[derive(Clone, Copy, Debug)]
pub struct Declaration {
    /// As in the configuration and in the counters: `splunk_hec`.
    pub name: &'static str,
    pub title: &'static str,
    /// Programs that speak it.
    pub peers: &'static str,
    /// How to point one of them at it, with `HOST` and `TOKEN` to be filled in.
    pub point_at_it: &'static str,
    /// What one record is.
    pub record: &'static str,
    /// Where the protocol is written down.
    pub source: &'static str,
}
