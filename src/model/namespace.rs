//! XML namespaces and the fixed URIs of SOAP and WS-Addressing.

pub const NS_SOAP12: &str = "http://www.w3.org/2003/05/soap-envelope";
pub const NS_SOAP11: &str = "http://schemas.xmlsoap.org/soap/envelope/";
pub const NS_WSA: &str = "http://www.w3.org/2005/08/addressing";
pub const NS_WSSE: &str = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd";
pub const NS_XOP: &str = "http://www.w3.org/2004/08/xop/include";
pub const NS_XML: &str = "http://www.w3.org/XML/1998/namespace";
pub const NS_RIM: &str = "urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0";
pub const NS_RS: &str = "urn:oasis:names:tc:ebxml-regrep:xsd:rs:3.0";
pub const NS_LCM: &str = "urn:oasis:names:tc:ebxml-regrep:xsd:lcm:3.0";
pub const NS_QUERY: &str = "urn:oasis:names:tc:ebxml-regrep:xsd:query:3.0";
pub const NS_XDS: &str = "urn:ihe:iti:xds-b:2007";
pub const NS_RMD: &str = "urn:ihe:iti:rmd:2017";
pub const NS_XCPD: &str = "urn:ihe:iti:xcpd:2009";
pub const NS_HL7V3: &str = "urn:hl7-org:v3";
pub const WSA_ANONYMOUS: &str = "http://www.w3.org/2005/08/addressing/anonymous";
pub const WSA_NONE: &str = "http://www.w3.org/2005/08/addressing/none";
pub const WSA_FAULT_ACTION: &str = "http://www.w3.org/2005/08/addressing/fault";
pub const SOAP_FAULT_ACTION: &str = "http://www.w3.org/2005/08/addressing/soap/fault";
