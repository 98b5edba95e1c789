//! Syslog over UDP (RFC 5426): one datagram, one record.

use crate::counters::DoorCounts;
use crate::door::{DoorContext, DoorError, Source, stranger};
use crate::intake::Records;
use crate::pace::Pace;
use crate::syslog::Options;
use crate::syslog::frame::trimmed;
use crate::syslog::peers::Peers;
use crate::syslog::stream::{BATCH_BYTES, BATCH_RECORDS, LINGER};
use crate::window::{BATCHES, Settled, Window};
use rustix::net::sockopt;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::time::{Instant, sleep_until};

const DOOR: &str = "syslog_udp";
/// The longest datagram that there is.
const DATAGRAM: usize = 65_536;
/// How often the kernel is asked what it threw away.
const LOOK: Duration = Duration::from_secs(1);

pub(crate) struct Udp {
    socket: UdpSocket,
    address: SocketAddr,
    peers: Peers,
    context: DoorContext,
    limits: crate::gate::Limits,
}

impl Udp {
    pub(crate) async fn bind(options: Options, context: DoorContext) -> Result<Udp, DoorError> {
        let peers = Peers::new(&context, DOOR, &options)?;
        if options.tls.is_some() {
            return Err(DoorError::config(DOOR, "there is no TLS over UDP; use transport `tcp`"));
        }
        let listen = |error| DoorError::Listen { door: DOOR, address: options.listen.to_string(), error };
        let socket = UdpSocket::bind(options.listen).await.map_err(listen)?;
        let address = socket.local_addr().map_err(listen)?;
        // The forced one needs CAP_NET_ADMIN and is not bounded by net.core.rmem_max.
        let asked = options.receive_buffer;
        if sockopt::set_socket_recv_buffer_size_force(socket.as_fd(), asked).is_err() {
            sockopt::set_socket_recv_buffer_size(socket.as_fd(), asked).ok();
        }
        // The kernel tells twice what it grants.
        let granted = sockopt::socket_recv_buffer_size(socket.as_fd()).unwrap_or(0) / 2;
        if granted < asked {
            tracing::warn!(%address, asked, granted, "the kernel holds fewer bytes than asked for; raise net.core.rmem_max");
        }
        Ok(Udp { socket, address, peers, context, limits: options.limits })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) async fn run(self) {
        let Udp { socket, address, peers, context, limits } = self;
        let unknown = stranger(&context, DOOR);
        let mut window: Window<()> = Window::new(&context, 2 * BATCHES);
        let mut pace = Pace::new(limits.records_per_s);
        let mut resume: Option<Instant> = None;
        let mut pending = Pending::default();
        let mut buffer = vec![0; DATAGRAM];
        // Beside the loop, which stands still while the intake is full: when datagrams are lost.
        let watch = tokio::spawn(watch(Drops::new(&socket, address), unknown.clone()));
        let mut closing = false;
        while !closing {
            tokio::select! {
                biased;
                () = context.shutdown.cancelled() => closing = true,
                settled = window.next() => if settled == Settled::GivenUp(()) { closing = true },
                () = sleep_until(pending.due()), if !pending.is_empty() && window.has_room() => {
                    pending.hand_over(&mut window, &context).await;
                }
                () = sleep_until(resume.unwrap_or_else(Instant::now)), if resume.is_some() => resume = None,
                ready = socket.readable(), if window.has_room() && resume.is_none() => {
                    if ready.is_err() {
                        continue;
                    }
                    let n = receive(&socket, &mut buffer, &peers, &unknown, &mut pending, limits.record_bytes);
                    if let Some(pace) = &mut pace {
                        resume = pace.took(n);
                    }
                    if pending.is_full() {
                        pending.hand_over(&mut window, &context).await;
                    }
                }
            }
        }
        // What lies in the kernel was sent before the end.
        for _ in 0..BATCHES {
            if receive(&socket, &mut buffer, &peers, &unknown, &mut pending, limits.record_bytes) == 0 {
                break;
            }
            pending.hand_over(&mut window, &context).await;
        }
        pending.hand_over(&mut window, &context).await;
        window.drain(|()| {}).await;
        watch.abort();
    }
}

async fn watch(mut drops: Drops, unknown: Arc<DoorCounts>) {
    let mut look = tokio::time::interval(LOOK);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        look.tick().await;
        let more = drops.more();
        // Whose they were, nobody knows.
        unknown.lost.fetch_add(more.unwrap_or(0), Ordering::Relaxed);
        unknown.says(more.map(|n| format!("the kernel dropped {n} datagrams within a second")));
    }
}

