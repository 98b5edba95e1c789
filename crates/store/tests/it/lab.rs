//! Databases to test with: SQLite in a directory of its own, and a database of its own in a PostgreSQL that these tests
//! start, as a user without rights, on a socket in a temporary directory.

use portreeve_store::case::engine::{EngineCase, Taken};
use portreeve_store::case::entity::{Entity, Kind};
use portreeve_store::case::{By, Risk};
use portreeve_store::{CaseId, Location, Store};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Starts a server and stays with it: when the tests end, however they end, its input closes; then it stops the server
/// by its number and takes the directory away.
const KEEPER: &str = r#"
dir=$1 bin=$2; shift 2
if [ "$(id -u)" = 0 ]; then
    chown postgres "$dir"
    as="setpriv --reuid=postgres --regid=postgres --clear-groups"
fi
cd "$dir"
$as "$bin/initdb" -D "$dir/data" -U postgres -E UTF8 --locale-provider=icu --icu-locale=en --locale=C.UTF-8 \
    -A trust --no-sync > "$dir/log" 2>&1 || exit 1
while [ ! -e "$dir/over" ]; do
    $as "$bin/postgres" -D "$dir/data" -k "$dir" "$@" >> "$dir/log" 2>&1 &
    echo $! > "$dir/pid.half"
    mv "$dir/pid.half" "$dir/pid"
    wait $!
    sleep 0.2
done &
looper=$!
cat > /dev/null
touch "$dir/over"
kill -INT "$(cat "$dir/pid")"
wait $looper
rm -rf "$dir"
"#;

pub(crate) struct Cluster {
    pub(crate) dir: PathBuf,
    port: u16,
    _keeper: Child,
}

fn programs() -> PathBuf {
    let mut versions: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .map(|d| d.flatten().map(|e| e.path().join("bin")).filter(|p| p.join("initdb").exists()).collect())
        .unwrap_or_default();
    versions.sort();
    versions.pop().expect("PostgreSQL is missing: apt-get install postgresql")
}

impl Cluster {
    pub(crate) fn start(options: &[&str]) -> Cluster {
        Cluster::start_on(options, 5432)
    }

    /// The port names the socket, also where nothing listens on the network.
    pub(crate) fn start_on(options: &[&str], port: u16) -> Cluster {
        let dir = tempfile::Builder::new().prefix("portreeve-pg-").tempdir().unwrap().keep();
        // Owned by another user than ours in a moment; the socket is for us.
        std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o755)).unwrap();
        let mut keeper = Command::new("sh")
            .args(["-c", KEEPER, "sh"])
            .arg(&dir)
            .arg(programs())
            .args(options)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("sh");
        let until = Instant::now() + Duration::from_secs(120);
        loop {
            let config = config(&dir, port, "postgres");
            if config.connect(postgres::NoTls).is_ok() {
                break;
            }
            let ended = keeper.try_wait().unwrap();
            assert!(
                ended.is_none() && Instant::now() < until,
                "PostgreSQL does not start: {}",
                std::fs::read_to_string(dir.join("log")).unwrap_or_default()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
        Cluster { dir, port, _keeper: keeper }
    }

    /// A new empty database.
    pub(crate) fn database(&self) -> String {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("t{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let mut client = config(&self.dir, self.port, "postgres").connect(postgres::NoTls).unwrap();
        client.batch_execute(&format!("create database {name}")).unwrap();
        name
    }

    pub(crate) fn location(&self, database: &str) -> Location {
        format!("postgres://postgres@/{database}?host={}&port={}", self.dir.display(), self.port)
            .parse()
            .unwrap()
    }

    /// The number of the server's process.
    pub(crate) fn pid(&self) -> i32 {
        std::fs::read_to_string(self.dir.join("pid")).unwrap().trim().parse().unwrap()
    }

    pub(crate) fn client(&self, database: &str) -> postgres::Client {
        config(&self.dir, self.port, database).connect(postgres::NoTls).unwrap()
    }
}

fn config(dir: &Path, port: u16, database: &str) -> postgres::Config {
    let mut config = postgres::Config::new();
    config.host_path(dir).port(port).user("postgres").dbname(database);
    config
}

/// The one that most tests share. It does not wait for its disk; what depends on that has its own.
pub(crate) fn shared() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| Cluster::start(&["-c", "listen_addresses=", "-c", "fsync=off"]))
}

pub(crate) struct Lab {
    pub(crate) store: Store,
    pub(crate) location: Location,
    pub(crate) room: tempfile::TempDir,
    database: Option<String>,
}

impl Lab {
    pub(crate) fn sqlite() -> Lab {
        let room = tempfile::tempdir().unwrap();
        let location = Location::sqlite(room.path().join("store.db"));
        let store = Store::open(&location, &room.path().join("evidence"), 1).unwrap();
        Lab { store, location, room, database: None }
    }

    pub(crate) fn postgres() -> Lab {
        let room = tempfile::tempdir().unwrap();
        let name = shared().database();
        let location = shared().location(&name);
        let store = Store::open(&location, &room.path().join("evidence"), 1).unwrap();
        Lab { store, location, room, database: Some(name) }
    }

    /// A location of the same kind in which nothing is yet.
    pub(crate) fn another(&self) -> Location {
        match &self.database {
            None => {
                let dir = tempfile::Builder::new().tempdir_in(self.room.path()).unwrap().keep();
                Location::sqlite(dir.join("store.db"))
            }
            Some(_) => shared().location(&shared().database()),
        }
    }

