-- What the service keeps for itself: the audit, what it has to deliver, answers to repeated requests, settings.

create table audit (
    seq INT primary key,
    at INT not null,
    actor TEXT not null,
    verb TEXT not null,
    object TEXT not null,
    address TEXT not null,
    outcome TEXT not null,
    detail TEXT not null,
    prev BYTES not null,
    hash BYTES not null
) STRICT;
create index audit_object on audit (object, seq);
create index audit_actor on audit (actor, seq);
create index audit_at on audit (at, seq);

create table outbox (
    id INT primary key,
    target TEXT not null,
    event TEXT not null,
    -- The same event told again is not sent again.
    once TEXT not null,
    body TEXT not null,
    created_at INT not null,
    attempts INT not null,
    next_at INT not null,
    state TEXT not null,
    lease_until INT,
    last_error TEXT,
    done_at INT,
    unique (target, once)
) STRICT;
create index outbox_next on outbox (state, next_at, id);

create table idempotency (
    actor TEXT not null,
    key TEXT not null,
    request BYTES not null,
    status INT,
    response BYTES,
    created_at INT not null,
    expires_at INT not null,
    primary key (actor, key)
) STRICT;
create index idempotency_expires on idempotency (expires_at);

create table settings (
    name TEXT primary key,
    value BYTES not null,
    version INT not null,
    updated_at INT not null
) STRICT;

--@sqlite
create trigger audit_stays before update on audit
    begin select raise(abort, 'the audit is never changed'); end;
create trigger audit_remains before delete on audit
    begin select raise(abort, 'the audit is never changed'); end;
--@postgres
create trigger audit_stays before update or delete or truncate on audit
    for each statement execute function portreeve_stays();
