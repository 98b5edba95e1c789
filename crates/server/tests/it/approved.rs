//! A containment from the page, in Chromium, on a real firewall: one plans it at a desk, another approves it on a phone,
//! carries it out and takes it back. What the page says, the firewall is asked.

use super::browser::{chromium, code, enrolled};
use super::containment::{BAD, proposing, site};
use super::edge::Edge;
use super::site::start;
use serde_json::json;

const PASSWORD: &str = "seven herons over the lake";

#[tokio::test(flavor = "multi_thread")]
async fn what_is_approved_on_a_phone_stands_in_the_firewall_until_it_is_taken_back() {
    let Some(edge) = Edge::new() else { return };
    let dir = tempfile::tempdir().expect("a folder");
    let service = start(dir.path(), site(dir.path(), &edge)).await;
    let number = proposing(&service, &[("block_ip", json!({ "address": BAD }))]).0;
    let people = [("lena", "l1"), ("tess", "t2")]
        .map(|(name, role)| (name, enrolled(&service.app, dir.path(), (name, PASSWORD), &[role])));
    let base = format!("http://{}", service.address());
    let mut looked = Vec::new();
    let asked = tokio::task::spawn_blocking(move || {
        let answer = |question: &str| match question.split_once(' ') {
            Some(("code", name)) => {
                let of = people.iter().find(|(n, _)| *n == name).expect("somebody who was enrolled");
                code(&of.1, 0)
            }
            _ => {
                looked.push((question.to_owned(), edge.elements()));
                String::new()
            }
        };
        chromium(include_str!("approved.py"), &[&base, PASSWORD, &number.to_string(), BAD], answer);
        looked
    });
    let stood: Vec<(String, Vec<String>)> = asked.await.expect("no panic");
    let at = |when: &str, what: &[&str]| (when.to_owned(), what.iter().map(|w| (*w).to_owned()).collect());
    assert_eq!(
        stood,
        [at("planned", &[]), at("approved", &[]), at("carried out", &[BAD]), at("taken back", &[]),]
    );
    service.close().await;
}
