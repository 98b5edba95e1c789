//! Three-valued answers. Unknown is never no.

/// Yes, no, or unknown.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum Tri {
    Yes,
    No,
    #[default]
    Unknown,
}

impl Tri {
    /// As the answer to a question.
    pub fn answer(self) -> &'static str {
        match self {
            Tri::Yes => "yes",
            Tri::No => "no",
            Tri::Unknown => "unknown",
        }
    }

    /// As the state of a criterion.
    pub fn state(self) -> &'static str {
        match self {
            Tri::Yes => "true",
            Tri::No => "false",
            Tri::Unknown => "unknown",
        }
    }
}

impl From<bool> for Tri {
    fn from(value: bool) -> Self {
        if value { Tri::Yes } else { Tri::No }
    }
}

/// The playbook's decision, most urgent last so that `max` picks it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum Decision {
    #[default]
    Close,
    Investigate,
    Escalate,
}

impl Decision {
    pub fn name(self) -> &'static str {
        match self {
            Decision::Close => "close",
            Decision::Investigate => "investigate",
            Decision::Escalate => "escalate",
        }
    }
}
