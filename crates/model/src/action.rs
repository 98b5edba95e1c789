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

    pub fn title(self) -> &'static str {
        match self {
            ActionKind::BlockIp => "Block the address",
            ActionKind::QuarantineAccount => "Quarantine the account",
            ActionKind::TerminateSession => "Terminate the session",
            ActionKind::ResetPassword => "Reset the password",
            ActionKind::RevokeFactors => "Revoke tokens and review factors",
            ActionKind::CollectForensics => "Collect a forensic package",
            ActionKind::EnforceMfa => "Enforce multi-factor authentication",
        }
    }
}
