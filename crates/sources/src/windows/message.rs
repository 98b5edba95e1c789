//! Fields of a Windows event from its rendered message: what is left of the event where a shipper sends text.
//!
//! Read from: the message templates of the Security, TerminalServices and Sysmon providers. Traps: labels are in the
//! language of the machine; the first account is who asked and the second whom it is about, except where there is only
//! one; a shipper may flatten lines and tabs to blanks, and then an empty value is followed by the next label; names
//! stand before the network part, so the last address counts.

use crate::decode::find::find;

const ACCOUNT: &[&str] = &[
    "Account Name",
    "Nom du compte",
    "Kontoname",
    "Nombre de cuenta",
    "Nome account",
    "Nome da conta",
    "Accountnaam",
];
const DOMAIN: &[&str] = &[
    "Account Domain",
    "Domaine du compte",
    "Kontodomäne",
    "Dominio de cuenta",
    "Dominio account",
    "Domínio da conta",
    "Accountdomein",
];
const LOGON_ACCOUNT: &[&str] = &[
    "Logon Account",
    "Logon account",
    "Compte d’ouverture de session",
    "Compte d'ouverture de session",
    "Anmeldekonto",
    "Cuenta de inicio de sesión",
];
const GROUP: &[&str] = &["Group Name", "Nom du groupe", "Gruppenname", "Nombre de grupo", "Nome gruppo"];
const LOGON_TYPE: &[&str] = &[
    "Logon Type",
    "Type d’ouverture de session",
    "Type d'ouverture de session",
    "Anmeldetyp",
    "Tipo de inicio de sesión",
    "Tipo di accesso",
    "Tipo de Logon",
    "Aanmeldingstype",
];
const ADDRESS: &[&str] = &[
    "Source Network Address",
    "Client Address",
    "Source Address",
    "Adresse du réseau source",
    "Adresse réseau source",
    "Adresse du client",
    "Adresse source",
    "Quellnetzwerkadresse",
    "Clientadresse",
    "Quelladresse",
    "Dirección de red de origen",
    "Dirección de cliente",
    "Dirección de origen",
    "Indirizzo di rete di origine",
    "Indirizzo client",
    "Endereço de Rede de Origem",
    "Endereço do Cliente",
    "Bronnetwerkadres",
];
const PORT: &[&str] = &[
    "Source Port",
    "Client Port",
    "Port source",
    "Port client",
    "Quellport",
    "Clientport",
    "Puerto de origen",
];
const WORKSTATION: &[&str] = &[
    "Workstation Name",
    "Source Workstation",
    "Nom de la station de travail",
    "Station de travail source",
    "Arbeitsstationsname",
    "Quellarbeitsstation",
    "Nombre de estación de trabajo",
    "Nome workstation",
];
const STATUS: &[&str] = &[
    "Status",
    "Result Code",
    "Failure Code",
    "Error Code",
    "Statut",
    "État",
    "Code de résultat",
    "Code d’échec",
    "Code d’erreur",
    "Ergebniscode",
    "Fehlercode",
    "Estado",
    "Código de resultado",
    "Código de error",
    "Stato",
];
const SUB_STATUS: &[&str] =
    &["Sub Status", "Sous-état", "Sous-statut", "Unterstatus", "Substatus", "Subestado", "Stato secondario"];
const PACKAGE: &[&str] = &[
    "Authentication Package",
    "Package d’authentification",
    "Authentifizierungspaket",
    "Paquete de autenticación",
];
const SERVICE: &[&str] =
    &["Service Name", "Nom du service", "Dienstname", "Nombre de servicio", "Nombre del servicio"];
const SERVICE_FILE: &[&str] = &[
    "Service File Name",
    "Nom du fichier de service",
    "Nom de fichier du service",
    "Dienstdateiname",
    "Nombre del archivo de servicio",
];
const SERVER: &[&str] =
    &["Target Server Name", "Nom du serveur cible", "Zielservername", "Nombre de servidor de destino"];
const COMMAND: &[&str] = &[
    "Process Command Line",
    "CommandLine",
    "Ligne de commande du processus",
    "Prozessbefehlszeile",
    "Línea de comandos de proceso",
];
const PROCESS: &[&str] =
    &["New Process Name", "Nom du nouveau processus", "Neuer Prozessname", "Nombre de nuevo proceso"];
