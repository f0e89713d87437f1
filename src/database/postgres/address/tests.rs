use super::*;

fn parse_in(url: &str, environment: &[(&str, &str)]) -> Result<Address, Failure> {
    Address::from_parts(url, None, &|name| {
        let found = environment.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| (*value).to_owned())
    })
}

fn parse(url: &str) -> Address {
    parse_in(url, &[("PGUSER", "runner")]).unwrap_or_else(|failure| panic!("{url}: {failure}"))
}

fn refusal(url: &str) -> String {
    refusal_in(url, &[])
}

fn refusal_in(url: &str, environment: &[(&str, &str)]) -> String {
    let failure = parse_in(url, environment).unwrap_err();
    assert_eq!(failure.class().exit_code(), 78);
    let text = format!("{failure} {failure:?}");
    assert!(!text.contains("canary"), "{text}");
    text
}

fn mode(url: &str) -> &'static str {
    mode_in(url, &[])
}

fn mode_in(url: &str, environment: &[(&str, &str)]) -> &'static str {
    match parse_in(url, environment).unwrap().tls.mode {
        PgSslMode::Disable => "disable",
        PgSslMode::Require => "require",
        PgSslMode::VerifyCa => "verify-ca",
        PgSslMode::VerifyFull => "verify-full",
        _ => "weak",
    }
}

#[test]
fn all_parts_of_a_url_are_understood() {
    let address = parse("postgres://us%40er:ca%3Anary@db.example:5433/night%20ly");
    assert_eq!(address.to_string(), "postgres://db.example:5433/night ly");
    assert_eq!(address.user, "us@er");
    assert_eq!(address.password.given.as_deref(), Some("ca:nary"));
    assert_eq!(address.application, "lamplighter");
    let address = parse("postgresql://h/x?user=u&password=p&dbname=d&port=7&application_name=n");
    assert_eq!(address.to_string(), "postgres://h:7/d");
    assert_eq!(
        (address.user.as_str(), address.application.as_str()),
        ("u", "n")
    );
    assert_eq!(address.password.given.as_deref(), Some("p"));
}

#[test]
fn hosts_are_names_addresses_or_sockets() {
    for (url, shown) in [
        ("postgres://db.example/d", "postgres://db.example:5432/d"),
        ("postgres://[::1]:7/d", "postgres://[::1]:7/d"),
        (
            "postgres:///d?host=/run/pg",
            "postgres:///d?host=/run/pg&port=5432",
        ),
        (
            "postgres://u@/d?host=%2Frun%2Fpg&port=7",
            "postgres:///d?host=/run/pg&port=7",
        ),
        (
            "postgres://u@%2Frun%2Fpg:7/d",
            "postgres:///d?host=/run/pg&port=7",
        ),
        ("postgres://db.example", "postgres://db.example:5432/runner"),
    ] {
        assert_eq!(parse(url).to_string(), shown, "{url}");
    }
}

#[test]
fn the_environment_fills_what_the_url_lacks() {
    let environment = [
        ("PGHOST", "db.example"),
        ("PGPORT", "5433"),
        ("PGUSER", "runner"),
        ("PGPASSWORD", "canary"),
        ("PGDATABASE", "nightly"),
        ("PGSSLMODE", "require"),
    ];
    let address = parse_in("postgres://", &environment).unwrap();
    assert_eq!(address.to_string(), "postgres://db.example:5433/nightly");
    assert_eq!(address.password.given.as_deref(), Some("canary"));
    assert_eq!(mode_in("postgres://", &environment), "require");
    let address = parse_in("postgres://u:p@h:1/d?sslmode=verify-full", &environment).unwrap();
    assert_eq!(address.to_string(), "postgres://h:1/d");
    assert_eq!(address.password.given.as_deref(), Some("p"));
}

