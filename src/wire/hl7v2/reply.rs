//! Answers: ACK, RSP^K23, RSP^K22 (ITI TF-2 C.2.3, 3.9.4.2, 3.21.4.2), in the delimiters, the version and the
//! character set of what they answer.

use super::charset::{CharacterSet, Encoded, Label, encode};
use super::error::{Ack, ErrorSegment};
use super::escape::{self, escaped};
use super::header::{Header, Version};
use super::message::Delimiters;
use super::pid;
use super::query::Echo;
use super::types::{Identifier, components, repetitions, write_cx};
use crate::model::identity::Demographics;

/// What an answer has of its own.
#[derive(Debug, Clone, Copy)]
pub struct Answering<'a> {
    /// MSH-7: `YYYYMMDDhhmmss±ZZZZ`.
    pub time: &'a str,
    /// MSH-10, at most 20 characters.
    pub control_id: &'a str,
}

/// A patient in an answer to ITI-21.
#[derive(Clone, PartialEq, Eq)]
pub struct Hit<'a> {
    /// In the domains asked for.
    pub ids: Vec<Identifier>,
    pub demographics: &'a Demographics,
    /// QRI-1, 0 to 100.
    pub confidence: u8,
}

/// QAK-4 to QAK-6, and where to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals<'a> {
    pub total: u64,
    pub here: u64,
    pub remaining: u64,
    /// DSC-1.
    pub next: Option<&'a str>,
}

/// ACK: to feeds and cancels, and to what is refused before anybody knows what it is.
pub fn acknowledge(
    header: Option<&Header>,
    answering: Answering<'_>,
    ack: Ack,
    errors: &[ErrorSegment],
) -> Encoded {
    let mut answer = Answer::new(header, answering, false);
    let event = header.map(|h| h.event.as_str()).unwrap_or_default();
    let parts: &[&str] = match (event, answer.version) {
        ("", _) => &["ACK"],
        (event, Version::V231) => &["ACK", event],
        (event, Version::V25) => &["ACK", event, "ACK"],
    };
    answer.begin(&components(parts, answer.delimiters), ack, errors);
    answer.finish()
}

/// RSP^K23. None found: `NF`, and no PID.
pub fn pix(header: &Header, answering: Answering<'_>, echo: &Echo, ids: &[Identifier]) -> Encoded {
    let mut answer = Answer::new(Some(header), answering, true);
    let d = answer.delimiters;
    answer.begin(&components(&["RSP", "K23", "RSP_K23"], d), Ack::Accept, &[]);
    answer.query(echo, if ids.is_empty() { "NF" } else { "OK" }, None);
    if !ids.is_empty() {
        let ids = repetitions(ids.iter().map(|id| write_cx(id, d)), d);
        // No name is told: one repetition without any, one that says so (ITI TF-2 3.9.4.2.2.5).
        let nameless = format!("{}{}", d.repetition, components(&["", "", "", "", "", "", "S"], d));
        answer.line(&["PID", "", "", &ids, "", &nameless]);
    }
    answer.finish()
}

/// RSP^K22: a PID and a QRI for each patient.
pub fn demographics(
    header: &Header,
    answering: Answering<'_>,
    echo: &Echo,
    hits: &[Hit<'_>],
    totals: Totals<'_>,
) -> Encoded {
    let mut answer = Answer::new(Some(header), answering, true);
    let d = answer.delimiters;
    answer.begin(&components(&["RSP", "K22", "RSP_K21"], d), Ack::Accept, &[]);
    answer.query(echo, if totals.total == 0 { "NF" } else { "OK" }, Some(totals));
    // A patient without an id in the domains asked for is left out (ITI TF-2 3.21.4.2.2.8).
    for (i, hit) in hits.iter().filter(|hit| !hit.ids.is_empty()).enumerate() {
        answer.text.push_str(&pid::write(i + 1, &hit.ids, hit.demographics, d));
        answer.text.push('\r');
        answer.line(&["QRI", &hit.confidence.to_string()]);
    }
    if let Some(next) = totals.next {
        answer.line(&["DSC", &escaped(next, d), "I"]);
    }
    answer.finish()
}

/// A question refused: the answer of its kind with `AE`, or `AR`, its errors, and no patient.
pub fn refuse_question(
    header: &Header,
    answering: Answering<'_>,
    echo: &Echo,
    ack: Ack,
    errors: &[ErrorSegment],
) -> Encoded {
    let mut answer = Answer::new(Some(header), answering, true);
    let parts = match header.event.as_str() {
        "Q23" => ["RSP", "K23", "RSP_K23"],
        _ => ["RSP", "K22", "RSP_K21"],
    };
    answer.begin(&components(&parts, answer.delimiters), ack, errors);
    answer.query(echo, ack.code(), None);
    answer.finish()
}

struct Answer<'a> {
    header: Option<&'a Header>,
    answering: Answering<'a>,
    delimiters: Delimiters,
    version: Version,
    /// An answer that may hold names says its character set; an ACK only if it needs one.
    labelled: bool,
    text: String,
}

