//! PostgreSQL over the network: inside TLS, with a server that shows who it is.

use crate::lab::{Cluster, Said};
use portreeve_store::{Error, Location, Store};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn signed(by: &CertifiedIssuer<'_, KeyPair>, name: &str, dir: &Path, file: &str) {
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, by).unwrap();
    std::fs::write(dir.join(format!("{file}.pem")), certificate.pem()).unwrap();
    let path = dir.join(format!("{file}.key"));
    std::fs::write(&path, key.serialize_pem()).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn the_server_is_known_by_its_certificate_and_knows_us_by_ours() {
    let (ours, others) = (authority("ours"), authority("others"));
    let port = free_port().to_string();
    let options = |dir: &str| {
        vec![
            "-c".to_owned(),
            "listen_addresses=127.0.0.1".into(),
            "-p".into(),
            port.clone(),
            "-c".into(),
            "fsync=off".into(),
            "-c".into(),
            "ssl=on".into(),
            "-c".into(),
            format!("ssl_cert_file={dir}/server.pem"),
            "-c".into(),
            format!("ssl_key_file={dir}/server.key"),
            "-c".into(),
            format!("ssl_ca_file={dir}/ca.pem"),
            "-c".into(),
            format!("hba_file={dir}/hba.conf"),
        ]
    };
    let room = tempfile::tempdir().unwrap();
    std::fs::set_permissions(room.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let dir = room.path();
    std::fs::write(dir.join("ca.pem"), ours.pem()).unwrap();
    std::fs::write(dir.join("other-ca.pem"), others.pem()).unwrap();
    std::fs::write(dir.join("hba.conf"), "local all all trust\nhostssl all all 127.0.0.1/32 cert\n").unwrap();
    signed(&ours, "localhost", dir, "server");
    signed(&ours, "postgres", dir, "client");
    // The server reads its key as its own user, to whom it has to belong or whose group may read it.
    give_to_server(&dir.join("server.key"));
    let text = dir.display().to_string();
    let options = options(&text);
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let cluster = Cluster::start_on(&options, port.parse().unwrap());
    let name = cluster.database();

    let open = |host: &str, query: &str| {
        let location: Location = format!("postgres://postgres@{host}:{port}/{name}?{query}").parse().unwrap();
        Store::open(&location, Path::new("/nonexistent"), 1)
    };
    let certificate = format!("sslcert={text}/client.pem&sslkey={text}/client.key");
    let right = format!("sslmode=require&sslrootcert={text}/ca.pem&{certificate}");
    let store = open("localhost", &right).unwrap();
    Said::new(1).create(&store);

    let refused = |what: &str, host: &str, query: String| {
        let Err(error) = open(host, &query) else { panic!("{what}: taken") };
        assert!(matches!(error, Error::Open { .. } | Error::Unreachable(_)), "{what}: {error}");
        error.to_string()
    };
    refused(
        "another authority",
        "localhost",
        format!("sslmode=require&sslrootcert={text}/other-ca.pem&{certificate}"),
    );
    refused("another name", "127.0.0.1", right);
    refused("without our certificate", "localhost", format!("sslmode=require&sslrootcert={text}/ca.pem"));
    refused("without TLS", "localhost", "sslmode=disable".into());
}

fn give_to_server(key: &Path) {
    if rustix::process::getuid().is_root() {
        let done = std::process::Command::new("chown").arg("root:postgres").arg(key).status().unwrap();
        assert!(done.success());
    } else {
        std::fs::set_permissions(key, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
}
