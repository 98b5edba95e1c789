//! Real peers: curl, elasticsearch-py, the OpenTelemetry SDK, rsyslog.

use crate::house::{Behind, Build, House, LIMIT};
use portreeve_doors::Limits;
use portreeve_doors::http::HttpOptions;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Runs a program to its end, or kills it; what it takes is bounded.
pub(crate) async fn run(mut command: Command, package: &'static str) -> Output {
    let done = tokio::task::spawn_blocking(move || {
        let spawned = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child =
            spawned.unwrap_or_else(|e| panic!("{:?}: {e}; install {package}", command.get_program()));
        let start = Instant::now();
        while child.try_wait().expect("a child").is_none() {
            if start.elapsed() > LIMIT {
                child.kill().ok();
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        child.wait_with_output().expect("its output")
    });
    done.await.expect("no panic")
}

pub(crate) async fn python(package: &'static str, code: &str, arguments: &[&str]) -> String {
    let mut command = Command::new("python3");
    command.arg("-c").arg(code).args(arguments).env("OTEL_SDK_DISABLED", "false");
    for proxy in ["http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "grpc_proxy", "all_proxy"] {
        command.env_remove(proxy);
    }
    command.env("no_proxy", "127.0.0.1").env("NO_PROXY", "127.0.0.1");
    let output = run(command, "python3").await;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        !errors.contains("ModuleNotFoundError"),
        "{errors}\ninstall the PyPI package {package} (.ci/pip.txt)"
    );
    assert!(output.status.success(), "{said}\n{errors}");
    said
}

async fn curl(arguments: &[&str]) -> String {
    let mut command = Command::new("curl");
    command.args(["-sS", "--noproxy", "*", "--max-time", "50"]).args(arguments);
    let output = run(command, "the Debian package curl").await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

/// An authority, a server's certificate and a client's.
pub(crate) struct Certificates {
    dir: tempfile::TempDir,
    pub(crate) client_sum: [u8; 32],
}

impl Certificates {
    pub(crate) fn new() -> Certificates {
        let dir = tempfile::tempdir().expect("a directory");
        let mut params = CertificateParams::new(vec![]).expect("no names");
        // Of another name than the certificates, or these would look as if they had signed themselves.
        params.distinguished_name.push(DnType::CommonName, "authority of a test");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca =
            CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority");
        let write = |name: &str, text: String| std::fs::write(dir.path().join(name), text).expect("written");
        write("ca.pem", ca.pem());
        let mut client_sum = [0; 32];
        for (name, host) in [("server", "127.0.0.1"), ("client", "client.example")] {
            let key = KeyPair::generate().expect("a key");
            let params = CertificateParams::new(vec![host.to_owned()]).expect("a name");
            let certificate = params.signed_by(&key, &ca).expect("signed");
            write(&format!("{name}.pem"), certificate.pem());
            write(&format!("{name}.key"), key.serialize_pem());
            client_sum = Sha256::digest(certificate.der()).into();
        }
        Certificates { dir, client_sum }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// A server that lets clients show a certificate.
    pub(crate) fn server(&self) -> Arc<ServerConfig> {
        let certificate = |name| CertificateDer::from_pem_file(self.path(name)).expect("a certificate");
        let mut roots = RootCertStore::empty();
        roots.add(certificate("ca.pem")).expect("an authority");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
            .allow_unauthenticated()
            .build()
            .expect("a verifier");
        let key = PrivateKeyDer::from_pem_file(self.path("server.key")).expect("a key");
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![certificate("server.pem")], key)
            .expect("a certificate and its key");
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Arc::new(config)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn curl_speaks_to_the_collector() {
    let house = House::new().await;
    let url = format!("http://{}/services/collector", house.address);
    let said = curl(&[
        &format!("{url}/event"),
        "-H",
        "Authorization: Splunk T-edge",
        "-d",
        r#"{"event":"a"}{"event":"b"}"#,
    ])
    .await;
    assert_eq!(said, r#"{"text":"Success","code":0}"#);
    let said = curl(&["-u", "x:T-edge", &url, "-d", r#"{"event":"by password"}"#]).await;
    assert_eq!(said, r#"{"text":"Success","code":0}"#);
    // Large enough that curl asks first whether it may send (Expect: 100-continue).
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("lines.txt");
    let lines: String = (0..50_000).map(|n| format!("line {n} of a file that is sent whole\n")).collect();
    std::fs::write(&file, &lines).expect("written");
    let from = format!("@{}", file.display());
    let said =
        curl(&[&format!("{url}/raw"), "-H", "Authorization: Splunk T-edge", "--data-binary", &from]).await;
    assert_eq!(said, r#"{"text":"Success","code":0}"#);
    // And turned away before it has sent anything.
    let said =
        curl(&[&format!("{url}/raw"), "-H", "Authorization: Splunk wrong", "--data-binary", &from]).await;
    assert_eq!(said, r#"{"text":"Invalid token","code":4}"#);
    assert_eq!(house.records()[..3], ["a", "b", "by password"]);
    assert_eq!(house.end().await.stored, 50_003);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn curl_shows_a_client_certificate_to_the_audit_webhook() {
    let certificates = Certificates::new();
    let config = certificates.server();
    let house = House::build(Build { tls: Some(Arc::new(move || config.clone())), ..Build::default() }).await;
    house.doorman.knows(certificates.client_sum, "cluster");
    let url = format!("https://{}/k8s/audit", house.address);
    let body = r#"{"kind":"EventList","apiVersion":"audit.k8s.io/v1","items":[{"auditID":"1"}]}"#;
    let ca = certificates.text("ca.pem");
    let (client, key) = (certificates.text("client.pem"), certificates.text("client.key"));
    let shown = ["--cacert", &ca, "--cert", &client, "--key", &key];
    for protocol in ["--http1.1", "--http2"] {
        let said =
            curl(&[&[protocol, &url, "-w", " %{http_version}", "-d", body][..], &shown].concat()).await;
        assert_eq!(said, if protocol == "--http2" { "{} 2" } else { "{} 1.1" });
    }
    let said = curl(&["--cacert", &ca, &url, "-d", body]).await;
    assert!(said.contains("show a token"), "{said}");
    // A wrong token is wrong, whatever certificate comes with it.
    let wrong = [&[&url, "-H", "Authorization: Bearer wrong", "-d", body][..], &shown].concat();
    assert!(curl(&wrong).await.contains("show a token"));
    assert_eq!(house.origins(), ["cluster", "cluster"]);
    let counts = house.end().await;
    assert_eq!((counts.stored, counts.turned_away), (2, 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn elasticsearch_py_writes_and_repeats() {
    let code = r#"
import sys
from elasticsearch import Elasticsearch, helpers
url, = sys.argv[1:]
es = Elasticsearch(url, api_key="T-edge", http_compress=True, retry_on_status=[429], max_retries=3, retry_on_timeout=True)
print(es.info()["version"]["number"], es.ping(), es.cluster.health()["status"])
docs = [{"_op_type": "create", "_index": "logs", "_id": str(n), "message": f"line {n}"} for n in range(1000)]
print(helpers.bulk(es, docs, chunk_size=400))
ok, errors = helpers.bulk(es, docs[:3], raise_on_error=False)
print(ok, [e["create"]["status"] for e in errors])
print(es.index(index="logs", document={"message": "single"})["result"])
es.indices.put_index_template(name="t", index_patterns=["logs*"])
print(es.indices.exists(index="logs").body)
basic = Elasticsearch(url, basic_auth=("elastic", "wrong"))
try:
    basic.info()
except Exception as e:
    print(type(e).__name__)
"#;
    let behind = Some(Behind::RefusesFirst(2));
    let mut options = HttpOptions::default();
    options.es_bulk.prefix = String::new();
    options.es_bulk.version = "8.19.3".to_owned();
    let house = House::build(Build { behind, options, ..Build::default() }).await;
    let said = python("elasticsearch", code, &[&format!("http://{}", house.address)]).await;
    let expect = "8.19.3 True green\n(1000, [])\n0 [409, 409, 409]\ncreated\nTrue\nAuthenticationException\n";
    assert_eq!(said, expect);
    let records = house.records();
    assert_eq!((records.len(), records[7].as_str()), (1_001, r#"{"message":"line 7"}"#));
    let counts = house.end().await;
    // Two requests of 400 were told to come again, and three documents were known.
    assert_eq!((counts.stored, counts.refused), (1_001, 803));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_opentelemetry_sdk_exports_by_http_and_by_grpc() {
    let code = r#"
import sys
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry._logs import LogRecord, SeverityNumber
address, way, token = sys.argv[1:]
if way == "http":
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.http import Compression
    exporter = OTLPLogExporter(endpoint=f"http://{address}/v1/logs", headers={"authorization": f"Bearer {token}"}, compression=Compression.Gzip)
else:
    import grpc
    from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
    exporter = OTLPLogExporter(endpoint=address, insecure=True, headers=(("authorization", f"Bearer {token}"),), compression=grpc.Compression.Gzip)
provider = LoggerProvider(resource=Resource({"host.name": "edge"}))
provider.add_log_record_processor(BatchLogRecordProcessor(exporter))
logger = provider.get_logger("test")
for n in range(500):
    logger.emit(LogRecord(body=f"line {n}", severity_text="INFO", severity_number=SeverityNumber.INFO))
logger.emit(LogRecord(body={"user": "anna", "port": 22, "list": [1.5, True, None]}, attributes={"a": 1}))
print(provider.force_flush(45000))
provider.shutdown()
"#;
    for (way, package) in [
        ("http", "opentelemetry-exporter-otlp-proto-http"),
        ("grpc", "opentelemetry-exporter-otlp-proto-grpc"),
    ] {
        let behind = Some(Behind::RefusesFirst(1));
        let house = House::build(Build { behind, ..Build::default() }).await;
        let address = house.address.to_string();
        python(package, code, &[&address, way, "T-edge"]).await;
        let records = house.records();
        assert_eq!(records.len(), 501, "{way}: what is refused comes again");
        let mut lines: Vec<_> = records.iter().filter(|r| r.starts_with("line ")).cloned().collect();
        lines.sort();
        lines.dedup();
        assert_eq!(lines.len(), 500, "{way}");
        let map = records.iter().find(|r| r.starts_with('{')).expect("the map");
        let map: serde_json::Value = serde_json::from_str(map).expect("JSON");
        assert_eq!(
            map["body"],
            serde_json::json!({"user": "anna", "port": 22, "list": [1.5, true, null]}),
            "{way}"
        );
        assert_eq!(
            (&map["attributes"]["a"], &map["resource"]["host.name"]),
            (&1.into(), &"edge".into()),
            "{way}"
        );
        python(package, code, &[&address, way, "wrong"]).await;
        let counts = house.end().await;
        assert_eq!(counts.stored, 501, "{way}: a wrong token stores nothing");
        assert!(counts.turned_away > 0 && counts.refused > 0, "{way}: {counts:?}");
    }
}

/// What a call of another method, or of another shape, is told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn grpc_says_what_is_wrong() {
    let code = r#"
import sys, grpc
address, = sys.argv[1:]
channel = grpc.insecure_channel(address)
raw = lambda path: channel.unary_unary(path, request_serializer=lambda b: b, response_deserializer=lambda b: b)
export = raw("/opentelemetry.proto.collector.logs.v1.LogsService/Export")
def call(method, message, token="T-edge", **more):
    try:
        return method(message, metadata=(("authorization", f"Bearer {token}"),), timeout=30, **more)
    except grpc.RpcError as e:
        return e.code().name, e.details()
print(call(export, b""))
print(call(export, b"not protobuf"))
print(call(export, b"\x0a\x02\x12\x00", compression=grpc.Compression.Deflate))
print(call(export, bytes(20000), token="wrong"))
print(call(export, bytes(60 << 20), compression=grpc.Compression.Gzip))
print(call(raw("/opentelemetry.proto.collector.trace.v1.TraceService/Export"), b"")[0])
"#;
    let house = House::new().await;
    let said = python("grpcio", code, &[&house.address.to_string()]).await;
    let expect = "b''\n('INVALID_ARGUMENT', 'not a message of logs')\nb''\n\
                  ('UNAUTHENTICATED', 'show a token: authorization: Bearer TOKEN')\n\
                  ('RESOURCE_EXHAUSTED', 'larger than this source may send; send less at a time')\nUNIMPLEMENTED\n";
    assert_eq!(said, expect);
    let counts = house.end().await;
    assert_eq!((counts.stored, counts.dead, counts.refused, counts.turned_away), (0, 1, 1, 1));
}

/// What Google's own messages read in our answers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn grpc_says_when_to_come_again_and_what_was_not_taken() {
    let code = r#"
import sys, grpc
from google.rpc import status_pb2, error_details_pb2
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2 as service, logs_service_pb2_grpc as stub
from opentelemetry.proto.logs.v1.logs_pb2 import ResourceLogs, ScopeLogs, LogRecord
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
address, *lines = sys.argv[1:]
logs = stub.LogsServiceStub(grpc.insecure_channel(address))
records = [LogRecord(body=AnyValue(string_value=line)) for line in lines]
request = service.ExportLogsServiceRequest(resource_logs=[ResourceLogs(scope_logs=[ScopeLogs(log_records=records)])])
try:
    partial = logs.Export(request, metadata=(("authorization", "Bearer T-edge"),), timeout=30).partial_success
    print(partial.rejected_log_records, partial.error_message)
except grpc.RpcError as e:
    details = dict(e.trailing_metadata())["grpc-status-details-bin"]
    status = status_pb2.Status.FromString(details)
    retry = error_details_pb2.RetryInfo()
    print(e.code().name, status.code, status.message, status.details[0].Unpack(retry), retry.retry_delay.seconds)
"#;
    let package = "opentelemetry-exporter-otlp-proto-grpc";
    let behind = Some(Behind::RefusesFirst(1));
    let limits = Limits { record_bytes: 10, records_per_s: Some(1), ..Limits::default() };
    let house = House::build(Build { behind, limits, ..Build::default() }).await;
    let address = house.address.to_string();
    let said = python(package, code, &[&address, "one"]).await;
    assert_eq!(said, "UNAVAILABLE 14 the service is busy True 5\n");
    let said = python(package, code, &[&address, "one", "longer than ten", "two"]).await;
    assert_eq!(said, "1 1 records are longer than this source may send, or cannot be read\n");
    let many: Vec<String> = (0..200).map(|n| n.to_string()).collect();
    let arguments: Vec<&str> =
        std::iter::once(address.as_str()).chain(many.iter().map(String::as_str)).collect();
    assert_eq!(python(package, code, &arguments).await, "0 \n");
    let said = python(package, code, &[&address, "too soon"]).await;
    assert!(said.starts_with("RESOURCE_EXHAUSTED 8 more records than this source may send True "), "{said}");
    let counts = house.end().await;
    assert_eq!((counts.stored, counts.refused, counts.dead), (202, 1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rsyslog_writes_with_omelasticsearch() {
    // Kept waiting while there is no room, since it would come again in requests of one line.
    let (numbers, records, refused) = rsyslog(Behind::ComesLater(Duration::from_secs(2))).await;
    assert_eq!((numbers, records, refused), (2_000, 2_000, 0), "each line once");
    // Refused all the same (the disk is full), it does that, and nothing is lost.
    let (numbers, records, refused) = rsyslog(Behind::RefusesFirst(1)).await;
    assert!(numbers == 2_000 && records >= 2_000 && refused > 0, "{numbers} {records} {refused}");
}

/// How many lines came of 2,000, in how many records, and how many records were refused.
async fn rsyslog(behind: Behind) -> (usize, usize, u64) {
    let behind = Some(behind);
    let mut options = HttpOptions::default();
    options.es_bulk.prefix = String::new();
    let house = House::build(Build { behind, options, ..Build::default() }).await;
    let dir = tempfile::tempdir().expect("a directory");
    let at = |name: &str| dir.path().join(name).display().to_string();
    let lines: String = (0..2_000).map(|n| format!("sshd[7]: Failed password for root \"{n}\"\n")).collect();
    std::fs::write(at("auth.log"), lines).expect("written");
    let config = format!(
        r#"
global(workDirectory="{dir}" maxMessageSize="64k")
module(load="imfile" mode="polling" pollingInterval="1")
module(load="omelasticsearch")
template(name="es" type="list" option.jsonf="on") {{
  property(outname="message" name="msg" format="jsonf")
  property(outname="host" name="hostname" format="jsonf")
  property(outname="@timestamp" name="timereported" dateFormat="rfc3339" format="jsonf")
}}
input(type="imfile" file="{log}" tag="auth:")
action(type="omelasticsearch" server="127.0.0.1" serverport="{port}" bulkmode="on" template="es"
  searchIndex="logs-t" searchType="" uid="rsyslog" pwd="T-edge" errorfile="{errors}"
  queue.type="linkedlist" queue.size="20000" queue.dequeuebatchsize="500" action.resumeRetryCount="-1" action.resumeInterval="1")
"#,
        dir = dir.path().display(),
        log = at("auth.log"),
        errors = at("errors.json"),
        port = house.address.port(),
    );
    std::fs::write(at("rsyslog.conf"), config).expect("written");
    let mut rsyslog = Running::start(
        Command::new("rsyslogd").args(["-n", "-f", &at("rsyslog.conf"), "-i", &at("rsyslog.pid")]),
        "the Debian packages rsyslog and rsyslog-elasticsearch",
    );
    let numbers = |house: &House| {
        let records = house.records();
        let number = |r: &String| r.split("\\\"").nth(1).unwrap_or_default().to_owned();
        records.iter().map(number).collect::<BTreeSet<_>>().len()
    };
    house.until("2,000 lines", |h| numbers(h) == 2_000).await;
    rsyslog.end();
    let record: serde_json::Value = serde_json::from_str(&house.records()[0]).expect("JSON");
    assert!(record["message"].as_str().is_some_and(|m| m.contains("Failed password")), "{record}");
    assert!(!Path::new(&at("errors.json")).exists(), "rsyslog gave nothing up");
    let (numbers, records) = (numbers(&house), house.records().len());
    (numbers, records, house.end().await.refused)
}

/// A program that runs in the foreground until it is told to end.
pub(crate) struct Running(std::process::Child);

impl Running {
    pub(crate) fn start(command: &mut Command, package: &str) -> Running {
        let spawned = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        Running(spawned.unwrap_or_else(|e| panic!("{:?}: {e}; install {package}", command.get_program())))
    }

    pub(crate) fn end(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
    }
}
