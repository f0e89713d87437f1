use std::fs;
use std::path::Path;
use std::process::Command;

use crate::harness::{Ended, Workspace, repository};

/// `name@version` of every crate that is compiled into the binary.
fn compiled_in() -> Vec<String> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args([
            "tree",
            "--offline",
            "--locked",
            "--edges",
            "normal",
            "--prefix",
            "none",
            "--format",
            "{p}",
        ])
        .current_dir(repository());
    let tree = Ended::of(&mut cargo).expect(0).stdout;
    let mut crates: Vec<String> = tree
        .lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            Some(format!(
                "{}@{}",
                words.next()?,
                words.next()?.strip_prefix('v')?
            ))
        })
        .collect();
    crates.sort();
    crates.dedup();
    crates
}

/// A bill of materials with these crates, as CycloneDX has it.
fn bill(crates: &[String]) -> String {
    let components: Vec<String> = crates
        .iter()
        .map(|one| format!("    {{\n      \"purl\": \"pkg:cargo/{one}\"\n    }}"))
        .collect();
    format!(
        "{{\n  \"bomFormat\": \"CycloneDX\",\n  \"components\": [\n{}\n  ]\n}}\n",
        components.join(",\n")
    )
}

fn checked(bill: &Path) -> Ended {
    let mut script = Command::new(repository().join("tests/sbom.sh"));
    script
        .arg(bill)
        .env("CARGO", env!("CARGO"))
        .env("CARGO_NET_OFFLINE", "true");
    Ended::of(&mut script)
}

/// `make sbom` ends with this check of what it made.
#[test]
fn a_bill_of_materials_that_lacks_a_crate_is_refused_by_name() {
    let crates = compiled_in();
    assert!(crates.len() > 300, "{} crates", crates.len());
    let workspace = Workspace::new();
    let whole = workspace.write("whole.json", bill(&crates));
    checked(&whole).expect(0);
    for missing in ["sqlx-core", "candle-core", "rustls"] {
        let is_kept = |one: &&String| !one.starts_with(&format!("{missing}@"));
        let kept: Vec<String> = crates.iter().filter(is_kept).cloned().collect();
        assert_eq!(kept.len() + 1, crates.len(), "{missing}");
        let lacking = workspace.write("lacking.json", bill(&kept));
        checked(&lacking).expect(1).says(&[missing]);
    }
    let other = workspace.write("other.json", "{}");
    checked(&other).expect(1).says(&["no CycloneDX"]);
}

/// CI builds what is in the lock file, and nothing else.
#[test]
fn every_build_of_the_makefile_is_locked_on_ci() {
    let makefile = fs::read_to_string(repository().join("Makefile")).expect("a Makefile");
    assert!(makefile.contains("LOCKED = $(if $(CI),--locked)"));
    let mut builds = 0;
    for line in makefile.lines() {
        let does = ["build", "test", "clippy", "doc", "deny", "install", "tree"];
        if does
            .iter()
            .any(|what| line.contains(&format!("cargo {what} ")))
        {
            let is_locked = line.contains("$(LOCKED)") || line.contains("--locked");
            let only_speaks = line.contains("echo") || line.trim_start().starts_with('#');
            assert!(is_locked || only_speaks, "{line}");
            builds += 1;
        }
    }
    assert!(builds >= 6, "{builds} builds");
    let ci = fs::read_to_string(repository().join(".ci/run")).expect("the script of CI");
    assert!(ci.contains("export CI="), "{ci}");
    assert!(repository().join("Cargo.lock").is_file());
}

/// Nothing but one registry, each crate with the digest that it must have.
#[test]
fn every_crate_comes_from_the_registry_with_a_checksum() {
    let lock = fs::read_to_string(repository().join("Cargo.lock")).expect("a lock file");
    let packages: Vec<&str> = lock.split("[[package]]").skip(1).collect();
    assert!(packages.len() > 300);
    for package in packages {
        let is_ours = package.contains("name = \"lamplighter\"\n");
        let is_fixed =
            package.contains("checksum = \"") && package.contains("source = \"registry+");
        assert!(is_ours || is_fixed, "{package}");
    }
}
