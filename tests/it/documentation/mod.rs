//! The pages: links lead somewhere, commands run, tables say what the code says.

/// Every key of a bundle.
mod bundle;
/// Shell commands, in order.
mod commands;
/// One table of exit codes.
mod exit_codes;
/// Links and targets.
mod links;
mod markdown;
/// Commands in passing.
mod names;
/// SQL, on both databases.
mod queries;
/// The first thing that a newcomer sees.
mod report;
/// TOML and JSON.
mod settings;
/// Every column of every table.
mod tables;
