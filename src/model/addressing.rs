//! WS-Addressing of messages that go their own way.

/// Where an answer goes that does not go back on its request's connection, and what its headers say
/// (WS-Addressing 1.0 Core, 3.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Elsewhere {
    /// The address of the request's `wsa:ReplyTo`; of the answer its `wsa:To`.
    pub to: String,
    /// The address of its `wsa:FaultTo`, if faults have one of their own.
    pub faults_to: FaultsTo,
    /// The answer's own `wsa:MessageID`, the same however often it is sent.
    pub message_id: String,
    /// `wsa:MessageID` of the request; of the answer its `wsa:RelatesTo`.
    pub relates_to: String,
}

/// Where a fault goes that comes after the request was accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FaultsTo {
    /// Where the answer goes.
    Answers,
    /// An address of their own.
    Address(String),
    /// The sender wants none.
    Nowhere,
}
