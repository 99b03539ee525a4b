//! Realistic working days of any number of offices, from a seed: for demonstrations, load and
//! tests.
//!
//! Scope: what people of an office would enter (calls, letters, appeals followed to their answer,
//! receptions, measures, activities, a correction now and then), as requests with their times, in
//! an order that [`domain::decide()`] accepts. Names and texts are composed from word lists of
//! this crate; nothing here describes a real person or case, and no foreign data is used.
//!
//! Not here: directives and tasks (they come from the centre), holidays (weekends are kept free;
//! the calendar is data of the centre), sending anything anywhere.
//!
//! Invariant: pure; the same seed, offices, first day and zone give the same steps on every
//! machine, and an office's steps do not depend on which other offices take part.
//!
//! Modules: [`play`] the iterator, [`step`] what it yields.

mod appeals;
mod calendar;
mod contacts;
mod desk;
mod dice;
mod plans;
pub mod play;
mod receptions;
pub mod step;
mod words;

pub use play::Play;
pub use step::Step;
