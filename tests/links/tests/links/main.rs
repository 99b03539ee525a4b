//! A centre and a region as real processes, each in a network namespace of its own, over links that
//! are long, lossy, slow, or end again and again. `make links`, as root; it prints a line of JSON
//! for each link.
//!
//! * [`ground`]: the two namespaces, the backlog, what is measured.
//! * [`backlog`]: 5,000 queued records over each kind of link.
//! * [`returning`]: how soon the first record arrives when a link is there again.

mod backlog;
mod ground;
mod returning;
