//! Questions: QPD of ITI-9 and ITI-21 (ITI TF-2 3.9.4.1.2.2, 3.21.4.1.2.2), RCP, DSC, and QID of their cancel.

use super::error::{Condition, ErrorSegment, Exchange, Location, of, said};
use super::message::{Message, Segment, Value};
use super::types::{Findings, authority, cx};
use crate::model::identity::text::{is_time, joined};
use crate::model::identity::{
    Authority, DemographicsQuery, Field, IdentityError, PixQuery, Place, Representation, SentId, Trouble,
};

/// What of a question its answer gives back.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Echo {
    /// QPD-2.
    pub tag: String,
    /// QPD-1, raw.
    pub name: String,
    /// QPD as it was written, in the sender's delimiters.
    pub qpd: String,
}

impl std::fmt::Debug for Echo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Echo(…)")
    }
}

/// How much is wanted at once, and where to go on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PageAsked {
    /// QPD-2 as text: under it the rest is asked for, and cancelled.
    pub tag: String,
    /// RCP-2, in records.
    pub size: Option<usize>,
    /// DSC-1 of an answer before.
    pub pointer: Option<String>,
}

/// The QPD of a question, and its tag, without which no answer can be given to it.
pub fn echo<'t>(message: &Message<'t>) -> Result<(Echo, Segment<'t>), ErrorSegment> {
    let Some(qpd) = message.segment("QPD") else {
        let text = "segment QPD is missing";
        return Err(ErrorSegment::new(Location::segment("QPD"), Condition::SegmentSequence, text));
    };
    let echo = Echo {
        tag: qpd.field(2).raw.to_owned(),
        name: qpd.field(1).raw.to_owned(),
        qpd: qpd.text.to_owned(),
    };
    if qpd.field(2).text().is_empty() {
        let text = "QPD-2 is empty; without a query tag no answer can name the question";
        return Err(ErrorSegment::new(Location::field("QPD", 1, 2), Condition::Required, text));
    }
    Ok((echo, qpd))
}

/// ITI-9.
pub fn pix(
    message: &Message<'_>,
    qpd: Segment<'_>,
    findings: &mut Findings,
) -> Result<PixQuery, Vec<ErrorSegment>> {
    let mut refused: Vec<ErrorSegment> = response_control(message).err().into_iter().collect();
    let ids = qpd.field(3);
    let place = Place::of(Field::QueriedIdentifier);
    let id = ids.repetitions().next().and_then(|value| cx(value, place, findings));
    if ids.repetitions().count() > 1 {
        findings.error(
            Trouble::TooMany,
            Place::nth(Field::QueriedIdentifier, 2),
            "QPD-3 asks about more than one id",
        );
    }
    match &id {
        None if findings.errors.is_empty() => {
            findings.error(Trouble::Missing, place, "QPD-3 holds no identifier")
        }
        Some(id) if id.authority.namespace.is_none() && id.authority.universal_id.is_none() => {
            findings.error(Trouble::NoAuthority, place, "QPD-3 names no assigning authority");
        }
        _ => {}
    }
    let wanted = domains(qpd.field(4), Field::WantedDomain, findings);
    refused.extend(findings.errors.drain(..).map(|error| of(&error, Exchange::Pix)));
    match id {
        Some(id) if refused.is_empty() => Ok(PixQuery { id, wanted }),
        _ => Err(refused),
    }
}

/// QPD-4 and QPD-8: CXs of which only the authority counts. All must be named: their number is told in errors.
fn domains(field: Value<'_>, of: Field, findings: &mut Findings) -> Vec<Authority> {
    let mut wanted = vec![];
    for (i, value) in field.repetitions().enumerate() {
        let place = Place::nth(of, u32::try_from(i + 1).unwrap_or(u32::MAX));
        if value.is_null() || value.is_hollow() && field.is_hollow() {
            continue;
        }
        match authority(value.component(4), place, findings) {
            Some(authority) => wanted.push(authority),
            None => findings.error(Trouble::NoAuthority, place, "no assigning authority in component 4"),
        }
    }
    wanted
}

