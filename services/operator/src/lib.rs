//! The operator's tool `adal`: what a person at a terminal, or a script, does with an installation.
//!
//! # Scope
//! Looking at logs and checking them, evidence for strangers, the state of replication, the
//! tables, entering facts, directives, enrolment, a development authority, import of foreign
//! registers, made-up working days. Everything that concerns a running node goes through its gRPC
//! services with the person's certificate; the tool has no rights of its own.
//!
//! # Not in scope
//! Deciding anything: rules are `domain`'s, and the node's answer counts. Storing anything, except
//! the files that a command names.
//!
//! # Exit status
//! 0 done; 1 the answer is bad (damage, refused evidence, too many rejected rows); 2 the command
//! line, a file or a value is wrong; 3 a node could not be reached, or refused.
//!
//! # Modules
//! * [`cli`] the command line; [`run`] from it to an exit status.
//! * [`connect`] the way to a node; [`errors`] failures in one line; [`output`] tables and JSON;
//!   [`input`] texts and times from the command line.
//! * One module for each family of commands: [`journal`], [`logs`], [`evidence`], [`receipt`],
//!   [`policy`], [`sync`], [`query`], [`record`], [`directive`], [`office`], [`pki`], [`import`],
//!   [`generate`], [`views`].
//! * [`send`] one command, and again where the node is away.

pub mod cli;
pub mod connect;
pub mod directive;
pub mod errors;
pub mod evidence;
pub mod generate;
pub mod import;
pub mod input;
pub mod journal;
pub mod logs;
pub mod office;
pub mod output;
pub mod pki;
pub mod policy;
pub mod query;
pub mod receipt;
pub mod record;
pub mod run;
pub mod send;
pub mod sync;
pub mod vault;
pub mod views;
