//! SOAP 1.2 envelopes with WS-Addressing. ITI TF-2 Appendix V.

mod fault;
mod request;
mod response;

pub use fault::{write_fault, write_fault_to};
pub use request::{Address, SoapRequest, read};
pub use response::{
    SoapResponse, read_response, write_answer, write_answer_with, write_request, write_request_with,
    write_response,
};
