//! Which elements a message may hold, how often, and in which order: the sequences of the schemas, as far as this
//! program reads them. NE2008 `MCCI_MT000100/200/300UV01`, `MFMI_MT700701/711UV01`, `PRPA_MT201301…310UV02`,
//! `QUQI_MT…`.
//!
//! Order is not held against a sender, since nothing is read by it; whatever else the schema says of these levels
//! is.

use roxmltree::Node;

use super::Findings;
use super::problem::code;
use crate::model::error::clip;
use crate::model::namespace::NS_HL7V3;
use crate::wire::xml::tree;

/// Name, at least, at most.
type Rule = (&'static str, usize, usize);

/// The children of an element.
pub type Shape = &'static [Rule];

const MANY: usize = usize::MAX;

/// Elements that may begin any other (InfrastructureRootElements).
const ROOT: [&str; 3] = ["realmCode", "typeId", "templateId"];

/// The transmission wrapper of every interaction.
pub const MESSAGE: Shape = &[
    ("id", 1, 1),
    ("creationTime", 1, 1),
    ("securityText", 0, 1),
    ("versionCode", 0, 1),
    ("interactionId", 1, 1),
    ("profileId", 0, MANY),
    ("processingCode", 1, 1),
    ("processingModeCode", 1, 1),
    ("acceptAckCode", 1, 1),
    ("sequenceNumber", 0, 1),
    ("attachmentText", 0, MANY),
    ("receiver", 1, MANY),
    ("respondTo", 0, MANY),
    ("sender", 1, 1),
    ("attentionLine", 0, MANY),
    ("acknowledgement", 0, MANY),
    ("controlActProcess", 1, 1),
];

/// The control act of a registration event.
pub const EVENT_ACT: Shape = &[
    ("id", 0, MANY),
    ("code", 0, 1),
    ("text", 0, 1),
    ("effectiveTime", 0, 1),
    ("priorityCode", 0, MANY),
    ("reasonCode", 0, MANY),
    ("languageCode", 0, 1),
    ("overseer", 0, MANY),
    ("authorOrPerformer", 0, MANY),
    ("dataEnterer", 0, MANY),
    ("informationRecipient", 0, MANY),
    // The schema has several; a feed is about one patient (ITI TF-2 3.44.4.1.2).
    ("subject", 1, 1),
    ("reasonOf", 0, MANY),
];

/// The control act of a question.
pub const QUERY_ACT: Shape = &[
    ("id", 0, MANY),
    ("code", 0, 1),
    ("text", 0, 1),
    ("effectiveTime", 0, 1),
    ("priorityCode", 0, MANY),
    ("reasonCode", 0, MANY),
    ("languageCode", 0, 1),
    ("overseer", 0, MANY),
    ("authorOrPerformer", 0, MANY),
    ("dataEnterer", 0, MANY),
    ("informationRecipient", 0, MANY),
    ("reasonOf", 0, MANY),
    ("queryByParameter", 1, 1),
];

/// The control act of a continuation or a cancel.
pub const CONTINUATION_ACT: Shape = &[
    ("id", 0, MANY),
    ("code", 0, 1),
    ("text", 0, 1),
    ("effectiveTime", 0, 1),
    ("priorityCode", 0, MANY),
    ("reasonCode", 0, MANY),
    ("languageCode", 0, 1),
    ("overseer", 0, MANY),
    ("authorOrPerformer", 0, MANY),
    ("dataEnterer", 0, MANY),
    ("informationRecipient", 0, MANY),
    ("reasonOf", 0, MANY),
    ("queryContinuation", 1, 1),
];

pub const QUERY_CONTINUATION: Shape =
    &[("queryId", 1, 1), ("startResultNumber", 0, 1), ("continuationQuantity", 0, 1), ("statusCode", 1, 1)];

pub const SUBJECT: Shape = &[("registrationEvent", 1, 1)];

pub const REGISTRATION_EVENT: Shape = &[
    ("id", 0, MANY),
    ("statusCode", 1, 1),
    ("effectiveTime", 0, 1),
    ("subject1", 1, 1),
    ("author", 0, 1),
    ("custodian", 1, 1),
    ("inFulfillmentOf", 0, MANY),
    ("definition", 0, MANY),
    ("replacementOf", 0, MANY),
];

pub const SUBJECT1: Shape = &[("patient", 1, 1)];

pub const PATIENT: Shape = &[
    ("id", 1, MANY),
    ("addr", 0, MANY),
    ("telecom", 0, MANY),
    ("statusCode", 1, 1),
    ("effectiveTime", 0, 1),
    ("confidentialityCode", 0, MANY),
    ("veryImportantPersonCode", 0, 1),
    // Or a patientNonPersonLivingSubject, of whom no index of persons wants to hear.
    ("patientPerson", 1, 1),
    ("providerOrganization", 0, 1),
    ("subjectOf", 0, MANY),
    ("subjectOf1", 0, MANY),
    ("subjectOf2", 0, MANY),
    ("coveredPartyOf", 0, MANY),
];

pub const PERSON: Shape = &[
    ("id", 0, MANY),
    ("name", 1, MANY),
    ("desc", 0, 1),
    ("telecom", 0, MANY),
    ("administrativeGenderCode", 0, 1),
    ("birthTime", 0, 1),
    ("deceasedInd", 0, 1),
    ("deceasedTime", 0, 1),
    ("multipleBirthInd", 0, 1),
    ("multipleBirthOrderNumber", 0, 1),
    ("organDonorInd", 0, 1),
    ("addr", 0, MANY),
    ("maritalStatusCode", 0, 1),
    ("educationLevelCode", 0, 1),
    ("disabilityCode", 0, MANY),
    ("livingArrangementCode", 0, 1),
    ("religiousAffiliationCode", 0, 1),
    ("raceCode", 0, MANY),
    ("ethnicGroupCode", 0, MANY),
    ("asPatientOfOtherProvider", 0, MANY),
    ("asEmployee", 0, MANY),
    ("asCitizen", 0, MANY),
    ("asStudent", 0, MANY),
    ("asMember", 0, MANY),
    ("asOtherIDs", 0, MANY),
    ("contactParty", 0, MANY),
    ("guardian", 0, MANY),
    ("personalRelationship", 0, MANY),
    ("careGiver", 0, MANY),
    ("birthPlace", 0, 1),
    ("guarantorRole", 0, MANY),
    ("languageCommunication", 0, MANY),
];

pub const OTHER_IDS: Shape =
    &[("id", 1, MANY), ("statusCode", 0, 1), ("effectiveTime", 0, 1), ("scopingOrganization", 1, 1)];

pub const REPLACEMENT: Shape = &[("priorRegistration", 1, 1)];

pub const PRIOR_REGISTRATION: Shape =
    &[("id", 0, MANY), ("statusCode", 0, 1), ("subject1", 1, 1), ("subject2", 0, 1)];

pub const PRIOR_SUBJECT: Shape = &[("priorRegisteredRole", 1, 1)];

/// `queryByParameter` of ITI-45.
pub const PIX_QUERY: Shape = &[
    ("queryId", 1, 1),
    ("statusCode", 1, 1),
    ("modifyCode", 0, 1),
    ("responseElementGroupId", 0, MANY),
    ("responsePriorityCode", 0, 1),
    ("executionAndDeliveryTime", 0, 1),
    ("parameterList", 1, 1),
];

pub const PIX_PARAMETERS: Shape = &[("id", 0, 1), ("dataSource", 0, MANY), ("patientIdentifier", 1, 1)];

/// `queryByParameter` of ITI-47.
pub const PDQ_QUERY: Shape = &[
    ("queryId", 1, 1),
    ("statusCode", 1, 1),
    ("modifyCode", 0, 1),
    ("responseElementGroupId", 0, MANY),
    ("responseModalityCode", 0, 1),
    ("responsePriorityCode", 0, 1),
    ("initialQuantity", 0, 1),
    ("initialQuantityCode", 0, 1),
    ("executionAndDeliveryTime", 0, 1),
    ("matchCriterionList", 0, 1),
    ("parameterList", 1, 1),
    ("sortControl", 0, MANY),
];

pub const MATCH_CRITERIA: Shape =
    &[("id", 0, 1), ("matchAlgorithm", 0, 1), ("matchWeight", 0, 1), ("minimumDegreeMatch", 0, 1)];

pub const PDQ_PARAMETERS: Shape = &[
    ("id", 0, 1),
    ("livingSubjectAdministrativeGender", 0, MANY),
    ("livingSubjectBirthPlaceAddress", 0, MANY),
    ("livingSubjectBirthPlaceName", 0, MANY),
    ("livingSubjectBirthTime", 0, MANY),
    ("livingSubjectDeceasedTime", 0, MANY),
    ("livingSubjectId", 0, MANY),
    ("livingSubjectName", 0, MANY),
    ("mothersMaidenName", 0, MANY),
    ("otherIDsScopingOrganization", 0, MANY),
    ("patientAddress", 0, MANY),
    ("patientStatusCode", 0, MANY),
    ("patientTelecom", 0, MANY),
    ("principalCareProviderId", 0, MANY),
    ("principalCareProvisionId", 0, MANY),
];

/// A parameter. The schema wants `semanticsText`; it says nothing that the name does not, and senders omit it.
pub const PARAMETER: Shape = &[("value", 1, MANY), ("semanticsText", 0, 1)];

/// Holds an element against its shape.
pub(super) fn check<'a, 'i>(findings: &mut Findings<'a, 'i>, node: Node<'a, 'i>, shape: Shape) {
    let mut counts = vec![0_usize; shape.len()];
    for element in tree::elements(node) {
        let name = element.tag_name();
        let ours = name.namespace() == Some(NS_HL7V3);
        let rule = shape.iter().position(|(known, ..)| ours && *known == name.name());
        match rule.and_then(|at| Some((shape.get(at)?, counts.get_mut(at)?))) {
            Some(((_, _, most), count)) => {
                *count += 1;
                if *count == most.saturating_add(1) {
                    let text = format!("{} stands more than {most} time(s) here", name.name());
                    findings.problem(code::SEQUENCE, element, text);
                }
            }
            None if ours && ROOT.contains(&name.name()) => {}
            None => {
                let text = format!(
                    "{} is not an element of {} (schema of NE2008)",
                    clip(name.name()),
                    node.tag_name().name()
                );
                findings.problem(code::SEQUENCE, element, text);
            }
        }
    }
    for ((name, least, _), count) in shape.iter().zip(&counts) {
        if count < least {
            let text = format!("{name} is missing from {}", node.tag_name().name());
            findings.problem(code::REQUIRED, node, text);
        }
    }
}
