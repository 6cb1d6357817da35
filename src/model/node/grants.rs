//! What a node may do, and in whose names it may speak.

use std::collections::BTreeSet;

use crate::model::transaction::{CATALOGUE, Transaction};

/// Names of several transactions together, by the actor that asks for them.
pub const GROUPS: &[(&str, &[Transaction])] = &[
    ("document-source", &[Transaction::Iti41]),
    ("document-repository", &[Transaction::Iti42]),
    ("on-demand-document-source", &[Transaction::Iti61]),
    ("document-consumer", &[Transaction::Iti18, Transaction::Iti43]),
    ("multi-patient-consumer", &[Transaction::Iti51]),
    (
        "document-administrator",
        &[Transaction::Iti57, Transaction::Iti62, Transaction::Iti86, Transaction::Iti92],
    ),
    (
        "patient-identity-source",
        &[Transaction::Iti8, Transaction::Iti30, Transaction::Iti31, Transaction::Iti44, Transaction::Iti104],
    ),
    (
        "patient-identity-consumer",
        &[Transaction::Iti9, Transaction::Iti10, Transaction::Iti45, Transaction::Iti83],
    ),
    (
        "patient-demographics-consumer",
        &[Transaction::Iti21, Transaction::Iti47, Transaction::Iti78, Transaction::Iti119],
    ),
    (
        "gateway",
        &[
            Transaction::Iti38,
            Transaction::Iti39,
            Transaction::Iti44,
            Transaction::Iti45,
            Transaction::Iti46,
            Transaction::Iti55,
            Transaction::Iti56,
        ],
    ),
];

/// The word for everything of its kind.
pub const ANY: &str = "*";
/// The word, among transactions, for listeners of role ops.
pub const OPS: &str = "ops";

/// A set of names, or any name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Names(Vec<String>);

impl Names {
    pub fn new(names: Vec<String>) -> Self {
        Self(names)
    }

    pub fn holds(&self, name: &str) -> bool {
        self.0.iter().any(|own| own == ANY || own == name)
    }

    pub fn all(&self) -> &[String] {
        &self.0
    }
}

/// `facility|application` of MSH-4 and MSH-3, as ITI-20 names a sender of HL7 v2; `*` for either.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    pub facility: String,
    pub application: String,
}

impl Pair {
    /// `None` without the bar.
    pub fn parse(text: &str) -> Option<Self> {
        let (facility, application) = text.split_once('|')?;
        let given = |part: &str| (!part.is_empty() && !part.contains('|')).then(|| part.to_owned());
        Some(Self { facility: given(facility)?, application: given(application)? })
    }

    fn fits(&self, facility: &str, application: &str) -> bool {
        let same = |own: &str, said: &str| own == ANY || own == said;
        same(&self.facility, facility) && same(&self.application, application)
    }
}

impl std::fmt::Display for Pair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}|{}", self.facility, self.application)
    }
}

/// What the directory grants. What is not written is not granted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Grants {
    pub transactions: BTreeSet<Transaction>,
    /// Listeners of role ops.
    pub ops: bool,
    /// OIDs of the assigning authorities of patients it may feed.
    pub authorities: Names,
    /// Who it may be in MSH-3 and MSH-4.
    pub pairs: Vec<Pair>,
    /// SubmissionSet.sourceId.
    pub source_ids: Names,
    /// `wsa:ReplyTo`.
    pub reply_urls: Names,
}

/// Something a node is not granted. The value is the sender's own word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trespass {
    Transaction(Transaction),
    /// MSH-4 and MSH-3 as said.
    Sender(String),
    /// The assigning authority of a fed patient.
    Authority(String),
    SourceId(String),
    ReplyTo(String),
    /// The homeCommunityId the directory of nodes has of it, which is no listed community's.
    Community(String),
}

impl Trespass {
    /// The second label of its audit record.
    pub fn label(&self) -> &'static str {
        match self {
            Trespass::Transaction(_) => "transaction",
            Trespass::Sender(_) => "msh-3-4",
            Trespass::Authority(_) => "assigning-authority",
            Trespass::SourceId(_) => "source-id",
            Trespass::ReplyTo(_) => "reply-to",
            Trespass::Community(_) => "community",
        }
    }

    /// For the sender. Never the id of a patient.
    pub fn sentence(&self) -> String {
        use crate::model::error::clip;
        match self {
            Trespass::Transaction(t) => {
                format!("{} is not granted to this node in the directory of nodes", t.code())
            }
            Trespass::Sender(said) => {
                format!("MSH-4|MSH-3 '{}' are not those of the node whose certificate was shown", clip(said))
            }
            Trespass::Authority(said) => {
                format!("assigning authority '{}' is not one whose patients this node may feed", clip(said))
            }
            Trespass::SourceId(said) => {
                format!("SubmissionSet.sourceId '{}' is not one of this node", clip(said))
            }
            Trespass::ReplyTo(said) => {
                format!("'{}' is no address that answers to this node may be sent to", clip(said))
            }
            Trespass::Community(home) => {
                format!("this node is the gateway of '{}', which is no community listed here", clip(home))
            }
        }
    }
}

