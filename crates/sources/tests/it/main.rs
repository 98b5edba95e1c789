//! Every source reads its own fixtures, and the registry is complete.

mod declared;
mod fixtures;
mod hostile;
mod registry;