impl<'a> Answer<'a> {
    fn new(header: Option<&'a Header>, answering: Answering<'a>, labelled: bool) -> Self {
        Self {
            header,
            answering,
            delimiters: header.map_or(Delimiters::STANDARD, |h| h.delimiters),
            version: header.map_or(Version::V25, Header::version),
            labelled,
            text: String::new(),
        }
    }

    /// A segment, empty fields at its end left out.
    fn line(&mut self, fields: &[&str]) {
        let used = fields.iter().rposition(|field| !field.is_empty()).map_or(0, |last| last + 1);
        let joined = fields.get(..used).unwrap_or_default().join(&self.delimiters.field.to_string());
        self.text.push_str(&joined);
        self.text.push('\r');
    }

    /// MSA and ERR; MSH follows in [`finish`](Self::finish), once it is known what characters there are.
    fn begin(&mut self, kind: &str, ack: Ack, errors: &[ErrorSegment]) {
        self.text.push_str(kind);
        self.text.push('\r');
        let id = self.header.map(|h| h.control_id.as_str()).unwrap_or_default();
        // MSA-3 is for those who read no ERR-8; later versions forbid it.
        let said = errors.first().filter(|_| self.version == Version::V231);
        let said = said.map(|e| e.text.chars().take(80).collect::<String>()).unwrap_or_default();
        let said = escaped(&said, self.delimiters);
        self.line(&["MSA", ack.code(), id, &said]);
        match self.version {
            Version::V231 => self.errors_231(errors),
            Version::V25 => errors.iter().for_each(|error| self.error_25(error)),
        }
    }

    /// ERR-1, a repetition for each: `segment^sequence^field^code&text&HL70357`.
    fn errors_231(&mut self, errors: &[ErrorSegment]) {
        let d = self.delimiters;
        let one = |error: &ErrorSegment| {
            let mut parts = error.location.as_ref().map(|l| l.parts()).unwrap_or_default();
            parts.resize(3, String::new());
            let condition = error.condition;
            let code = [condition.code(), condition.meaning(), "HL70357"].join(&d.subcomponent.to_string());
            format!("{}{}{code}", parts.join(&d.component.to_string()), d.component)
        };
        if !errors.is_empty() {
            let all = repetitions(errors.iter().map(one), d);
            self.line(&["ERR", &all]);
        }
    }

    fn error_25(&mut self, error: &ErrorSegment) {
        let d = self.delimiters;
        let locations = error.location.iter().chain(&error.also);
        let location = repetitions(locations.map(|l| l.parts().join(&d.component.to_string())), d);
        let condition = components(&[error.condition.code(), error.condition.meaning(), "HL70357"], d);
        let text = escaped(&error.text.chars().take(250).collect::<String>(), d);
        let severity = error.severity.code();
        self.line(&["ERR", "", &location, &condition, severity, "", "", "", &text]);
    }

    /// QAK and the QPD asked.
    fn query(&mut self, echo: &Echo, status: &str, totals: Option<Totals<'_>>) {
        let numbers = totals.map(|t| [t.total, t.here, t.remaining].map(|n| n.to_string()));
        let [total, here, remaining] = numbers.unwrap_or_default();
        self.line(&["QAK", &echo.tag, status, &echo.name, &total, &here, &remaining]);
        self.text.push_str(&echo.qpd);
        self.text.push('\r');
    }

