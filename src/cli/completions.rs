//! Options of `completions`, and what it writes.

use clap::Args;
pub use clap_complete::Shell;

use super::Cli;

/// Options of `completions`.
#[derive(Args)]
pub struct CompletionsOptions {
    /// Shell that is to complete
    pub shell: Shell,
}

/// The script that teaches `shell` the command line.
pub fn completions(shell: Shell) -> String {
    let mut script = Vec::new();
    let mut tree = Cli::tree();
    clap_complete::generate(shell, &mut tree, super::NAME, &mut script);
    String::from_utf8_lossy(&script).into_owned()
}
