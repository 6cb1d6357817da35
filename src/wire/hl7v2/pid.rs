//! PID and IN1 both ways: what a message says of its patient, and what an answer says of one (HL7 v2.5 3.4.2,
//! 6.5.6; ITI TF-2 3.8.4.1.2, 3.30.5; SS-MIX2).

use super::error::said;
use super::escape;
use super::message::{Delimiters, Message, Segment, Value};
use super::types::{
    Findings, Identifier, cx, cx_text, repetitions, write_cx, write_xad, write_xpn, write_xtn, xad, xpn, xtn,
};
use crate::model::identity::text::is_time;
use crate::model::identity::{
    Demographics, Field, Insurance, PhoneUse, Place, Sent, SentId, Trouble, Update,
};

/// HL7 table 0001.
const SEXES: &[&str] = &["M", "F", "O", "U", "A", "N"];

/// JHSD0001, the kinds that insure a person; 公費 rows name payers and are no evidence of who somebody is.
pub const INSURANCES: &[&str] = &[
    "01", "02", "03", "04", "06", "07", "31", "32", "33", "34", "39", "63", "67", "72", "73", "74", "75",
    "C0",
];

/// The ids of PID-3 (and of MRG-1).
pub fn ids(field: Value<'_>, of: Field, findings: &mut Findings) -> Vec<SentId> {
    let place = |i: usize| Place::nth(of, u32::try_from(i + 1).unwrap_or(u32::MAX));
    field.repetitions().enumerate().filter_map(|(i, value)| cx(value, place(i), findings)).collect()
}

/// Everything else a message says of its patient. `branch`: the component of IN1-10 that holds the 枝番, 0 for none.
pub fn sent(message: &Message<'_>, pid: Segment<'_>, branch: usize, findings: &mut Findings) -> Sent {
    let f = |n: usize| pid.field(n);
    let at = Place::of;
    Sent {
        names: list(f(5), |value| xpn(value, at(Field::Name), findings)),
        birth_date: checked(f(7), at(Field::BirthDate), findings, |text| {
            is_time(text, true)
                .then_some(text.to_owned())
                .ok_or((Trouble::BadValue, "no date of the calendar"))
        }),
        sex: checked(f(8), at(Field::Sex), findings, |text| {
            let known = SEXES.contains(&text);
            known.then_some(text.to_owned()).ok_or((Trouble::BadCode, "not in table 0001 (M F O U A N)"))
        }),
        addresses: list(f(11), xad),
        phones: phones(f(13), f(14)),
        insurances: insurances(message, branch),
        mother_maiden_name: first(list(f(6), |value| xpn(value, at(Field::MotherName), findings))),
        mother_id: first(list(f(21), cx_text)),
        multiple_birth: yes_no(f(24), at(Field::BirthOrder), findings),
        birth_order: checked(f(25), at(Field::BirthOrder), findings, |text| {
            let order = text.parse::<i64>().ok().filter(|n| (1..=99).contains(n));
            order.ok_or((Trouble::BadValue, "no order of birth"))
        }),
        account: first(list(f(18), cx_text)),
        deceased: deceased(f(29), f(30), findings),
        unknown: yes_no(f(31), at(Field::Message), findings),
        updated: match checked(f(33), at(Field::EventTime), findings, |text| {
            is_time(text, false).then_some(text.to_owned()).ok_or((Trouble::BadValue, "PID-33 is no time"))
        }) {
            Update::Keep => occurred(message).map_or(Update::Keep, Update::Set),
            said => said,
        },
    }
}

/// EVN-6, or EVN-2: when it happened.
pub fn occurred(message: &Message<'_>) -> Option<String> {
    let evn = message.segment("EVN")?;
    [6, 2].iter().find_map(|n| evn.field(*n).component(1).filled())
}

/// Repetitions that hold something; a field of `""` deletes.
fn list<T>(field: Value<'_>, mut read: impl FnMut(Value<'_>) -> Option<T>) -> Update<Vec<T>> {
    if field.is_null() {
        return Update::Delete;
    }
    let values: Vec<T> = field.repetitions().filter_map(&mut read).collect();
    if values.is_empty() { Update::Keep } else { Update::Set(values) }
}

fn first<T>(values: Update<Vec<T>>) -> Update<T> {
    match values {
        Update::Set(values) => values.into_iter().next().map_or(Update::Keep, Update::Set),
        Update::Keep => Update::Keep,
        Update::Delete => Update::Delete,
    }
}