/// RCP: immediate answers, pages counted in records.
fn response_control(message: &Message<'_>) -> Result<Option<usize>, ErrorSegment> {
    let Some(rcp) = message.segment("RCP") else { return Ok(None) };
    let at = |field: u32| Location::field("RCP", 1, field);
    let priority = rcp.field(1).text();
    if !matches!(priority.as_str(), "" | "I") {
        let text = format!("RCP-1 {}: only immediate answers (I) are given", said(&priority));
        return Err(ErrorSegment::new(at(1), Condition::TableValue, text));
    }
    let quantity = rcp.field(2);
    let unit = quantity.component(2).subcomponent(1).text();
    if !matches!(unit.as_str(), "" | "RD") {
        let text = format!("RCP-2 counts in {}: pages are counted in records (RD)", said(&unit));
        return Err(ErrorSegment::new(at(2), Condition::TableValue, text));
    }
    let Some(number) = quantity.component(1).filled() else { return Ok(None) };
    match number.parse::<usize>() {
        Ok(size) if size > 0 => Ok(Some(size)),
        _ => {
            let text = format!("RCP-2 {} is no number of records", said(&number));
            Err(ErrorSegment::new(at(2), Condition::DataType, text))
        }
    }
}

/// ITI-21.
pub fn demographics(
    message: &Message<'_>,
    qpd: Segment<'_>,
    findings: &mut Findings,
) -> Result<(DemographicsQuery, PageAsked), Vec<ErrorSegment>> {
    let mut refused = vec![];
    let size = response_control(message).unwrap_or_else(|error| {
        refused.push(error);
        None
    });
    let pointer = message.segment("DSC").and_then(|dsc| dsc.field(1).filled());
    let mut asked = Asked::default();
    let mut parameters = 0;
    for (i, value) in qpd.field(3).repetitions().enumerate() {
        if value.is_hollow() {
            continue;
        }
        parameters += 1;
        let place = Place::nth(Field::QueryParameter, u32::try_from(i + 1).unwrap_or(u32::MAX));
        if let Err((trouble, text)) = asked.parameter(value, place) {
            findings.error(trouble, place, text);
        }
    }
    if parameters == 0 {
        let text = "QPD-3 holds no parameter";
        refused.push(ErrorSegment::new(Location::field("QPD", 1, 3), Condition::Required, text));
    }
    let returned = domains(qpd.field(8), Field::ReturnedDomain, findings);
    let query = asked.query(returned, findings);
    refused.extend(findings.errors.drain(..).map(|error| of(&error, Exchange::Demographics)));
    match refused.is_empty() {
        true => Ok((query, PageAsked { tag: qpd.field(2).text(), size, pointer })),
        false => Err(refused),
    }
}

type Refusal = (Trouble, String);

/// Parameters gathered: an identifier comes in several.
#[derive(Default)]
struct Asked {
    query: DemographicsQuery,
    account: Option<SentId>,
    /// State, city, street and the whole of PID-11.
    address: [String; 4],
}

impl Asked {
    /// One `@PID.5.1.1^value`. A name may stop at the field, the component or the subcomponent.
    fn parameter(&mut self, value: Value<'_>, place: Place) -> Result<(), Refusal> {
        let name = value.component(1).text();
        let text = value.component(2).text();
        let unsupported = || (Trouble::NotSupported, format!("parameter {} is not supported", said(&name)));
        let path = name.strip_prefix('@').unwrap_or(&name).strip_prefix("PID.").ok_or_else(unsupported)?;
        let numbers: Vec<u32> =
            path.split('.').map(|n| n.parse().map_err(|_| unsupported())).collect::<Result<_, _>>()?;
        if text.is_empty() {
            return Err((Trouble::Missing, format!("parameter {} has no value", said(&name))));
        }
        let query = &mut self.query;
        match numbers.as_slice() {
            [3 | 18, 4] | [3 | 18, 4, 1..=3] | [3 | 18, 5] => {
                let account = numbers.first() == Some(&18);
                let id = if account { self.account.as_mut() } else { query.ids.last_mut() };
                let Some(id) = id else {
                    return Err((Trouble::Missing, format!("{} comes before its identifier", said(&name))));
                };
                match numbers.as_slice() {
                    [_, 4] | [_, 4, 1] => id.authority.namespace = Some(text),
                    [_, 4, 2] => id.authority.universal_id = Some(text),
                    [_, 4, _] => id.authority.universal_id_type = Some(text),
                    _ => id.type_code = Some(text),
                }
            }
            [3] | [3, 1] | [3, 1, 1] => query.ids.push(SentId { value: text, place, ..SentId::default() }),
            [18] | [18, 1] | [18, 1, 1] => {
                self.account = Some(SentId { value: text, place, ..SentId::default() });
            }
            [5] | [5, 1] | [5, 1, 1] => query.family.push(pattern(text)?),
            [5, 2] | [5, 2, 1] => query.given.push(pattern(text)?),
            [6] | [6, 1] | [6, 1, 1] => query.mother_maiden_name = Some(pattern(text)?),
            [7] | [7, 1] => {
                let text = text.trim_end_matches('*');
                if !is_time(text, true) {
                    return Err((Trouble::BadValue, format!("{} is no date of the calendar", said(text))));
                }
                query.birth_date = Some(text.to_owned());
            }
            [8] | [8, 1] => query.sex = Some(text),
            [11, 4] => self.address[0] = whole(text)?,
            [11, 3] => self.address[1] = whole(text)?,
            [11] | [11, 1] | [11, 1, 1] => self.address[2] = whole(text)?,
            [11, 8] => self.address[3] = whole(text)?,
            [11, 5] => query.postal_code = Some(whole(text)?),
            [13] | [13, 1] | [13, 7] | [13, 12] => query.phone = Some(whole(text)?),
            _ => return Err(unsupported()),
        }
        Ok(())
    }

