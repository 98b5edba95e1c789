//! The doors, asked by real peers and by hostile ones.
