//! Parses, calls, and maps the outcome to an exit code.

use std::process::ExitCode;

use clap::Parser;
use lamplighter::cli::Cli;
use lamplighter::interrupt::Interrupt;
use lamplighter::terminal::Terminal;
use lamplighter::{commands, error};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

fn main() -> ExitCode {
    leave_no_core();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version come this way too, and are no errors.
            let exit_code = match error.use_stderr() {
                true => error::Class::Usage.exit_code(),
                false => 0,
            };
            let _ = error.print();
            return ExitCode::from(exit_code);
        }
    };
    let terminal = Terminal::new(&cli.global);
    let outcome =
        Interrupt::listen().and_then(|interrupt| commands::dispatch(cli, &terminal, &interrupt));
    ExitCode::from(outcome.unwrap_or_else(|error| {
        terminal.error(&error);
        error::classify(&error).exit_code()
    }))
}

/// A core would hold passwords and people's data, and lie in the working directory for anybody. A
/// debugger does not need it.
fn leave_no_core() {
    // Who may not lower a limit is no worse off than before.
    let _ = getrlimit(Resource::RLIMIT_CORE)
        .and_then(|(_, most)| setrlimit(Resource::RLIMIT_CORE, 0, most));
}