const PRIVILEGES: &[&str] = &["Privileges", "Privilèges", "Berechtigungen", "Privilegios"];
const SHARE: &[&str] = &["Share Name", "Nom de partage", "Freigabename", "Nombre del recurso compartido"];
const TASK: &[&str] = &["Task Name", "Nom de la tâche", "Aufgabenname", "Nombre de tarea"];

/// The field of that schema name; empty where the message does not tell it.
pub(crate) fn field<'a>(id: u32, text: &'a [u8], name: &str) -> &'a [u8] {
    // Where the one account that the message names is the one logged on, or asked about.
    let second = usize::from(!matches!(id, 4634 | 4647 | 4768..=4771));
    let group = matches!(id, 4728 | 4729 | 4732 | 4733 | 4756 | 4757);
    match name {
        "SubjectUserName" | "AccountName" if second == 1 || id == 4647 => nth(text, ACCOUNT, 0),
        "SubjectDomainName" | "AccountDomain" if second == 1 => nth(text, DOMAIN, 0),
        "TargetUserName" if id == 4776 => nth(text, LOGON_ACCOUNT, 0),
        "TargetUserName" if group => nth(text, GROUP, 0),
        "TargetUserName" => nth(text, ACCOUNT, second),
        "TargetDomainName" => nth(text, DOMAIN, second),
        "MemberName" => nth(text, ACCOUNT, 1),
        "LogonType" => nth(text, LOGON_TYPE, 0),
        "IpAddress" if id < 400 => quoted(text, 1),
        "IpAddress" | "ClientAddress" | "Address" | "Param3" => last(text, ADDRESS),
        "IpPort" => last(text, PORT),
        "WorkstationName" | "Workstation" => nth(text, WORKSTATION, 0),
        "Status" | "FailureCode" => last(text, STATUS),
        "SubStatus" => last(text, SUB_STATUS),
        "AuthenticationPackageName" => last(text, PACKAGE),
        "ServiceName" => nth(text, SERVICE, 0),
        "ImagePath" | "ServiceFileName" => nth(text, SERVICE_FILE, 0),
        "TargetServerName" => nth(text, SERVER, 0),
        "CommandLine" => nth(text, COMMAND, 0),
        "NewProcessName" => nth(text, PROCESS, 0),
        "PrivilegeList" => nth(text, PRIVILEGES, 0),
        "ShareName" => nth(text, SHARE, 0),
        "TaskName" => nth(text, TASK, 0),
        "ClientName" => nth(text, &["Client Name", "Nom du client", "Clientname"], 0),
        // Terminal services.
        "Param1" | "User" => nth(text, &["User", "Utilisateur", "Benutzer", "Usuario"], 0),
        "Param2" => nth(text, &["Domain", "Domaine", "Domäne", "Dominio"], 0),
        // `The user "CORP\anna", on client computer "192.0.2.5", … resource "app1". … protocol used: "HTTP".`
        "Username" => quoted(text, 0),
        "Resource" => quoted(text, 2),
        "ConnectionProtocol" => text.trim_ascii_end().rsplit(|b| *b == b'"').nth(1).unwrap_or_default(),
        "ScriptBlockText" => script(text),
        _ => nth(text, &[name], 0),
    }
}