    pub(crate) fn is_sqlite(&self) -> bool {
        self.database.is_none()
    }

    /// Opens the same database once more, as another node does.
    pub(crate) fn node(&self) -> Store {
        Store::open(&self.location, &self.room.path().join("evidence"), 1).unwrap()
    }

    /// Changes rows as somebody would who has the database in hand: past the store and its triggers.
    pub(crate) fn tamper(&self, table: &str, sql: &str) {
        match (&self.location, &self.database) {
            (Location::Sqlite(path), _) => {
                let db = rusqlite::Connection::open(path).unwrap();
                db.busy_timeout(Duration::from_secs(20)).unwrap();
                let triggers: Vec<String> = db
                    .prepare("select name from sqlite_schema where type = 'trigger' and tbl_name = ?1")
                    .unwrap()
                    .query_map([table], |r| r.get(0))
                    .unwrap()
                    .map(Result::unwrap)
                    .collect();
                for trigger in triggers {
                    db.execute_batch(&format!("drop trigger {trigger}")).unwrap();
                }
                db.execute_batch(sql).unwrap();
            }
            (_, Some(name)) => {
                let mut client = shared().client(name);
                client.batch_execute(&format!("alter table {table} disable trigger user; {sql}")).unwrap();
            }
            _ => unreachable!("PostgreSQL has a name"),
        }
    }

    /// A statement as it is, triggers and all.
    pub(crate) fn plain(&self, sql: &str) -> Result<(), String> {
        match (&self.location, &self.database) {
            (Location::Sqlite(path), _) => {
                let db = rusqlite::Connection::open(path).unwrap();
                db.busy_timeout(Duration::from_secs(20)).unwrap();
                db.execute_batch(sql).map_err(|e| e.to_string())
            }
            (_, Some(name)) => shared().client(name).batch_execute(sql).map_err(|e| format!("{e:?}")),
            _ => unreachable!("PostgreSQL has a name"),
        }
    }
}

/// Every test once against each database.
macro_rules! both {
    ($($name:ident),+ $(,)?) => {
        mod sqlite { $(#[test] fn $name() { super::$name(&$crate::lab::Lab::sqlite()); })+ }
        mod postgres { $(#[test] fn $name() { super::$name(&$crate::lab::Lab::postgres()); })+ }
    };
}
pub(crate) use both;

pub(crate) const ANNA: By<'static> = By { actor: "person:1 anna", at: 1_000 };

pub(crate) fn anna(at: i64) -> By<'static> {
    By { actor: "person:1 anna", at }
}

/// What the engine says, to be changed by a test before it is told.
#[derive(Clone)]
pub(crate) struct Said {
    pub(crate) engine_id: String,
    pub(crate) supersedes: Vec<String>,
    pub(crate) as_of: i64,
    pub(crate) title: String,
    pub(crate) principal: String,
    pub(crate) decision: portreeve_model::answer::Decision,
    pub(crate) risk: f64,
    pub(crate) first_seen: i64,
    pub(crate) last_seen: i64,
    pub(crate) verdict: String,
    pub(crate) why: String,
    pub(crate) late: bool,
    pub(crate) entities: Vec<Entity>,
    pub(crate) document: String,
}

impl Said {
    pub(crate) fn new(n: usize) -> Said {
        Said {
            engine_id: format!("c-{n}"),
            supersedes: Vec::new(),
            as_of: 1,
            title: format!("Case of user{n}"),
            principal: format!("user{n}"),
            decision: portreeve_model::answer::Decision::Investigate,
            risk: 50.0,
            first_seen: 100,
            last_seen: 200,
            verdict: "E1".into(),
            why: "a login from a new place".into(),
            late: false,
            entities: vec![
                Entity::new(Kind::Principal, format!("user{n}")),
                Entity::new(Kind::Address, format!("198.51.100.{}", n % 256)),
            ],
            document: format!("{{\"case_id\":\"c-{n}\",\"name\":\"\\u0000\"}}"),
        }
    }

    pub(crate) fn case(&self) -> EngineCase<'_> {
        EngineCase {
            engine_id: &self.engine_id,
            supersedes: &self.supersedes,
            as_of: self.as_of,
            title: &self.title,
            principal: &self.principal,
            decision: self.decision,
            risk: Risk::from_points(self.risk),
            first_seen: self.first_seen,
            last_seen: self.last_seen,
            detected_at: self.first_seen,
            verdict: &self.verdict,
            why: &self.why,
            changed: "{}",
            late: self.late,
            brief: "{}",
            search: &[],
            entities: &self.entities,
            document: &self.document,
        }
    }

    pub(crate) fn take(&self, store: &Store, now: i64) -> Taken {
        store.write(|tx| portreeve_store::case::engine::take(tx, &self.case(), now)).unwrap()
    }

    pub(crate) fn create(&self, store: &Store) -> CaseId {
        match self.take(store, 1_000) {
            Taken::Created(id) => id,
            other => panic!("{other:?}"),
        }
    }
}

/// Waits, with a generous end.
pub(crate) fn until(what: &str, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(120);
    while !done() {
        assert!(Instant::now() < end, "{what}: not after two minutes");
        std::thread::sleep(Duration::from_millis(20));
    }
}

pub(crate) fn read_all(mut from: impl Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    from.read_to_end(&mut bytes).unwrap();
    bytes
}
