//! Faults on demand: how the tests find out what becomes of a record that kills.
//!
//! `LAMPLIGHTER_FAULT=abort:r17,panic:r21` makes whatever works on the record `r17` abort the process,
//! and whatever works on `r21` panic. Nothing else has such an effect on just one record at just one
//! place, and only the real binary can show what its next start makes of it. Without the variable
//! nothing is ever struck; with it, every start says so.

use std::env;
use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

use crate::error::Failure;

const VARIABLE: &str = "LAMPLIGHTER_FAULT";

/// What happens to whoever works on a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// The model reports an error.
    Error,
    /// The model panics.
    Panic,
    /// Validation panics.
    EncodePanic,
    /// The process aborts.
    Abort,
    /// The stack overflows, which the system ends with a signal.
    Overflow,
    /// Memory is asked for until there is none.
    Memory,
    /// It never ends.
    Hang,
    /// It takes a while.
    Slow,
}

/// Where a record is worked on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Validation and encoding.
    Encode,
    /// Inference.
    Infer,
}

const WORDS: [(&str, Fault); 8] = [
    ("error", Fault::Error),
    ("panic", Fault::Panic),
    ("encode-panic", Fault::EncodePanic),
    ("abort", Fault::Abort),
    ("overflow", Fault::Overflow),
    ("memory", Fault::Memory),
    ("hang", Fault::Hang),
    ("slow", Fault::Slow),
];

/// Reads the variable once, so that a mistake in it is told before anything is claimed.
///
/// # Errors
/// It names a fault that there is not (78).
pub fn prepare() -> Result<(), Failure> {
    let Ok(text) = env::var(VARIABLE) else {
        return Ok(());
    };
    let faults = parse(&text).ok_or_else(|| {
        let words = WORDS.map(|(word, _)| word).join(", ");
        Failure::config(format!("{VARIABLE} must be a list of FAULT:RECORD_ID"))
            .hint(format!("faults are {words}"))
    })?;
    tracing::warn!("faults are injected on demand of {VARIABLE}; unset it if this is no test");
    FAULTS.get_or_init(|| faults);
    Ok(())
}

/// Fails if work at `place` on any of these records is to.
///
/// # Errors
/// A fault of the kind `error` strikes; the others do not return.
pub fn strike<'ids>(
    place: Place,
    record_ids: impl IntoIterator<Item = &'ids str>,
) -> Result<(), &'static str> {
    let Some(faults) = FAULTS.get() else {
        return Ok(());
    };
    for id in record_ids {
        let fault = faults.iter().find(|(record, _)| record == id);
        match fault {
            Some((record, fault)) if fault.place() == place => {
                tracing::warn!(record, "a fault strikes");
                fault.strike()?;
            }
            _ => {}
        }
    }
    Ok(())
}

static FAULTS: OnceLock<Vec<(String, Fault)>> = OnceLock::new();

fn parse(text: &str) -> Option<Vec<(String, Fault)>> {
    text.split(',')
        .map(|entry| {
            let (word, record) = entry.split_once(':')?;
            let (_, fault) = WORDS.into_iter().find(|(known, _)| *known == word)?;
            Some((record.to_owned(), fault))
        })
        .collect()
}

impl Fault {
    fn place(self) -> Place {
        match self {
            Fault::EncodePanic => Place::Encode,
            _ => Place::Infer,
        }
    }

    fn strike(self) -> Result<(), &'static str> {
        match self {
            Fault::Error => Err("a fault was injected"),
            Fault::Panic | Fault::EncodePanic => panic!("a fault was injected"),
            Fault::Abort => std::process::abort(),
            Fault::Overflow => {
                descend(0);
                Ok(())
            }
            Fault::Memory => {
                let mut taken = Vec::new();
                loop {
                    // Written to, so that it is really taken.
                    taken.push(vec![1_u8; 16 << 20]);
                }
            }
            Fault::Slow => {
                thread::sleep(Duration::from_secs(3));
                Ok(())
            }
            Fault::Hang => loop {
                thread::sleep(Duration::from_hours(1));
            },
        }
    }
}

/// Takes more of the stack with each call, in a way that no optimiser turns into a loop.
fn descend(depth: u64) -> u64 {
    let frame = std::hint::black_box([depth; 512]);
    match depth {
        u64::MAX => 0,
        depth => std::hint::black_box(descend(depth + 1)) + frame[(depth % 512) as usize],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_names_faults_and_records() {
        let found = parse("abort:r17,encode-panic:a:b").unwrap();
        let expected = [
            ("r17".to_owned(), Fault::Abort),
            ("a:b".to_owned(), Fault::EncodePanic),
        ];
        assert_eq!(found, expected);
        for text in ["", "abort", "explode:r17", "abort:r1,"] {
            assert!(parse(text).is_none(), "{text}");
        }
    }
}
