//! What others answer: acknowledgements and responses, read leniently (ITI TF-2 C.2.3). `CA`, `CE` and `CR` of
//! enhanced mode mean the same here.

use super::charset;
use super::message::{Message, Value};
use super::request::{label_of, trim};

/// MSA-1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// AA, CA.
    Accepted,
    /// AE, CE: the content is at fault; never again unchanged.
    Error,
    /// AR, CR: a value of MSH, or a passing inability; may be sent again.
    Rejected,
}

/// One ERR.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorSaid {
    /// `PID^1^3`, as written.
    pub location: String,
    /// Table 0357.
    pub code: String,
    pub text: String,
}

/// An answer.
#[derive(Clone, PartialEq, Eq)]
pub struct Answer {
    pub verdict: Verdict,
    /// MSA-1 as written.
    pub code: String,
    /// MSA-2: the MSH-10 it answers.
    pub control_id: String,
    pub errors: Vec<ErrorSaid>,
    /// QAK-2.
    pub query_status: Option<String>,
    /// DSC-1.
    pub next: Option<String>,
    /// The whole message as text.
    pub text: String,
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let codes: Vec<&str> = self.errors.iter().map(|e| e.code.as_str()).collect();
        write!(f, "Answer({} {codes:?})", self.code)
    }
}

/// Why bytes are no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoAnswer {
    #[error("the answer does not begin with MSH")]
    Header,
    #[error("the answer has no MSA segment")]
    Acknowledgement,
    #[error("MSA-1 of the answer is none of AA, AE, AR, CA, CE, CR")]
    Code,
}

/// Reads an answer.
pub fn read(bytes: &[u8]) -> Result<Answer, NoAnswer> {
    let bytes = trim(bytes);
    let decoded = charset::decode(bytes, label_of(bytes).set, false);
    let message = Message::read(&decoded.text).ok_or(NoAnswer::Header)?;
    let msa = message.segment("MSA").ok_or(NoAnswer::Acknowledgement)?;
    let code = msa.field(1).text();
    let verdict = match code.as_str() {
        "AA" | "CA" => Verdict::Accepted,
        "AE" | "CE" => Verdict::Error,
        "AR" | "CR" => Verdict::Rejected,
        _ => return Err(NoAnswer::Code),
    };
    let mut errors = vec![];
    for err in message.all("ERR") {
        let old = err.field(1);
        for said in old.repetitions().filter(|value| !value.is_hollow()) {
            errors.push(old_error(said));
        }
        let code = err.field(3).component(1).text();
        let text = [err.field(8), err.field(7), err.field(6), err.field(3).component(2)];
        let text = text.iter().find_map(|value| value.filled()).unwrap_or_default();
        let mut locations: Vec<String> = err.field(2).repetitions().map(|r| r.raw.to_owned()).collect();
        if locations.is_empty() && !code.is_empty() {
            locations.push(String::new());
        }
        errors.extend(locations.into_iter().map(|location| ErrorSaid {
            location,
            code: code.clone(),
            text: text.clone(),
        }));
    }
    if errors.is_empty()
        && let Some(text) = msa.field(3).filled()
    {
        errors.push(ErrorSaid { location: String::new(), code: msa.field(6).component(1).text(), text });
    }
    Ok(Answer {
        verdict,
        code,
        control_id: msa.field(2).raw.to_owned(),
        errors,
        query_status: message.segment("QAK").and_then(|qak| qak.field(2).filled()),
        next: message.segment("DSC").and_then(|dsc| dsc.field(1).filled()),
        text: decoded.text,
    })
}

/// ERR-1 of 2.3.1: `segment^sequence^field^code&text&table`.
fn old_error(said: Value<'_>) -> ErrorSaid {
    let location: Vec<String> = (1..=3).map(|n| said.component(n).text()).collect();
    let code = said.component(4);
    ErrorSaid {
        location: location.join("^").trim_end_matches('^').to_owned(),
        code: code.subcomponent(1).text(),
        text: code.subcomponent(2).text(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors(rest: &str) -> Vec<(String, String, String)> {
        let text = format!("MSH|^~\\&|M|N|H|F|2025||ACK|1|P|2.5\r{rest}\r");
        let answer = read(text.as_bytes()).unwrap();
        answer.errors.into_iter().map(|e| (e.location, e.code, e.text)).collect()
    }

    fn said(location: &str, code: &str, text: &str) -> (String, String, String) {
        (location.into(), code.into(), text.into())
    }

    #[test]
    fn errors_are_read_in_every_form_they_come_in() {
        assert_eq!(
            errors("MSA|AE|1\rERR||PID^1^3|101^Missing^HL70357|E||||text"),
            [said("PID^1^3", "101", "text")]
        );
        assert_eq!(
            errors("MSA|AE|1\rERR||QPD^1^3^1^1|204|E||Unknown patient ID"),
            [said("QPD^1^3^1^1", "204", "Unknown patient ID")]
        );
        assert_eq!(
            errors("MSA|AR|1|no\rERR||QPD^1^4^2~QPD^1^4^3|204^Unknown key^HL70357|E"),
            [said("QPD^1^4^2", "204", "Unknown key"), said("QPD^1^4^3", "204", "Unknown key")]
        );
        assert_eq!(
            errors("MSA|AE|1\rERR|PID^1^3^204&Unknown key&HL70357~PID^^^100&Sequence"),
            [said("PID^1^3", "204", "Unknown key"), said("PID", "100", "Sequence")]
        );
        assert_eq!(errors("MSA|AR|1|a\\S\\b"), [said("", "", "a^b")]);
        assert_eq!(errors("MSA|AA|1"), []);
    }

    #[test]
    fn enhanced_mode_is_read_and_what_is_no_answer_is_not() {
        let read = |text: &str| read(text.as_bytes()).map(|a| a.verdict);
        assert_eq!(read("MSH|^~\\&|\rMSA|CA|1\r"), Ok(Verdict::Accepted));
        assert_eq!(read("MSH|^~\\&|\rMSA|CR|1\r"), Ok(Verdict::Rejected));
        assert_eq!(read("MSH|^~\\&|\rMSA|XX|1\r"), Err(NoAnswer::Code));
        assert_eq!(read("MSH|^~\\&|\r"), Err(NoAnswer::Acknowledgement));
        assert_eq!(read("HTTP/1.1 400"), Err(NoAnswer::Header));
    }
}
