//! Commands and options that pages name in passing are those that there are.

use lamplighter::cli::Cli;

use super::markdown::{code_spans, pages};

/// What is wrong with a command line, as far as names go.
fn unknown(line: &str) -> Option<String> {
    let mut command = &Cli::tree();
    for word in line.split_whitespace().skip(1) {
        let word = word.split('=').next().expect("a word");
        if let Some(option) = word.strip_prefix("--") {
            let tree = Cli::tree();
            let mut known = command.get_arguments().chain(tree.get_arguments());
            if !["help", "version"].contains(&option)
                && !known.any(|known| known.get_long() == Some(option))
            {
                return Some(format!("`{}` has no --{option}", command.get_name()));
            }
        } else if command.has_subcommands() {
            match command.find_subcommand(word) {
                Some(found) => command = found,
                None if word == "…" => return None,
                None => return Some(format!("`{}` has no {word}", command.get_name())),
            }
        }
    }
    None
}

#[test]
fn every_command_that_a_page_names_is_one() {
    let mut count = 0;
    let mut wrong = Vec::new();
    for page in pages() {
        for span in page.prose().flat_map(code_spans) {
            if !span.starts_with("lamplighter ") {
                continue;
            }
            count += 1;
            wrong.extend(unknown(span).map(|why| format!("{}: `{span}`: {why}", page.name)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count > 20, "commands are named in another way: {count}");
}
