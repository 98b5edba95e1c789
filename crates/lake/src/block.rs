//! Rows in memory, column by column: what is buffered, written, merged and read.

use crate::columns::{Col, Kind, Row};
use portreeve_model::event::Event;
use portreeve_model::{EventTime, Ip, SymbolTable};
use std::cmp::Ordering;

/// The values of one column.
#[derive(Clone, PartialEq, Debug)]
pub enum Values {
    Ints(Vec<i64>),
    Reals(Vec<f32>),
    Texts { bytes: Vec<u8>, ends: Vec<u32> },
}

impl Values {
    pub(crate) fn of(kind: Kind) -> Values {
        match kind {
            Kind::Moment | Kind::Number | Kind::Count | Kind::Small => Values::Ints(Vec::new()),
            Kind::Real => Values::Reals(Vec::new()),
            Kind::Text | Kind::Raw => Values::Texts { bytes: Vec::new(), ends: Vec::new() },
        }
    }

    /// 0 where there is none.
    pub fn int(&self, row: usize) -> i64 {
        match self {
            Values::Ints(values) => values.get(row).copied().unwrap_or(0),
            _ => 0,
        }
    }

    pub fn real(&self, row: usize) -> f32 {
        match self {
            Values::Reals(values) => values.get(row).copied().unwrap_or(f32::NAN),
            _ => f32::NAN,
        }
    }

    pub fn text(&self, row: usize) -> &[u8] {
        match self {
            Values::Texts { bytes, ends } => {
                let from = if row == 0 { 0 } else { ends.get(row - 1).copied().unwrap_or(0) };
                let to = ends.get(row).copied().unwrap_or(from);
                bytes.get(from as usize..to as usize).unwrap_or_default()
            }
            _ => &[],
        }
    }

    pub(crate) fn push_int(&mut self, value: i64) {
        if let Values::Ints(values) = self {
            values.push(value);
        }
    }

    pub(crate) fn push_real(&mut self, value: f32) {
        if let Values::Reals(values) = self {
            values.push(value);
        }
    }

    pub(crate) fn push_text(&mut self, value: &[u8]) {
        if let Values::Texts { bytes, ends } = self {
            bytes.extend_from_slice(value);
            ends.push(u32::try_from(bytes.len()).expect("a block is closed long before it holds 4 GiB"));
        }
    }

    pub(crate) fn extend_unset(&mut self, rows: usize) {
        match self {
            Values::Ints(v) => v.resize(v.len() + rows, 0),
            Values::Reals(v) => v.resize(v.len() + rows, f32::NAN),
            Values::Texts { bytes, ends } => {
                let end = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
                ends.resize(ends.len() + rows, end);
            }
        }
    }

    fn push_from(&mut self, from: &Values, row: usize) {
        match self {
            Values::Ints(values) => values.push(from.int(row)),
            Values::Reals(values) => values.push(from.real(row)),
            Values::Texts { .. } => self.push_text(from.text(row)),
        }
    }

    fn len(&self) -> usize {
        match self {
            Values::Ints(values) => values.len(),
            Values::Reals(values) => values.len(),
            Values::Texts { ends, .. } => ends.len(),
        }
    }

    fn size(&self) -> usize {
        match self {
            Values::Ints(values) => values.len() * 8,
            Values::Reals(values) => values.len() * 4,
            Values::Texts { bytes, ends } => bytes.len() + ends.len() * 4,
        }
    }

    pub(crate) fn clear(&mut self) {
        match self {
            Values::Ints(values) => values.clear(),
            Values::Reals(values) => values.clear(),
            Values::Texts { bytes, ends } => {
                bytes.clear();
                ends.clear();
            }
        }
    }
}

/// What stands beside an event: where its record came from, and what it was.
#[derive(Clone, Copy, Debug, Default)]
pub struct Recorded<'a> {
    pub seq: u64,
    /// Number of the event within its record, from 0.
    pub part: u32,
    pub arrival: EventTime,
    pub origin: &'a str,
    pub line: u32,
    pub offset: u64,
    pub raw: &'a [u8],
    /// The canonical account as the directory knows it; where it is empty, [`account_key`] of the user stands in.
    pub account: &'a str,
}

/// The total order of stored rows, and what makes two of them the same.
pub type RowKey = (i64, i64, i64);

/// Rows column by column. All columns are of one length, except where a reader asked for some of them only.
#[derive(Clone, PartialEq, Debug)]
pub struct Block {
    cols: Vec<Values>,
    rows: usize,
    /// Earliest and latest time.
    span: Option<(i64, i64)>,
}

impl Default for Block {
    fn default() -> Self {
        Block { cols: Col::ALL.iter().map(|c| Values::of(c.kind())).collect(), rows: 0, span: None }
    }
}

