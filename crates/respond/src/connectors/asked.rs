//! What an order asks for, taken apart; what a connector cannot do is refused here, in the same words everywhere.

use crate::connector::Order;
use crate::fault::Fault;
use crate::target::{Device, Stay, Target};
use crate::value::Net;

pub(crate) fn now() -> i64 {
    jiff::Timestamp::now().as_microsecond()
}

/// The address of the order.
pub(crate) fn address(order: &Order, product: &str) -> Result<Net, Fault> {
    match &order.target {
        Target::Address { net } => Ok(*net),
        other => Err(Fault::Unsupported(format!("{product} blocks addresses, not {other}"))),
    }
}

/// One single address, for products that know no ranges.
pub(crate) fn host(order: &Order, product: &str) -> Result<Net, Fault> {
    let net = address(order, product)?;
    if net.is_host() {
        Ok(net)
    } else {
        Err(Fault::Unsupported(format!("{product} blocks single addresses here, and {net} is a range")))
    }
}

/// The stay of the order, if it names a user, a session or an inner address: nothing less is ever sent.
pub(crate) fn stay<'a>(order: &'a Order, product: &str) -> Result<&'a Stay, Fault> {
    match &order.target {
        Target::Session(stay) if stay.user.is_some() || stay.id.is_some() || stay.inner.is_some() => Ok(stay),
        Target::Session(_) => Err(Fault::Refused(format!(
            "{product}: the order names no user, no session and no inner address, and all sessions are never meant"
        ))),
        other => Err(Fault::Unsupported(format!("{product} ends sessions, and {other} is none"))),
    }
}

/// The device of the order.
pub(crate) fn device<'a>(order: &'a Order, product: &str) -> Result<&'a Device, Fault> {
    match &order.target {
        Target::Device(device) => Ok(device),
        other => Err(Fault::Unsupported(format!("{product} isolates devices, and {other} is none"))),
    }
}

/// A read before the request: what it cannot understand changed nothing.
pub(crate) fn unsent(fault: Fault) -> Fault {
    if fault.may_have_acted() { Fault::Unreachable(fault.to_string()) } else { fault }
}

/// An address as a device writes it; what is none (`0.0.0.0`, `::`, `-`) is absent.
pub(crate) fn net(text: &str) -> Option<Net> {
    let net: Net = text.trim().parse().ok()?;
    (!net.net().addr().is_unspecified()).then_some(net)
}
