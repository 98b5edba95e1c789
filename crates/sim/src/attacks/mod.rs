//! Attacks through external remote services, one file each. Small companies get a few, chosen by the seed.

use crate::incident::Incident;
use crate::scene::Scene;

mod access_key_new_network;
mod aitm_session_replay;
mod aws_console_no_mfa;
mod baseline_poisoning;
mod brute_force_then_success;
mod distributed_spray;
mod dormant_account;
mod edr_alert_fan_out;
mod factor_reset_by_intruder;
mod fortigate_admin_local_user;
mod impossible_travel;
mod insider_vlan_hop;
mod kubernetes_anonymous_exec;
mod listed_address;
mod mfa_fatigue;
mod netscaler_session_hijack;
mod new_domain_admin;
mod phished_no_mfa_group;
mod rdp_exposed;
mod service_account_token;
mod ssh_brute_force_sudo;
mod terminated_account;

/// A scenario writes its rows and says what happened; `None` where this company lacks what it needs.
pub(crate) type Stage = fn(&mut Scene<'_>) -> Option<Incident>;

pub(crate) const ALL: &[Stage] = &[
    phished_no_mfa_group::stage,
    mfa_fatigue::stage,
    ssh_brute_force_sudo::stage,
    aws_console_no_mfa::stage,
    new_domain_admin::stage,
    kubernetes_anonymous_exec::stage,
    aitm_session_replay::stage,
    fortigate_admin_local_user::stage,
    rdp_exposed::stage,
    impossible_travel::stage,
    brute_force_then_success::stage,
    listed_address::stage,
    dormant_account::stage,
    terminated_account::stage,
    netscaler_session_hijack::stage,
    edr_alert_fan_out::stage,
    factor_reset_by_intruder::stage,
    access_key_new_network::stage,
    distributed_spray::stage,
    service_account_token::stage,
    insider_vlan_hop::stage,
    baseline_poisoning::stage,
];
