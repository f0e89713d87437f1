//! What `completions` and `man` write, used by those whom it is for.

use std::fs;
use std::process::Command;

use lamplighter::cli::Cli;

use crate::harness::{Ended, Workspace, find_program};

/// What bash offers after these words, the last of which is not finished.
fn offered(words: &[&str]) -> Vec<String> {
    let workspace = Workspace::new();
    let last = words.last().expect("a word");
    // The way of a real press of Tab: the function that is registered for the command, and its words.
    let script = format!(
        "lamplighter completions bash > script && source ./script || exit
         function=$(complete -p lamplighter | sed 's/.*-F \\([^ ]*\\).*/\\1/')
         COMP_WORDS=(lamplighter {}); COMP_CWORD={}
         $function lamplighter '{last}' \"${{COMP_WORDS[COMP_CWORD - 1]}}\"
         printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        words.join(" "),
        words.len()
    );
    let ended = Ended::of(&mut workspace.in_shell(&script)).expect(0);
    assert_eq!(ended.stderr, "", "{words:?}");
    ended.stdout.lines().map(str::to_owned).collect()
}

#[test]
fn bash_completes_commands_options_and_values() {
    assert_eq!(offered(&["ru"]), ["run", "runs"]);
    assert_eq!(offered(&["runs", "ver"]), ["verify"]);
    assert_eq!(offered(&["run", "--da"]), ["--date", "--database"]);
    assert_eq!(
        offered(&["report", "--format", ""]),
        ["text", "json", "html"]
    );
    assert_eq!(offered(&["init", "--task", "b"]), ["binary"]);
    // What is hidden stays so.
    assert_eq!(offered(&["iso"]), [""]);
}

#[test]
fn every_shell_gets_every_command_that_is_not_hidden() {
    let workspace = Workspace::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = workspace.lamplighter(&["completions", shell]).expect(0);
        for command in Cli::tree().get_subcommands() {
            let name = command.get_name();
            assert!(script.stdout.contains(name), "{shell}: {name}");
        }
        assert!(!script.stdout.contains("isolated-worker"), "{shell}");
    }
    let refused = workspace.lamplighter(&["completions", "csh"]).expect(64);
    refused.says(&["csh", "fish"]);
}

/// The name of each command's page.
fn pages(name: &str, command: &clap::Command, found: &mut Vec<String>) {
    found.push(format!("{name}.1"));
    for subcommand in command.get_subcommands() {
        pages(
            &format!("{name}-{}", subcommand.get_name()),
            subcommand,
            found,
        );
    }
}

#[test]
fn every_command_has_a_page() {
    let workspace = Workspace::new();
    let written = workspace.lamplighter(&["man", "share/man/man1"]).expect(0);
    let mut expected = Vec::new();
    pages("lamplighter", &Cli::tree(), &mut expected);
    let listed: Vec<String> = expected
        .iter()
        .map(|page| format!("share/man/man1/{page}"))
        .collect();
    assert_eq!(written.stdout.lines().collect::<Vec<_>>(), listed);
    for page in &expected {
        let path = workspace.path("share/man/man1").join(page);
        let text = fs::read_to_string(&path).expect("a page");
        let end = match page.as_str() {
            "lamplighter.1" => ".SH \"EXIT STATUS\"",
            _ => ".SH EXAMPLES",
        };
        for section in [".TH ", ".SH NAME", ".SH SYNOPSIS", ".SH DESCRIPTION", end] {
            let begins = text.lines().any(|line| line.starts_with(section));
            assert!(begins, "{page} lacks {section}:\n{text}");
        }
        // Whoever formats pages for `man`, with its options, has nothing to object to.
        if let Some(groff) = find_program("groff") {
            let mut groff = Command::new(groff);
            let groff = groff
                .args(["-man", "-Kutf8", "-Tutf8", "-ww", "-P-cbou"])
                .arg(&path);
            let ended = Ended::of(groff).expect(0);
            assert_eq!(ended.stderr, "", "{page}");
            assert!(ended.stdout.contains("SYNOPSIS"), "{page}");
        }
    }
}

#[test]
fn the_main_page_goes_to_standard_output() {
    let workspace = Workspace::new();
    let page = workspace.lamplighter(&["man"]).expect(0).stdout;
    assert!(page.contains(".TH lamplighter 1"), "{page}");
    workspace.lamplighter(&["man", "pages"]).expect(0);
    let file = fs::read_to_string(workspace.path("pages/lamplighter.1"));
    assert_eq!(page, file.expect("the main page"));
}

#[test]
fn a_directory_that_can_not_be_made_is_named() {
    let workspace = Workspace::new();
    workspace.write("taken", "a file");
    let ended = workspace.lamplighter(&["man", "taken/man1"]).expect(74);
    ended.says(&["taken/man1"]);
}
