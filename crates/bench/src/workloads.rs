//! Log files in the shapes the vendors document, as large as a busy day, the same on every machine.

use anyhow::Context;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

/// One file of one product.
pub(crate) struct Workload {
    pub(crate) name: &'static str,
    pub(crate) file: &'static str,
    pub(crate) records: u64,
    /// Thousand records per CPU-second that are wanted of the whole job on one core.
    pub(crate) goal: u32,
    write: fn(u64, &mut Dice, &mut dyn Write) -> std::io::Result<()>,
}

pub(crate) static ALL: [Workload; 6] = [
    Workload { name: "sshd", file: "sshd.log", records: 1_000_000, goal: 4000, write: sshd },
    Workload { name: "asa", file: "asa.log", records: 1_000_000, goal: 4500, write: asa },
    Workload { name: "fortigate", file: "fortigate.log", records: 1_000_000, goal: 1200, write: fortigate },
    Workload {
        name: "cloudtrail",
        file: "cloudtrail.ndjson",
        records: 300_000,
        goal: 700,
        write: cloudtrail,
    },
    Workload {
        name: "cloudtrail.gz",
        file: "cloudtrail.json.gz",
        records: 300_000,
        goal: 450,
        write: cloudtrail,
    },
    Workload {
        name: "kubernetes",
        file: "kubernetes.ndjson",
        records: 300_000,
        goal: 700,
        write: kubernetes,
    },
];

impl Workload {
    pub(crate) fn generate(&self, dir: &Path) -> anyhow::Result<u64> {
        let path = dir.join(self.file);
        let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
        let to = BufWriter::with_capacity(
            1 << 20,
            File::create(&path).with_context(|| path.display().to_string())?,
        );
        if self.file.ends_with(".json.gz") {
            let mut gz = GzEncoder::new(to, Compression::new(6));
            gz.write_all(b"{\"Records\":[")?;
            let mut joined = Commas { to: &mut gz, first: true };
            (self.write)(self.records, &mut dice, &mut joined)?;
            gz.write_all(b"]}\n")?;
            gz.finish()?.flush()?;
        } else {
            let mut to = to;
            (self.write)(self.records, &mut dice, &mut to)?;
            to.flush()?;
        }
        Ok(std::fs::metadata(&path)?.len())
    }
}

/// Turns lines into elements of an array.
struct Commas<'a> {
    to: &'a mut dyn Write,
    first: bool,
}

impl Write for Commas<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let line = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        if !std::mem::take(&mut self.first) {
            self.to.write_all(b",")?;
        }
        self.to.write_all(line)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.to.flush()
    }
}

/// SplitMix64.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    /// A scanner's address: many, of the benchmarking range and its neighbours.
    fn outside(&mut self) -> String {
        let n = self.below(20_000);
        format!("198.{}.{}.{}", 18 + n % 2, (n / 2) % 250, 1 + (n / 500) % 250)
    }

    /// A person and the address that person comes from.
    fn person(&mut self) -> (String, String) {
        let n = self.below(2_000);
        (format!("user{n:04}"), format!("203.0.{}.{}", 114 + n / 250, 1 + n % 250))
    }

    fn inner(&mut self) -> String {
        format!("10.{}.{}.{}", self.below(4), self.below(250), 1 + self.below(250))
    }
}

/// Seconds of a day to hours, minutes, seconds; the workload spreads over one day.
fn clock(n: u64, of: u64) -> (u64, u64, u64) {
    let s = n * 86_400 / of;
    (s / 3600, s / 60 % 60, s % 60)
}

fn sshd(n: u64, dice: &mut Dice, to: &mut dyn Write) -> std::io::Result<()> {
    for i in 0..n {
        let (h, m, s) = clock(i, n);
        let head = format!("Mar  4 {h:02}:{m:02}:{s:02} bastion-{:02} sshd[{}]:", i % 7, 1000 + i % 30_000);
        let port = 1024 + dice.below(60_000);
        let line = match dice.below(20) {
            0 => {
                let (user, ip) = dice.person();
                format!(
                    "{head} Accepted publickey for {user} from {ip} port {port} ssh2: ED25519 SHA256:9Xc1Ww9NnZ0nEJ3kT1i5b1rG0Gm3lqQ2cK1m5t8yZ0A\n"
                )
            }
            1 => format!(
                "{head} pam_unix(sshd:session): session opened for user user0001(uid=1001) by (uid=0)\n"
            ),
            2..=7 => {
                format!("{head} Invalid user admin{} from {} port {port}\n", dice.below(500), dice.outside())
            }
            8..=13 => format!("{head} Failed password for root from {} port {port} ssh2\n", dice.outside()),
            14..=16 => format!(
                "{head} Connection closed by authenticating user root {} port {port} [preauth]\n",
                dice.outside()
            ),
            _ => format!(
                "{head} Received disconnect from {} port {port}:11: Bye Bye [preauth]\n",
                dice.outside()
            ),
        };
        to.write_all(line.as_bytes())?;
    }
    Ok(())
}

