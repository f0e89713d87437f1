//! Telling of an alert by HTTP.
//!
//! What is sent is signed as the Standard Webhooks specification has it
//! (<https://www.standardwebhooks.com>): HMAC-SHA256 of `ID.TIMESTAMP.BODY`, in base64.

use std::fs;
use std::path::Path;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, UndefinedBehavior};
use serde_json::json;
use sha2::Sha256;

use super::Message;
use super::outbound::{Method, Outbound, Problem};
use crate::job::{Webhook, WebhookBody, WebhookUrl, url};

/// What secrets begin with that are written in base64.
const ENCODED: &str = "whsec_";

/// Secrets, and templates, may be so long, in bytes.
const LONGEST_FILE: u64 = 64 * 1024;

/// A request before it is sent.
pub(super) struct Prepared {
    url: String,
    body: String,
    timestamp: String,
    signature: Option<String>,
}

/// Posts a message; `timestamp` is now, in seconds since 1970.
pub(super) fn post(
    outbound: &Outbound,
    webhook: &Webhook,
    id: &str,
    message: &Message,
    timestamp: i64,
) -> Result<(), Problem> {
    let prepared = prepare(webhook, id, message, timestamp)?;
    let mut headers = vec![
        ("content-type", "application/json"),
        ("webhook-id", id),
        ("webhook-timestamp", prepared.timestamp.as_str()),
    ];
    if let Some(signature) = &prepared.signature {
        headers.push(("webhook-signature", signature));
    }
    outbound.send(Method::POST, &prepared.url, &headers, &prepared.body)
}

/// Reads and makes all that a request needs.
pub(super) fn prepare(
    webhook: &Webhook,
    id: &str,
    message: &Message,
    timestamp: i64,
) -> Result<Prepared, Problem> {
    let url = match &webhook.url {
        WebhookUrl::Given(url) => url.clone(),
        WebhookUrl::File(file) => {
            let text = String::from_utf8(read("webhook_url_file", file)?).unwrap_or_default();
            let url = text.trim().to_owned();
            url::check(&url).map_err(|problem| {
                Problem::lasting(format!("webhook_url_file {}: {problem}", file.display()))
            })?;
            url
        }
    };
    let body = body(&webhook.body, message)?;
    let timestamp = timestamp.to_string();
    let signature = match &webhook.secret_file {
        Some(file) => Some(signature(&secret(file)?, id, &timestamp, &body)?),
        None => None,
    };
    Ok(Prepared {
        url,
        body,
        timestamp,
        signature,
    })
}

/// What is sent of a message.
pub(super) fn body(body: &WebhookBody, message: &Message) -> Result<String, Problem> {
    match body {
        WebhookBody::Json => serde_json::to_string(message)
            .map_err(|error| Problem::lasting(format!("the alert makes no JSON: {error}"))),
        WebhookBody::Slack => Ok(json!({ "text": escaped(&message.line()) }).to_string()),
        WebhookBody::Template(file) => {
            let text = read("webhook_body", file)?;
            let text = String::from_utf8(text).map_err(|_| {
                Problem::lasting(format!("webhook_body {} is not UTF-8", file.display()))
            })?;
            rendered(&file.display().to_string(), &text, message)
                .map_err(|why| Problem::lasting(format!("webhook_body: {why}")))
        }
    }
}

/// What a template makes of a message: values stand in it as JSON, strings with their quotes.
fn rendered(name: &str, template: &str, message: &Message) -> Result<String, String> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| AutoEscape::Json);
    let rendered = environment
        .render_named_str(name, template, Serde(message))
        .map_err(|error| error.to_string())?;
    match serde_json::from_str::<serde::de::IgnoredAny>(&rendered) {
        Ok(_) => Ok(rendered),
        Err(error) => Err(format!("what {name} makes is no JSON: {error}")),
    }
}

/// The characters that Slack reads as more than text
/// (<https://docs.slack.dev/messaging/formatting-message-text>): no name of a column calls a whole channel.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

fn secret(file: &Path) -> Result<Vec<u8>, Problem> {
    let bytes = read("webhook_secret_file", file)?;
    let refused =
        |why: &str| Problem::lasting(format!("webhook_secret_file {} {why}", file.display()));
    let text = String::from_utf8(bytes).map_err(|_| refused("is not UTF-8"))?;
    let text = text.trim();
    let secret = match text.strip_prefix(ENCODED) {
        Some(encoded) => BASE64_STANDARD
            .decode(encoded)
            .map_err(|_| refused("is not base64 after whsec_"))?,
        None => text.as_bytes().to_vec(),
    };
    match secret.is_empty() {
        true => Err(refused("is empty")),
        false => Ok(secret),
    }
}

fn read(key: &str, file: &Path) -> Result<Vec<u8>, Problem> {
    let refused = |why: String| Problem::lasting(format!("{key} {}: {why}", file.display()));
    let length = fs::metadata(file)
        .map_err(|error| refused(error.to_string()))?
        .len();
    if length > LONGEST_FILE {
        return Err(refused(format!("has more than {LONGEST_FILE} bytes")));
    }
    fs::read(file).map_err(|error| refused(error.to_string()))
}

fn signature(secret: &[u8], id: &str, timestamp: &str, body: &str) -> Result<String, Problem> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret)
        .map_err(|_| Problem::lasting("its secret can not be used"))?;
    for part in [id, ".", timestamp, ".", body] {
        mac.update(part.as_bytes());
    }
    let code = BASE64_STANDARD.encode(mac.finalize().into_bytes());
    Ok(format!("v1,{code}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::message::tests::example;

    #[test]
    fn the_signature_is_that_of_the_specification() {
        // The example of the reference implementations (standard-webhooks, libraries/*/test).
        let secret = BASE64_STANDARD
            .decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
            .unwrap();
        let signature = signature(
            &secret,
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            "1614265330",
            r#"{"test": 2432232314}"#,
        );
        assert_eq!(
            signature.unwrap(),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
    }

    #[test]
    fn slack_gets_a_text_that_calls_nobody() {
        let mut message = example();
        message.summary = "psi of <!channel> is 1 (> 0.25)".to_owned();
        let body = body(&WebhookBody::Slack, &message).unwrap();
        let parsed: serde_json::Value = serde_json::from_str(&body).unwrap();
        let text = parsed["text"].as_str().unwrap();
        assert!(text.contains("psi of &lt;!channel&gt;"), "{text}");
    }

    #[test]
    fn a_template_writes_json_or_is_refused() {
        let mut message = example();
        message.summary = "a \"quoted\" name\nand a line".to_owned();
        let made = rendered(
            "page",
            r#"{"title": {{ summary }}, "text": {{ (alert ~ " of " ~ run) }}, "value": {{ value }}}"#,
            &message,
        )
        .unwrap();
        let parsed: serde_json::Value = serde_json::from_str(&made).unwrap();
        assert_eq!(parsed["title"], message.summary);
        assert_eq!(parsed["value"], 0.5);
        assert!(
            rendered("page", "{{ summry }}", &message).is_err(),
            "no such value"
        );
        assert!(
            rendered("page", "{\"a\": ", &message)
                .unwrap_err()
                .contains("no JSON")
        );
        assert!(rendered("page", "{% if %}", &message).is_err());
    }
}
