//! Every source reads its own fixtures, and the registry is complete.

mod fixtures;
mod hostile;
mod registry;