fn asa(n: u64, dice: &mut Dice, to: &mut dyn Write) -> std::io::Result<()> {
    for i in 0..n {
        let (h, m, s) = clock(i, n);
        let head = format!("<166>Mar 04 2026 {h:02}:{m:02}:{s:02} asa-01 : %ASA-6-");
        let line = match dice.below(40) {
            0 => format!(
                "{head}113005: AAA user authentication Rejected : reason = Invalid password : server = 10.0.0.9 : user = ***** : user IP = {}\n",
                dice.outside()
            ),
            1 => {
                let (user, ip) = dice.person();
                format!(
                    "{head}113039: Group <Staff> User <{user}> IP <{ip}> AnyConnect parent session started.\n"
                )
            }
            2 => {
                let (user, ip) = dice.person();
                format!(
                    "{head}722051: Group <Staff> User <{user}> IP <{ip}> IPv4 Address <{}> IPv6 address <::> assigned to session\n",
                    dice.inner()
                )
            }
            3 => {
                let (user, ip) = dice.person();
                format!(
                    "{head}113019: Group = Staff, Username = {user}, IP = {ip}, Session disconnected. Session Type: AnyConnect-Parent, Duration: 1h:10m:05s, Bytes xmt: 34712, Bytes rcv: 99121, Reason: User Requested\n"
                )
            }
            4..=9 => format!(
                "{head}106023: Deny tcp src outside:{}/{} dst inside:192.0.2.10/3389 by access-group \"OUT\" [0x0, 0x0]\n",
                dice.outside(),
                1024 + dice.below(60_000)
            ),
            10..=24 => format!(
                "{head}302013: Built outbound TCP connection {} for outside:93.184.216.{}/443 (93.184.216.34/443) to inside:{}/{} (192.0.2.1/{})\n",
                i,
                dice.below(250),
                dice.inner(),
                1024 + dice.below(60_000),
                1024 + dice.below(60_000)
            ),
            _ => format!(
                "{head}302014: Teardown TCP connection {} for outside:93.184.216.{}/443 to inside:{}/{} duration 0:00:12 bytes {} TCP FINs\n",
                i,
                dice.below(250),
                dice.inner(),
                1024 + dice.below(60_000),
                dice.below(100_000)
            ),
        };
        to.write_all(line.as_bytes())?;
    }
    Ok(())
}

