//! A message as it came, to what it asks: decoding, splitting, MSH, then the feed or question; or the reason it is
//! refused, with what an acknowledgement needs.

use super::charset::{self, CharacterSet, Decoded, Label};
use super::error::{Ack, Condition, ErrorSegment, Location};
use super::header::{CONTROL_ID_STANDARD, Header, Kind};
use super::message::{Delimiters, MOST_SEGMENTS, Message, Segment};
use super::query::{Echo, PageAsked};
use super::types::Findings;
use super::{feed, pid, query};
use crate::model::identity::{DemographicsQuery, FeedMessage, Field, PixQuery, Place};
use crate::model::transaction::Transaction;

/// How messages are read here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Feeds without a name are refused (ITI-8: PID-5 is required); else they are taken, with a warning.
    pub require_name: bool,
    /// ADT events that are acknowledged and change nothing.
    pub acknowledged_events: Vec<String>,
    /// Component of IN1-10 that holds the 枝番; 0: none does.
    pub insurance_branch: usize,
    pub senders: Vec<Sender>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            require_name: false,
            acknowledged_events: ["A03", "A11", "A13"].map(str::to_owned).to_vec(),
            insurance_branch: 8,
            senders: vec![],
        }
    }
}

/// What is known of a sender beforehand.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sender {
    /// MSH-3.1 and MSH-4.1 it is known by; `None`: any.
    pub application: Option<String>,
    pub facility: Option<String>,
    /// It sends Shift_JIS, or 8-bit katakana, whatever MSH-18 says.
    pub shift_jis: bool,
}

impl Settings {
    fn sender(&self, application: &str, facility: &str) -> Option<&Sender> {
        let is = |known: &Option<String>, said: &str| known.as_ref().is_none_or(|known| known == said);
        self.senders.iter().find(|s| is(&s.application, application) && is(&s.facility, facility))
    }
}

/// A message that can be acted upon.
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    pub header: Header,
    pub transaction: Transaction,
    pub body: Body,
}

#[derive(Clone, PartialEq, Eq)]
pub enum Body {
    Feed(Box<FeedMessage>),
    Pix(Echo, PixQuery),
    Demographics(Echo, Box<DemographicsQuery>, PageAsked),
    /// QPD-2 of the question.
    Cancel(String),
}

impl Body {
    /// For logs: what kind of thing it is, and nothing of the patient.
    pub fn summary(&self) -> &'static str {
        match self {
            Body::Feed(_) => "feed",
            Body::Pix(..) => "PIX query",
            Body::Demographics(..) => "demographics query",
            Body::Cancel(_) => "cancel",
        }
    }
}

impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Request({} {})", self.transaction.code(), self.body.summary())
    }
}

/// A message that is refused.
#[derive(Clone, PartialEq, Eq)]
pub struct Refused {
    /// `None`: there is no MSH to answer to.
    pub header: Option<Header>,
    /// As far as it is known.
    pub transaction: Option<Transaction>,
    /// Of a question that got so far.
    pub echo: Option<Echo>,
    pub ack: Ack,
    pub errors: Vec<ErrorSegment>,
}

impl std::fmt::Debug for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Refused({} {:?})", self.ack.code(), self.errors)
    }
}

