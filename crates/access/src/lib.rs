//! Who somebody is, and what they may do. Pure: no database, no clock, no network; what is needed of those is handed in.
//!
//! In reading order: a **name** is how a person is known; **role** and **permit** say who may do what to what; a
//! **password**, a one-time code (**totp**), a security key (**webauthn**) or an identity provider (**oidc**, by way of
//! **jwt**) show who it is; **limit** slows down who guesses; a **session** remembers who it was; **token** stands for
//! machines, **ask** for a question put to somebody without an account. **keys** are the service's own secrets,
//! **digest** is what is stored in place of a secret, **draw** is where randomness comes from.
//!
//! Times are microseconds since 1970, UTC, and always the caller's.

pub mod ask;
pub mod digest;
pub mod draw;
pub mod jwt;
pub mod keys;
pub mod limit;
pub mod name;
pub mod oidc;
pub mod password;
pub mod permit;
pub mod role;
pub mod session;
pub mod token;
pub mod totp;
pub mod webauthn;
