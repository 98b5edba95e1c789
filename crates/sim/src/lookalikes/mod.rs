//! Benign events that look like attacks, one file each. Small companies get a few, chosen by the seed.

use crate::attacks::Stage;

mod admin_patch_round;
mod authorised_test;
mod clock_skew;
mod commercial_vpn_habit;
mod contractor_abroad;
mod duplicate_delivery;
mod egress_moves_country;
mod failed_only_spray;
mod new_hire;
mod new_home_provider;
mod new_phone_and_laptop;
mod on_call_night;
mod registered_travel;
mod typo_burst;
mod unregistered_holiday;

pub(crate) const ALL: &[Stage] = &[
    registered_travel::stage,
    typo_burst::stage,
    new_home_provider::stage,
    failed_only_spray::stage,
    unregistered_holiday::stage,
    authorised_test::stage,
    contractor_abroad::stage,
    admin_patch_round::stage,
    new_phone_and_laptop::stage,
    new_hire::stage,
    egress_moves_country::stage,
    on_call_night::stage,
    commercial_vpn_habit::stage,
    duplicate_delivery::stage,
    clock_skew::stage,
];
