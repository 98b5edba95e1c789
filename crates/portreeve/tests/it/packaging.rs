//! What is packaged: a unit that systemd takes and finds tight, and a package whose files are where Debian wants them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn packaging() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging")
}

fn run(program: &str, package: &str, arguments: &[&str]) -> Output {
    let done = Command::new(program).args(arguments).env("PORTREEVE_DEB_COMPRESS", "none").output();
    done.unwrap_or_else(|e| panic!("{program}: {e}; the Debian package {package} has it"))
}

fn told(output: &Output) -> String {
    let bytes = [&output.stdout[..], &output.stderr[..]].concat();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Tenths of systemd's own figure for what a service could still do; above it somebody loosened the unit.
const EXPOSURE: &str = "--threshold=14";

#[test]
fn systemd_takes_the_unit_and_finds_it_tight() {
    let dir = tempfile::tempdir().expect("a folder");
    let unit = fs::read_to_string(packaging().join("systemd/portreeve.service")).expect("the unit");
    for line in unit.lines().filter_map(|l| l.strip_prefix("ExecStart=")) {
        let options = line.split_whitespace().filter(|w| w.starts_with("--"));
        let help = told(&run(env!("CARGO_BIN_EXE_portreeve"), "", &["serve", "--help"]));
        options.for_each(|o| assert!(help.contains(o), "serve has no {o}"));
    }
    let path = dir.path().join("portreeve.service");
    // The manual page is not installed here.
    let here = unit
        .replace("/usr/bin/portreeve", env!("CARGO_BIN_EXE_portreeve"))
        .replace("Documentation=man:portreeve(1)\n", "");
    fs::write(&path, here).expect("written");
    let path = path.to_str().expect("a path");
    let verified = run("systemd-analyze", "systemd", &["verify", path]);
    let about_it = told(&verified)
        .lines()
        .filter(|l| l.contains("portreeve.service"))
        .map(str::to_owned)
        .collect::<Vec<_>>();
    assert!(about_it.is_empty(), "{about_it:#?}");
    let judged =
        run("systemd-analyze", "systemd", &["security", "--offline=true", EXPOSURE, "--no-pager", path]);
    assert!(judged.status.success(), "{}", told(&judged));
}

/// A package around the binary of these tests.
fn package(dir: &Path) -> PathBuf {
    let build = packaging().join("deb/build.sh");
    let out = dir.to_str().expect("a path");
    let built = run(build.to_str().expect("a path"), "dpkg", &[env!("CARGO_BIN_EXE_portreeve"), out]);
    assert!(built.status.success(), "{}", told(&built));
    let mut packages = fs::read_dir(dir).expect("a folder").map(|e| e.expect("an entry").path());
    let package = packages.next().expect("a package");
    assert!(packages.next().is_none());
    package
}

/// Over this machine's own files, seen through a layer in memory: what it does to accounts, owners and modes, how the
/// service begins as its user, and what an upgrade, a removal and a purge leave.
#[test]
fn the_debian_package_is_installed_upgraded_and_gone_again() {
    let id = run("id", "coreutils", &["-u"]).stdout;
    if id.trim_ascii() != b"0" {
        assert!(std::env::var_os("CI").is_none(), "CI runs this test as root");
        eprintln!("NOT SHOWN: this test needs root");
        return;
    }
    for (program, package) in
        [("curl", "curl"), ("pgrep", "procps"), ("setpriv", "util-linux"), ("systemctl", "systemd")]
    {
        run(program, package, &["--version"]);
    }
    let dir = tempfile::tempdir().expect("a folder");
    let package = package(dir.path());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/installed.sh");
    let did = run(
        "timeout",
        "coreutils",
        &[
            "580",
            "unshare",
            "--mount",
            "--propagation",
            "private",
            "sh",
            script.to_str().expect("a path"),
            package.to_str().expect("a path"),
            dir.path().join("place").to_str().expect("a path"),
        ],
    );
    assert!(did.status.success(), "{}", told(&did));
    assert_eq!(String::from_utf8_lossy(&did.stdout), include_str!("installed.txt"), "{}", told(&did));
}

#[test]
fn the_debian_package_has_everything_in_its_place() {
    let dir = tempfile::tempdir().expect("a folder");
    let package = package(dir.path());
    let package = package.to_str().expect("a path");
    let held = told(&run("dpkg-deb", "dpkg", &["-c", package]));
    for (mode, path) in [
        ("-rwxr-xr-x root/root", "./usr/bin/portreeve"),
        ("-rw-r--r-- root/root", "./usr/lib/systemd/system/portreeve.service"),
        ("-rw-r--r-- root/root", "./usr/lib/sysusers.d/portreeve.conf"),
        ("-rw-r----- root/root", "./etc/portreeve/portreeve.toml"),
        ("-rw-r--r-- root/root", "./usr/share/man/man1/portreeve.1.gz"),
        ("-rw-r--r-- root/root", "./usr/share/doc/portreeve/copyright"),
        ("-rw-r--r-- root/root", "./usr/share/doc/portreeve/examples/nginx.conf"),
        ("-rw-r--r-- root/root", "./usr/share/bash-completion/completions/portreeve"),
    ] {
        assert!(held.lines().any(|l| l.starts_with(mode) && l.ends_with(path)), "{mode} {path}\n{held}");
    }
    let said = told(&run("dpkg-deb", "dpkg", &["-I", package]));
    for wanted in [
        " Package: portreeve\n",
        " Depends: libc6 (>= 2.",
        " Recommends: ca-certificates\n",
        "conffiles",
        "postinst",
        "postrm",
        "prerm",
    ] {
        assert!(said.contains(wanted), "{wanted}\n{said}");
    }
    let conffiles = told(&run("dpkg-deb", "dpkg", &["-I", package, "conffiles"]));
    assert_eq!(conffiles, "/etc/portreeve/portreeve.toml\n");
    for script in ["postinst", "prerm", "postrm"] {
        let text = run("dpkg-deb", "dpkg", &["-I", package, script]).stdout;
        let path = dir.path().join(script);
        fs::write(&path, text).expect("written");
        let read = run("sh", "dash", &["-n", path.to_str().expect("a path")]);
        assert!(read.status.success(), "{script}: {}", told(&read));
    }
}
