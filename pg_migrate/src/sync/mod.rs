//! the native triggers.
