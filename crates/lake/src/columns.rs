//! The columns of a stored row, once: their names, kinds and places, and the row as a struct.

use crate::block::{Block, Values};
use portreeve_model::EventTime;

/// How a column is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Microseconds UTC; never null.
    Moment,
    /// Never null.
    Number,
    /// 0 stands for null.
    Count,
    /// As [`Kind::Count`], below 2^31.
    Small,
    Real,
    /// The empty text stands for null.
    Text,
    /// Bytes as they were received.
    Raw,
}

/// A field of a row that a column can give and take.
trait Cell: Sized {
    fn get(values: &Values, row: usize) -> Self;
    fn put(&self, values: &mut Values);
    fn field(&self) -> Field<'_>;
}

/// A field of a row as one of few things: for tables, JSON and the like.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Field<'a> {
    Null,
    Moment(EventTime),
    Number(u64),
    Real(f32),
    Text(&'a str),
    Bytes(&'a [u8]),
}

impl Cell for EventTime {
    fn get(values: &Values, row: usize) -> Self {
        EventTime(values.int(row))
    }

    fn put(&self, values: &mut Values) {
        values.push_int(self.0);
    }

    fn field(&self) -> Field<'_> {
        Field::Moment(*self)
    }
}

impl Cell for u64 {
    fn get(values: &Values, row: usize) -> Self {
        values.int(row).cast_unsigned()
    }

    fn put(&self, values: &mut Values) {
        values.push_int(self.cast_signed());
    }

    fn field(&self) -> Field<'_> {
        Field::Number(*self)
    }
}

impl Cell for u32 {
    fn get(values: &Values, row: usize) -> Self {
        u32::try_from(values.int(row)).unwrap_or(0)
    }

    fn put(&self, values: &mut Values) {
        values.push_int(i64::from(*self));
    }

    fn field(&self) -> Field<'_> {
        Field::Number(u64::from(*self))
    }
}

impl Cell for Option<f32> {
    fn get(values: &Values, row: usize) -> Self {
        Some(values.real(row)).filter(|v| !v.is_nan())
    }

    fn put(&self, values: &mut Values) {
        values.push_real(self.unwrap_or(f32::NAN));
    }

    fn field(&self) -> Field<'_> {
        self.map_or(Field::Null, Field::Real)
    }
}

impl Cell for String {
    fn get(values: &Values, row: usize) -> Self {
        String::from_utf8_lossy(values.text(row)).into_owned()
    }

    fn put(&self, values: &mut Values) {
        values.push_text(self.as_bytes());
    }

    fn field(&self) -> Field<'_> {
        if self.is_empty() { Field::Null } else { Field::Text(self) }
    }
}

impl Cell for Vec<u8> {
    fn get(values: &Values, row: usize) -> Self {
        values.text(row).to_vec()
    }

    fn put(&self, values: &mut Values) {
        values.push_text(self);
    }

    fn field(&self) -> Field<'_> {
        Field::Bytes(self)
    }
}

macro_rules! columns {
    ($($(#[$doc:meta])* $col:ident $field:ident: $type:ty = $kind:ident,)*) => {
        /// A column by its place.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        #[repr(u8)]
        pub enum Col { $($(#[$doc])* $col,)* }

        impl Col {
            pub const ALL: &[Col] = &[$(Col::$col,)*];

            pub const fn name(self) -> &'static str {
                match self { $(Col::$col => stringify!($field),)* }
            }

            pub const fn kind(self) -> Kind {
                match self { $(Col::$col => Kind::$kind,)* }
            }
        }

        /// One event, or one record that gave none, with all its names written out. Unset is empty or 0.
        #[derive(Clone, PartialEq, Debug, Default)]
        pub struct Row { $($(#[$doc])* pub $field: $type,)* }

        impl Row {
            pub(crate) fn of(block: &Block, row: usize) -> Row {
                Row { $($field: <$type as Cell>::get(block.col(Col::$col), row),)* }
            }

            pub(crate) fn put_into(&self, block: &mut Block) {
                $(self.$field.put(block.col_mut(Col::$col));)*
            }

            /// Name and content of every field, in the order of the columns.
            pub fn fields(&self) -> impl Iterator<Item = (&'static str, Field<'_>)> {
                [$((Col::$col, self.$field.field()),)*].into_iter().map(|(col, field)| match (col.kind(), field) {
                    (Kind::Count | Kind::Small, Field::Number(0)) => (col.name(), Field::Null),
                    _ => (col.name(), field),
                })
            }
        }
    };
}

columns! {
    Time time: EventTime = Moment,
    /// Number of the record in the journal.
    Seq seq: u64 = Number,
    /// Number of the event within its record, from 0.
    Part part: u32 = Number,
    Arrival arrival: EventTime = Moment,
    /// Hash of the canonical record, as the model has it.
    Key key: u64 = Count,
    Certainty certainty: String = Text,
    /// Empty where the record gave no event; `reason` then says why.
    Act act: String = Text,
    Outcome outcome: String = Text,
    Reason reason: String = Text,
    Service service: String = Text,
    Method method: String = Text,
    Mfa mfa: String = Text,
    Factor factor: String = Text,
    Change change: String = Text,
    /// Names of what is set, with spaces between them.
    Flags flags: String = Text,
    /// Name of the log source that read the record.
    Source source: String = Text,
    /// As the record spells it.
    User user: String = Text,
    /// The account in its canonical spelling, lower case.
    UserKey user_key: String = Text,
    Target target: String = Text,
    SrcIp src_ip: String = Text,
    TunIp tun_ip: String = Text,
    DstIp dst_ip: String = Text,
    SrcPort src_port: u32 = Small,
    DstPort dst_port: u32 = Small,
    Mac mac: String = Text,
    Vlan vlan: u32 = Small,
    LogonType logon_type: u32 = Small,
    Severity severity: u32 = Small,
    Observer observer: String = Text,
    Host host: String = Text,
    Device device: String = Text,
    /// Session, token or key id of the product.
    Sid sid: String = Text,
    Client client: String = Text,
    /// Tunnel group, policy, realm, portal or application.
    Group group_name: String = Text,
    Detail detail: String = Text,
    Country country: String = Text,
    City city: String = Text,
    Lat lat: Option<f32> = Real,
    Lon lon: Option<f32> = Real,
    BytesIn bytes_in: u64 = Count,
    BytesOut bytes_out: u64 = Count,
    Duration duration_s: u64 = Count,
    Repeat repeat: u32 = Small,
    /// The configured source, or the path of a followed file.
    Origin origin: String = Text,
    Line line: u32 = Number,
    Offset offset: u64 = Number,
    Raw raw: Vec<u8> = Raw,
}

impl Col {
    pub fn named(name: &str) -> Option<Col> {
        Col::ALL.iter().copied().find(|c| c.name() == name)
    }

    /// Columns in which single values are looked for.
    pub(crate) fn has_bloom(self) -> bool {
        matches!(
            self,
            Col::User
                | Col::UserKey
                | Col::SrcIp
                | Col::TunIp
                | Col::DstIp
                | Col::Host
                | Col::Device
                | Col::Sid
        )
    }
}
