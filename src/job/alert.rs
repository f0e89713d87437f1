//! Which figures of a run somebody is to be told of, and how they are told.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::metric::Metric;
use super::places::Places;
use super::spec::{AlertSection, Channels, NotifySection};
use super::{IDENTIFIER_LENGTH, is_name, not_empty};
use crate::error::Failure;

/// A rule of `[[alert]]`, checked.
#[derive(Clone)]
pub struct AlertRule {
    /// What it is called; no two rules of a job are called alike.
    pub name: String,
    /// The figure that it looks at.
    pub metric: Metric,
    /// The column, or for figures of drift the output, that the figure is of. Without one it is that of the
    /// whole run, or the worst of all columns.
    pub column: Option<String>,
    /// The class that the figure is of.
    pub class: Option<String>,
    /// The value of `[ground_truth] by` that the figure is of.
    pub segment: Option<String>,
    /// How the figure is compared.
    pub op: Operator,
    /// With what.
    pub value: f64,
    /// How grave it is.
    pub severity: Severity,
    /// Whether the run is then not published.
    pub withhold: bool,
    /// Where it is posted to.
    pub webhook: Option<Webhook>,
    /// What is run.
    pub exec: Option<Exec>,
}

/// A receiver of alerts that takes a JSON document by HTTP POST.
#[derive(Clone, PartialEq, Eq)]
pub struct Webhook {
    /// Where it is.
    pub url: WebhookUrl,
    /// A file that holds the key of the signature.
    pub secret_file: Option<PathBuf>,
    /// What is sent.
    pub body: WebhookBody,
}

/// Where the URL of a webhook stands. It may hold a secret itself, so it is never shown.
#[derive(Clone, PartialEq, Eq)]
pub enum WebhookUrl {
    /// In the job file.
    Given(String),
    /// In a file.
    File(PathBuf),
}

/// What is sent to a webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WebhookBody {
    /// The whole alert.
    Json,
    /// `{"text": …}`, which Slack, Mattermost, Rocket.Chat and Google Chat take.
    Slack,
    /// What a template of this file makes of it.
    Template(PathBuf),
}

/// A program that is given the alert as JSON on its standard input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exec {
    /// The program and its arguments; no shell reads them.
    pub command: Vec<String>,
    /// How long it may take.
    pub timeout: Duration,
}

/// How a figure is compared with the rule's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum Operator {
    /// Less than it.
    #[serde(rename = "<")]
    Less,
    /// At most.
    #[serde(rename = "<=")]
    AtMost,
    /// More than it.
    #[serde(rename = ">")]
    More,
    /// At least.
    #[serde(rename = ">=")]
    AtLeast,
    /// Equal.
    #[serde(rename = "==")]
    Equal,
    /// Not equal.
    #[serde(rename = "!=")]
    Unequal,
}

impl Operator {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Operator::Less => "<",
            Operator::AtMost => "<=",
            Operator::More => ">",
            Operator::AtLeast => ">=",
            Operator::Equal => "==",
            Operator::Unequal => "!=",
        }
    }

    /// Whether `figure` compares so with `value`.
    pub fn holds(self, figure: f64, value: f64) -> bool {
        match self {
            Operator::Less => figure < value,
            Operator::AtMost => figure <= value,
            Operator::More => figure > value,
            Operator::AtLeast => figure >= value,
            Operator::Equal => figure == value,
            Operator::Unequal => figure != value,
        }
    }

    /// Whether of several figures the smallest is the one that the rule is about.
    pub fn wants_the_least(self) -> bool {
        matches!(self, Operator::Less | Operator::AtMost)
    }
}

/// How grave an alert is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Worth a look in the morning.
    Warning,
    /// Worth waking somebody.
    Critical,
}

impl Severity {
    /// The word in tables and reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Info => "info",
            Severity::Warning => "warning",
            Severity::Critical => "critical",
        }
    }
}

/// What an alert does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// It is posted to the webhook.
    Webhook,
    /// It is handed to a program.
    Exec,
    /// The run is not published.
    Withhold,
}

