//! Opens what released formats wrote: `fixtures/` holds the bytes, `tests/` the readers.
