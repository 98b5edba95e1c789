//! Connectors against real servers and against stand-ins, and the life of an action from end to end.

mod active_directory;
mod lab;
mod ldap;
mod manual;
mod nftables;
mod openldap;
mod stub;
mod unix;