fn fortigate(n: u64, dice: &mut Dice, to: &mut dyn Write) -> std::io::Result<()> {
    for i in 0..n {
        let (h, m, s) = clock(i, n);
        let head = format!(
            "<189>date=2026-03-04 time={h:02}:{m:02}:{s:02} devname=\"FGT-01\" devid=\"FGT60FTK00000001\" eventtime={} tz=\"+0000\"",
            1_772_582_400_000_000_000 + i * 86_400_000_000_000 / n
        );
        let line = match dice.below(40) {
            0 => format!(
                "{head} logid=\"0101039426\" type=\"event\" subtype=\"vpn\" level=\"alert\" vd=\"root\" logdesc=\"SSL VPN login fail\" action=\"ssl-login-fail\" tunneltype=\"ssl-web\" tunnelid=0 remip={} user=\"admin\" group=\"N/A\" dst_host=\"N/A\" reason=\"sslvpn_login_unknown_user\" msg=\"SSL user failed to logged in\"\n",
                dice.outside()
            ),
            1 => {
                let (user, ip) = dice.person();
                format!(
                    "{head} logid=\"0101039947\" type=\"event\" subtype=\"vpn\" level=\"information\" vd=\"root\" logdesc=\"SSL VPN tunnel up\" action=\"tunnel-up\" tunneltype=\"ssl-tunnel\" tunnelid={} remip={ip} tunnelip={} user=\"{user}\" group=\"Staff\" dst_host=\"N/A\" reason=\"tunnel established\" msg=\"SSL tunnel established\"\n",
                    1_000_000 + i,
                    dice.inner()
                )
            }
            2..=5 => format!(
                "{head} logid=\"0001000014\" type=\"traffic\" subtype=\"local\" level=\"notice\" vd=\"root\" srcip={} srcport={} srcintf=\"wan1\" srcintfrole=\"wan\" dstip=192.0.2.36 dstport=22 dstintf=\"root\" dstintfrole=\"undefined\" srccountry=\"France\" dstcountry=\"Canada\" sessionid={i} proto=6 action=\"deny\" policyid=0 policytype=\"local-in-policy\" service=\"tcp/22\" trandisp=\"noop\" app=\"tcp/22\" duration=0 sentbyte=0 rcvdbyte=0 sentpkt=0 rcvdpkt=0\n",
                dice.outside(),
                1024 + dice.below(60_000)
            ),
            _ => format!(
                "{head} logid=\"0000000013\" type=\"traffic\" subtype=\"forward\" level=\"notice\" vd=\"root\" srcip={} srcport={} srcintf=\"lan\" srcintfrole=\"lan\" dstip=93.184.216.{} dstport=443 dstintf=\"wan1\" dstintfrole=\"wan\" srccountry=\"Reserved\" dstcountry=\"United States\" sessionid={i} proto=6 action=\"close\" policyid=12 policytype=\"policy\" poluuid=\"8f1c2f0c-0000-51e9-0000-000000000000\" policyname=\"lan-out\" service=\"HTTPS\" trandisp=\"snat\" transip=192.0.2.36 transport={} appcat=\"unscanned\" duration={} sentbyte={} rcvdbyte={} sentpkt=22 rcvdpkt=25\n",
                dice.inner(),
                1024 + dice.below(60_000),
                dice.below(250),
                1024 + dice.below(60_000),
                dice.below(300),
                dice.below(90_000),
                dice.below(900_000)
            ),
        };
        to.write_all(line.as_bytes())?;
    }
    Ok(())
}

fn cloudtrail(n: u64, dice: &mut Dice, to: &mut dyn Write) -> std::io::Result<()> {
    const CALLS: [(&str, &str); 8] = [
        ("s3.amazonaws.com", "GetBucketLocation"),
        ("ec2.amazonaws.com", "DescribeInstances"),
        ("sts.amazonaws.com", "GetCallerIdentity"),
        ("kms.amazonaws.com", "Decrypt"),
        ("logs.amazonaws.com", "DescribeLogGroups"),
        ("iam.amazonaws.com", "ListRoles"),
        ("secretsmanager.amazonaws.com", "GetSecretValue"),
        ("lambda.amazonaws.com", "ListFunctions"),
    ];
    for i in 0..n {
        let (h, m, s) = clock(i, n);
        let time = format!("2026-03-04T{h:02}:{m:02}:{s:02}Z");
        let (service, call) = CALLS[usize::try_from(dice.below(8)).unwrap_or(0)];
        let (identity, ip) = if dice.below(4) == 0 {
            let (user, ip) = dice.person();
            let key = user.trim_start_matches("user").to_owned();
            let identity = format!(
                r#"{{"type":"IAMUser","principalId":"AIDA4EXAMPLEUSER{key}","arn":"arn:aws:iam::111122223333:user/{user}","accountId":"111122223333","accessKeyId":"AKIAEXAMPLE00000{key}","userName":"{user}"}}"#
            );
            (identity, ip)
        } else {
            let worker = dice.below(50);
            let identity = format!(
                r#"{{"type":"AssumedRole","principalId":"AROA4EXAMPLEROLE00001:i-0b1c2d3e4f5061{worker:03}","arn":"arn:aws:sts::111122223333:assumed-role/shop-worker/i-0b1c2d3e4f5061{worker:03}","accountId":"111122223333","accessKeyId":"ASIAEXAMPLE0000{worker:05}","sessionContext":{{"sessionIssuer":{{"type":"Role","principalId":"AROA4EXAMPLEROLE00001","arn":"arn:aws:iam::111122223333:role/shop-worker","accountId":"111122223333","userName":"shop-worker"}},"attributes":{{"creationDate":"2026-03-04T00:00:00Z","mfaAuthenticated":"false"}},"ec2RoleDelivery":"2.0"}}}}"#
            );
            (identity, format!("192.0.2.{worker}"))
        };
        let line = format!(
            "{{\"eventVersion\":\"1.09\",\"userIdentity\":{identity},\"eventTime\":\"{time}\",\"eventSource\":\"{service}\",\"eventName\":\"{call}\",\"awsRegion\":\"eu-central-1\",\"sourceIPAddress\":\"{ip}\",\"userAgent\":\"aws-sdk-go-v2/1.32.6 os/linux lang/go#1.23.4 md/GOOS#linux md/GOARCH#amd64\",\"requestParameters\":{{\"maxResults\":50,\"filterSet\":{{\"items\":[{{\"name\":\"vpc-id\",\"valueSet\":{{\"items\":[{{\"value\":\"vpc-0a1b2c3d4e5f\"}}]}}}}]}}}},\"responseElements\":null,\"requestID\":\"{:016x}-0000-4000-8000-{:012x}\",\"eventID\":\"{:016x}-0000-4000-8000-{:012x}\",\"readOnly\":true,\"eventType\":\"AwsApiCall\",\"managementEvent\":true,\"recipientAccountId\":\"111122223333\",\"eventCategory\":\"Management\",\"tlsDetails\":{{\"tlsVersion\":\"TLSv1.3\",\"cipherSuite\":\"TLS_AES_128_GCM_SHA256\",\"clientProvidedHostHeader\":\"{service}\"}}}}\n",
            dice.next(),
            i,
            dice.next(),
            i
        );
        to.write_all(line.as_bytes())?;
    }
    Ok(())
}

