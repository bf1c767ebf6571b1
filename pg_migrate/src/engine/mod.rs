//! runs steps: locks and retries, state changes, resume, contract, downgrade.
