//! `[notify]`, `[[alert]]` and `[metrics]` as they are written.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use crate::job::alert::{Action, Operator, Severity};
use crate::job::values;

/// How people are told of alerts: what is said once for all rules, or by a rule for itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Channels {
    /// Where alerts are posted to.
    pub webhook_url: Option<String>,
    /// A file that holds the URL.
    pub webhook_url_file: Option<PathBuf>,
    /// A file that holds the key of the signature.
    pub webhook_secret_file: Option<PathBuf>,
    /// `json`, `slack`, or the file of a template.
    pub webhook_body: Option<String>,
    /// A program and its arguments.
    pub exec: Option<Vec<String>>,
    /// How long it may take.
    pub exec_timeout: Option<Duration>,
}

/// `[notify]`
#[derive(PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NotifySection {
    /// Where alerts are posted to; may hold a secret, so it is never printed. Default: none.
    pub webhook_url: Option<String>,
    /// A file that holds the URL, in place of `webhook_url`. Default: none.
    pub webhook_url_file: Option<PathBuf>,
    /// A file that holds the key with which what is posted is signed. Default: none.
    pub webhook_secret_file: Option<PathBuf>,
    /// What is posted: `json`, `slack`, or the file of a template. Default `"json"`.
    pub webhook_body: String,
    /// A program and its arguments, which is given the alert as JSON on its standard input. Default: none.
    pub exec: Option<Vec<String>>,
    /// How long the program may take. Default `"30s"`.
    #[serde(deserialize_with = "values::duration")]
    pub exec_timeout: Duration,
}

impl Default for NotifySection {
    fn default() -> Self {
        Self {
            webhook_url: None,
            webhook_url_file: None,
            webhook_secret_file: None,
            webhook_body: "json".to_owned(),
            exec: None,
            exec_timeout: Duration::from_secs(30),
        }
    }
}

/// `[[alert]]`
#[derive(PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlertSection {
    /// What the rule is called. Required.
    pub name: String,
    /// The figure that it looks at. Required.
    pub metric: String,
    /// How the figure is compared. Required.
    pub op: Operator,
    /// With what. Required.
    pub value: f64,
    /// The column that the figure is of. Default: none.
    pub column: Option<String>,
    /// The class that the figure is of. Default: none.
    pub class: Option<String>,
    /// The value of `[ground_truth] by` that the figure is of. Default: none.
    pub segment: Option<String>,
    /// How grave it is. Default `"warning"`.
    #[serde(default = "warning")]
    pub severity: Severity,
    /// What is done. Default: each of `webhook` and `exec` that is set.
    pub actions: Option<Vec<Action>>,
    /// In place of that of `[notify]`, as below. Default: none.
    pub webhook_url: Option<String>,
    /// Default: none.
    pub webhook_url_file: Option<PathBuf>,
    /// Default: none.
    pub webhook_secret_file: Option<PathBuf>,
    /// Default: none.
    pub webhook_body: Option<String>,
    /// Default: none.
    pub exec: Option<Vec<String>>,
    /// Default: none.
    #[serde(default, deserialize_with = "values::optional_duration")]
    pub exec_timeout: Option<Duration>,
}

fn warning() -> Severity {
    Severity::Warning
}

/// `[metrics]`
#[derive(Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MetricsSection {
    /// A file that node-exporter's textfile collector reads, written anew at the end of each start. Default:
    /// none.
    pub textfile: Option<PathBuf>,
    /// Base URL of a Pushgateway, to which the same is sent. Default: none.
    pub pushgateway: Option<String>,
}

impl NotifySection {
    /// What is said for all rules.
    pub fn channels(&self) -> Channels {
        Channels {
            webhook_url: self.webhook_url.clone(),
            webhook_url_file: self.webhook_url_file.clone(),
            webhook_secret_file: self.webhook_secret_file.clone(),
            webhook_body: Some(self.webhook_body.clone()),
            exec: self.exec.clone(),
            exec_timeout: Some(self.exec_timeout),
        }
    }
}

impl AlertSection {
    /// What the rule says for itself.
    pub fn channels(&self) -> Channels {
        Channels {
            webhook_url: self.webhook_url.clone(),
            webhook_url_file: self.webhook_url_file.clone(),
            webhook_secret_file: self.webhook_secret_file.clone(),
            webhook_body: self.webhook_body.clone(),
            exec: self.exec.clone(),
            exec_timeout: self.exec_timeout,
        }
    }
}
