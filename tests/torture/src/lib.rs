//! Kills, power cuts and damage against the journal on real files; everything is in `tests/`.