    fn finish(self) -> Encoded {
        let d = self.delimiters;
        let (kind, rest) = self.text.split_once('\r').unwrap_or((&self.text, ""));
        let h = self.header;
        let raw = |of: fn(&Header) -> &String| h.map(of).map(String::as_str).unwrap_or_default();
        let from = [raw(|h| &h.receiving_application), raw(|h| &h.receiving_facility)];
        let to = [raw(|h| &h.sending_application), raw(|h| &h.sending_facility)];
        let processing =
            h.map(|h| h.processing.as_str()).filter(|p| matches!(*p, "P" | "T" | "D")).unwrap_or("P");
        let needed =
            self.labelled || ![from.concat(), to.concat(), rest.to_owned()].iter().all(|s| s.is_ascii());
        let label = h.map(|h| &h.label).filter(|l| needed && l.set != CharacterSet::Ascii).cloned();
        let label = label.unwrap_or(Label::ASCII);
        let msh_18 = escape_label(&label.msh_18, d);
        // Whatever the delimiters are: a full stop, a plus sign.
        let [time, version, msh_20] =
            [self.answering.time, self.version.as_str(), label.msh_20.as_str()].map(|text| escaped(text, d));
        let fields = [
            "MSH",
            &d.encoding_characters(),
            from[0],
            from[1],
            to[0],
            to[1],
            &time,
            "",
            kind,
            self.answering.control_id,
            processing,
            &version,
            "",
            "",
            "",
            "",
            "",
            &msh_18,
            "",
            &msh_20,
        ];
        let used = fields.iter().rposition(|field| !field.is_empty()).map_or(0, |last| last + 1);
        let msh = fields.get(..used).unwrap_or_default().join(&d.field.to_string());
        encode(&format!("{msh}\r{rest}"), label.set)
    }
}

/// MSH-18 is kept in the standard's delimiters.
fn escape_label(msh_18: &str, d: Delimiters) -> String {
    escape::transcode(msh_18, Delimiters::STANDARD, d)
}

#[cfg(test)]
mod tests {
    use super::super::charset::decode;
    use super::super::error::{Condition, Location};
    use super::super::request::{Body, Settings, read};
    use super::*;

    const ANSWERING: Answering<'static> = Answering { time: "20250401101501+0900", control_id: "R1" };

    fn header(text: &[u8]) -> Header {
        match read(text, &Settings::default()) {
            Ok(request) => request.header,
            Err(refused) => refused.header.unwrap(),
        }
    }

    fn text(encoded: &Encoded) -> String {
        decode(&encoded.bytes, CharacterSet::Ascii, false).text
    }

    fn missing() -> ErrorSegment {
        let location = Location::field("PID", 1, 3).repetition(1).component(4);
        ErrorSegment::new(location, Condition::UnknownKey, "authority A&B is not known")
    }

    #[test]
    fn an_ack_speaks_the_version_of_its_sender() {
        let h = header(b"MSH|^~\\&|HIS|F|MPI|N|2025||ADT^A08^ADT_A01| M1|P|2.5\r");
        assert_eq!(
            text(&acknowledge(Some(&h), ANSWERING, Ack::Error, &[missing()])),
            "MSH|^~\\&|MPI|N|HIS|F|20250401101501+0900||ACK^A08^ACK|R1|P|2.5\rMSA|AE| M1\r\
             ERR||PID^1^3^1^4|204^Unknown key identifier^HL70357|E||||authority A\\T\\B is not known\r"
        );
        let h = header(b"MSH|^~\\&|HIS|F|MPI|N|2025||ADT^A08|M1|T|2.3.1\r");
        assert_eq!(
            text(&acknowledge(Some(&h), ANSWERING, Ack::Error, &[missing()])),
            "MSH|^~\\&|MPI|N|HIS|F|20250401101501+0900||ACK^A08|R1|T|2.3.1\r\
             MSA|AE|M1|authority A\\T\\B is not known\rERR|PID^1^3^204&Unknown key identifier&HL70357\r"
        );
        assert_eq!(
            text(&acknowledge(None, ANSWERING, Ack::Reject, &[])),
            "MSH|^~\\&|||||20250401101501+0900||ACK|R1|P|2.5\rMSA|AR\r"
        );
    }

    #[test]
    fn answers_use_the_delimiters_of_the_question() {
        let h = header(b"MSH$%*!+$HIS$F$MPI$N$2025$$ADT%A08$M1$P$2.5\r");
        let written = text(&acknowledge(Some(&h), ANSWERING, Ack::Error, &[missing()]));
        assert!(
            written.contains("ERR$$PID%1%3%1%4$204%Unknown key identifier%HL70357$E$$$$authority A&B"),
            "{written}"
        );
    }

