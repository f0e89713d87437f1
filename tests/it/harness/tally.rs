//! What faults did, counted: a row of the table that `make chaos` writes.

use std::thread;

use super::Ended;

/// Tries of one fault, and the damage that was found after them.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    pub fault: String,
    /// How often it was tried.
    pub tries: u64,
    /// How often it really happened.
    pub struck: u64,
    /// Records of which nothing is left.
    pub lost: u64,
    /// Records that are there more than once.
    pub doubled: u64,
    /// Predictions and dead letters that differ from an undisturbed run's.
    pub wrong_bits: u64,
    /// Ends that did not say the truth.
    pub wrong_exit_codes: u64,
    /// What was wrong, in words.
    pub notes: Vec<String>,
}

impl Tally {
    pub fn new(fault: &str) -> Self {
        Self {
            fault: fault.to_owned(),
            ..Self::default()
        }
    }

    /// Counts an end that did not say the truth.
    pub fn wrong_end(&mut self, why: &str, ended: &Ended) {
        self.wrong_exit_codes += 1;
        self.notes.push(format!("{why}: {ended}"));
    }

    /// Whether an end has one of these exit codes; counts it as wrong if not.
    pub fn expect(&mut self, ended: &Ended, codes: &[i32]) -> bool {
        let is_right = ended.code.is_some_and(|code| codes.contains(&code));
        if !is_right {
            self.wrong_end(&format!("an end that is none of {codes:?}"), ended);
        }
        is_right
    }

    /// Adds what was counted elsewhere.
    pub fn add(&mut self, other: Self) {
        self.tries += other.tries;
        self.struck += other.struck;
        self.lost += other.lost;
        self.doubled += other.doubled;
        self.wrong_bits += other.wrong_bits;
        self.wrong_exit_codes += other.wrong_exit_codes;
        self.notes.extend(other.notes);
    }

    /// The sum of what several threads count, each told its number.
    pub fn of_threads(
        fault: &str,
        threads: u64,
        count: impl Fn(u64, &mut Self) + Send + Sync,
    ) -> Self {
        let mut sum = Self::new(fault);
        thread::scope(|scope| {
            let counting: Vec<_> = (0..threads)
                .map(|number| {
                    let count = &count;
                    scope.spawn(move || {
                        let mut tally = Self::default();
                        count(number, &mut tally);
                        tally
                    })
                })
                .collect();
            for thread in counting {
                sum.add(thread.join().expect("a thread that counts"));
            }
        });
        sum
    }

    /// Whether there is no damage.
    pub fn is_clean(&self) -> bool {
        [
            self.lost,
            self.doubled,
            self.wrong_bits,
            self.wrong_exit_codes,
        ] == [0; 4]
            && self.notes.is_empty()
    }

    /// Checks that there is no damage, and that the fault happened so often.
    #[track_caller]
    pub fn check(self, struck: u64) {
        assert!(self.is_clean(), "{self:#?}");
        assert!(
            self.struck >= struck,
            "{}: {} of {} tries struck, {struck} were wanted",
            self.fault,
            self.struck,
            self.tries
        );
    }
}

/// Numbers that look random and are the same every time.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(0x2545_F491_4F6C_DD1D ^ seed.wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }

    /// From 0 to below 1.
    pub fn share(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }
}
