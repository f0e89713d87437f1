//! Delivering what is owed.

use std::collections::HashSet;
use std::thread;
use std::time::{Duration, Instant};

use backon::{BackoffBuilder, ExponentialBuilder};
use jiff::Timestamp;

use super::Message;
use super::outbound::{Outbound, PATIENCE, Problem};
use super::{exec, webhook};
use crate::database::jittered;
use crate::interrupt::Interrupt;
use crate::job::{AlertRule, Exec, Job, Webhook};
use crate::ledger::{Ledger, Owed, Settlement};
use crate::printable::one_line;
use crate::report::{JudgedRule, RuleState, resources};

/// How long a message is owed before it is given up: who reads it then has other worries.
const LONGEST_OWED: Duration = Duration::from_hours(7 * 24);

/// Tries of one start after the first.
const MORE_TRIES: usize = 3;

/// Pause before the second try; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// How long one call may go on; what is being sent then is sent to its end.
const LONGEST_CALL: Duration = Duration::from_secs(60);

/// What a claim lasts beyond the time that delivering may take.
const SPARE: Duration = Duration::from_secs(20);

/// How often to look whether another process is done with delivering.
const PEER_INTERVAL: Duration = Duration::from_millis(500);

/// How hard a start tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effort {
    /// Each message once, and nobody is waited for: there is a night to be scored.
    Once,
    /// A receiver that fails is tried again a few times, and a process that is delivering is waited for.
    Persistent,
}

/// Delivers what is owed because of a job's alerts, its earlier runs' included. A receiver that can not take a
/// message now is not tried any more by this call, nor is anybody once it has taken a minute.
///
/// # Errors
/// The database's: that a receiver is down is none.
pub fn deliver_pending(
    ledger: &mut Ledger,
    job: &Job,
    effort: Effort,
    interrupt: &Interrupt,
) -> anyhow::Result<()> {
    if ledger.pending_owed(&job.name)? == 0 {
        return Ok(());
    }
    let expired = ledger.expire_owed(&job.name, LONGEST_OWED)?;
    if expired > 0 {
        tracing::warn!(
            job = job.name,
            alerts = expired,
            "alerts that could not be delivered for 7 days were given up"
        );
    }
    let mut round = Round {
        owner: resources::unique_process(),
        outbound: Outbound::new(),
        lease: longest(job) + SPARE,
        effort,
        begun: Instant::now(),
        interrupt,
        down: HashSet::new(),
        handled: HashSet::new(),
    };
    round.deliver_all(ledger, job)?;
    if effort == Effort::Persistent && round.outlasts_others(ledger, job)? {
        // A process that died while it was delivering has left its messages.
        round.deliver_all(ledger, job)?;
    }
    Ok(())
}

/// The longest that one delivery may take.
fn longest(job: &Job) -> Duration {
    let programs = job.alerts.iter().filter_map(|rule| rule.exec.as_ref());
    programs
        .map(|exec| exec.timeout)
        .fold(PATIENCE, Duration::max)
}

/// Deliveries of one call.
struct Round<'a> {
    owner: String,
    outbound: Outbound,
    lease: Duration,
    effort: Effort,
    begun: Instant,
    interrupt: &'a Interrupt,
    /// Receivers that can not take a message now.
    down: HashSet<String>,
    /// Messages that this call is done with.
    handled: HashSet<i64>,
}

