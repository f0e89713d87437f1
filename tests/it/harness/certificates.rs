//! A root of trust and a server's certificate, made by `openssl`.

/// Its configuration.
pub const OPENSSL: &str = "[req]
distinguished_name = name
prompt = no
[name]
commonName = localhost
[root]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign
[server]
basicConstraints = critical, CA:FALSE
subjectAltName = DNS:localhost, IP:127.0.0.1
extendedKeyUsage = serverAuth
";

/// A script that makes both in the directory that it is given.
pub const CERTIFICATES: &str = r#"
umask 077
cd "$1"
new="openssl req -x509 -config openssl.cnf -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30"
$new -extensions root -subj "/CN=Lamplighter's tests" -keyout root.key -out root.crt
$new -extensions server -CA root.crt -CAkey root.key -keyout server.key -out server.crt
"#;
