//! The audit message of DICOM PS3.15 A.5 (2017c), element for element; `wire/atna` writes and reads it.

/// `csd-code`, `codeSystemName`, `originalText`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Coded {
    pub code: String,
    pub system: String,
    pub text: String,
}

impl Coded {
    pub fn new(code: impl Into<String>, system: impl Into<String>, text: impl Into<String>) -> Self {
        Self { code: code.into(), system: system.into(), text: text.into() }
    }

    /// A row of a table.
    pub fn of((code, system, text): (&str, &str, &str)) -> Self {
        Self::new(code, system, text)
    }

    /// What a table's row is, the text aside.
    pub fn is(&self, (code, system, _): (&str, &str, &str)) -> bool {
        self.code == code && self.system == system
    }
}

/// `AuditMessage`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AuditMessage {
    /// `EventActionCode`.
    pub action: Option<String>,
    /// `EventDateTime`: microseconds since 1970, UTC. Read: whatever the zone was.
    pub at: i64,
    /// `EventOutcomeIndicator`: 0, 4, 8, 12.
    pub outcome: u8,
    pub id: Coded,
    pub types: Vec<Coded>,
    /// `EventOutcomeDescription`.
    pub description: Option<String>,
    pub purposes: Vec<Coded>,
    pub participants: Vec<Participant>,
    pub source: Source,
    pub objects: Vec<Object>,
}

/// `ActiveParticipant`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Participant {
    pub user_id: String,
    pub alternative_user_id: Option<String>,
    pub user_name: Option<String>,
    pub requestor: bool,
    /// `NetworkAccessPointID` with its type: 1 a name, 2 an address.
    pub network: Option<(String, u8)>,
    pub roles: Vec<Coded>,
}

/// `AuditSourceIdentification`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Source {
    pub id: String,
    pub site: Option<String>,
    /// `AuditSourceTypeCode/@csd-code`.
    pub types: Vec<String>,
}

/// `ParticipantObjectIdentification`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Object {
    pub id: String,
    /// 1 person, 2 system, 3 organization, 4 other.
    pub kind: Option<u8>,
    pub role: Option<u8>,
    pub lifecycle: Option<u8>,
    pub sensitivity: Option<String>,
    pub id_type: Coded,
    pub name: Option<String>,
    /// `ParticipantObjectQuery`, decoded.
    pub query: Option<Vec<u8>>,
    /// `ParticipantObjectDetail`: type, and value decoded.
    pub details: Vec<(String, Vec<u8>)>,
}

impl AuditMessage {
    /// Ids of patients, as CX.
    pub fn patients(&self) -> impl Iterator<Item = &str> {
        self.objects.iter().filter(|o| o.kind == Some(1) && o.role == Some(1)).map(|o| o.id.as_str())
    }
}
