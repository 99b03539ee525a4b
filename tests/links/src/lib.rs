//! Real processes in network namespaces: see `tests/links`.