/// Where a message goes.
enum Receiver<'a> {
    Webhook(&'a Webhook),
    Exec(&'a Exec),
}

impl<'a> Receiver<'a> {
    /// The receiver that the job names for this rule and action by now.
    fn of(rule: &'a AlertRule, action: &str) -> Option<Self> {
        match action {
            "webhook" => rule.webhook.as_ref().map(Receiver::Webhook),
            "exec" => rule.exec.as_ref().map(Receiver::Exec),
            _ => None,
        }
    }

    /// What tells receivers apart.
    fn key(&self) -> String {
        match self {
            Receiver::Webhook(webhook) => match &webhook.url {
                crate::job::WebhookUrl::Given(url) => format!("url {url}"),
                crate::job::WebhookUrl::File(file) => format!("file {}", file.display()),
            },
            Receiver::Exec(exec) => exec.command.join("\0"),
        }
    }

    fn send(&self, outbound: &Outbound, id: &str, message: &Message) -> Result<(), Problem> {
        match self {
            Receiver::Webhook(webhook) => {
                let now = Timestamp::now().as_second();
                webhook::post(outbound, webhook, id, message, now)
            }
            Receiver::Exec(exec) => {
                let json = serde_json::to_string(message)
                    .map_err(|error| Problem::lasting(error.to_string()))?;
                exec::run(exec, &json)
            }
        }
    }
}

impl Round<'_> {
    /// Whether to leave the rest to the next start.
    fn is_over(&self) -> bool {
        self.interrupt.is_signalled() || self.begun.elapsed() > LONGEST_CALL
    }

    /// Tries each message that no other process has claimed, once.
    fn deliver_all(&mut self, ledger: &mut Ledger, job: &Job) -> anyhow::Result<()> {
        while !self.is_over() {
            let handled = self.handled.iter().copied();
            let claimed = ledger.claim_owed(&job.name, &self.owner, handled, self.lease)?;
            let Some(owed) = claimed else {
                return Ok(());
            };
            self.handled.insert(owed.outbox_id);
            self.deliver(ledger, job, &owed)?;
        }
        Ok(())
    }

    /// Waits until no other process is delivering, or its claim has lapsed. Returns false if there was none, or
    /// it took too long.
    fn outlasts_others(&self, ledger: &mut Ledger, job: &Job) -> anyhow::Result<bool> {
        if ledger.owed_to_others(&job.name, &self.owner)? == 0 {
            return Ok(false);
        }
        while !self.is_over() {
            thread::sleep(jittered(PEER_INTERVAL));
            if ledger.owed_to_others(&job.name, &self.owner)? == 0 {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn deliver(&mut self, ledger: &mut Ledger, job: &Job, owed: &Owed) -> anyhow::Result<()> {
        let rule = job.alerts.iter().find(|rule| rule.name == owed.rule);
        let Some(receiver) = rule.and_then(|rule| Receiver::of(rule, &owed.action)) else {
            let why = "the job has no such rule or receiver any more";
            tracing::warn!(
                job = job.name,
                rule = owed.rule,
                "an alert was given up: {why}"
            );
            ledger.settle_owed(owed, &self.owner, Settlement::Expired, false, Some(why))?;
            return Ok(());
        };
        let key = receiver.key();
        if self.down.contains(&key) {
            ledger.settle_owed(owed, &self.owner, Settlement::Pending, false, None)?;
            return Ok(());
        }
        let message: Message = match serde_json::from_str(&owed.message) {
            Ok(message) => message,
            Err(error) => {
                let why = format!("this version can not read it: {error}");
                tracing::warn!(rule = owed.rule, "an alert was not delivered: {why}");
                ledger.settle_owed(owed, &self.owner, Settlement::Pending, false, Some(&why))?;
                return Ok(());
            }
        };
        let more_tries = match self.effort {
            Effort::Once => 0,
            Effort::Persistent => MORE_TRIES,
        };
        let mut pauses = ExponentialBuilder::default()
            .with_min_delay(FIRST_PAUSE)
            .with_max_times(more_tries)
            .build();
        loop {
            let problem = match receiver.send(&self.outbound, &owed.message_id, &message) {
                Ok(()) => {
                    tracing::info!(
                        run = message.run,
                        rule = owed.rule,
                        action = owed.action,
                        "alert delivered: {}",
                        one_line(&message.summary)
                    );
                    ledger.settle_owed(owed, &self.owner, Settlement::Delivered, true, None)?;
                    return Ok(());
                }
                Err(problem) => problem,
            };
            let may_try = problem.is_temporary && !self.is_over();
            let text = one_line(&problem.text);
            let Some(pause) = pauses.next().filter(|_| may_try) else {
                tracing::warn!(
                    run = message.run,
                    rule = owed.rule,
                    action = owed.action,
                    "an alert was not delivered, {} tries again: {text}",
                    match self.effort {
                        Effort::Once => "the end of this start, or the next one,",
                        Effort::Persistent => "the next start",
                    }
                );
                ledger.settle_owed(owed, &self.owner, Settlement::Pending, true, Some(&text))?;
                // What it refuses, or chokes on, says nothing of what it will take.
                if problem.is_of_receiver {
                    self.down.insert(key);
                }
                return Ok(());
            };
            tracing::info!(
                rule = owed.rule,
                action = owed.action,
                "an alert was not delivered, trying again: {text}"
            );
            thread::sleep(jittered(pause));
            if self.is_over() {
                ledger.settle_owed(owed, &self.owner, Settlement::Pending, true, Some(&text))?;
                return Ok(());
            }
            if !ledger.try_owed_again(owed, &self.owner, self.lease, &text)? {
                // It took so long that another process has it by now.
                return Ok(());
            }
        }
    }
}

/// Looks at all that sending needs, and sends nothing.
///
/// # Errors
/// What would keep an alert from being sent, in words.
pub fn readiness(job: &Job) -> Result<(), String> {
    for rule in &job.alerts {
        let message = Message::test(&untried(rule), &job.name, "");
        if let Some(webhook) = &rule.webhook {
            webhook::prepare(webhook, "", &message, 0)
                .map_err(|problem| format!("the rule `{}`: {problem}", rule.name))?;
        }
        if let Some(exec) = &rule.exec
            && !exec::is_there(exec)
        {
            let program = exec.command.first().map_or("", String::as_str);
            return Err(format!(
                "the rule `{}`: there is no program `{program}`",
                rule.name
            ));
        }
    }
    Ok(())
}

/// How one receiver took a test.
#[derive(Clone, Debug)]
pub struct Tested {
    /// Rule whose receiver it is.
    pub rule: String,
    /// `webhook` or `exec`.
    pub action: &'static str,
    /// Why it did not take it.
    pub problem: Option<String>,
}

/// Sends a test of each rule to each of its receivers, one try each, in the order of the job file.
pub fn send_test(job: &Job) -> Vec<Tested> {
    let outbound = Outbound::new();
    let now = Timestamp::now();
    let mut tested = Vec::new();
    for rule in &job.alerts {
        let message = Message::test(&untried(rule), &job.name, &now.to_string());
        for action in ["webhook", "exec"] {
            let Some(receiver) = Receiver::of(rule, action) else {
                continue;
            };
            let id = message.id(&now.to_string(), action);
            let problem = receiver.send(&outbound, &id, &message).err();
            tested.push(Tested {
                rule: rule.name.clone(),
                action,
                problem: problem.map(|problem| one_line(&problem.text)),
            });
        }
    }
    tested
}

fn untried(rule: &AlertRule) -> JudgedRule {
    JudgedRule {
        rule: rule.name.clone(),
        severity: rule.severity,
        subject: rule.metric.name().to_owned(),
        metric: rule.metric.name().to_owned(),
        column: rule.column.clone(),
        class: rule.class.clone(),
        op: rule.op.as_str().to_owned(),
        threshold: rule.value,
        value: None,
        state: RuleState::Unknown,
        summary: String::new(),
        actions: Vec::new(),
    }
}
