-- What people do about a case: notes, steps, decisions, deadlines, evidence, suppressions, questions to users.

create table notes (
    id INT primary key,
    case_id INT not null references cases (id),
    revision INT not null,
    body TEXT not null,
    search TEXT not null,
    author TEXT not null,
    created_at INT not null,
    edited_at INT not null,
    deleted_at INT
) STRICT;
create index notes_case on notes (case_id, id);

create table note_revisions (
    note_id INT not null references notes (id),
    revision INT not null,
    body TEXT not null,
    author TEXT not null,
    at INT not null,
    primary key (note_id, revision)
) STRICT;

create table tasks (
    case_id INT not null references cases (id),
    step TEXT not null,
    title TEXT not null,
    place INT not null,
    state TEXT not null,
    assignee INT references people (id),
    due INT,
    finding TEXT not null,
    done_by TEXT,
    done_at INT,
    revision INT not null,
    primary key (case_id, step)
) STRICT;
create index tasks_assignee on tasks (assignee, state);

create table overrides (
    id INT primary key,
    case_id INT not null references cases (id),
    decision_before INT not null,
    decision INT not null,
    reason TEXT not null,
    actor TEXT not null,
    at INT not null,
    withdrawn_at INT,
    withdrawn_by TEXT
) STRICT;
create index overrides_case on overrides (case_id, id);

create table clocks (
    case_id INT not null references cases (id),
    kind TEXT not null,
    started_at INT not null,
    due INT not null,
    paused_at INT,
    met_at INT,
    primary key (case_id, kind)
) STRICT;

create table evidence (
    id INT primary key,
    case_id INT not null references cases (id),
    sha256 BYTES not null,
    size INT not null,
    name TEXT not null,
    media_type TEXT not null,
    acquired_by TEXT not null,
    acquired_at INT not null,
    acquired_from TEXT not null,
    how TEXT not null,
    added_by TEXT not null,
    added_at INT not null
) STRICT;
create index evidence_case on evidence (case_id, id);
create index evidence_sha256 on evidence (sha256);

create table custody (
    evidence_id INT not null references evidence (id),
    number INT not null,
    at INT not null,
    actor TEXT not null,
    what TEXT not null,
    result TEXT not null,
    primary key (evidence_id, number)
) STRICT;

create table suppressions (
    id INT primary key,
    -- Those that are given must all fit.
    principal TEXT,
    network TEXT,
    asn INT,
    place TEXT,
    egress TEXT,
    detection TEXT,
    reason TEXT not null,
    author TEXT not null,
    case_id INT references cases (id),
    created_at INT not null,
    expires_at INT not null,
    hits INT not null,
    last_hit INT,
    reviewed_at INT,
    reviewed_by TEXT,
    ended_at INT,
    ended_by TEXT,
    revision INT not null
) STRICT;
create index suppressions_expires on suppressions (expires_at);

create table asks (
    id INT primary key,
    token BYTES not null unique,
    case_id INT not null references cases (id),
    -- Who is asked.
    person TEXT not null,
    question TEXT not null,
    asked_by TEXT not null,
    created_at INT not null,
    expires_at INT not null,
    answered_at INT,
    answer TEXT,
    remark TEXT,
    device TEXT,
    agent TEXT,
    address TEXT,
    revoked_at INT
) STRICT;
create index asks_case on asks (case_id, id);

--@sqlite
create trigger custody_stays before update on custody
    begin select raise(abort, 'custody is never changed'); end;
create trigger custody_remains before delete on custody
    begin select raise(abort, 'custody is never changed'); end;
create trigger note_revisions_stay before update on note_revisions
    begin select raise(abort, 'revisions of notes are never changed'); end;
create trigger note_revisions_remain before delete on note_revisions
    begin select raise(abort, 'revisions of notes are never changed'); end;
--@postgres
create trigger custody_stays before update or delete or truncate on custody
    for each statement execute function portreeve_stays();
create trigger note_revisions_stay before update or delete or truncate on note_revisions
    for each statement execute function portreeve_stays();
