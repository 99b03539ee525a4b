//! Evidence bundles before checkers that others wrote; everything is in `tests/`.
