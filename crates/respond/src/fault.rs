//! What can go wrong between us and a device, told apart by what it means for the effect.

/// An error of a connector. The question that decides everything after it is whether the device may have acted.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Fault {
    /// The configuration does not say enough or says something wrong. Nothing was sent.
    #[error("configuration: {0}")]
    Config(String),
    /// A credential is missing, unreadable or not accepted. Nothing was changed.
    #[error("credential: {0}")]
    Credential(String),
    /// Nobody answered before anything was sent.
    #[error("not reachable: {0}")]
    Unreachable(String),
    /// The device said no. Nothing was changed.
    #[error("refused by the device: {0}")]
    Refused(String),
    /// The device has nothing by this name.
    #[error("not found: {0}")]
    NotFound(String),
    /// More than one thing at the device answers to this name; none is chosen.
    #[error("ambiguous: {0}")]
    Ambiguous(String),
    /// This connector cannot do this to such a target.
    #[error("not supported: {0}")]
    Unsupported(String),
    /// The request went out and its answer did not come back: it may have worked.
    #[error("outcome unknown: {0}")]
    Lost(String),
    /// The answer came and could not be understood. For a request that changes something, it may have worked.
    #[error("answer not understood: {0}")]
    Garbled(String),
}

impl Fault {
    /// May the device have done what was asked? If so, only reading tells; nothing is sent again.
    pub fn may_have_acted(&self) -> bool {
        matches!(self, Fault::Lost(_) | Fault::Garbled(_))
    }
}

impl From<crate::value::Refused> for Fault {
    fn from(refused: crate::value::Refused) -> Fault {
        Fault::Refused(format!("a value is not sent: {refused}"))
    }
}
