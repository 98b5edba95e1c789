-- People, what they show to get in, and the sources that may write.

create table counters (
    name TEXT primary key,
    value INT not null
) STRICT;

create table people (
    id INT primary key,
    name TEXT not null,
    name_key TEXT not null unique,
    display TEXT not null,
    zone TEXT not null,
    password_hash TEXT,
    -- Sealed by the caller; the store cannot read it.
    totp BYTES,
    totp_step INT,
    -- Hashes of the codes that are left, as JSON.
    recovery TEXT not null,
    oidc_issuer TEXT,
    oidc_subject TEXT,
    disabled_at INT,
    failed INT not null,
    locked_until INT,
    created_at INT not null,
    last_login INT,
    revision INT not null,
    unique (oidc_issuer, oidc_subject)
) STRICT;

create table person_roles (
    person_id INT not null references people (id),
    role TEXT not null,
    primary key (person_id, role)
) STRICT;

create table passkeys (
    credential BYTES primary key,
    person_id INT not null references people (id),
    name TEXT not null,
    -- The credential as JSON.
    data TEXT not null,
    created_at INT not null,
    last_used INT
) STRICT;
create index passkeys_person on passkeys (person_id);

create table logins (
    token BYTES primary key,
    person_id INT not null references people (id),
    csrf BYTES not null,
    created_at INT not null,
    rotated_at INT not null,
    last_used INT not null,
    expires_at INT not null,
    address TEXT not null,
    agent TEXT not null,
    -- How the person showed who they are.
    factors TEXT not null
) STRICT;
create index logins_person on logins (person_id);
create index logins_expires on logins (expires_at);

create table sources (
    id INT primary key,
    name TEXT not null,
    name_key TEXT not null unique,
    doors TEXT not null,
    limits TEXT not null,
    zone TEXT not null,
    product TEXT not null,
    created_at INT not null,
    disabled_at INT,
    revision INT not null
) STRICT;

create table source_certificates (
    sha256 BYTES primary key,
    source_id INT not null references sources (id)
) STRICT;
create index source_certificates_source on source_certificates (source_id);

create table tokens (
    id INT primary key,
    hash BYTES not null unique,
    name TEXT not null,
    person_id INT references people (id),
    source_id INT references sources (id),
    roles TEXT not null,
    doors TEXT not null,
    created_by TEXT not null,
    created_at INT not null,
    expires_at INT,
    last_used INT,
    revoked_at INT
) STRICT;
create index tokens_person on tokens (person_id);
create index tokens_source on tokens (source_id);

-- The one link with which the first administrator comes in.
create table first_run (
    id INT primary key check (id = 1),
    token BYTES not null,
    created_at INT not null,
    expires_at INT not null,
    used_at INT
) STRICT;
