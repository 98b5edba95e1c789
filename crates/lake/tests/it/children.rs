//! This test program again, as a process that can be killed.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

const DIR: &str = "PORTREEVE_LAKE_TEST_DIR";

/// Where the child works, if this process is one.
pub(crate) fn dir() -> Option<std::path::PathBuf> {
    std::env::var_os(DIR).map(Into::into)
}

pub(crate) struct Running {
    child: Child,
    lines: std::io::Lines<BufReader<ChildStdout>>,
}

/// Runs one test of this program with a folder.
pub(crate) fn start(test: &str, dir: &Path) -> Running {
    let program = std::env::current_exe().expect("this program");
    let mut child = Command::new(program)
        .args(["--exact", test, "--nocapture", "--test-threads", "1"])
        .env(DIR, dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("this program starts again");
    let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    Running { child, lines }
}

impl Running {
    /// The next number that the child tells; `None` when it is gone.
    pub(crate) fn number(&mut self) -> Option<u64> {
        loop {
            let line = self.lines.next()?.ok()?;
            // The test harness writes lines of its own.
            if let Some(number) = line.strip_prefix("acknowledged ") {
                return number.trim().parse().ok();
            }
        }
    }

    /// Kills it at once, and hears what it had still told. Gives the last number.
    pub(crate) fn kill(mut self, mut last: u64) -> u64 {
        self.child.kill().expect("the child runs");
        self.child.wait().expect("the child ends");
        while let Some(number) = self.number() {
            last = number;
        }
        last
    }
}

#[expect(clippy::print_stdout, reason = "how the child tells its parent")]
pub(crate) fn tell(number: u64) {
    use std::io::Write;
    println!("acknowledged {number}");
    std::io::stdout().flush().ok();
}
