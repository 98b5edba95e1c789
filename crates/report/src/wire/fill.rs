//! The shapes, filled from the model.

use super::*;
use portreeve_model::case as m;
use portreeve_model::{EventTime, Ip};

fn time(t: EventTime) -> String {
    t.to_string()
}

fn ips(all: &[Ip]) -> Vec<String> {
    all.iter().map(ToString::to_string).collect()
}

/// Three decimals: enough for people, and the same text on every machine.
fn rounded(x: f64) -> f64 {
    (x * 1_000.0).round() / 1_000.0
}

impl From<&m::Person> for Person {
    fn from(p: &m::Person) -> Self {
        Person {
            name: p.name.raw().to_owned(),
            aliases: p.aliases.iter().map(|a| a.raw().to_owned()).collect(),
            department: p.department.raw().to_owned(),
            role: p.role.raw().to_owned(),
            status: p.status.clone(),
            privileged: p.privileged,
            listed: p.listed,
        }
    }
}

impl From<&m::EvidenceLine> for Evidence {
    fn from(e: &m::EvidenceLine) -> Self {
        Evidence {
            file: e.file.raw().to_owned(),
            line: e.raw.line,
            offset: e.raw.byte(),
            time: time(e.time),
            source: e.source.clone(),
            raw: e.text.raw().to_owned(),
        }
    }
}

fn evidence(all: &[m::EvidenceLine]) -> Vec<Evidence> {
    all.iter().map(Evidence::from).collect()
}

impl From<&m::PlaceLine> for Place {
    fn from(p: &m::PlaceLine) -> Self {
        Place {
            country: p.country.text().to_owned(),
            city: p.city.raw().to_owned(),
            lat: p.point.map(|p| rounded(f64::from(p.lat))),
            lon: p.point.map(|p| rounded(f64::from(p.lon))),
            radius_km: p.radius_km,
            asn: p.asn,
            as_name: p.as_name.raw().to_owned(),
            network: p.network.clone(),
            label: p.label.raw().to_owned(),
        }
    }
}

impl From<&m::Step> for Step {
    fn from(s: &m::Step) -> Self {
        Step {
            id: s.id.to_owned(),
            title: s.title.clone(),
            state: if s.done { "done" } else { "open" }.to_owned(),
            finding: s.finding.raw().to_owned(),
            next: s.next.raw().to_owned(),
            evidence: evidence(&s.evidence),
        }
    }
}

impl From<&m::SessionLine> for Session {
    fn from(s: &m::SessionLine) -> Self {
        Session {
            id: s.id.clone(),
            principal: s.principal.raw().to_owned(),
            service: s.service.clone(),
            gateway: s.gateway.raw().to_owned(),
            group: s.group.raw().to_owned(),
            public_ips: ips(&s.public_ips),
            tunnel_ips: ips(&s.tunnel_ips),
            device: s.device.raw().to_owned(),
            client: s.client.raw().to_owned(),
            start: time(s.start),
            end: s.end.map(time),
            end_reason: s.end_reason.clone(),
            mfa: s.mfa.clone(),
            factor: s.factor.clone(),
            mfa_known_by: s.mfa_known_by.raw().to_owned(),
            place: Place::from(&s.place),
            standing: s.standing.clone(),
            suspect: s.suspect,
            evidence: evidence(&s.evidence),
        }
    }
}

