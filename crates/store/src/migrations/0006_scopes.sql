-- The scope of a suppression can be changed: since when it is as it is now, and who made it so. Nothing where it is as
-- it was made.
alter table suppressions add column scope_at INT;
alter table suppressions add column scope_by TEXT;
