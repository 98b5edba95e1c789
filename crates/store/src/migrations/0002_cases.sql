-- Cases: what the engine says, what people made of it, and how both came about.

create table cases (
    id INT primary key,

    -- What the engine says, over all its parts.
    title TEXT not null,
    principal TEXT not null,
    principal_key TEXT not null,
    decision INT not null,
    risk INT not null,
    first_seen INT not null,
    last_seen INT not null,
    detected_at INT not null,
    -- What a line of the queue shows besides, as JSON.
    brief TEXT not null,
    -- Folded words to search in.
    search TEXT not null,
    verdicts INT not null,
    verdict_at INT not null,

    -- What people made of it.
    status TEXT not null,
    owner INT references people (id),
    tier TEXT not null,
    disposition TEXT,
    closing_reason TEXT,
    closed_at INT,
    tlp TEXT not null,
    pap TEXT not null,
    restricted INT not null,
    override INT,
    merged_into INT references cases (id) deferrable initially deferred,

    -- Of both.
    created_at INT not null,
    updated_at INT not null,
    -- Grows with each change by people and of the verdict.
    revision INT not null,
    -- The place of the last change in the order of all changes.
    change INT not null,
    -- The verdict changed after it was closed.
    resurfaced INT not null,
    -- The decision in force: the override, or the engine's.
    queue INT not null,
    -- Not closed, or resurfaced; and not merged into another.
    queued INT not null,
    -- The next deadline of its clocks; the end of time without one.
    next_due INT not null
) STRICT;
create index cases_priority on cases (queued, queue, risk, last_seen, id);
create index cases_owner on cases (owner, queued, queue, risk, last_seen, id);
-- All that counting the queue asks, so that it reads the index alone.
create index cases_counts on cases (queued, queue, status, owner, tier, restricted, id);
create index cases_due on cases (queued, next_due, id);
create index cases_created on cases (created_at, id);
create index cases_updated on cases (updated_at, id);
create index cases_change on cases (change);
create index cases_principal on cases (principal_key, id);
create index cases_merged on cases (merged_into);

create table case_members (
    case_id INT not null references cases (id),
    person_id INT not null references people (id),
    primary key (case_id, person_id)
) STRICT;
create index case_members_person on case_members (person_id);

-- The engine's documents, compressed. None is ever changed; one that nothing refers to any more is deleted.
create table documents (
    id INT primary key,
    sha256 BYTES not null,
    size INT not null,
    body BYTES not null
) STRICT;

-- The engine's cases. Merging moves them to another case and leaves their home as it was.
create table case_parts (
    id INT primary key,
    engine_id TEXT not null unique,
    case_id INT not null references cases (id),
    home_id INT not null references cases (id),
    title TEXT not null,
    principal TEXT not null,
    decision INT not null,
    risk INT not null,
    first_seen INT not null,
    last_seen INT not null,
    detected_at INT not null,
    brief TEXT not null,
    search TEXT not null,
    -- All that makes the verdict, in a form that differs where the verdict does.
    verdict TEXT not null,
    -- How far the engine had read.
    as_of INT not null,
    document_id INT not null references documents (id),
    withdrawn_at INT,
    updated_at INT not null
) STRICT;
create index case_parts_case on case_parts (case_id);
create index case_parts_home on case_parts (home_id);
create index case_parts_document on case_parts (document_id);

create table case_entities (
    part_id INT not null references case_parts (id),
    kind TEXT not null,
    value_key TEXT not null,
    value TEXT not null,
    primary key (part_id, kind, value_key)
) STRICT;
create index case_entities_value on case_entities (kind, value_key, part_id);

create table verdicts (
    case_id INT not null references cases (id),
    number INT not null,
    engine_id TEXT not null,
    kind TEXT not null,
    late INT not null,
    why TEXT not null,
    -- What changed, as JSON.
    changed TEXT not null,
    at INT not null,
    decision_before INT not null,
    decision_after INT not null,
    risk_before INT not null,
    risk_after INT not null,
    -- As it was before.
    document_id INT not null references documents (id),
    primary key (case_id, number)
) STRICT;
create index verdicts_document on verdicts (document_id);

create table snapshots (
    id INT primary key,
    case_id INT not null references cases (id),
    at INT not null,
    actor TEXT not null,
    reason TEXT not null,
    -- What people had made of the case, as JSON.
    state TEXT not null
) STRICT;
create index snapshots_case on snapshots (case_id);

create table snapshot_documents (
    snapshot_id INT not null references snapshots (id),
    engine_id TEXT not null,
    document_id INT not null references documents (id),
    sha256 BYTES not null,
    primary key (snapshot_id, engine_id)
) STRICT;
create index snapshot_documents_document on snapshot_documents (document_id);

create table timeline (
    id INT primary key,
    case_id INT not null references cases (id),
    kind TEXT not null,
    -- When it happened, and how sure that is; then when it was written down.
    at INT not null,
    certainty TEXT not null,
    recorded_at INT not null,
    actor TEXT not null,
    said TEXT not null,
    data TEXT,
    -- The same entry told again is not written again.
    once TEXT,
    unique (case_id, once)
) STRICT;
create index timeline_case on timeline (case_id, at, id);

--@sqlite
create trigger timeline_stays before update on timeline
    begin select raise(abort, 'the timeline is never changed'); end;
create trigger timeline_remains before delete on timeline
    begin select raise(abort, 'the timeline is never changed'); end;
--@postgres
create function portreeve_stays() returns trigger language plpgsql as
    'begin raise exception ''% is never changed'', tg_table_name; end';
create trigger timeline_stays before update or delete or truncate on timeline
    for each statement execute function portreeve_stays();
