//! Windows Remote Management: PowerShell remoting and WinRS, on the host that is reached and on the one that reaches.
//!
//! Read from: Microsoft "Windows Remote Management events" (provider Microsoft-Windows-WinRM). Traps: the client logs
//! under the same channel as the server (6, 142 and 161 are what this host wants of others); a shell is opened under
//! the account of the event and not of its data; newer versions no longer write who was authenticated (169).

use super::windows_user;
use crate::decode::find::find;
use crate::emit::Emit;
use crate::record::Record;
use crate::source::{Field, Kind, Parsed, Reader, Row, Source};
use crate::windows::{WinEvent, claimed};
use portreeve_model::event::{Act, Flags, Method, Outcome, Reason, Service};

pub static SOURCE: Source = Source {
    name: "winrm",
    title: "Windows Remote Management",
    row: Row::Remote,
    gives: &[Act::Logon, Act::Exec, Act::Posture],
    lacks: &[Field::SourceIp, Field::TunnelIp, Field::Device, Field::Mfa, Field::SessionEnd, Field::Bytes],
    traps: &["client_side"],
    manual: "Microsoft: Windows Remote Management, events of Microsoft-Windows-WinRM/Operational",
    enable: "on by default: Microsoft-Windows-WinRM/Operational (in Event Viewer: Windows Remote Management)",
    general: false,
    marks: &["Microsoft-Windows-WinRM"],
    reader: Reader::Code {
        claim: |r| {
            claimed(r, |_, channel, provider| {
                channel.starts_with(b"Microsoft-Windows-WinRM")
                    || provider.starts_with(b"Microsoft-Windows-WinRM")
            })
        },
        parse,
        join: None,
    },
};

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let Some(e) = WinEvent::of(r) else { return Parsed::NotMine };
    let (at, host) = (e.time(r), &*e.computer);
    match e.id {
        // `Creating WSMan Session. The connection string is: web-01/wsman?PSVersion=5.1`
        6 => {
            let connection = e.get("connection");
            let target = connection.split(|b| matches!(b, b'/' | b'?')).next().unwrap_or_default();
            if target.is_empty() || target.eq_ignore_ascii_case(b"localhost") {
                return Parsed::Irrelevant(Kind::RoutineUse);
            }
            out.event(Act::Posture, Outcome::Unknown)
                .at(at)
                .service(Service::WinRm)
                .user(&windows_user(r, &e))
                .host(target)
                .observer(host)
                .done()
        }
        91 => {
            let mut detail = b"WSMan shell ".to_vec();
            detail.extend_from_slice(&e.get("resourceUri"));
            out.event(Act::Exec, Outcome::Success)
                .at(at)
                .service(Service::WinRm)
                .user(&windows_user(r, &e))
                .host(host)
                .observer(host)
                .sid(&e.get("shellId"))
                .detail(&detail)
                .flag(Flags::REMOTE_SHELL)
                .done()
        }
        142 => {
            // 5 is access denied, 1326 an unknown user name or bad password; others never reached the other side.
            let code = e.number("errorCode");
            if !matches!(code, 5 | 1326 | 2_150_858_770 | 2_150_858_882) {
                return Parsed::Irrelevant(Kind::Transport);
            }
            out.event(Act::Posture, Outcome::Failure)
                .at(at)
                .service(Service::WinRm)
                .user(&windows_user(r, &e))
                .observer(host)
                .detail(&e.get("operationName"))
                .reason(if code == 1326 { Reason::BadPassword } else { Reason::NotAllowed })
                .done()
        }
        161 => out
            .event(Act::Posture, Outcome::Failure)
            .at(at)
            .service(Service::WinRm)
            .user(&windows_user(r, &e))
            .observer(host)
            .detail(&e.get("authFailureMessage"))
            .reason(Reason::BadPassword)
            .done(),
        162 => out
            .event(Act::Logon, Outcome::Failure)
            .at(at)
            .service(Service::WinRm)
            .user(&e.get("username"))
            .host(host)
            .observer(host)
            .reason(Reason::BadPassword)
            .done(),
        169 => {
            let how = e.get("authenticationMechanism");
            let has = |word: &[u8]| find(&how, word).is_some();
            let method = if has(b"Kerberos") {
                Method::Kerberos
            } else if has(b"NTLM") {
                Method::Ntlm
            } else if has(b"Certificate") {
                Method::Certificate
            } else if has(b"Basic") {
                Method::Legacy
            } else {
                Method::Unknown
            };
            let user = e.get("username");
            if user.ends_with(b"$") {
                return Parsed::Irrelevant(Kind::Machine);
            }
            out.event(Act::Logon, Outcome::Success)
                .at(at)
                .service(Service::WinRm)
                .user(&user)
                .host(host)
                .observer(host)
                .method(method)
                .done()
        }
        168 => Parsed::Irrelevant(Kind::Pending),
        _ => Parsed::Irrelevant(Kind::OtherMessage),
    }
}