    fn query(self, returned: Vec<Authority>, findings: &mut Findings) -> DemographicsQuery {
        let mut query = self.query;
        for id in &query.ids {
            if id.authority.namespace.is_none() && id.authority.universal_id.is_none() {
                findings.errors.push(IdentityError {
                    trouble: Trouble::NoAuthority,
                    place: id.place,
                    text: "@PID.3.1 without @PID.3.4.1 or @PID.3.4.2: of which domain?".into(),
                });
            }
        }
        query.account = self.account.map(|account| {
            let Authority { namespace, universal_id, universal_id_type } = account.authority;
            if namespace.is_none() && universal_id.is_none() {
                return account.value;
            }
            let part = |text: Option<String>| text.unwrap_or_default();
            let kind = universal_id_type.or_else(|| universal_id.as_ref().map(|_| "ISO".to_owned()));
            let written =
                format!("{}^^^{}&{}&{}", account.value, part(namespace), part(universal_id), part(kind));
            written.trim_end_matches('&').to_owned()
        });
        let parts: Vec<&str> =
            self.address.iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
        query.address = Some(joined(parts.iter().copied())).filter(|text| !text.is_empty());
        query.returned = returned;
        query
    }
}

/// A name asked for; `*` at its end stands for what follows.
fn pattern(text: String) -> Result<(String, Representation), Refusal> {
    let beginning = text.trim_end_matches('*');
    if beginning.is_empty() || beginning.contains('*') {
        return Err((
            Trouble::NotSupported,
            format!("{}: * is supported at the end of a name only", said(&text)),
        ));
    }
    Ok(match beginning.len() == text.len() {
        true => (text, Representation::Folded),
        false => (beginning.to_owned(), Representation::Prefix),
    })
}

/// Text that is looked for anywhere: `*` around it says no more.
fn whole(text: String) -> Result<String, Refusal> {
    let inner = text.trim_matches('*');
    match inner.is_empty() || inner.contains('*') {
        true => Err((
            Trouble::NotSupported,
            format!("{}: * is supported at the ends of a value only", said(&text)),
        )),
        false => Ok(inner.to_owned()),
    }
}