    #[test]
    fn answers_survive_the_oddest_delimiters_and_keep_blanks() {
        for (msh, id) in [("MSH+.:;,+HIS", " M1 "), ("MSH-^~\\&-HIS", "M1"), ("MSH|^~\\&|HIS", " M 1  ")] {
            let f = msh.chars().nth(3).unwrap().to_string();
            let text = format!("{msh}|F|M|N|2025||ADT|{id}|P|2\r").replace('|', &f);
            let h = header(text.as_bytes());
            let answer = acknowledge(Some(&h), ANSWERING, Ack::Accept, &[]);
            let read = super::super::answer::read(&answer.bytes).unwrap();
            assert_eq!((read.code.as_str(), read.control_id.as_str()), ("AA", id), "{}", read.text);
        }
    }

    fn question(msh: &str, qpd: &str) -> (Header, Echo) {
        let asked = format!("{msh}\rQPD|N|T1|{qpd}\rRCP|I\r");
        let bytes = encode(&asked, CharacterSet::Iso2022Jp).bytes;
        match read(&bytes, &Settings::default()).unwrap() {
            super::super::request::Request {
                header,
                body: Body::Pix(echo, _) | Body::Demographics(echo, ..),
                ..
            } => (header, echo),
            _ => panic!("no question"),
        }
    }

    #[test]
    fn a_pix_answer_names_ids_and_nothing_else() {
        let (h, echo) = question("MSH|^~\\&|V|C|M|N|2025||QBP^Q23^QBP_Q21|1|P|2.5", "5^^^N|^^^A");
        let id = Identifier { value: "7".into(), namespace: "A".into(), oid: "1.2".into() };
        assert_eq!(
            text(&pix(&h, ANSWERING, &echo, &[id])),
            "MSH|^~\\&|M|N|V|C|20250401101501+0900||RSP^K23^RSP_K23|R1|P|2.5\rMSA|AA|1\rQAK|T1|OK|N\r\
             QPD|N|T1|5^^^N|^^^A\rPID|||7^^^A&1.2&ISO^PI||~^^^^^^S\r"
        );
        assert!(text(&pix(&h, ANSWERING, &echo, &[])).ends_with("QAK|T1|NF|N\rQPD|N|T1|5^^^N|^^^A\r"));
        let refused = text(&refuse_question(&h, ANSWERING, &echo, Ack::Error, &[missing()]));
        assert!(refused.contains("MSA|AE|1\rERR||PID") && refused.contains("QAK|T1|AE|N\rQPD|"), "{refused}");
    }

    #[test]
    fn demographics_come_in_the_character_set_of_the_question() {
        let msh = "MSH|^~\\&|V|C|M|N|2025||QBP^Q22^QBP_Q21|1|P|2.5||||||~ISO IR87||ISO 2022-1994";
        let (h, echo) = question(msh, "@PID.5.1^山本");
        let of = Demographics { sex: Some("F".into()), ..Demographics::default() };
        let id = Identifier { value: "7".into(), namespace: "A".into(), oid: "1.2".into() };
        let hits = [
            Hit { ids: vec![id], demographics: &of, confidence: 97 },
            Hit { ids: vec![], demographics: &of, confidence: 90 },
        ];
        let totals = Totals { total: 5, here: 2, remaining: 3, next: Some("p1") };
        let answer = demographics(&h, ANSWERING, &echo, &hits, totals);
        assert_eq!(
            text(&answer),
            "MSH|^~\\&|M|N|V|C|20250401101501+0900||RSP^K22^RSP_K21|R1|P|2.5||||||~ISO IR87||ISO 2022-1994\r\
             MSA|AA|1\rQAK|T1|OK|N|5|2|3\rQPD|N|T1|@PID.5.1^山本\rPID|1||7^^^A&1.2&ISO^PI|||||F\rQRI|97\rDSC|p1|I\r"
        );
        assert!(answer.bytes.windows(8).any(|w| w == b"\x1b$B;3K\\\x1b"));
        let none = text(&demographics(&h, ANSWERING, &echo, &[], Totals::default()));
        assert!(none.contains("QAK|T1|NF|N|0|0|0\r"), "{none}");
    }
}
