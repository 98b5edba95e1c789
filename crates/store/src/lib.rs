//! Cases, people, notes and decisions: SQLite, or PostgreSQL where several share them.
