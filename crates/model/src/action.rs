//! What containment would do. Proposed here, carried out only by an approved plan.

/// The playbook's containment row, one variant per step.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum ActionKind {
    BlockIp,
    QuarantineAccount,
    TerminateSession,
    ResetPassword,
    RevokeFactors,
    CollectForensics,
    EnforceMfa,
}

impl ActionKind {
    pub const ALL: [ActionKind; 7] = [
        ActionKind::BlockIp,
        ActionKind::QuarantineAccount,
        ActionKind::TerminateSession,
        ActionKind::ResetPassword,
        ActionKind::RevokeFactors,
        ActionKind::CollectForensics,
        ActionKind::EnforceMfa,
    ];

    pub fn id(self) -> &'static str {
        match self {
            ActionKind::BlockIp => "block_ip",
            ActionKind::QuarantineAccount => "quarantine_account",
            ActionKind::TerminateSession => "terminate_session",
            ActionKind::ResetPassword => "reset_password",
            ActionKind::RevokeFactors => "revoke_factors",
            ActionKind::CollectForensics => "collect_forensics",
            ActionKind::EnforceMfa => "enforce_mfa",
        }
    }
}
