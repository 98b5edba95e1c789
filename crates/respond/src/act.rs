//! The acts of containment, what each is in MITRE D3FEND, and the order in which they work.

use portreeve_model::action::ActionKind;
use serde::{Deserialize, Serialize};

/// One kind of effect at one device.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    BlockAddress,
    DisableAccount,
    RevokeKey,
    TerminateSession,
    RevokeTokens,
    IsolateDevice,
    RequirePasswordChange,
    ResetPassword,
    ResetFactors,
    CollectForensics,
    EnforceMfa,
}

impl Act {
    pub const ALL: [Act; 11] = [
        Act::BlockAddress,
        Act::DisableAccount,
        Act::RevokeKey,
        Act::TerminateSession,
        Act::RevokeTokens,
        Act::IsolateDevice,
        Act::RequirePasswordChange,
        Act::ResetPassword,
        Act::ResetFactors,
        Act::CollectForensics,
        Act::EnforceMfa,
    ];

    pub fn id(self) -> &'static str {
        match self {
            Act::BlockAddress => "block_address",
            Act::DisableAccount => "disable_account",
            Act::RevokeKey => "revoke_key",
            Act::TerminateSession => "terminate_session",
            Act::RevokeTokens => "revoke_tokens",
            Act::IsolateDevice => "isolate_device",
            Act::RequirePasswordChange => "require_password_change",
            Act::ResetPassword => "reset_password",
            Act::ResetFactors => "reset_factors",
            Act::CollectForensics => "collect_forensics",
            Act::EnforceMfa => "enforce_mfa",
        }
    }

    pub fn by_id(id: &str) -> Option<Act> {
        Act::ALL.into_iter().find(|a| a.id() == id)
    }

    /// As a person says it.
    pub fn title(self) -> &'static str {
        match self {
            Act::BlockAddress => "Block the address",
            Act::DisableAccount => "Disable the account",
            Act::RevokeKey => "Revoke the key",
            Act::TerminateSession => "Terminate the sessions",
            Act::RevokeTokens => "Revoke tokens and cookies",
            Act::IsolateDevice => "Isolate the device",
            Act::RequirePasswordChange => "Require a new password at the next sign-in",
            Act::ResetPassword => "Reset the password",
            Act::ResetFactors => "Reset the second factors",
            Act::CollectForensics => "Collect a forensic package",
            Act::EnforceMfa => "Enforce multi-factor authentication",
        }
    }

    /// The D3FEND technique of the act.
    pub fn d3fend(self) -> &'static str {
        match self {
            Act::BlockAddress => "D3-ITF",
            Act::DisableAccount => "D3-AL",
            Act::RevokeKey => "D3-CR",
            Act::TerminateSession => "D3-ST",
            Act::RevokeTokens => "D3-ANCI",
            Act::IsolateDevice => "D3-NI",
            Act::RequirePasswordChange | Act::ResetPassword => "D3-CRO",
            Act::ResetFactors => "D3-CR",
            Act::CollectForensics => "D3-FA",
            Act::EnforceMfa => "D3-MFA",
        }
    }

    /// The D3FEND technique of its undo, where there is one.
    pub fn d3fend_undo(self) -> Option<&'static str> {
        match self {
            Act::DisableAccount => Some("D3-ULA"),
            Act::RevokeKey => Some("D3-RIC"),
            Act::BlockAddress | Act::IsolateDevice => Some("D3-RNA"),
            _ => None,
        }
    }

    /// When in a plan: the way back in is shut first, then what runs is ended, then the password changes, and the
    /// factors come last, because whoever still has a session would enrol his own.
    pub fn stage(self) -> u8 {
        match self {
            Act::BlockAddress | Act::DisableAccount | Act::RevokeKey => 1,
            Act::TerminateSession | Act::RevokeTokens | Act::IsolateDevice => 2,
            Act::RequirePasswordChange | Act::ResetPassword => 3,
            Act::ResetFactors => 4,
            Act::CollectForensics => 5,
            Act::EnforceMfa => 6,
        }
    }

    /// Can nothing bring back what was? A password, a factor, a session that ended.
    pub fn is_final(self) -> bool {
        matches!(self, Act::TerminateSession | Act::RevokeTokens | Act::ResetPassword | Act::ResetFactors)
    }

    /// Final, but the person affected only has to sign in again.
    pub fn is_light(self) -> bool {
        matches!(self, Act::TerminateSession | Act::RevokeTokens)
    }

    /// The acts that carry out one step of the playbook.
    pub fn of(kind: ActionKind) -> &'static [Act] {
        match kind {
            ActionKind::BlockIp => &[Act::BlockAddress],
            ActionKind::QuarantineAccount => &[Act::DisableAccount],
            ActionKind::TerminateSession => &[Act::TerminateSession],
            ActionKind::ResetPassword => &[Act::ResetPassword, Act::RequirePasswordChange],
            ActionKind::RevokeFactors => &[Act::RevokeTokens, Act::RevokeKey, Act::ResetFactors],
            ActionKind::CollectForensics => &[Act::CollectForensics, Act::IsolateDevice],
            ActionKind::EnforceMfa => &[Act::EnforceMfa],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_of_the_playbook_has_an_act_and_every_act_a_step() {
        for act in Act::ALL {
            assert_eq!(Act::by_id(act.id()), Some(act));
            assert!(ActionKind::ALL.iter().any(|k| Act::of(*k).contains(&act)), "{act:?}");
        }
        assert!(ActionKind::ALL.iter().all(|k| !Act::of(*k).is_empty()));
    }

    #[test]
    fn the_way_back_in_is_shut_before_sessions_end_and_factors_come_last() {
        assert!(Act::DisableAccount.stage() < Act::TerminateSession.stage());
        assert!(Act::TerminateSession.stage() < Act::ResetPassword.stage());
        assert!(Act::ResetPassword.stage() < Act::ResetFactors.stage());
    }
}
