//! One binary for all end-to-end tests, so that everything links once.

mod support;

mod attachments;
mod bad_input;
mod boston;
mod configuration;
mod damage;
mod directive;
mod epochs;
mod evidence;
mod full_disk;
mod guide;
mod import;
mod kills;
mod link_cut;
mod operator_tool;
mod previews;
mod python_client;
mod records_travel;
mod reseed;
mod restore;
mod sealed;
mod situations;
mod trace;
mod twenty_second_office;
mod witnesses;
