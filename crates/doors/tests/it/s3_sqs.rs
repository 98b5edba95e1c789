//! moto, an independent stand-in for AWS: buckets that notify a queue, by the forms that AWS has for it.

use crate::lab::{Daemon, LIMIT, Lab, run, which};
use portreeve_doors::DoorError;
use portreeve_doors::s3_sqs::{self, Options};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

/// One for all tests of this file, since it takes seconds to start; each has a bucket and a queue of its own.
struct Moto {
    port: u16,
    /// Bucket and queue of the test that runs.
    name: &'static str,
    _daemon: Daemon,
    _dir: tempfile::TempDir,
}

impl Moto {
    async fn start() -> Moto {
        let (dir, port) = (tempfile::tempdir().unwrap(), crate::lab::port());
        let program = which("moto_server", "moto[server], of PyPI");
        let log = dir.path().join("log");
        let daemon = Daemon::spawn(&program, &["-H", "127.0.0.1", "-p", &port.to_string()], log);
        daemon.says("Running on").await;
        Moto { port, name: "", _daemon: daemon, _dir: dir }
    }

    async fn new_queue(&mut self, name: &'static str) {
        self.name = name;
        self.python(
            "s3.create_bucket(Bucket=B, CreateBucketConfiguration={'LocationConstraint': 'eu-central-1'})\n\
             url = sqs.create_queue(QueueName=B)['QueueUrl']\n\
             arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=['QueueArn'])['Attributes']['QueueArn']\n\
             s3.put_bucket_notification_configuration(Bucket=B, NotificationConfiguration={'QueueConfigurations': \
             [{'QueueArn': arn, 'Events': ['s3:ObjectCreated:*']}]})",
        )
        .await;
    }

    /// Runs a few lines with clients of Amazon's own library.
    async fn python(&self, code: &str) -> String {
        let (port, name) = (self.port, self.name);
        let head = format!(
            "import boto3, gzip, json\n\
             a = dict(endpoint_url='http://127.0.0.1:{port}', region_name='eu-central-1', aws_access_key_id='test', aws_secret_access_key='test')\n\
             s3, sqs = boto3.client('s3', **a), boto3.client('sqs', **a)\n\
             B, Q = '{name}', 'http://127.0.0.1:{port}/123456789012/{name}'\n\
             def put(key, text, pack=True): s3.put_object(Bucket=B, Key=key, Body=gzip.compress(text.encode()) if pack else text.encode())\n\
             def tell(body): sqs.send_message(QueueUrl=Q, MessageBody=json.dumps(body))\n\
             def notice(bucket, key): return {{'Records': [{{'eventName': 'ObjectCreated:Put', 'awsRegion': 'eu-central-1', 's3': {{'bucket': {{'name': bucket}}, 'object': {{'key': key}}}}}}]}}\n",
        );
        run(which("python3", "python3"), &["-c", &format!("{head}{code}")], b"").await
    }

    /// Messages that are visible, and those that somebody works on.
    fn left(&self) -> (u32, u32) {
        let (port, name) = (self.port, self.name);
        let body = format!(
            "Action=GetQueueAttributes&Version=2012-11-05&AttributeName.1=All&\
             QueueUrl=http%3A%2F%2F127.0.0.1%3A{port}%2F123456789012%2F{name}"
        );
        let request = format!(
            "POST /123456789012/{name} HTTP/1.0\r\nhost: 127.0.0.1:{port}\r\nauthorization: AWS4-HMAC-SHA256 \
             Credential=test/20260102/eu-central-1/sqs/aws4_request\r\n\
             content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let number = |name: &str| {
            let (_, rest) =
                answer.split_once(&format!("<Name>{name}</Name>")).unwrap_or_else(|| panic!("{answer}"));
            let (_, value) = rest.split_once("<Value>").unwrap();
            value.split('<').next().unwrap().trim().parse().unwrap()
        };
        (number("ApproximateNumberOfMessages"), number("ApproximateNumberOfMessagesNotVisible"))
    }