/// Longer, and a start would have to wait for it.
const EXEC_TIMEOUTS: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_mins(10);

/// Rules that one job may have.
const MOST_RULES: usize = 1_000;

/// What other sections say that rules need.
pub(super) struct Known {
    pub(super) has_cost: bool,
    pub(super) has_finish_by: bool,
    pub(super) has_segments: bool,
}

pub(super) fn resolve(
    notify: NotifySection,
    sections: Vec<AlertSection>,
    known: &Known,
    places: &Places,
) -> Result<Vec<AlertRule>, Failure> {
    let shared = notify.channels();
    check_channels("notify", &shared, places)?;
    if sections.len() > MOST_RULES {
        let problem = format!("{} rules, the limit is {MOST_RULES}", sections.len());
        return Err(places.section_failure("alert 1", problem));
    }
    let mut rules: Vec<AlertRule> = Vec::new();
    for (index, section) in sections.into_iter().enumerate() {
        let place = format!("alert {}", index + 1);
        let rule = rule(section, &shared, &place, places)?;
        let lacks = |key: &str, problem: &str| Err(places.failure(&place, key, problem));
        match rule.metric.name() {
            name if name.starts_with("cost") && !known.has_cost => {
                return lacks("metric", "needs [cost] per_hour");
            }
            "minutes_past_finish_by" if !known.has_finish_by => {
                return lacks("metric", "needs [schedule] finish_by");
            }
            _ if rule.segment.is_some() && !known.has_segments => {
                return lacks("segment", "needs [ground_truth] by");
            }
            _ => {}
        }
        if rules.iter().any(|other| other.name == rule.name) {
            let problem = format!("another rule is called `{}`, too", rule.name);
            return Err(places.failure(&place, "name", problem));
        }
        rules.push(rule);
    }
    Ok(rules)
}

fn rule(
    section: AlertSection,
    shared: &Channels,
    place: &str,
    places: &Places,
) -> Result<AlertRule, Failure> {
    if !is_name(&section.name) {
        let problem = format!(
            "expected up to {IDENTIFIER_LENGTH} of a-z, 0-9, `_` and `-`, the first a letter or digit"
        );
        return Err(places.failure(place, "name", problem));
    }
    let metric = Metric::of(&section.metric).map_err(|(problem, hint)| {
        let failure = places.failure(place, "metric", problem);
        match hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    })?;
    if !section.value.is_finite() {
        return Err(places.failure(place, "value", "expected a finite number"));
    }
    for (key, text, may_be) in [
        ("column", &section.column, metric.takes_column()),
        ("class", &section.class, metric.takes_class()),
        ("segment", &section.segment, metric.is_of_evaluation()),
    ] {
        let Some(text) = text else { continue };
        not_empty(place, key, text, places)?;
        if !may_be {
            let problem = format!("the metric `{}` is of no {key}", metric.name());
            return Err(places.failure(place, key, problem));
        }
    }
    if metric.needs_class() && section.class.is_none() {
        let problem = format!("the metric `{}` needs a class", metric.name());
        return Err(places.failure(place, "metric", problem));
    }
    let channels = section.channels();
    check_channels(place, &channels, places)?;
    let channels = channels.over(shared);
    let actions = match &section.actions {
        Some(actions) => actions.clone(),
        None => {
            let mut actions = Vec::new();
            actions.extend(channels.has_webhook().then_some(Action::Webhook));
            actions.extend(channels.exec.is_some().then_some(Action::Exec));
            actions
        }
    };
    let wants = |action| actions.contains(&action);
    if wants(Action::Withhold) && metric.is_of_evaluation() {
        let problem = format!(
            "`{}` is known when consumers see the predictions already, so that none can be withheld for it",
            metric.name()
        );
        return Err(places.failure(place, "actions", problem));
    }
    let lacks = |action: &str, key: &str| {
        let problem = format!("`{action}` needs {key}, here or in [notify]");
        places.failure(place, "actions", problem)
    };
    let webhook = match (wants(Action::Webhook), channels.webhook()) {
        (false, _) => None,
        (true, Some(webhook)) => Some(webhook),
        (true, None) => return Err(lacks("webhook", "webhook_url or webhook_url_file")),
    };
    let exec = match (wants(Action::Exec), channels.exec) {
        (false, _) => None,
        (true, Some(command)) => Some(Exec {
            command,
            timeout: channels.exec_timeout.unwrap_or_default(),
        }),
        (true, None) => return Err(lacks("exec", "exec")),
    };
    Ok(AlertRule {
        withhold: wants(Action::Withhold),
        name: section.name,
        metric,
        column: section.column,
        class: section.class,
        segment: section.segment,
        op: section.op,
        value: section.value,
        severity: section.severity,
        webhook,
        exec,
    })
}