/// Reads one message.
pub fn read(bytes: &[u8], settings: &Settings) -> Result<Request, Box<Refused>> {
    let trimmed = trim(bytes);
    let (label, eight_bit) = labelled(trimmed, settings);
    let decoded = charset::decode(trimmed, label.set, eight_bit);
    let Some(message) = Message::read(&decoded.text) else {
        return Err(Box::new(headless()));
    };
    let Some(msh) = message.header() else { return Err(Box::new(headless())) };
    let mut header = Header::read(msh, message.delimiters, label);
    let (odd, labelled) = (header.label.odd, header.label.set);
    answer_as(&mut header.label, decoded.set);
    let refused = |transaction, echo, ack, errors| {
        Box::new(Refused { header: Some(header.clone()), transaction, echo, ack, errors })
    };
    let (kind, transaction) = match header.check(&settings.acknowledged_events) {
        Ok(known) => known,
        Err((ack, error)) => return Err(refused(None, None, ack, vec![error])),
    };
    let question = matches!(kind, Kind::Pix | Kind::Demographics);
    // A question that cannot be named is answered by a plain acknowledgement.
    let (echo, qpd) = match query::echo(&message) {
        Ok((echo, qpd)) if question => (Some(echo), Some(qpd)),
        Err(error) if question => return Err(refused(Some(transaction), None, Ack::Error, vec![error])),
        _ => (None, None),
    };
    let errors = unreadable(&message, &decoded);
    if !errors.is_empty() {
        return Err(refused(Some(transaction), echo, Ack::Error, errors));
    }
    let mut findings = Findings::default();
    oddities(&message, &decoded, &header, labelled, odd, &mut findings);
    let body = match (kind, qpd, &echo) {
        (Kind::Pix, Some(qpd), Some(echo)) => {
            query::pix(&message, qpd, &mut findings).map(|asked| Body::Pix(echo.clone(), asked))
        }
        (Kind::Demographics, Some(qpd), Some(echo)) => query::demographics(&message, qpd, &mut findings)
            .map(|(asked, page)| Body::Demographics(echo.clone(), Box::new(asked), page)),
        (Kind::Cancel, ..) => query::cancelled(&message).map(Body::Cancel).map_err(|error| vec![error]),
        _ => feed::read(&message, &header, kind, settings, &mut findings).map(|feed| {
            Body::Feed(Box::new(FeedMessage {
                source: header.source.clone(),
                control_id: header.control_id.clone(),
                event: format!("{}^{}", header.message_type, header.event),
                occurred: pid::occurred(&message),
                feed,
                warnings: std::mem::take(&mut findings.warnings),
                raw: bytes.to_vec(),
            }))
        }),
    };
    match body {
        Ok(body) => Ok(Request { header, transaction, body }),
        Err(errors) => Err(refused(Some(transaction), echo, Ack::Error, errors)),
    }
}

/// A message as text, for people: a segment a line ends in CR.
pub fn text_of(bytes: &[u8]) -> String {
    let bytes = trim(bytes);
    charset::decode(bytes, label_of(bytes).set, false).text
}

/// A message as text, with what of its bytes could not be read. `shift_jis`: its sender is known to send that.
pub fn decoded(bytes: &[u8], shift_jis: bool) -> Decoded {
    let bytes = trim(bytes);
    charset::decode(bytes, label_of(bytes).set, shift_jis)
}

fn headless() -> Refused {
    let text = "the message does not begin with a usable MSH segment";
    Refused {
        header: None,
        transaction: None,
        echo: None,
        ack: Ack::Reject,
        errors: vec![ErrorSegment::new(Location::segment("MSH"), Condition::SegmentSequence, text)],
    }
}

/// The beginning of a message that is longer than any may be: enough of it to name it in the answer.
pub fn too_long(beginning: &[u8], limit: usize) -> Refused {
    let beginning = trim(beginning);
    let (label, _) = labelled(beginning, &Settings::default());
    let decoded = charset::decode(beginning, label.set, false);
    let message = Message::read(&decoded.text);
    let header = message.and_then(|m| m.header().map(|msh| Header::read(msh, m.delimiters, Label::ASCII)));
    let text = format!("the message is longer than {limit} bytes");
    Refused {
        header,
        transaction: None,
        echo: None,
        ack: Ack::Error,
        errors: vec![ErrorSegment::whole(Condition::DataType, text)],
    }
}

/// Without what files and senders leave around a message: line ends and blanks, an end block kept in storage.
pub(super) fn trim(bytes: &[u8]) -> &[u8] {
    let around = |b: &u8| matches!(b, b'\r' | b'\n' | 0x1c | 0);
    // A blank at the end may be the last of a field: MSA-2 is compared exactly.
    let start = bytes.iter().position(|b| !around(b) && *b != b' ').unwrap_or(bytes.len());
    let end = bytes.iter().rposition(|b| !around(b)).map_or(start, |last| (last + 1).max(start));
    bytes.get(start..end).unwrap_or_default()
}

/// What MSH-18 and MSH-20 say.
pub(super) fn label_of(bytes: &[u8]) -> Label {
    labelled(bytes, &Settings::default()).0
}

