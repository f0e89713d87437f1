//! pgbouncer before a cluster, set up as Debian ships it: what it does not let through by default
//! (`extra_float_digits` and `options` at the start of a connection, named prepared statements) it
//! does not let through here.

use std::ffi::OsStr;
use std::path::PathBuf;

use super::find_program;
use super::postgres::{Cluster, Database, url};
use super::watched::Watched;

const PORT: u16 = 6432;

/// The commands of pgbouncer's watcher; its arguments are the binary, the cluster's socket
/// directory and port, and lines of `pgbouncer.ini`. pgbouncer says when it listens.
const SCRIPT: &str = r#"
binary=$1
database="* = host=$2 port=$3"
shift 3
settings=$(printf '%s\n' "$@")
start() {
    echo '"postgres" ""' >"$directory/users"
    printf '%s\n' "[databases]" "$database" "[pgbouncer]" "unix_socket_dir = $directory" \
        "auth_file = $directory/users" "$settings" >"$directory/pgbouncer.ini"
    mkfifo "$directory/said"
    "$binary" "$directory/pgbouncer.ini" >"$directory/said" 2>&1 &
    server=$!
    exec 3<"$directory/said"
    while read -r line <&3; do
        echo "$line"
        case $line in
            *"process up"*)
                cat <&3 &
                return
                ;;
        esac
    done
    return 1
}
end() {
    kill "$server"
    wait "$server"
}
"#;

/// A running pgbouncer, gone when it is dropped. Whoever comes needs no password.
pub struct Pgbouncer {
    watched: Watched,
}

impl Pgbouncer {
    /// Starts one with a pool of so many connections for each database and role. `pool_mode` is
    /// `session`, `transaction` or `statement`.
    pub fn start(cluster: &Cluster, pool_mode: &str, pool_size: u32) -> Self {
        let binary = binary();
        let settings = [
            "listen_addr =".to_owned(),
            format!("listen_port = {PORT}"),
            "auth_type = trust".to_owned(),
            // Roles that a test creates are looked up in the database.
            "auth_user = postgres".to_owned(),
            format!("pool_mode = {pool_mode}"),
            format!("default_pool_size = {pool_size}"),
        ];
        let port = cluster.port().to_string();
        let arguments: Vec<&OsStr> = [
            binary.as_os_str(),
            cluster.socket_directory().as_os_str(),
            OsStr::new(&port),
        ]
        .into_iter()
        .chain(settings.iter().map(OsStr::new))
        .collect();
        let mut watched = Watched::start(SCRIPT, &arguments);
        watched.call("start");
        Self { watched }
    }

    /// What Lamplighter is given to reach a database through it.
    pub fn url(&self, database: &Database) -> String {
        self.url_as(database, "postgres")
    }

    /// The same for another role.
    pub fn url_as(&self, database: &Database, role: &str) -> String {
        url(role, database.name(), self.watched.directory(), PORT)
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        self.watched.log()
    }
}

/// Whether there is no pgbouncer, and `make test`, which could not install it, has said so and asked
/// to go on without. Nobody else may leave it out.
pub fn is_left_out() -> bool {
    find_program("pgbouncer").is_none() && std::env::var_os("TEST_WITHOUT_PGBOUNCER").is_some()
}

fn binary() -> PathBuf {
    find_program("pgbouncer")
        .expect("pgbouncer is not installed: `make test` installs it, or `make programs` alone")
}