impl Block {
    pub fn new() -> Block {
        Block::default()
    }

    pub fn len(&self) -> usize {
        self.rows
    }

    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// About how many bytes it takes.
    pub fn size(&self) -> usize {
        self.cols.iter().map(Values::size).sum()
    }

    /// Earliest and latest time.
    pub fn span(&self) -> Option<(EventTime, EventTime)> {
        self.span.map(|(a, b)| (EventTime(a), EventTime(b)))
    }

    pub(crate) fn col(&self, col: Col) -> &Values {
        &self.cols[col as usize]
    }

    pub(crate) fn col_mut(&mut self, col: Col) -> &mut Values {
        &mut self.cols[col as usize]
    }

    pub(crate) fn key(&self, row: usize) -> RowKey {
        (self.col(Col::Time).int(row), self.col(Col::Seq).int(row), self.col(Col::Part).int(row))
    }

    /// A block from columns that were read; `rows` is the length of those that are there.
    pub(crate) fn set(&mut self, col: Col, values: Values, rows: usize) {
        self.cols[col as usize] = values;
        self.rows = rows;
    }

    pub(crate) fn measure(&mut self) {
        if let Values::Ints(times) = self.col(Col::Time) {
            self.span = times.iter().min().copied().zip(times.iter().max().copied());
        }
    }

    pub(crate) fn clear(&mut self) {
        self.cols.iter_mut().for_each(Values::clear);
        self.rows = 0;
        self.span = None;
    }

    fn counted(&mut self, time: i64) {
        self.rows += 1;
        let (a, b) = self.span.unwrap_or((time, time));
        self.span = Some((a.min(time), b.max(time)));
    }

    pub fn push_row(&mut self, row: &Row) {
        row.put_into(self);
        self.counted(row.time.0);
    }

    pub(crate) fn push_from(&mut self, from: &Block, row: usize) {
        for (to, from) in self.cols.iter_mut().zip(&from.cols) {
            to.push_from(from, row);
        }
        self.counted(from.col(Col::Time).int(row));
    }

    pub fn row(&self, row: usize) -> Row {
        Row::of(self, row)
    }

    pub fn rows(&self) -> impl Iterator<Item = Row> + '_ {
        (0..self.rows).map(|n| self.row(n))
    }

    fn recorded(&mut self, record: &Recorded<'_>) {
        self.col_mut(Col::Seq).push_int(record.seq.cast_signed());
        self.col_mut(Col::Part).push_int(i64::from(record.part));
        self.col_mut(Col::Arrival).push_int(record.arrival.0);
        self.col_mut(Col::Origin).push_text(record.origin.as_bytes());
        self.col_mut(Col::Line).push_int(i64::from(record.line));
        self.col_mut(Col::Offset).push_int(record.offset.cast_signed());
        self.col_mut(Col::Raw).push_text(record.raw);
    }

    /// A record that gave no event: `why` says so. Its time is that of its neighbours, or of its arrival.
    pub fn push_silent(&mut self, time: EventTime, source: &str, why: &str, record: &Recorded<'_>) {
        self.recorded(record);
        self.col_mut(Col::Time).push_int(time.0);
        self.col_mut(Col::Reason).push_text(why.as_bytes());
        self.col_mut(Col::Source).push_text(source.as_bytes());
        self.counted(time.0);
        self.fill();
    }

    /// Unset in every column that has no value for the last row yet.
    fn fill(&mut self) {
        for values in &mut self.cols {
            let missing = self.rows - values.len();
            values.extend_unset(missing);
        }
    }

    pub fn push_event(&mut self, event: &Event, names: &SymbolTable, record: &Recorded<'_>) {
        self.recorded(record);
        for (col, value) in [
            (Col::Time, event.time.0),
            (Col::Key, event.key.cast_signed()),
            (Col::SrcPort, i64::from(event.src_port)),
            (Col::DstPort, i64::from(event.dst_port)),
            (Col::Vlan, i64::from(event.vlan)),
            (Col::LogonType, i64::from(event.logon_type)),
            (Col::Severity, i64::from(event.severity)),
            (Col::Repeat, i64::from(event.repeat)),
            (Col::Duration, i64::from(event.duration_s)),
            (Col::BytesIn, event.bytes_in.cast_signed()),
            (Col::BytesOut, event.bytes_out.cast_signed()),
        ] {
            self.col_mut(col).push_int(value);
        }
        for (col, text) in [
            (Col::Certainty, event.certainty.name()),
            (Col::Act, event.act.name()),
            (Col::Outcome, event.outcome.name()),
            (Col::Reason, event.reason.name()),
            (Col::Service, event.service.name()),
            (Col::Method, event.method.name()),
            (Col::Mfa, event.mfa.name()),
            (Col::Factor, event.factor.name()),
            (Col::Change, event.change.name()),
            (Col::Country, event.country.text()),
        ] {
            self.col_mut(col).push_text(text.as_bytes());
        }
        for (col, sym) in [
            (Col::Source, event.source),
            (Col::Target, event.target),
            (Col::Observer, event.observer),
            (Col::Host, event.host),
            (Col::Device, event.device),
            (Col::Sid, event.sid),
            (Col::Client, event.client),
            (Col::Group, event.group),
            (Col::Detail, event.detail),
            (Col::City, event.city),
        ] {
            let text = names.text(sym);
            self.col_mut(col).push_text(text.as_bytes());
        }
        let user = names.text(event.user);
        self.col_mut(Col::User).push_text(user.as_bytes());
        let key = if record.account.is_empty() { account_key(&user) } else { record.account.to_lowercase() };
        self.col_mut(Col::UserKey).push_text(key.as_bytes());
        for (col, ip) in [(Col::SrcIp, event.src_ip), (Col::TunIp, event.tun_ip), (Col::DstIp, event.dst_ip)]
        {
            if let Some(ip) = ip.some() {
                self.col_mut(col).push_text(spelled(ip).as_bytes());
            }
        }
        if event.mac.is_some() {
            self.col_mut(Col::Mac).push_text(event.mac.to_string().as_bytes());
        }
        if event.flags.0 != 0 {
            let flags: Vec<&str> = event.flags.names().collect();
            self.col_mut(Col::Flags).push_text(flags.join(" ").as_bytes());
        }
        if let Some(point) = event.point {
            self.col_mut(Col::Lat).push_real(point.lat);
            self.col_mut(Col::Lon).push_real(point.lon);
        }
        self.counted(event.time.0);
        self.fill();
    }
}

