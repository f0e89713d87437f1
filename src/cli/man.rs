//! Options of `man`, and the pages.

use std::io;
use std::path::PathBuf;

use clap::{Args, Command};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};

use super::Cli;

/// Options of `man`.
#[derive(Args)]
pub struct ManOptions {
    /// Directory for the pages of all commands, made if it is not there [default: the main page
    /// goes to standard output]
    #[arg(value_name = "DIR")]
    pub directory: Option<PathBuf>,
}

/// A page for `man`.
pub struct Page {
    /// Name of its file, such as `lamplighter-run.1`.
    pub file: String,
    /// In roff.
    pub text: Vec<u8>,
}

/// What a paragraph of a help text begins with, and the section of a page that it becomes.
const SECTIONS: [(&str, &str); 3] = [
    ("Example:", "EXAMPLES"),
    ("Examples:", "EXAMPLES"),
    ("Exit codes:", "EXIT STATUS"),
];

/// The main page, then one for each command.
///
/// # Errors
/// A page can not be written into memory, which does not happen.
pub fn pages() -> io::Result<Vec<Page>> {
    let mut tree = Cli::tree().disable_help_subcommand(true);
    tree.build();
    let mut pages = Vec::new();
    add_pages(&tree, &mut pages)?;
    Ok(pages)
}

fn add_pages(command: &Command, pages: &mut Vec<Page>) -> io::Result<()> {
    pages.push(page(command)?);
    command
        .get_subcommands()
        .try_for_each(|subcommand| add_pages(subcommand, pages))
}

fn page(command: &Command) -> io::Result<Page> {
    let man = Man::new(command.clone())
        .source(concat!("lamplighter ", env!("CARGO_PKG_VERSION")))
        .manual("Lamplighter");
    let help = command.get_after_help().map(ToString::to_string);
    let paragraphs: Vec<&str> = help.iter().flat_map(|help| help.split("\n\n")).collect();
    let section = |paragraph: &&str| {
        let first = paragraph.lines().next();
        let mut sections = SECTIONS.iter();
        sections.find_map(|(line, section)| (first == Some(line)).then_some(*section))
    };
    let mut text = Vec::new();
    man.render_title(&mut text)?;
    man.render_name_section(&mut text)?;
    man.render_synopsis_section(&mut text)?;
    man.render_description_section(&mut text)?;
    let mut prose = Roff::new();
    for paragraph in paragraphs.iter().filter(|text| section(text).is_none()) {
        prose.control("PP", []);
        add_lines(paragraph.lines(), &mut prose);
    }
    prose.to_writer(&mut text)?;
    man.render_options_section(&mut text)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut text)?;
    }
    let mut rest = Roff::new();
    for paragraph in &paragraphs {
        if let Some(section) = section(paragraph) {
            rest.control("SH", [section]);
            add_lines(paragraph.lines().skip(1), &mut rest);
        }
    }
    rest.to_writer(&mut text)?;
    Ok(Page {
        file: man.get_filename(),
        text,
    })
}

/// Lines that are indented stay as they are; the others are filled.
fn add_lines<'text>(lines: impl Iterator<Item = &'text str>, roff: &mut Roff) {
    let mut is_filled = true;
    for line in lines {
        let fill = !line.starts_with(' ');
        if fill != is_filled {
            roff.control(if fill { "fi" } else { "nf" }, []);
            is_filled = fill;
        }
        roff.text([roman(line)]);
    }
    if !is_filled {
        roff.control("fi", []);
    }
}