pub(crate) fn too_long(limit: usize) -> String {
    format!("longer than {limit} bytes, the limit of a record; only its beginning is kept")
}

/// Reads what lies there, up to a batch.
fn receive(
    socket: &UdpSocket,
    buffer: &mut [u8],
    peers: &Peers,
    unknown: &DoorCounts,
    pending: &mut Pending,
    limit: usize,
) -> usize {
    let mut n = 0;
    while !pending.is_full() {
        let (length, from) = match socket.try_recv_from(buffer) {
            Ok(got) => got,
            Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => break,
            // The socket goes on; what is wrong with it shows the next time.
            Err(_) => break,
        };
        n += 1;
        let Some(source) = peers.of(from.ip()) else {
            DoorCounts::add(&unknown.turned_away, 1);
            continue;
        };
        match trimmed(buffer.get(..length).unwrap_or_default()) {
            b"" => {}
            long if long.len() > limit => {
                pending.since.get_or_insert_with(Instant::now);
                pending.too_long.push((source.clone(), long.get(..limit).unwrap_or(long).to_vec()));
            }
            record => pending.push(source, record),
        }
    }
    n
}

/// Records that are read and not handed over, by source.
#[derive(Default)]
struct Pending {
    of: Vec<(Source, Records)>,
    too_long: Vec<(Source, Vec<u8>)>,
    records: usize,
    bytes: usize,
    since: Option<Instant>,
}

impl Pending {
    fn push(&mut self, source: &Source, record: &[u8]) {
        self.records += 1;
        self.bytes += record.len();
        self.since.get_or_insert_with(Instant::now);
        // There are few, and the one that sent last is likely to send next.
        let same = |(s, _): &&mut (Source, Records)| Arc::ptr_eq(&s.counts, &source.counts);
        match self.of.iter_mut().find(same) {
            Some((_, records)) => records.push(record),
            None => {
                let mut records = Records::default();
                records.push(record);
                self.of.push((source.clone(), records));
            }
        }
    }

    fn is_empty(&self) -> bool {
        self.records == 0 && self.too_long.is_empty()
    }

    fn is_full(&self) -> bool {
        self.records >= BATCH_RECORDS || self.bytes >= BATCH_BYTES || self.too_long.len() >= BATCHES
    }

    fn due(&self) -> Instant {
        self.since.unwrap_or_else(Instant::now) + LINGER
    }

    async fn hand_over(&mut self, window: &mut Window<()>, context: &DoorContext) {
        for (source, records) in std::mem::take(&mut self.of) {
            window.push(&source, records, ());
        }
        for (source, head) in std::mem::take(&mut self.too_long) {
            source.dead(&context.intake, too_long(source.limits.record_bytes), &head).await;
        }
        (self.records, self.bytes, self.since) = (0, 0, None);
    }
}

/// What the kernel threw away at this socket, as `/proc/net/udp` tells it: the socket option for it would need a
/// control message with each datagram.
struct Drops {
    file: &'static str,
    inode: String,
    before: u64,
}

impl Drops {
    fn new(socket: &UdpSocket, address: SocketAddr) -> Drops {
        let file = if address.is_ipv4() { "/proc/net/udp" } else { "/proc/net/udp6" };
        let inode = rustix::fs::fstat(socket.as_fd()).map(|s| s.st_ino.to_string()).unwrap_or_default();
        Drops { file, inode, before: 0 }
    }

    /// How many since it was last asked.
    fn more(&mut self) -> Option<u64> {
        let text = std::fs::read_to_string(self.file).ok()?;
        let now = dropped(&text, &self.inode)?;
        let more = now.saturating_sub(self.before);
        self.before = now;
        (more > 0).then_some(more)
    }
}

/// The last column of the line with this inode, which stands in the tenth.
fn dropped(table: &str, inode: &str) -> Option<u64> {
    table.lines().find_map(|line| {
        let mut columns = line.split_ascii_whitespace();
        (columns.nth(9)? == inode).then(|| columns.last()?.parse().ok()).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_tells_what_it_dropped() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n\
            1211: 0100007F:0202 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 70001 2 0000000000000000 17\n\
            1212: 0100007F:0203 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 70002 2 0000000000000000 0\n";
        assert_eq!(dropped(table, "70001"), Some(17));
        assert_eq!(dropped(table, "70002"), Some(0));
        assert_eq!(dropped(table, "70003"), None);
    }
}
