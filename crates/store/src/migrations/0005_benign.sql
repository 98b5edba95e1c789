-- What a suppression silences, and how far an answer of a user may be trusted.

-- Out of the queue because of this one, for as long as it covers the case.
alter table cases add column suppressed INT references suppressions (id) deferrable initially deferred;
create index cases_suppressed on cases (suppressed, id);

-- Criteria of an escalation that were met when it was made, with spaces between: a case that meets others comes back.
alter table suppressions add column criteria TEXT not null default '';

-- Each verdict of each case that it silenced, once.
create table suppression_hits (
    suppression_id INT not null references suppressions (id),
    case_id INT not null references cases (id),
    verdict INT not null,
    at INT not null,
    primary key (suppression_id, case_id, verdict)
) STRICT;
create index suppression_hits_case on suppression_hits (case_id);

-- How far the answer may be trusted, in words; and who heard it by another way, and how.
alter table asks add column strength TEXT not null default '';
alter table asks add column confirmed_at INT;
alter table asks add column confirmed_by TEXT;
alter table asks add column confirmed_how TEXT;