impl From<&m::Case> for Case {
    fn from(c: &m::Case) -> Self {
        let texts = |all: &[portreeve_model::untrusted::Untrusted]| {
            all.iter().map(|t| t.raw().to_owned()).collect::<Vec<_>>()
        };
        Case {
            case_id: c.id.clone(),
            title: c.title.raw().to_owned(),
            principal: Person::from(&c.principal),
            principals: c.principals.iter().map(Person::from).collect(),
            first_seen: time(c.first_seen),
            last_seen: time(c.last_seen),
            detected_at: time(c.detected_at),
            decision: c.decision.name().to_owned(),
            reason: c.reason.raw().to_owned(),
            risk_score: rounded(c.risk_score),
            prior_db: rounded(c.prior_db),
            score_db: rounded(c.score_db),
            groups: c
                .groups
                .iter()
                .map(|g| Group {
                    group: g.group.name().to_owned(),
                    raw_db: rounded(g.raw_db),
                    db: rounded(g.db),
                })
                .collect(),
            criteria: c
                .criteria
                .iter()
                .map(|x| Criterion {
                    id: x.id.to_owned(),
                    number: x.number.clone(),
                    text: x.text.clone(),
                    state: x.state.state().to_owned(),
                    because: x.because.raw().to_owned(),
                    explained: texts(&x.explained),
                    needs: x.needs.clone(),
                })
                .collect(),
            questions: c
                .questions
                .iter()
                .map(|q| Question {
                    id: q.id.to_owned(),
                    text: q.text.clone(),
                    answer: q.answer.answer().to_owned(),
                    because: q.because.raw().to_owned(),
                    known_by: q.known_by.raw().to_owned(),
                    needs: q.needs.clone(),
                    evidence: evidence(&q.evidence),
                })
                .collect(),
            indicators: c
                .indicators
                .iter()
                .map(|i| Indicator {
                    id: i.id.clone(),
                    title: i.title.clone(),
                    technique: i.technique.clone(),
                    group: i.group.name().to_owned(),
                    time: time(i.time),
                    points: rounded(i.points),
                    because: i.because.raw().to_owned(),
                    explained: texts(&i.explained),
                    evidence: evidence(&i.evidence),
                })
                .collect(),
            source_ips: c.source_ips.iter().map(|(ip, _)| ip.to_string()).collect(),
            sources: c
                .source_ips
                .iter()
                .map(|(ip, place)| Source { ip: ip.to_string(), place: Place::from(place) })
                .collect(),
            sessions: c.sessions.iter().map(Session::from).collect(),
            l1_steps: c.l1_steps.iter().map(Step::from).collect(),
            t2_actions: c.t2_actions.iter().map(Step::from).collect(),
            containment: c
                .containment
                .iter()
                .map(|a| Action {
                    order: a.order,
                    id: a.kind.id().to_owned(),
                    title: a.title.clone(),
                    target: a.target.raw().to_owned(),
                    subject: Subject {
                        address: a.subject.address.map(|ip| ip.to_string()).unwrap_or_default(),
                        account: a.subject.account.raw().to_owned(),
                        host: a.subject.host.raw().to_owned(),
                        session: a.subject.session.raw().to_owned(),
                        gateway: a.subject.gateway.raw().to_owned(),
                        tunnel_ip: a.subject.tunnel_ip.map(|ip| ip.to_string()).unwrap_or_default(),
                        service: a.subject.service.to_owned(),
                        others: a.subject.others,
                    },
                    because: a.because.raw().to_owned(),
                    leaves_open: a.leaves_open.raw().to_owned(),
                    blast_radius: a.blast_radius.raw().to_owned(),
                    caution: a.caution.raw().to_owned(),
                })
                .collect(),
            timeline: c
                .timeline
                .iter()
                .map(|t| Entry {
                    time: time(t.time),
                    certainty: t.certainty.name().to_owned(),
                    kind: t.kind.to_owned(),
                    text: t.text.raw().to_owned(),
                    evidence: t.evidence.as_ref().map(Evidence::from),
                })
                .collect(),
            coverage: Coverage {
                sources: c.coverage.sources.clone(),
                missing: c.coverage.missing.clone(),
                history_days: c.coverage.history_days,
                history_sessions: c.coverage.cleared_sessions,
            },
            related: c
                .related
                .iter()
                .map(|(id, why)| Related { case_id: id.clone(), why: why.clone() })
                .collect(),
            campaign: c.campaign.clone(),
            revised: c.revised.clone(),
            aftermath: None,
            containment_ineffective: Vec::new(),
        }
    }
}

impl From<&m::ReadCounts> for Counts {
    fn from(c: &m::ReadCounts) -> Self {
        Counts {
            records: c.records,
            understood: c.understood,
            fragments: c.fragments,
            irrelevant: c.irrelevant,
            unknown: c.unknown,
            broken: c.broken,
        }
    }
}

fn gaps(all: &[(portreeve_model::EventTime, portreeve_model::EventTime)]) -> Vec<Gap> {
    all.iter().map(|(from, to)| Gap { from: time(*from), to: time(*to) }).collect()
}

fn counts(all: &[(String, u64)]) -> Vec<Count> {
    all.iter().map(|(what, count)| Count { what: what.clone(), count: *count }).collect()
}

impl From<&m::RunReport> for Run {
    fn from(r: &m::RunReport) -> Self {
        Run {
            version: r.version.clone(),
            first: r.first.map(time),
            last: r.last.map(time),
            days: r.days,
            totals: Counts::from(&r.totals),
            events: r.events,
            duplicates: r.duplicates,
            out_of_range: r.out_of_range,
            far_future: r.far_future,
            principals: r.principals,
            sessions: r.sessions,
            escalate: r.escalate,
            investigate: r.investigate,
            close: r.close,
            missing: r.missing.clone(),
            warnings: r.warnings.clone(),
            evicted: counts(&r.evicted),
            sources: r
                .sources
                .iter()
                .map(|s| SourceRead {
                    source: s.source.clone(),
                    counts: Counts::from(&s.counts),
                    events: s.events,
                    first: s.first.map(time),
                    last: s.last.map(time),
                    reasons: counts(&s.reasons),
                    gaps: gaps(&s.gaps),
                })
                .collect(),
            inputs: r.inputs.iter().map(InputRead::from).collect(),
            clocks: r
                .clocks
                .iter()
                .map(|c| ClockOff {
                    gateway: c.gateway.raw().to_owned(),
                    fast_by_s: c.fast_by_s,
                    sessions: c.sessions,
                    first: time(c.first),
                    last: time(c.last),
                })
                .collect(),
            pressure: r
                .pressure
                .iter()
                .map(|p| Pressure {
                    kind: p.kind.clone(),
                    what: p.what.raw().to_owned(),
                    attempts: p.attempts,
                    accounts: p.accounts,
                    sources: p.sources,
                    first: time(p.first),
                    last: time(p.last),
                })
                .collect(),
        }
    }
}

impl From<&portreeve_model::case::InputReport> for InputRead {
    fn from(i: &portreeve_model::case::InputReport) -> Self {
        InputRead {
            file: i.file.raw().to_owned(),
            bytes: i.bytes,
            counts: Counts::from(&i.counts),
            sources: i.sources.clone(),
            first: i.first.map(time),
            last: i.last.map(time),
            problems: i.problems.clone(),
            samples: i
                .samples
                .iter()
                .map(|(line, text)| Sample { line: *line, text: text.raw().to_owned() })
                .collect(),
            gaps: gaps(&i.gaps),
            clocks: i
                .clocks
                .iter()
                .map(|c| ReceivedOff {
                    source: c.source.clone(),
                    fast_by_s: c.fast_by_s,
                    records: c.records,
                    zone: c.zone,
                })
                .collect(),
        }
    }
}