fn kubernetes(n: u64, dice: &mut Dice, to: &mut dyn Write) -> std::io::Result<()> {
    for i in 0..n {
        let (h, m, s) = clock(i, n);
        let time = format!("2026-03-04T{h:02}:{m:02}:{s:02}.{:06}Z", i % 1_000_000);
        let (user, groups, ip, agent) = if dice.below(3) == 0 {
            let (user, ip) = dice.person();
            (
                format!("{user}@corp.example"),
                r#"["oidc:engineering","system:authenticated"]"#.to_owned(),
                ip,
                "kubectl/v1.32.0 (linux/amd64) kubernetes/70d3cc9",
            )
        } else {
            let n = dice.below(40);
            (
                format!("system:serviceaccount:shop:worker-{n}"),
                r#"["system:serviceaccounts","system:serviceaccounts:shop","system:authenticated"]"#
                    .to_owned(),
                dice.inner(),
                "worker/1.4 (linux/amd64)",
            )
        };
        let (verb, resource) = [
            ("get", "pods"),
            ("list", "pods"),
            ("get", "configmaps"),
            ("watch", "deployments"),
            ("list", "services"),
        ][usize::try_from(dice.below(5)).unwrap_or(0)];
        let line = format!(
            "{{\"kind\":\"Event\",\"apiVersion\":\"audit.k8s.io/v1\",\"level\":\"Metadata\",\"auditID\":\"{:016x}-{i:08x}\",\"stage\":\"ResponseComplete\",\"requestURI\":\"/api/v1/namespaces/shop/{resource}?limit=500\",\"verb\":\"{verb}\",\"user\":{{\"username\":\"{user}\",\"groups\":{groups}}},\"sourceIPs\":[\"{ip}\"],\"userAgent\":\"{agent}\",\"objectRef\":{{\"resource\":\"{resource}\",\"namespace\":\"shop\",\"apiVersion\":\"v1\"}},\"responseStatus\":{{\"metadata\":{{}},\"code\":200}},\"requestReceivedTimestamp\":\"{time}\",\"stageTimestamp\":\"{time}\",\"annotations\":{{\"authorization.k8s.io/decision\":\"allow\",\"authorization.k8s.io/reason\":\"RBAC: allowed by ClusterRoleBinding \\\"view\\\" of ClusterRole \\\"view\\\"\"}}}}\n",
            dice.next()
        );
        to.write_all(line.as_bytes())?;
    }
    Ok(())
}
