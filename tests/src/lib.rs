//! Shared harness of the tests: throw-away clusters, clients and the independent record.