impl Grants {
    /// Adds what a word among `transactions` stands for: `ITI-18`, a group, `*`, `ops`. Whether it is one.
    pub fn allow(&mut self, word: &str) -> bool {
        if word == ANY {
            self.transactions.extend(Transaction::ALL.iter().copied());
            return true;
        }
        if word == OPS {
            self.ops = true;
            return true;
        }
        if let Some((_, group)) = GROUPS.iter().find(|(name, _)| *name == word) {
            self.transactions.extend(group.iter().copied());
            return true;
        }
        match CATALOGUE.iter().find(|row| row.code == word) {
            Some(row) => {
                self.transactions.insert(row.transaction);
                true
            }
            None => false,
        }
    }

    pub fn transaction(&self, transaction: Transaction) -> Result<(), Trespass> {
        match self.transactions.contains(&transaction) {
            true => Ok(()),
            false => Err(Trespass::Transaction(transaction)),
        }
    }

    /// MSH-4.1 or MSH-4.2, whichever the pair names.
    pub fn sender(
        &self,
        facility: &str,
        facility_oid: Option<&str>,
        application: &str,
    ) -> Result<(), Trespass> {
        let known = self.pairs.iter().any(|pair| {
            pair.fits(facility, application) || facility_oid.is_some_and(|oid| pair.fits(oid, application))
        });
        match known {
            true => Ok(()),
            false => Err(Trespass::Sender(format!("{facility}|{application}"))),
        }
    }

    pub fn authority(&self, oid: &str) -> Result<(), Trespass> {
        if self.authorities.holds(oid) { Ok(()) } else { Err(Trespass::Authority(oid.to_owned())) }
    }

    pub fn source_id(&self, source_id: &str) -> Result<(), Trespass> {
        if self.source_ids.holds(source_id) { Ok(()) } else { Err(Trespass::SourceId(source_id.to_owned())) }
    }

    pub fn reply_url(&self, url: &str) -> Result<(), Trespass> {
        if self.reply_urls.holds(url) { Ok(()) } else { Err(Trespass::ReplyTo(url.to_owned())) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_transaction_is_in_a_group() {
        for t in Transaction::ALL {
            let named = GROUPS.iter().any(|(_, group)| group.contains(&t));
            assert!(named, "{} has no group: add it to GROUPS in model/node/grants.rs", t.code());
        }
    }

    #[test]
    fn words_grant_what_they_stand_for_and_no_more() {
        let mut grants = Grants::default();
        assert!(grants.allow("document-consumer") && grants.allow("ITI-41") && !grants.allow("ITI-4100"));
        assert_eq!(grants.transaction(Transaction::Iti43), Ok(()));
        assert_eq!(grants.transaction(Transaction::Iti41), Ok(()));
        let refused = grants.transaction(Transaction::Iti62);
        assert_eq!(refused, Err(Trespass::Transaction(Transaction::Iti62)));
        assert!(!grants.ops);
        assert!(grants.allow("ops"));
        assert!(grants.ops);
        assert!(grants.allow("*") && grants.transaction(Transaction::Iti62).is_ok());
    }

    #[test]
    fn what_is_not_written_is_not_granted() {
        let mut grants = Grants::default();
        assert!(grants.authority("1.2").is_err() && grants.source_id("1.2").is_err());
        assert!(grants.sender("A", None, "HIS").is_err() && grants.reply_url("https://a").is_err());
        grants.pairs = vec![Pair::parse("2.999.1|*").unwrap(), Pair::parse("A|HIS").unwrap()];
        assert_eq!(grants.sender("X", Some("2.999.1"), "any"), Ok(()));
        assert_eq!(grants.sender("A", None, "HIS"), Ok(()));
        assert_eq!(grants.sender("A", None, "LIS"), Err(Trespass::Sender("A|LIS".into())));
        grants.authorities = Names::new(vec![ANY.into()]);
        assert_eq!(grants.authority("1.2"), Ok(()));
        for bad in ["", "A", "|", "A|", "|B", "A|B|C"] {
            assert_eq!(Pair::parse(bad), None, "{bad}");
        }
    }
}
