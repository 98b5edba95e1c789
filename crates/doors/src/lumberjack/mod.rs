//! Lumberjack.