fn checked<T>(
    field: Value<'_>,
    place: Place,
    findings: &mut Findings,
    check: impl FnOnce(&str) -> Result<T, (Trouble, &'static str)>,
) -> Update<T> {
    if field.is_null() {
        return Update::Delete;
    }
    // PID-7 is a TS in 2.5, and PID-8 a CWE later: their first component is what they always were.
    let Some(text) = field.component(1).filled() else { return Update::Keep };
    match check(&text) {
        Ok(value) => Update::Set(value),
        Err((trouble, what)) => {
            findings.error(trouble, place, format!("{} is {what}", said(&text)));
            Update::Keep
        }
    }
}

fn yes_no(field: Value<'_>, place: Place, findings: &mut Findings) -> Update<bool> {
    checked(field, place, findings, |text| match text {
        "Y" => Ok(true),
        "N" => Ok(false),
        _ => Err((Trouble::BadCode, "neither Y nor N")),
    })
}

/// PID-13 and PID-14 are one list here: what either says replaces it, and `""` in one deletes it where the other
/// says nothing.
fn phones(home: Value<'_>, work: Value<'_>) -> Update<Vec<crate::model::identity::Phone>> {
    let both =
        [list(home, |value| xtn(value, PhoneUse::Home)), list(work, |value| xtn(value, PhoneUse::Work))];
    let deleted = both.contains(&Update::Delete);
    let mut all = vec![];
    for update in both {
        if let Update::Set(values) = update {
            all.extend(values);
        }
    }
    match (all.is_empty(), deleted) {
        (false, _) => Update::Set(all),
        (true, true) => Update::Delete,
        (true, false) => Update::Keep,
    }
}

/// PID-29 and PID-30.
fn deceased(time_of: Value<'_>, indicator: Value<'_>, findings: &mut Findings) -> Update<String> {
    let when = checked(time_of, Place::of(Field::Death), findings, |text| {
        is_time(text, true).then_some(text.to_owned()).ok_or((Trouble::BadValue, "no time of the calendar"))
    });
    match (yes_no(indicator, Place::of(Field::Death), findings), when) {
        (Update::Set(false) | Update::Delete, _) => Update::Delete,
        (_, Update::Set(when)) => Update::Set(when),
        (Update::Set(true), _) => Update::Set(String::new()),
        (Update::Keep, when) => when,
    }
}

/// IN1 rows that say who somebody is: insurer and number are needed for that.
fn insurances(message: &Message<'_>, branch: usize) -> Update<Vec<Insurance>> {
    let rows: Vec<Segment<'_>> = message.all("IN1").collect();
    if rows.iter().any(|row| row.field(2).is_null() || row.field(3).is_null()) {
        return Update::Delete;
    }
    let found: Vec<Insurance> = rows
        .iter()
        .filter(|row| {
            let plan = row.field(2).component(1).text();
            plan.is_empty() || INSURANCES.contains(&plan.as_str())
        })
        .filter_map(|row| {
            let insurance = Insurance {
                insurer: row.field(3).component(1).filled()?,
                symbol: row.field(10).component(1).text(),
                number: row.field(11).component(1).filled()?,
                branch: row.field(10).component(branch).filled().filter(|_| branch > 1),
            };
            Some(insurance)
        })
        .collect();
    if found.is_empty() { Update::Keep } else { Update::Set(found) }
}

/// A patient as a PID. `number` is PID-1.
pub fn write(number: usize, ids: &[Identifier], of: &Demographics, delimiters: Delimiters) -> String {
    let d = delimiters;
    let escaped = |text: &Option<String>| escape::escaped(text.as_deref().unwrap_or_default(), d);
    let standard = |text: &Option<String>| {
        escape::transcode(text.as_deref().unwrap_or_default(), Delimiters::STANDARD, d)
    };
    let yes = |flag: Option<bool>| flag.map_or("", |yes| if yes { "Y" } else { "N" }).to_owned();
    let phones = |work: bool| {
        let of_field = of.phones.iter().flatten().filter(|p| (p.usage == PhoneUse::Work) == work);
        repetitions(of_field.map(|phone| write_xtn(phone, d)), d)
    };
    let mut fields: Vec<String> = vec![String::new(); 34];
    let mut set = |n: usize, value: String| {
        if let Some(field) = fields.get_mut(n) {
            *field = value;
        }
    };
    set(0, "PID".into());
    set(1, number.to_string());
    set(3, repetitions(ids.iter().map(|id| write_cx(id, d)), d));
    set(5, repetitions(of.names.iter().flatten().map(|name| write_xpn(name, d)), d));
    set(6, of.mother_maiden_name.as_ref().map(|name| write_xpn(name, d)).unwrap_or_default());
    set(7, escaped(&of.birth_date));
    set(8, escaped(&of.sex));
    set(11, repetitions(of.addresses.iter().flatten().map(|address| write_xad(address, d)), d));
    set(13, phones(false));
    set(14, phones(true));
    set(18, standard(&of.account));
    set(21, standard(&of.mother_id));
    set(24, yes(of.multiple_birth));
    set(25, of.birth_order.map(|n| n.to_string()).unwrap_or_default());
    if let Some(when) = &of.deceased {
        set(29, escape::escaped(when, d));
        set(30, "Y".into());
    }
    set(31, yes(of.unknown));
    set(33, escaped(&of.updated));
    let used = fields.iter().rposition(|field| !field.is_empty()).map_or(0, |last| last + 1);
    fields.truncate(used);
    fields.join(&d.field.to_string())
}

/// Insurances as IN1 segments. `branch` as in [`sent`].
pub fn write_insurances(of: &Demographics, branch: usize, delimiters: Delimiters) -> Vec<String> {
    let d = delimiters;
    let row = |(i, insurance): (usize, &Insurance)| {
        let mut symbol = vec![insurance.symbol.as_str()];
        if let Some(number) = &insurance.branch
            && branch > 1
        {
            symbol.resize(branch - 1, "");
            symbol.push(number);
        }
        let mut fields = vec![String::new(); 12];
        for (n, value) in [
            (0, "IN1".to_owned()),
            (1, (i + 1).to_string()),
            (3, escape::escaped(&insurance.insurer, d)),
            (10, super::types::components(&symbol, d)),
            (11, escape::escaped(&insurance.number, d)),
        ] {
            if let Some(field) = fields.get_mut(n) {
                *field = value;
            }
        }
        fields.join(&d.field.to_string())
    };
    of.insurances.iter().flatten().enumerate().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::identity::{NameScript, NameUse};

    const MSH: &str = "MSH|^~\\&|HIS|F|M|N|20250401||ADT^A08^ADT_A01|1|P|2.5\rEVN||20250401||||20250331\r";

    fn read(rest: &str) -> (Sent, Vec<SentId>, Findings) {
        let text = format!("{MSH}{rest}\r");
        let message = Message::read(&text).unwrap();
        let mut findings = Findings::default();
        let pid = message.segment("PID").unwrap();
        let ids = ids(pid.field(3), Field::Identifier, &mut findings);
        let sent = sent(&message, pid, 8, &mut findings);
        (sent, ids, findings)
    }

    fn known(rest: &str) -> Demographics {
        let mut known = Demographics::default();
        read(rest).0.over(&mut known);
        known
    }

    #[test]
    fn a_japanese_patient_is_read_whole() {
        let of = known(
            "PID|1||00012345^^^HOSPA&1.2.392.1&ISO^PI||芹沢^京子^^^^^L^I~セリザワ^キョウコ^^^^^L^P~須藤^京子^^^^^M^I|\
             須藤^花^^^^^^I|19900214|F|||^^^^438-0078^JPN^H^静岡県磐田市本町２−８||^PRN^CP^^^^^^^^^080-0000-0007|\
             ^WPN^PH^^^^^^^^^054-1||||A1^^^&1.2.3&ISO|||77^^^HOSPA&1.2.392.1&ISO^PI|||Y|2||||20250101|Y\r\
             IN1|1|01^x^JHSD0001|01220011|||||||12345678^^^^^^^02|901\rIN1|2|12^生保^JHSD0001|12220011||||||||999",
        );
        let names = of.names.unwrap();
        assert_eq!(names.len(), 3);
        assert_eq!((names[2].usage, names[1].script), (NameUse::Maiden, Some(NameScript::Phonetic)));
        assert_eq!(of.mother_maiden_name.unwrap().family, "須藤");
        let phones = of.phones.unwrap();
        assert_eq!((phones[0].usage, phones[1].usage), (PhoneUse::Mobile, PhoneUse::Work));
        let insurances = of.insurances.unwrap();
        assert_eq!(insurances.len(), 1, "公費 is no evidence");
        assert_eq!(
            (insurances[0].symbol.as_str(), insurances[0].branch.as_deref()),
            ("12345678", Some("02"))
        );
        assert_eq!((of.multiple_birth, of.birth_order), (Some(true), Some(2)));
        assert_eq!(
            (of.deceased.as_deref(), of.account.as_deref()),
            (Some("20250101"), Some("A1^^^&1.2.3&ISO"))
        );
        assert_eq!(of.mother_id.as_deref(), Some("77^^^HOSPA&1.2.392.1&ISO^PI"));
        assert_eq!(of.updated.as_deref(), Some("20250331"));
    }

    #[test]
    fn empty_keeps_and_null_deletes() {
        let (sent, ids, _) = read("PID|1||\"\"^^^&2.71&ISO~5^^^N||a^b||\"\"||||\"\"||\"\"");
        assert_eq!((ids.len(), ids[0].place.repetition), (1, 2));
        assert_eq!((sent.birth_date, sent.sex), (Update::Delete, Update::Keep));
        assert!(sent.addresses == Update::Delete && sent.phones == Update::Delete);
        let (sent, ..) = read("PID|1||5^^^N|| ||||||||\"\"|^WPN^PH^^^^^^^^^1");
        assert!(sent.names == Update::Keep && sent.addresses == Update::Keep);
        let Update::Set(phones) = sent.phones else { panic!() };
        assert_eq!(phones.len(), 1);
        assert!(read("PID|||1\rIN1|1|\"\"").0.insurances == Update::Delete);
    }

    #[test]
    fn an_absent_branch_is_not_00_and_rows_without_a_number_are_no_evidence() {
        let of = known("PID|||1\rIN1|1|67^x|67999991\rIN1|2|C0|220012|||||||静・あ|００１２３４");
        let insurances = of.insurances.unwrap();
        assert_eq!((insurances.len(), insurances[0].branch.clone()), (1, None));
    }

    #[test]
    fn impossible_values_are_errors_of_their_fields() {
        let (_, _, findings) = read("PID|||1||a||19900230|X||||||||||||||||Q|zwei");
        let found: Vec<(Trouble, Field)> =
            findings.errors.iter().map(|e| (e.trouble, e.place.field)).collect();
        assert_eq!(
            found,
            [
                (Trouble::BadValue, Field::BirthDate),
                (Trouble::BadCode, Field::Sex),
                (Trouble::BadCode, Field::BirthOrder),
                (Trouble::BadValue, Field::BirthOrder)
            ]
        );
        assert!(read("PID|||1||a||19480000").2.errors.is_empty());
    }

    #[test]
    fn dead_and_alive() {
        let deceased = |rest: &str| read(rest).0.deceased;
        let blank = "|".repeat(26);
        assert!(deceased(&format!("PID|||1{blank}|Y")) == Update::Set(String::new()));
        assert!(deceased(&format!("PID|||1{blank}|N")) == Update::Delete);
        assert!(deceased("PID|||1") == Update::Keep);
    }

    #[test]
    fn what_an_answer_writes_a_feed_reads() {
        let of = known(
            "PID|1||1||山本^美咲^^^^^L^I~ヤマモト^ミサキ^^^^^L^P|本^花^^^^^L^I|19880302|F|||^^^^424-0815^JPN^H^静岡||\
             ^PRN^PH^^^^^^^^^054-0|^WPN^PH^^^^^^^^^055||||9^^^&1.2&ISO|||8^^^N|||Y|1||||2025|Y|N||20250331\r\
             IN1|1|01|01220011|||||||12^^^^^^^02|901",
        );
        let others =
            Delimiters { field: '$', component: '%', repetition: '*', escape: '!', subcomponent: '+' };
        for d in [Delimiters::STANDARD, others] {
            let id = Identifier { value: "5".into(), namespace: "N".into(), oid: "1.2".into() };
            let lines: Vec<String> =
                std::iter::once(write(1, &[id], &of, d)).chain(write_insurances(&of, 8, d)).collect();
            let text =
                format!("MSH{}{}{}\r{}\r", d.field, d.encoding_characters(), d.field, lines.join("\r"));
            let message = Message::read(&text).unwrap();
            let mut again = Demographics::default();
            let mut findings = Findings::default();
            sent(&message, message.segment("PID").unwrap(), 8, &mut findings).over(&mut again);
            assert!(again == of && findings.errors.is_empty());
        }
    }
}