/// QCN^J01: QPD-2 of the question to forget.
pub fn cancelled(message: &Message<'_>) -> Result<String, ErrorSegment> {
    let Some(qid) = message.segment("QID") else {
        let text = "segment QID is missing";
        return Err(ErrorSegment::new(Location::segment("QID"), Condition::SegmentSequence, text));
    };
    match qid.field(1).text() {
        tag if tag.is_empty() => {
            let text = "QID-1 does not name the question to cancel";
            Err(ErrorSegment::new(Location::field("QID", 1, 1), Condition::Required, text))
        }
        tag => Ok(tag),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MSH: &str = "MSH|^~\\&|V|C|M|N|20250401||QBP^Q22|1|P|2.5\r";

    fn asked(qpd_3: &str, rest: &str) -> Result<(DemographicsQuery, PageAsked), Vec<String>> {
        let text = format!("{MSH}QPD|IHE PDQ Query|T1|{qpd_3}{rest}\r");
        let message = Message::read(&text).unwrap();
        let (_, qpd) = echo(&message).unwrap();
        demographics(&message, qpd, &mut Findings::default()).map_err(|errors| {
            let said = |e: &ErrorSegment| {
                let at = e.location.as_ref().map(ToString::to_string).unwrap_or_default();
                format!("{} {at}", e.condition.code())
            };
            errors.iter().map(said).collect()
        })
    }

    #[test]
    fn parameters_become_a_query() {
        let (query, page) = asked(
            "@PID.5.1.1^山本~@PID.5.2^JEN*~@PID.7.1^19880302~@PID.8^F~@PID.11.1^1 ST~@PID.11.3^CITY~@PID.11.5^424*\
             ~@PID.13.12^054~@PID.6.1^本~@PID.3.1^5~@PID.3.4.2^1.2~@PID.3.4.3^ISO~@PID.3.1^6~@PID.3.4.1^N~@PID.18.1^A\
             ~@PID.18.4.2^1.3",
            "|||||^^^N&1.2&ISO~^^^M\rRCP|I|20^RD\rDSC|p7|I",
        )
        .unwrap();
        assert_eq!(query.family, [("山本".into(), Representation::Folded)]);
        assert_eq!(query.given, [("JEN".into(), Representation::Prefix)]);
        assert_eq!(query.address.as_deref(), Some("CITY 1 ST"));
        assert_eq!((query.postal_code.as_deref(), query.phone.as_deref()), (Some("424"), Some("054")));
        assert_eq!(query.ids.len(), 2);
        assert_eq!(query.ids[0].authority.universal_id.as_deref(), Some("1.2"));
        assert_eq!(query.account.as_deref(), Some("A^^^&1.3&ISO"));
        assert_eq!(query.returned.len(), 2);
        assert_eq!(page, PageAsked { tag: "T1".into(), size: Some(20), pointer: Some("p7".into()) });
    }

    #[test]
    fn what_cannot_be_asked_is_refused_where_it_stands() {
        let cases = [
            ("", "", "101 QPD^1^3"),
            ("@PID.5.1^山~@PID.99^x", "", "103 QPD^1^3^2"),
            ("@PV1.2^I", "", "103 QPD^1^3^1"),
            ("@PID.11.6^DE", "", "103 QPD^1^3^1"),
            ("@PID.5.1^*", "", "103 QPD^1^3^1"),
            ("@PID.5.1^a*b", "", "103 QPD^1^3^1"),
            ("@PID.7^19880230", "", "102 QPD^1^3^1"),
            ("@PID.5.1", "", "101 QPD^1^3^1"),
            ("@PID.3.1^5", "", "204 QPD^1^3^1"),
            ("@PID.3.1^5~@PID.3.4.3^ISO", "", "204 QPD^1^3^1"),
            ("@PID.3.4.1^N", "", "101 QPD^1^3^1"),
            ("@PID.8^F", "|||||^^^N~^^^", "204 QPD^1^8^2"),
            ("@PID.8^F", "\rRCP|D", "103 RCP^1^1"),
            ("@PID.8^F", "\rRCP|I|5^LI", "103 RCP^1^2"),
            ("@PID.8^F", "\rRCP|I|0^RD", "102 RCP^1^2"),
        ];
        for (qpd_3, rest, said) in cases {
            assert_eq!(asked(qpd_3, rest).err().unwrap(), [said], "{qpd_3} {rest}");
        }
    }

    #[test]
    fn a_pix_query_is_read_leniently_and_its_faults_named() {
        let ask = |qpd: &str| {
            let text = format!("{MSH}QPD|Any^Name|T1|{qpd}\r");
            let message = Message::read(&text).unwrap();
            let (_, qpd) = echo(&message).unwrap();
            pix(&message, qpd, &mut Findings::default())
                .map_err(|e| e[0].location.as_ref().unwrap().to_string())
        };
        let query = ask("5^^^N^PI|^^^A~^^^&1.2&ISO").unwrap();
        assert_eq!((query.id.value.as_str(), query.wanted.len()), ("5", 2));
        assert!(ask("5^^^N|").unwrap().wanted.is_empty());
        assert_eq!(ask("").unwrap_err(), "QPD^1^3");
        assert_eq!(ask("5").unwrap_err(), "QPD^1^3^1^4");
        assert_eq!(ask("5^^^N~6^^^N").unwrap_err(), "QPD^1^3^2");
        assert_eq!(ask("5^^^N|^^^A~x").unwrap_err(), "QPD^1^4^2");
    }

    #[test]
    fn a_question_without_a_tag_is_none() {
        let said = |rest: &str| {
            let text = format!("{MSH}{rest}\r");
            let message = Message::read(&text).unwrap();
            echo(&message).map(|(e, _)| e.tag).map_err(|e| e.location.unwrap().to_string())
        };
        assert_eq!(said("QPD|N|T1|x"), Ok("T1".into()));
        assert_eq!(said("QPD|N||x"), Err("QPD^1^2".into()));
        assert_eq!(said("RCP|I"), Err("QPD".into()));
        let text = format!("{MSH}QID|T1|N\r");
        assert_eq!(cancelled(&Message::read(&text).unwrap()).ok(), Some("T1".into()));
        let text = format!("{MSH}QID|\r");
        assert!(cancelled(&Message::read(&text).unwrap()).is_err());
    }
}