#[test]
fn without_a_word_only_this_machine_goes_without_tls() {
    for (host, expected) in [
        ("db.example", "verify-full"),
        ("10.0.0.1", "verify-full"),
        ("localhost.example", "verify-full"),
        ("localhost", "disable"),
        ("127.0.0.9", "disable"),
        ("[::1]", "disable"),
        ("%2Frun%2Fpg", "disable"),
    ] {
        assert_eq!(mode(&format!("postgres://{host}/d")), expected, "{host}");
    }
    assert_eq!(mode("postgres://h/d?sslmode=disable"), "disable");
    assert_eq!(
        mode("postgres://localhost/d?sslmode=verify-ca"),
        "verify-ca"
    );
    assert_eq!(
        mode_in("postgres:///d?host=/run/pg", &[("PGSSLMODE", "require")]),
        "disable"
    );
}

#[test]
fn a_mode_that_can_be_downgraded_is_refused() {
    for weak in ["prefer", "allow"] {
        let text = refusal(&format!("postgres://u:canary@h/d?sslmode={weak}"));
        assert!(
            text.contains("silently") && text.contains("verify-full"),
            "{text}"
        );
    }
    assert!(refusal("postgres://h/d?sslmode=requier").contains("`require`"));
    assert!(refusal_in("postgres://h/d", &[("PGSSLMODE", "VERIFY")]).contains("unknown sslmode"));
}

#[test]
fn certificates_must_be_there() {
    for part in ["sslrootcert", "sslcert", "sslkey"] {
        let text = refusal(&format!("postgres://h/d?{part}=/nonexistent.pem"));
        assert!(
            text.contains(part) && text.contains("/nonexistent.pem"),
            "{text}"
        );
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().display();
    let url = format!("postgres://h/d?sslrootcert={path}&sslmode=require");
    assert_eq!(mode(&url), "verify-ca");
    assert!(refusal(&format!("postgres://h/d?sslcert={path}")).contains("belong together"));
}

#[test]
fn refusals_name_the_problem_and_no_secret() {
    for (url, problem) in [
        ("mysql://u:canary@h/d", "postgres://"),
        ("postgres://u:canary@h/d?sslmod=require", "`sslmode`"),
        (
            "postgres://u:canary@h/d?options=-c%20x",
            "unknown parameter `options`",
        ),
        ("postgres://u:canary@h:port/d", "port"),
        ("postgres://u:canary@h:0/d", "port"),
        ("postgres://u:canary@h,i/d", "several hosts"),
        ("postgres://u:canary@[::1/d", "bracket"),
        ("postgres://u:can%zzary@h/d", "hexadecimal"),
        ("postgres://u:can/ary@h/d", "%2F"),
        ("postgres://u:12?canary=x@h/d", "%3F"),
        ("postgres://u:c@n/canary@h/d", "%40"),
        ("postgres://h/d?canary", "no `=`"),
        ("postgres://h/d?port=1&port=2", "twice"),
        ("postgres://h/d%00", "control"),
        ("postgres://u:canary%0A@h/d", "control"),
    ] {
        let text = refusal(url);
        assert!(text.contains(problem), "{url}: {text}");
    }
}

#[test]
fn no_rendering_holds_the_login() {
    let address = parse("postgres://somebody:canary@h/d");
    let text = format!("{address} {address:?}");
    assert!(
        !text.contains("canary") && !text.contains("somebody"),
        "{text}"
    );
}

#[test]
fn passwords_in_urls_are_found() {
    for url in [
        "postgres://u:p@h/d",
        "postgresql://u:p@h",
        "postgres://:p@/d",
        "postgres://h/d?password=p",
        "postgres://h/d?port=1&pass%77ord=p",
        "postgres://u:p/q@h/d",
    ] {
        assert!(has_password_in_url(url), "{url}");
    }
    for url in [
        "postgres://u@h:5432/d",
        "postgres://h:1/d?user=u",
        "sqlite://a.db",
        "postgres://u:@h",
    ] {
        assert!(!has_password_in_url(url), "{url}");
    }
}

#[test]
fn options_say_all_that_matters() {
    let options = parse("postgres://u:p@db.example/d")
        .connect_options()
        .unwrap();
    assert_eq!(
        (options.get_host(), options.get_port()),
        ("db.example", 5432)
    );
    assert!(matches!(options.get_ssl_mode(), PgSslMode::VerifyFull));
    assert_eq!(options.get_application_name(), Some("lamplighter"));
}