    async fn all_deleted(&self) {
        let start = Instant::now();
        loop {
            let left = self.left();
            if left == (0, 0) {
                return;
            }
            assert!(start.elapsed() < LIMIT, "{left:?} are left");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    fn open(&self, lab: &Lab, more: &str) -> JoinHandle<Result<(), DoorError>> {
        let secret = lab.path("secret");
        std::fs::write(&secret, "test").unwrap();
        std::fs::set_permissions(&secret, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        let port = self.port;
        let text = format!(
            r#"{{"source":"trail","queue_url":"http://127.0.0.1:{port}/123456789012/{}","region":"eu-central-1",
            "s3_endpoint":"http://127.0.0.1:{port}","keys":{{"access_key_id":"test","secret_access_key":{{"file":"{}"}}}}{more}}}"#,
            self.name,
            secret.display()
        );
        let options: Options = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{text}: {e}"));
        tokio::spawn(s3_sqs::run(options, lab.context.clone()))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_and_its_objects() {
    let mut moto = Moto::start().await;
    moto.new_queue("forms").await;
    objects_of_every_form_of_notice(&moto).await;
    moto.new_queue("broken").await;
    what_cannot_be_read_becomes_a_dead_letter(&moto).await;
    moto.new_queue("late").await;
    an_object_that_comes_late_is_read_at_the_next_try(&moto).await;
    moto.new_queue("long").await;
    a_message_stays_invisible_while_it_is_worked_on_and_comes_back_when_the_service_ends(&moto).await;
}

async fn objects_of_every_form_of_notice(moto: &Moto) {
    let lab = Lab::new();
    let code = "
put('AWSLogs/1/a b+ü.json.gz', json.dumps({'Records': [{'eventName': 'ConsoleLogin', 'n': n} for n in range(500)]}))
put('flow/log', 'version account\\r\\n2 123 eni-1\\n\\n2 123 eni-2', pack=False)
put('remove/me', 'removed line')
tell({'Type': 'Notification', 'MessageId': 'x', 'Message': json.dumps(notice(B, 'flow/log'))})
tell({'version': '0', 'source': 'aws.s3', 'detail-type': 'Object Created', 'region': 'eu-central-1', 'detail': {'bucket': {'name': B}, 'object': {'key': 'remove/me', 'size': 12}}})
tell({'Service': 'Amazon S3', 'Event': 's3:TestEvent', 'Bucket': B})
tell({'Records': [{'eventName': 'ObjectRemoved:Delete', 's3': {'bucket': {'name': B}, 'object': {'key': 'gone'}}}]})
";
    moto.python(code).await;
    let door = moto.open(&lab, "");
    lab.records(500 + 3 + 1 + 3 + 1).await;
    moto.all_deleted().await;
    let texts = lab.texts();
    let count = |text: &str| texts.iter().filter(|t| t.contains(text)).count();
    assert_eq!(
        (count("ConsoleLogin"), count("version account"), count("2 123 eni-2"), count("removed line")),
        (500, 2, 2, 2)
    );
    assert!(texts.iter().any(|t| t == r#"{"eventName": "ConsoleLogin", "n": 499}"#));
    let totals = lab.end(door).await;
    assert_eq!((totals.stored, totals.dead), (508, 0));
}

async fn what_cannot_be_read_becomes_a_dead_letter(moto: &Moto) {
    let lab = Lab::new();
    let code = "
s3.put_object(Bucket=B, Key='cut.gz', Body=gzip.compress(b'line\\n' * 1000)[:-9])
s3.put_object(Bucket=B, Key='table.parquet', Body=b'PAR1xxxx')
put('half.json', '{\"Records\":[{\"a\":1},{\"b')
tell({'hello': 'world'})
sqs.send_message(QueueUrl=Q, MessageBody='no JSON at all')
tell(notice('other', 'k'))
tell(notice(B, 'missing'))
";
    moto.python(code).await;
    let door = moto.open(&lab, r#","buckets":["broken"],"receives":1"#);
    lab.until("seven dead letters", |lab| lab.dead().len() == 7).await;
    moto.all_deleted().await;
    let dead = lab.dead();
    for reason in [
        "cut.gz cannot be unpacked",
        "Parquet",
        "ends too early",
        "none of the forms",
        "no notification",
        "bucket other",
        "given up after 1 tries",
    ] {
        assert!(
            dead.iter().any(|d| d.reason.contains(reason)),
            "{reason}: {:?}",
            dead.iter().map(|d| &d.reason).collect::<Vec<_>>()
        );
    }
    lab.end(door).await;
}

async fn an_object_that_comes_late_is_read_at_the_next_try(moto: &Moto) {
    let lab = Lab::new();
    moto.python("tell(notice(B, 'late'))").await;
    let door = moto.open(&lab, "");
    lab.until("it says why", |lab| lab.trouble().iter().any(|t| t.contains("s3://late/late is not there")))
        .await;
    // Its own notification is taken away: what is stored comes from the one that failed.
    moto.python("s3.put_bucket_notification_configuration(Bucket=B, NotificationConfiguration={})\nput('late', 'here')").await;
    lab.records(1).await;
    moto.all_deleted().await;
    lab.end(door).await;
}

async fn a_message_stays_invisible_while_it_is_worked_on_and_comes_back_when_the_service_ends(moto: &Moto) {
    let mut lab = Lab::with(1);
    moto.python("put('long', ''.join(f'line {n}\\n' for n in range(100000)))").await;
    lab.hold(true);
    let door = moto.open(&lab, r#","visibility_s":3"#);
    lab.until("it is begun", |lab| lab.totals().received > 0).await;
    // Far longer than it was invisible for at first.
    tokio::time::sleep(Duration::from_secs(7)).await;
    assert_eq!(moto.left(), (0, 1));
    lab.fill_disk(true);
    lab.hold(false);
    lab.until("the disk is full", |lab| lab.trouble().iter().any(|t| t.contains("no space"))).await;
    let totals = lab.end(door).await;
    assert!(totals.refused > 0 && totals.stored < 100_000, "{totals:?}");
    lab = lab.again();
    let door = moto.open(&lab, "");
    lab.records(100_000).await;
    moto.all_deleted().await;
    assert_eq!(lab.texts().last().map(String::as_str), Some("line 99999"));
    assert_eq!(lab.end(door).await.stored, 100_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_that_does_not_answer_is_tried_again() {
    let lab = Lab::new();
    let (port, url) = (crate::lab::port(), "queue_url");
    let text = format!(
        r#"{{"source":"trail","{url}":"http://127.0.0.1:{port}/1/logs","region":"eu-central-1","keys":{{"access_key_id":"test","secret_access_key":{{"env":"PATH"}}}}}}"#
    );
    let options: Options = serde_json::from_str(&text).unwrap();
    let door = tokio::spawn(s3_sqs::run(options, lab.context.clone()));
    lab.until("it says so", |lab| lab.trouble().iter().any(|t| t.contains("the queue cannot be read"))).await;
    lab.end(door).await;
    let wrong: Options =
        serde_json::from_str(r#"{"source":"t","queue_url":"https://q.example/1/logs"}"#).unwrap();
    let lab = Lab::new();
    let error = s3_sqs::run(wrong, lab.context.clone()).await.unwrap_err().to_string();
    assert!(error.contains("set `region`"), "{error}");
}
