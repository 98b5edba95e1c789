//! AWS WAF: requests to web applications, of which only those count that try a known way into a remote access gateway.
//!
//! Read from: AWS WAF Developer Guide "Log fields for web ACL traffic". Traps: almost everything is ordinary use of a web
//! site; COUNT lets a request pass; the client's address is the proxy's where one stands in front of the load balancer.

use crate::decode::clock;
use crate::decode::find::find;
use crate::decode::json::{Paths, elements};
use crate::emit::Emit;
use crate::record::{Record, Shape};
use crate::source::{Field, Kind, Parsed, Reader, Row, Source, Why};
use portreeve_model::event::{Act, Outcome, Service};
use portreeve_model::time::Certainty;
use std::sync::LazyLock;

pub static SOURCE: Source = Source {
    name: "aws_waf",
    title: "AWS WAF",
    row: Row::Cloud,
    gives: &[Act::Alert],
    lacks: &[
        Field::User,
        Field::Mfa,
        Field::TunnelIp,
        Field::Device,
        Field::SessionId,
        Field::SessionEnd,
        Field::Bytes,
    ],
    traps: &["gateway_path"],
    manual: "AWS WAF Developer Guide: Log fields for web ACL traffic",
    enable: "logging of the web ACL to CloudWatch, S3 or Firehose, without filters",
    general: false,
    marks: &["\"webaclId\""],
    reader: Reader::Code {
        claim: |r| {
            r.shape == Shape::Json
                && find(&r.body[..r.body.len().min(600)], b"\"webaclId\"").is_some()
                && find(r.body, b"\"httpRequest\"").is_some()
        },
        parse,
        join: None,
    },
};

static PATHS: LazyLock<Paths<9>> = LazyLock::new(|| {
    Paths::new([
        "timestamp",
        "action",
        "terminatingRuleId",
        "httpRequest.clientIp",
        "httpRequest.country",
        "httpRequest.headers",
        "httpRequest.uri",
        "httpRequest.args",
        "httpRequest.httpMethod",
    ])
});
static HEADER: LazyLock<Paths<2>> = LazyLock::new(|| Paths::new(["name", "value"]));

/// Where gateways for remote access answer: Ivanti, Citrix, Fortinet, Palo Alto, Cisco, F5, SonicWall, RD Web, Exchange.
const GATEWAYS: [&[u8]; 15] = [
    b"/dana-na/",
    b"/dana-ws/",
    b"/vpns/",
    b"/vpn/",
    b"/remote/",
    b"/sslvpn/",
    b"/global-protect/",
    b"/ssl-vpn/",
    b"/+CSCOE+/",
    b"/+CSCOT+/",
    b"/tmui/",
    b"/cgi-bin/userLogin",
    b"/RDWeb/",
    b"/autodiscover/",
    b"/citrix/",
];

/// What no client of a gateway writes into an address.
const FOREIGN: [&[u8]; 8] =
    [b"../", b"..;/", b"..%2f", b"..%2F", b"%2e%2e", b"${jndi:", b"/etc/passwd", b"fgt_lang?lang="];

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let Ok(v) = PATHS.pick(r.body) else { return Parsed::Broken(Why::Malformed("JSON")) };
    let (uri, args) = (v[6].bytes(), v[7].bytes());
    if !GATEWAYS.iter().any(|g| find(uri, g).is_some()) {
        return Parsed::Irrelevant(Kind::RoutineUse);
    }
    let foreign = FOREIGN.iter().any(|f| find(uri, f).is_some() || find(args, f).is_some());
    let blocked = v[1].is(b"BLOCK");
    if !foreign && !blocked {
        return Parsed::Irrelevant(Kind::RoutineUse);
    }
    let (mut host, mut agent): (&[u8], &[u8]) = (b"", b"");
    for header in elements(v[5].nested()).take(64) {
        let Ok(h) = HEADER.pick(header.nested()) else { continue };
        if h[0].bytes().eq_ignore_ascii_case(b"host") {
            host = h[1].bytes();
        } else if h[0].bytes().eq_ignore_ascii_case(b"user-agent") {
            agent = h[1].bytes();
        }
    }
    let at = clock::epoch(v[0].bytes()).map(|t| (t, Certainty::Exact)).or_else(|| r.header_time());
    out.event(Act::Alert, if blocked { Outcome::Failure } else { Outcome::Success })
        .at(at)
        .service(Service::Firewall)
        .source(v[3].bytes())
        .country(v[4].bytes())
        .host(host)
        .client(agent)
        .target(uri)
        .detail(if foreign { b"attempt on a remote access gateway" } else { v[2].bytes() })
        .group(v[2].bytes())
        .severity(match (foreign, blocked) {
            (true, false) => 4,
            (true, true) => 3,
            _ => 2,
        })
        .done()
}
