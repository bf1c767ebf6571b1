//! windows, claims, skipped rows, verification.