/// Values behind any of the labels, in order.
fn values<'a, 'l>(text: &'a [u8], labels: &'l [&'l str]) -> impl Iterator<Item = &'a [u8]> + use<'a, 'l> {
    let mut from = 0;
    std::iter::from_fn(move || {
        while let Some(colon) = text.get(from..).and_then(|t| memchr::memchr(b':', t)).map(|n| n + from) {
            from = colon + 1;
            let head = text.get(..colon).unwrap_or_default().trim_ascii_end();
            // French puts a no-break space before the colon.
            let head = head.strip_suffix(b"\xc2\xa0").unwrap_or(head);
            let named = labels.iter().any(|l| {
                head.strip_suffix(l.as_bytes()).is_some_and(|before| match before {
                    [] => true,
                    [.., b'\n' | b'\t' | b'\r' | b'.'] => true,
                    [.., a, b' '] => a.is_ascii_whitespace() || matches!(a, b'.' | b':'),
                    [b' '] => true,
                    _ => false,
                })
            });
            if named {
                return Some(value(text.get(from..).unwrap_or_default()));
            }
        }
        None
    })
}

/// The text up to the end of the line, a tab, or two blanks in a row.
fn value(rest: &[u8]) -> &[u8] {
    let blanks = rest.iter().position(|b| !matches!(b, b' ' | b'\t')).unwrap_or(rest.len());
    let rest = rest.get(blanks..).unwrap_or_default();
    let mut end = rest.len();
    for (n, b) in rest.iter().enumerate() {
        let two = *b == b' ' && rest.get(n + 1) == Some(&b' ');
        if matches!(b, b'\n' | b'\r' | b'\t') || two {
            end = n;
            break;
        }
    }
    let value = rest.get(..end).unwrap_or_default().trim_ascii();
    // Empty, and flattened: the next label stands where the value should.
    if value.ends_with(b":") { b"" } else { value }
}

fn nth<'a>(text: &'a [u8], labels: &[&str], n: usize) -> &'a [u8] {
    values(text, labels).nth(n).unwrap_or_default()
}

fn last<'a>(text: &'a [u8], labels: &[&str]) -> &'a [u8] {
    values(text, labels).last().unwrap_or_default()
}

/// What stands between the n-th pair of quotes.
fn quoted(text: &[u8], n: usize) -> &[u8] {
    text.split(|b| *b == b'"').nth(2 * n + 1).unwrap_or_default()
}

/// `Creating Scriptblock text (1 of 1): … ScriptBlock ID: …`, in any language: from the first colon to the last id.
fn script(text: &[u8]) -> &[u8] {
    let Some(from) = find(text, b"):") else { return b"" };
    let rest = text.get(from + 2..).unwrap_or_default();
    let end = memchr::memmem::rfind(rest, b"ScriptBlock").unwrap_or(rest.len());
    rest.get(..end).unwrap_or_default().trim_ascii()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOGON: &str = "An account failed to log on.\n\nSubject:\n\tSecurity ID:\t\tS-1-5-18\n\tAccount Name:\t\tWEB01$\n\tAccount Domain:\t\tCORP\n\nLogon Type:\t\t\t3\n\nAccount For Which Logon Failed:\n\tAccount Name:\t\tanna\n\tAccount Domain:\t\tCORP\n\nFailure Information:\n\tStatus:\t\t\t0xC000006D\n\tSub Status:\t\t0xC000006A\n\nNetwork Information:\n\tWorkstation Name:\t\n\tSource Network Address:\t192.0.2.5\n";

    fn check(text: &str) {
        let get = |name: &str| String::from_utf8_lossy(field(4625, text.as_bytes(), name)).into_owned();
        assert_eq!(get("SubjectUserName"), "WEB01$");
        assert_eq!(get("TargetUserName"), "anna");
        assert_eq!(get("TargetDomainName"), "CORP");
        assert_eq!(get("LogonType"), "3");
        assert_eq!(get("Status"), "0xC000006D");
        assert_eq!(get("SubStatus"), "0xC000006A");
        assert_eq!(get("IpAddress"), "192.0.2.5");
        assert_eq!(get("WorkstationName"), "");
    }

    #[test]
    fn lines_and_flattened() {
        check(LOGON);
        check(&LOGON.replace(['\n', '\t'], "  "));
        check(&LOGON.replace('\n', "\r\n"));
    }

    #[test]
    fn other_languages() {
        let french = "Échec d’ouverture de session d’un compte.\n\nSujet :\n\tNom du compte :\t\tWEB01$\n\tDomaine du compte :\t\tCORP\n\nType d’ouverture de session :\t\t3\n\nCompte :\n\tNom du compte :\t\tanna\n\tDomaine du compte :\t\tCORP\n\tStatut :\t0xC000006D\n\tSous-statut :\t0xC000006A\n\tNom de la station de travail :\t\n\tAdresse du réseau source :\t192.0.2.5\n";
        check(french);
        check(&french.replace(" :", "\u{a0}:"));
    }
}
