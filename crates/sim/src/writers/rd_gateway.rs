//! Remote Desktop Gateway, channel TerminalServices-Gateway/Operational, as XML (Microsoft: RD Gateway events).

use std::net::Ipv4Addr;

use crate::clock::{Civil, Millis, SECOND};
use crate::writers::Pen;

pub(crate) const FILE: &str = "rdgateway-xml.log";

fn write(pen: &mut Pen<'_>, at: Millis, id: u32, user: &str, ip: Ipv4Addr, resource: &str, extra: &str) {
    let c = Civil::utc(at);
    let host = format!("{}.{}", pen.company.first("rd gateway").host, pen.company.ad_domain());
    let netbios = pen.company.netbios;
    let record = at / 50 % 1_000_000_000;
    pen.put(
        FILE,
        at,
        format!(
            "<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System><Provider Name='Microsoft-Windows-TerminalServices-Gateway' Guid='{{4D5AE6A1-C7C8-4E6D-B840-4D8080B42E1B}}'/><EventID>{id}</EventID><Version>0</Version><Level>4</Level><Task>3</Task><Opcode>30</Opcode><Keywords>0x4000000001000000</Keywords><TimeCreated SystemTime='{}T{}.{:03}0000Z'/><EventRecordID>{record}</EventRecordID><Correlation/><Execution ProcessID='755' ThreadID='2157'/><Channel>Microsoft-Windows-TerminalServices-Gateway/Operational</Channel><Computer>{host}</Computer><Security UserID='S-1-5-20'/></System><UserData><EventInfo xmlns='aag'><Username>{netbios}\\{user}</Username><IpAddress>{ip}</IpAddress><AuthType>NTLM</AuthType><Resource>{resource}</Resource><ConnectionProtocol>HTTP</ConnectionProtocol>{extra}<ErrorCode>0</ErrorCode></EventInfo></UserData></Event>",
            c.date(),
            c.clock(),
            c.milli
        ),
    );
}

pub(crate) fn session(
    pen: &mut Pen<'_>,
    from: Millis,
    until: Millis,
    user: &str,
    ip: Ipv4Addr,
    resource: &str,
) {
    write(pen, from, 200, user, ip, "", "");
    write(pen, from + 300, 300, user, ip, resource, "");
    write(pen, from + 700, 302, user, ip, resource, "");
    let seconds = (until - from) / SECOND;
    let (sent, received) = (pen.rng.range(1 << 18, 1 << 26), pen.rng.range(1 << 18, 1 << 26));
    let extra = format!(
        "<BytesReceived>{received}</BytesReceived><BytesTransfered>{sent}</BytesTransfered><SessionDuration>{seconds}</SessionDuration>"
    );
    write(pen, until, 303, user, ip, resource, &extra);
}
