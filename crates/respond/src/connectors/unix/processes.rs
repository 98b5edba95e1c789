//! The processes of one user id.

use super::Host;
use super::account::Account;
use crate::connector::{Ack, Effect};
use crate::fault::Fault;
use crate::transport::command::Argv;
use portreeve_model::untrusted::escape_for_terminal;
use std::num::NonZeroU32;

/// By the real user id, and by the effective one: pkill wants both of two criteria, so it is asked twice.
fn kill(by: &'static str, uid: NonZeroU32) -> Argv {
    Argv::new("pkill").arg("-KILL").arg(by).value(&u64::from(uid.get()))
}

fn terminate(uid: NonZeroU32) -> Argv {
    Argv::new("loginctl").arg("terminate-user").value(&u64::from(uid.get()))
}

pub(super) fn preview(uid: NonZeroU32) -> Vec<String> {
    vec![
        format!("where there is systemd: {}", terminate(uid).shown()),
        kill("-U", uid).shown(),
        kill("-u", uid).shown(),
    ]
}

/// Again until nothing is left to kill: what forks between two looks is met by the next.
pub(super) fn end(host: &Host, account: &Account) -> Result<Ack, Fault> {
    let uid = account.uid();
    if host.ask(&Argv::new("test").args(&["-d", "/run/systemd/system"]))?.ok() {
        // Fails for who has no session that logind knows; pkill looks at processes.
        host.runner.run(&terminate(uid), b"", super::LIMIT)?;
    }
    for _ in 0..10 {
        let mut killed = false;
        for by in ["-U", "-u"] {
            let output = host.runner.run(&kill(by, uid), b"", super::LIMIT)?;
            match output.code {
                Some(0) => killed = true,
                Some(1) if output.err.trim().is_empty() => {}
                _ if output.err.contains("not permitted") => {
                    return Err(Fault::Credential(output.complaint()));
                }
                _ => return Err(Fault::Refused(format!("pkill: {}", output.complaint()))),
            }
        }
        if !killed {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    Ok(Ack::says("the processes were killed"))
}

/// By `ps`, another program than the one that killed. A zombie is dead and waits for its parent.
pub(super) fn verify(host: &Host, uid: NonZeroU32) -> Result<Effect, Fault> {
    let id = u64::from(uid.get());
    let argv = Argv::new("ps").args(&["-o", "stat=,pid=,args=", "-U"]).value(&id).arg("-u").value(&id);
    let output = host.ask(&argv)?;
    match output.code {
        Some(0) | Some(1) if output.err.trim().is_empty() => {}
        _ => return Err(Fault::Unreachable(format!("ps: {}", output.complaint()))),
    }
    let alive: Vec<&str> =
        output.out.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('Z')).collect();
    Ok(match alive.first() {
        None => Effect::Effective(format!("no process of user id {uid} runs")),
        Some(first) => {
            let first: String = first.chars().take(80).collect();
            Effect::NotEffective(format!(
                "{} processes of user id {uid} run: {}",
                alive.len(),
                escape_for_terminal(&first)
            ))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_are_named_by_their_number_alone() {
        let uid = NonZeroU32::new(1001).unwrap();
        assert_eq!(kill("-U", uid).shown(), "pkill -KILL -U 1001");
        assert_eq!(preview(uid)[2], "pkill -KILL -u 1001");
    }
}
