//! The service as its peers see it.

mod backup;
mod browser;
mod document;
mod entrance;
mod line;
mod operate;
mod pages;
mod site;
mod walls;
mod work;
