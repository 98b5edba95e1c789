//! Lists of words that stand in columns, and the numbers by which rows are known.

/// An enum whose variants are words in a column.
pub trait Word: Sized + Copy + 'static {
    /// What it is, for errors.
    const WHAT: &'static str;
    const ALL: &'static [Self];
    fn word(self) -> &'static str;
    fn of(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|w| w.word() == text)
    }
}

macro_rules! words {
    ($(#[$meta:meta])* $name:ident, $what:literal { $($(#[$doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum $name { $($(#[$doc])* $variant,)+ }

        impl $crate::word::Word for $name {
            const WHAT: &'static str = $what;
            const ALL: &'static [Self] = &[$($name::$variant,)+];
            fn word(self) -> &'static str {
                match self { $($name::$variant => $word,)+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str($crate::word::Word::word(*self))
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::error::Error;
            fn from_str(text: &str) -> std::result::Result<Self, Self::Err> {
                <$name as $crate::word::Word>::of(text)
                    .ok_or_else(|| $crate::error::Error::invalid($what, format!("{text:?} is none of its words")))
            }
        }

        impl<'a> From<$name> for $crate::db::value::Value<'a> {
            fn from(v: $name) -> Self {
                $crate::db::value::Value::from($crate::word::Word::word(v))
            }
        }
    };
}
pub(crate) use words;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub struct $name(pub i64);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }

        impl<'a> From<$name> for $crate::db::value::Value<'a> {
            fn from(v: $name) -> Self {
                $crate::db::value::Value::Int(v.0)
            }
        }
    )+};
}

ids! {
    /// The number that people say.
    CaseId;
    /// One of the engine's cases inside a case.
    PartId;
    DocumentId;
    EntryId;
    NoteId;
    SnapshotId;
    OverrideId;
    EvidenceId;
    SuppressionId;
    AskId;
    PersonId;
    TokenId;
    SourceId;
    DeliveryId;
}