/// What MSH-18 and MSH-20 say, and whether the sender is known to send Shift_JIS all the same. MSH is read from the
/// bytes for that; Japanese within it is decoded as if it were labelled.
fn labelled(bytes: &[u8], settings: &Settings) -> (Label, bool) {
    let end = bytes.iter().position(|b| matches!(b, b'\r' | b'\n')).unwrap_or(bytes.len());
    let line = bytes.get(..end).unwrap_or_default();
    // ISO-2022-JP shows itself, UTF-8 is hardly anything else by chance; the rest may be Shift_JIS.
    let set = match std::str::from_utf8(line) {
        Ok(text) if !text.contains('\u{1b}') => CharacterSet::Utf8,
        _ => CharacterSet::Ascii,
    };
    let decoded = charset::decode(line, set, true);
    let Some(message) = Message::read(&decoded.text) else { return (Label::ASCII, false) };
    let Some(msh) = message.header() else { return (Label::ASCII, false) };
    let Delimiters { component, .. } = message.delimiters;
    let repetitions: Vec<Vec<String>> = msh
        .field(18)
        .repetitions()
        .take(8)
        .map(|r| r.raw.split(component).take(4).map(str::to_owned).collect())
        .collect();
    let label = Label::read(&repetitions, &msh.field(20).text());
    let name = |n: usize| msh.field(n).component(1).text();
    let known = settings.sender(&name(3), &name(4));
    (label, known.is_some_and(|sender| sender.shift_jis))
}

/// Answers are written in what the sender really uses.
fn answer_as(label: &mut Label, found: CharacterSet) {
    match (label.set, found) {
        (CharacterSet::Ascii, CharacterSet::Iso2022Jp) => {
            *label = Label { odd: label.odd, ..Label::japanese() }
        }
        (CharacterSet::Ascii, CharacterSet::Utf8) => *label = Label { odd: label.odd, ..Label::utf8() },
        (_, CharacterSet::Cp932) => label.set = CharacterSet::Cp932,
        _ => {}
    }
}

/// What cannot be read: bytes outside the character set, lines that are no segments. Each by its place.
fn unreadable(message: &Message<'_>, decoded: &Decoded) -> Vec<ErrorSegment> {
    let mut errors: Vec<ErrorSegment> = vec![];
    for fault in &decoded.faults {
        let location = match message.place(fault.at) {
            Some((segment, 0)) => Location::line(segment.name, segment.sequence),
            Some((segment, field)) => Location::field(segment.name, segment.sequence, field),
            None => Location::segment("MSH"),
        };
        if !errors.iter().any(|e| e.location.as_ref() == Some(&location)) {
            errors.push(ErrorSegment::new(location, Condition::DataType, fault.kind.to_string()));
        }
    }
    if message.segments.len() > MOST_SEGMENTS {
        let text = format!("more than {MOST_SEGMENTS} segments");
        errors.push(ErrorSegment::whole(Condition::SegmentSequence, text));
    } else if errors.is_empty()
        && let Some(junk) = message.junk()
    {
        let before = message.segments.iter().take_while(|s| s.offset < junk.offset).last();
        let at = before.map_or(Location::segment("MSH"), |s| Location::line(s.name, s.sequence));
        let text = "the line after this segment is no segment; was a segment wrapped?";
        errors.push(ErrorSegment::new(at, Condition::SegmentSequence, text));
    }
    errors
}

/// What is odd and harms nothing.
fn oddities(
    message: &Message<'_>,
    decoded: &Decoded,
    header: &Header,
    labelled: CharacterSet,
    label: Option<&str>,
    findings: &mut Findings,
) {
    let mut warn = |place, text: String| findings.warn(place, text);
    let whole = Place::default();
    if let Some(odd) = label {
        warn(whole, odd.to_owned());
    }
    if labelled != decoded.set {
        warn(whole, "the message is not in the character set of MSH-18".to_owned());
    }
    for oddity in &decoded.oddities {
        let place = message.place(oddity.at).map_or(whole, |(segment, field)| place_of(segment, field));
        warn(place, oddity.kind.to_string());
    }
    if !header.has_time {
        warn(whole, "MSH-7 is empty".to_owned());
    }
    if header.control_id.chars().count() > CONTROL_ID_STANDARD {
        warn(whole, format!("MSH-10 is longer than {CONTROL_ID_STANDARD} characters"));
    }
    if header.sending_application.is_empty() || header.sending_facility.is_empty() {
        warn(whole, "MSH-3 or MSH-4 is empty".to_owned());
    }
}

fn place_of(segment: Segment<'_>, field: u32) -> Place {
    Place::of(match (segment.name, field) {
        ("PID", 3) => Field::Identifier,
        ("PID", 5) => Field::Name,
        ("PID", 6) => Field::MotherName,
        ("PID", 11) => Field::Address,
        ("PID", 13 | 14) => Field::Phone,
        ("MRG", _) => Field::PriorIdentifier,
        ("IN1", _) => Field::Insurance,
        ("QPD", _) => Field::QueryParameter,
        _ => Field::Message,
    })
}