/// The one spelling in which addresses are stored and looked for.
pub(crate) fn spelled(ip: Ip) -> String {
    ip.to_std().to_string()
}

/// An account without its realm, in lower case: `ACME\Anna`, `anna@acme.example` and `Anna` are one.
pub fn account_key(user: &str) -> String {
    let name = user.trim();
    let name = name.rsplit_once('\\').map_or(name, |(_, rest)| rest);
    let name = match name.split_once('@') {
        Some((before, _)) if !before.is_empty() => before,
        _ => name,
    };
    name.to_lowercase()
}

/// The rows of several blocks in the order of their keys.
pub(crate) fn sorted(blocks: &[&Block]) -> Vec<(u32, u32)> {
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let mut order: Vec<(u32, u32)> = blocks
        .iter()
        .enumerate()
        .flat_map(|(b, block)| (0..block.len()).map(move |row| (number(b), number(row))))
        .collect();
    let compare = |a: &(u32, u32), b: &(u32, u32)| -> Ordering {
        let key = |at: &(u32, u32)| blocks[at.0 as usize].key(at.1 as usize);
        key(a).cmp(&key(b))
    };
    order.sort_by(compare);
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_has_one_key() {
        for user in ["ACME\\Anna", "anna@acme.example", " Anna ", "acme\\anna@acme.example"] {
            assert_eq!(account_key(user), "anna", "{user}");
        }
        assert_eq!(account_key("@admin"), "@admin");
        assert_eq!(account_key(""), "");
    }

    #[test]
    fn an_event_and_its_row() {
        let names = SymbolTable::default();
        let event = Event {
            time: EventTime(5),
            user: names.intern("ACME\\Anna"),
            src_ip: Ip::parse(b"::ffff:203.0.113.9"),
            host: names.intern("fw1"),
            key: u64::MAX,
            ..Event::default()
        };
        let mut block = Block::new();
        let record = Recorded { seq: 7, origin: "edge", line: 3, raw: b"x\xff", ..Recorded::default() };
        block.push_event(&event, &names, &record);
        block.push_silent(EventTime(9), "cisco_asa", "truncated", &Recorded { seq: 8, ..record });
        let (event, silent) = (block.row(0), block.row(1));
        assert_eq!(
            (event.user_key.as_str(), event.src_ip.as_str(), event.key),
            ("anna", "203.0.113.9", u64::MAX)
        );
        assert_eq!((event.act.as_str(), event.raw.as_slice(), event.seq), ("auth", &b"x\xff"[..], 7));
        assert_eq!((silent.act.as_str(), silent.reason.as_str(), silent.lat), ("", "truncated", None));
        assert_eq!(block.span(), Some((EventTime(5), EventTime(9))));
        let mut again = Block::new();
        again.push_row(&event);
        again.push_row(&silent);
        assert_eq!(again.rows().collect::<Vec<_>>(), [event, silent]);
    }
}
