//! A network namespace with a firewall of its own, for tests that contain something. The command's tests use it as well.

use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// Gone when dropped.
pub(crate) struct Edge(String);

impl Edge {
    /// `None` without root, said on the error output.
    pub(crate) fn new() -> Option<Edge> {
        for (program, package) in [("ip", "iproute2"), ("nft", "nftables")] {
            let there = Command::new(program).arg("-V").output().is_ok_and(|o| o.status.success());
            assert!(there, "{program} is missing: apt-get install {package}");
        }
        let id = Command::new("id").arg("-u").output().expect("id").stdout;
        if id.trim_ascii() != b"0" {
            assert!(std::env::var_os("CI").is_none(), "CI runs this test as root");
            eprintln!("NOT SHOWN: this test needs root");
            return None;
        }
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("pt{:x}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        assert!(Command::new("ip").args(["netns", "add", &name]).status().expect("ip").success());
        Some(Edge(name))
    }

    /// As an entry of `connectors` in `respond.yml`.
    pub(crate) fn connector(&self) -> String {
        format!("  - name: edge\n    kind: nftables\n    settings: {{via: {{netns: {}}}}}\n", self.0)
    }

    fn nft(&self, args: &[&str]) -> String {
        let out =
            Command::new("ip").args(["netns", "exec", &self.0, "nft"]).args(args).output().expect("nft");
        assert!(out.status.success(), "nft {args:?}: {}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8_lossy(&out.stdout).into_owned()
    }

    pub(crate) fn rules(&self) -> String {
        self.nft(&["list", "ruleset"])
    }

    /// The addresses in its sets.
    pub(crate) fn elements(&self) -> Vec<String> {
        let text = self.nft(&["-j", "list", "sets"]);
        let all: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        let sets =
            all["nftables"].as_array().expect("a list").iter().filter_map(|o| o["set"]["elem"].as_array());
        let address = |e: &serde_json::Value| match &e["elem"]["val"] {
            serde_json::Value::String(address) => address.clone(),
            _ => e.as_str().map_or_else(|| e.to_string(), str::to_owned),
        };
        sets.flatten().map(address).collect()
    }

    /// Somebody takes everything away.
    pub(crate) fn flush(&self) {
        self.nft(&["flush", "ruleset"]);
    }
}

impl Drop for Edge {
    fn drop(&mut self) {
        Command::new("ip").args(["netns", "del", &self.0]).status().ok();
    }
}
