//! The service as its peers see it.

mod ask;
mod backup;
mod benign;
mod browser;
mod containment;
mod document;
mod entity;
mod entrance;
mod line;
mod operate;
mod pages;
mod sample;
mod site;
mod walls;
mod work;
