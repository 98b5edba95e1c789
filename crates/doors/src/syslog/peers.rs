//! Whose messages come in at a listener: by the peer's address, and how many connections each may hold.

use crate::door::{DoorContext, DoorError, Source};
use crate::gate::{Admitted, Limits};
use crate::intake::Origin;
use crate::syslog::{AddressSource, Options};
use ipnet::IpNet;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

#[derive(Clone)]
pub(crate) struct Peers {
    /// The narrowest range first.
    by_net: Vec<(IpNet, Source)>,
    rest: Option<Source>,
}

impl Peers {
    pub(crate) fn new(
        context: &DoorContext,
        door: &'static str,
        options: &Options,
    ) -> Result<Peers, DoorError> {
        if options.source.is_none()
            && options.sources.is_empty()
            && options.tls.as_ref().is_none_or(|t| t.clients.is_none())
        {
            return Err(DoorError::config(
                door,
                format!(
                    "listener {}: names no source, so nobody could write to it; set `source` or `sources`",
                    options.listen
                ),
            ));
        }
        let limits: Arc<Limits> = Arc::new(options.limits.clone());
        let named = |name: &str| {
            Source::new(context, door, Admitted { origin: Origin::new(name), limits: limits.clone() })
        };
        let mut by_net: Vec<(IpNet, Source)> =
            options.sources.iter().map(|AddressSource { net, source }| (*net, named(source))).collect();
        by_net.sort_by_key(|(net, _)| std::cmp::Reverse(net.prefix_len()));
        Ok(Peers { by_net, rest: options.source.as_deref().map(named) })
    }

    pub(crate) fn of(&self, address: IpAddr) -> Option<&Source> {
        // On a socket for both families, IPv4 comes as ::ffff:192.0.2.1.
        let address = address.to_canonical();
        self.by_net.iter().find(|(net, _)| net.contains(&address)).map(|(_, s)| s).or(self.rest.as_ref())
    }
}

/// Who holds how many connections.
#[derive(Clone, Default)]
pub(crate) struct Seats {
    taken: Arc<Mutex<HashMap<Holder, usize>>>,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Holder {
    Listener,
    Address(IpAddr),
    Source(Origin),
}

/// One connection; given back when dropped.
pub(crate) struct Seat {
    seats: Seats,
    holder: Holder,
}

impl Seats {
    pub(crate) fn take(&self, holder: Holder, most: usize) -> Option<Seat> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let now = taken.get(&holder).copied().unwrap_or(0);
        if now >= most {
            return None;
        }
        taken.insert(holder.clone(), now + 1);
        Some(Seat { seats: self.clone(), holder })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.taken.lock().unwrap_or_else(PoisonError::into_inner);
        match taken.get_mut(&self.holder) {
            Some(n) if *n > 1 => *n -= 1,
            _ => {
                taken.remove(&self.holder);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seat_comes_back() {
        let seats = Seats::default();
        let holder = Holder::Address("192.0.2.1".parse().expect("an address"));
        let first = seats.take(holder.clone(), 2).expect("free");
        let second = seats.take(holder.clone(), 2).expect("free");
        assert!(seats.take(holder.clone(), 2).is_none());
        assert!(seats.take(Holder::Listener, 1).is_some());
        drop(first);
        let third = seats.take(holder.clone(), 2).expect("free again");
        drop((second, third));
        assert!(seats.taken.lock().expect("a map").is_empty());
    }
}