fn check_channels(place: &str, channels: &Channels, places: &Places) -> Result<(), Failure> {
    if let Some(url) = &channels.webhook_url {
        if channels.webhook_url_file.is_some() {
            let problem = "can not be there together with webhook_url";
            return Err(places.failure(place, "webhook_url_file", problem));
        }
        super::url::check(url).map_err(|problem| places.failure(place, "webhook_url", problem))?;
    }
    let files = [
        ("webhook_url_file", &channels.webhook_url_file),
        ("webhook_secret_file", &channels.webhook_secret_file),
    ];
    for (key, file) in files {
        if file
            .as_ref()
            .is_some_and(|file| file.as_os_str().is_empty())
        {
            return Err(places.failure(place, key, "must not be empty"));
        }
    }
    if let Some(body) = &channels.webhook_body {
        not_empty(place, "webhook_body", body, places)?;
    }
    if let Some(words) = &channels.exec
        && words
            .first()
            .is_none_or(|program| program.trim().is_empty())
    {
        let problem = "must name a program, such as [\"notify-on-call\", \"--team\", \"risk\"]";
        return Err(places.failure(place, "exec", problem));
    }
    if let Some(timeout) = channels.exec_timeout {
        super::in_range(place, "exec_timeout", timeout, EXEC_TIMEOUTS, places)?;
    }
    Ok(())
}

impl Channels {
    /// These, and where they say nothing the others. A URL is never taken from the others if these name
    /// another one.
    fn over(self, others: &Channels) -> Channels {
        let has_webhook = self.has_webhook();
        let other = |key: &Option<PathBuf>| (!has_webhook).then(|| key.clone()).flatten();
        Channels {
            webhook_url: self
                .webhook_url
                .or_else(|| (!has_webhook).then(|| others.webhook_url.clone()).flatten()),
            webhook_url_file: self
                .webhook_url_file
                .or_else(|| other(&others.webhook_url_file)),
            // The secret belongs to the receiver: another one must not learn of it.
            webhook_secret_file: self
                .webhook_secret_file
                .or_else(|| other(&others.webhook_secret_file)),
            webhook_body: self.webhook_body.or_else(|| others.webhook_body.clone()),
            exec: self.exec.or_else(|| others.exec.clone()),
            exec_timeout: self.exec_timeout.or(others.exec_timeout),
        }
    }

    fn has_webhook(&self) -> bool {
        self.webhook_url.is_some() || self.webhook_url_file.is_some()
    }

    fn webhook(&self) -> Option<Webhook> {
        let url = match (&self.webhook_url, &self.webhook_url_file) {
            (Some(url), _) => WebhookUrl::Given(url.clone()),
            (None, Some(file)) => WebhookUrl::File(file.clone()),
            (None, None) => return None,
        };
        Some(Webhook {
            url,
            secret_file: self.webhook_secret_file.clone(),
            body: match self.webhook_body.as_deref() {
                None | Some("json") => WebhookBody::Json,
                Some("slack") => WebhookBody::Slack,
                Some(file) => WebhookBody::Template(file.into()),
            },
        })
    }
}
