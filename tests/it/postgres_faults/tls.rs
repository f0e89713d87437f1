use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::postgres::{Cluster, Database};
use crate::harness::{Ended, Workspace};

/// A server whose certificate is made out to `localhost` and 127.0.0.1, and which is at 127.0.0.2
/// as well.
struct Encrypted {
    cluster: Cluster,
    database: Database,
    workspace: Workspace,
    root: PathBuf,
}

impl Encrypted {
    fn start() -> Self {
        let cluster = Cluster::start(&["listen_addresses = '127.0.0.1, 127.0.0.2'"]);
        let database = cluster.database();
        cluster.authenticate(&["hostssl all postgres 127.0.0.0/8 trust"]);
        let root = cluster.enable_tls();
        let workspace = Workspace::new();
        // Only its owner and root may read the server's directory.
        let copy = workspace.path("root.crt");
        std::fs::copy(root, &copy).expect("a copy");
        Self {
            cluster,
            database,
            workspace,
            root: copy,
        }
    }

    fn migrate(&self, host: &str, parameters: &str) -> Ended {
        let (port, name) = (self.cluster.port(), self.database.name());
        let url = format!("postgres://postgres@{host}:{port}/{name}?{parameters}");
        let mut command = self
            .workspace
            .command(&["db", "migrate", "--database", &url]);
        Ended::of(command.env_remove("PGSSLMODE").env_remove("PGSSLROOTCERT"))
    }

    /// With whatever certificate is to vouch for the server.
    fn verified(&self, host: &str, mode: &str, root: &Path) -> Ended {
        self.migrate(
            host,
            &format!("sslmode={mode}&sslrootcert={}", root.display()),
        )
    }
}

#[test]
fn a_server_is_believed_when_its_certificate_says_who_it_is() {
    let encrypted = Encrypted::start();
    let root = &encrypted.root;
    for host in ["localhost", "127.0.0.1"] {
        encrypted.verified(host, "verify-full", root).expect(0);
    }
    // Made out to somebody else, but by the right authority.
    encrypted.verified("127.0.0.2", "verify-ca", root).expect(0);
    encrypted.migrate("127.0.0.2", "sslmode=require").expect(0);
    let hint = "certificate must be signed by an authority";
    encrypted
        .verified("127.0.0.2", "verify-full", root)
        .expect(69)
        .says(&[hint]);
    let stranger = stranger(&encrypted.workspace);
    for mode in ["verify-full", "verify-ca"] {
        let ended = encrypted.verified("localhost", mode, &stranger);
        ended.expect(69).says(&[hint]);
    }
    // The server itself insists.
    encrypted.migrate("localhost", "sslmode=disable").expect(77);
}

/// The certificate of an authority that has not signed the server's.
fn stranger(workspace: &Workspace) -> PathBuf {
    let file = workspace.path("stranger.crt");
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
        ])
        .args(["-nodes", "-days", "30", "-subj", "/CN=Stranger"])
        .args(["-addext", "keyUsage=critical,keyCertSign", "-keyout"])
        .arg(workspace.path("stranger.key"))
        .arg("-out")
        .arg(&file)
        .output()
        .expect("openssl");
    let said = String::from_utf8_lossy(&made.stderr);
    assert!(made.status.success(), "{said}");
    file
}

#[test]
fn a_mode_that_can_be_taken_away_or_is_no_mode_is_refused() {
    let workspace = Workspace::new();
    let modes = "choose one of disable, require, verify-ca, verify-full";
    for (in_url, in_environment, says) in [
        ("prefer", "", modes),
        ("allow", "", modes),
        ("verify-ful", "", "did you mean `verify-full`?"),
        ("", "requier", "did you mean `require`?"),
        ("", "prefer", modes),
    ] {
        // Nobody is there: what is refused is refused before anybody is asked.
        let url = format!("postgres://postgres@127.0.0.1:1/none?sslmode={in_url}");
        let mut command = workspace.command(&["db", "status", "--database", &url]);
        Ended::of(command.env("PGSSLMODE", in_environment))
            .expect(78)
            .says(&[says]);
    }
}
