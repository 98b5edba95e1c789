//! Does the address's place fit where the person is known to be, or was announced to travel?

use super::Question;
use crate::view::{Answer, CaseView};
use portreeve_model::answer::Tri;
use portreeve_model::net::NetworkClass;

pub(super) static QUESTION: Question = Question { id: "geo_matches_known_location_or_travel", answer };

fn answer(case: &CaseView<'_>) -> Answer {
    let main = case.access();
    let (ip, place) = (main.ip(), main.place());
    let evidence = main.session.evidence.first().copied();
    if !ip.is_public() {
        return Answer::new(Tri::Unknown, format!("{ip} is an inner address and has no place"))
            .seen(evidence);
    }
    if let Some(known) = main.expected_place() {
        return Answer::new(Tri::Yes, format!("{} is within reach of {known}", main.fact("where")))
            .by("geolocation")
            .seen(evidence);
    }
    if place.class.place_says_nothing() && place.class != NetworkClass::Private {
        let because = format!(
            "{ip} is a {} exit: its place ({}) says nothing about the person",
            place.class.name(),
            main.fact("where")
        );
        return Answer::new(Tri::Unknown, because).by("network class").seen(evidence);
    }
    if place.person_point().is_none() {
        if place.country.is_some()
            && case.draft.account.home_country.is_some()
            && place.country != case.draft.account.home_country
        {
            let because = format!(
                "{} by country alone; home is {}",
                place.country.text(),
                case.draft.account.home_country.text()
            );
            return Answer::new(Tri::No, because).by("country of the record").seen(evidence);
        }
        return Answer::unknown("a geo database that locates the address", format!("{ip} cannot be located"));
    }
    let home = case.draft.account.home_country;
    let against = if home.is_some() {
        format!("home ({})", case.text(case.draft.account.home_city))
    } else {
        "any usual area".to_owned()
    };
    let history = case.draft.known.usual_areas().next().is_some();
    if !home.is_some() && !history {
        return Answer::unknown(
            "users.csv or older logs",
            format!("{} is located, but no known place of the account is", main.fact("where")),
        );
    }
    let because = format!(
        "{} (±{} km) is not near {against}, an office, a usual area or announced travel",
        main.fact("where"),
        place.radius_km
    );
    Answer::new(Tri::No, because).by("geolocation").seen(evidence)
}
