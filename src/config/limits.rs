//! `[limits]`: how much, how long, how deep.

use std::time::Duration;

use super::fault::{Fault, Faults};
use super::section::section;

section! {
    /// Limits of time and size. The defaults suit a hospital network; each is here so that a
    /// larger or smaller one can say otherwise. Sizes in MiB are 1,048,576 bytes.
    pub struct LimitsConfig {
        /// Seconds a TLS handshake may take.
        handshake_seconds: u64 = 10,
        /// TLS handshakes under way at the same time, of all listeners.
        handshakes: usize = 1000,
        /// The same from one address.
        handshakes_per_address: usize = 50,
        /// Seconds from the first byte of a request to the end of its headers; also how long a new
        /// connection may stay silent.
        header_seconds: u64 = 10,
        /// Seconds a connection may rest between two requests, and the window in which a reader of
        /// our answers must take `min_rate_bytes` per second.
        idle_seconds: u64 = 60,
        /// Seconds a request may take until its answer begins.
        request_seconds: u64 = 60,
        /// The same for a request with attached documents (multipart/related).
        upload_seconds: u64 = 600,
        /// Bytes per second a sender must keep up, averaged over `rate_window_seconds` of waiting.
        min_rate_bytes: u64 = 1024,
        /// The window of that average, in seconds.
        rate_window_seconds: u64 = 10,
        /// Seconds that requests under way get to finish when the program is asked to stop.
        drain_seconds: u64 = 30,
        /// Size of request line and headers together, in KiB.
        header_kib: usize = 64,
        /// Number of header fields.
        headers: usize = 100,
        /// Size of a whole request, in MiB.
        request_mib: u64 = 1024,
        /// Size of one document, in MiB.
        document_mib: u64 = 256,
        /// Size of the SOAP envelope (the root part), in MiB. It is held in memory.
        envelope_mib: u64 = 16,
        /// MIME parts of a request: the envelope and its documents.
        parts: usize = 257,
        /// Size of the headers of one MIME part, in KiB.
        part_header_kib: usize = 8,
        /// Header lines of one MIME part.
        part_headers: usize = 16,
        /// Depth of XML elements.
        xml_depth: usize = 64,
        /// Number of XML elements of a message.
        xml_elements: usize = 200_000,
        /// Attributes of one XML element.
        xml_attributes: usize = 64,
        /// Namespace declarations of one XML element.
        xml_namespaces: usize = 32,
        /// Bytes of an XML name.
        xml_name_bytes: usize = 256,
        /// Size of one XML attribute value, in KiB.
        xml_attribute_kib: usize = 64,
        /// Size of one XML text, in KiB; documents sent inline as base64 do not count.
        xml_text_kib: usize = 1024,
        /// Requests worked on at the same time; 0 means 32 per core, at least 256. Worst-case
        /// memory for envelopes is this times `envelope_mib`.
        concurrent_requests: usize = 0,
        /// Of these, requests without attached documents; 0 means 32 per core, at least 64. More would only make
        /// all of them slower.
        short_requests: usize = 0,
        /// Milliseconds a request waits for its turn before it is answered 503 with Retry-After.
        queue_milliseconds: u64 = 1000,
        /// The same once there has been no free turn for a tenth of a second: what then waits longer is answered
        /// 503 at once, so that those let in are as fast as before.
        overload_milliseconds: u64 = 5,
        /// Objects a query may return in full (LeafClass) before XDSTooManyResults. Of references
        /// (ObjectRef), which are fifty times smaller, fifty times as many.
        query_results: usize = 10_000,
        /// Documents one retrieve may ask for.
        retrieve_documents: usize = 256,
    }
}

/// Bytes in a MiB.
pub const MIB: u64 = 1 << 20;

impl LimitsConfig {
    pub fn idle(&self) -> Duration {
        Duration::from_secs(self.idle_seconds)
    }

    pub fn drain(&self) -> Duration {
        Duration::from_secs(self.drain_seconds)
    }

    pub fn request_bytes(&self) -> u64 {
        self.request_mib.saturating_mul(MIB)
    }

    pub fn document_bytes(&self) -> u64 {
        self.document_mib.saturating_mul(MIB)
    }

    pub fn envelope_bytes(&self) -> u64 {
        self.envelope_mib.saturating_mul(MIB)
    }

    /// `concurrent_requests` with 0 resolved for this machine.
    pub fn concurrency(&self) -> usize {
        match self.concurrent_requests {
            0 => std::thread::available_parallelism().map_or(1, usize::from).saturating_mul(32).max(256),
            n => n,
        }
    }

    /// `short_requests` with 0 resolved for this machine.
    pub fn short_concurrency(&self) -> usize {
        match self.short_requests {
            0 => std::thread::available_parallelism().map_or(1, usize::from).saturating_mul(32).max(64),
            n => n,
        }
    }

    pub(super) fn check(&self, list: &mut Vec<Fault>) {
        let mut faults = Faults::of("limits", list);
        let day = 86_400;
        for (key, value) in [
            ("handshake_seconds", self.handshake_seconds),
            ("header_seconds", self.header_seconds),
            ("idle_seconds", self.idle_seconds),
            ("request_seconds", self.request_seconds),
            ("upload_seconds", self.upload_seconds),
            ("rate_window_seconds", self.rate_window_seconds),
        ] {
            faults.range(key, value, 1, day);
        }
        faults.range("drain_seconds", self.drain_seconds, 0, day);
        faults.range("min_rate_bytes", self.min_rate_bytes, 0, MIB);
        faults.range("queue_milliseconds", self.queue_milliseconds, 0, 60_000);
        faults.range("overload_milliseconds", self.overload_milliseconds, 0, 60_000);
        faults.range("request_mib", self.request_mib, 1, 1 << 20);
        faults.range("document_mib", self.document_mib, 1, 1 << 20);
        faults.range("envelope_mib", self.envelope_mib, 1, 1024);
        for (key, value, least, most) in [
            ("header_kib", self.header_kib, 8, 1024),
            ("headers", self.headers, 10, 1000),
            ("parts", self.parts, 2, 100_000),
            ("part_header_kib", self.part_header_kib, 1, 64),
            ("part_headers", self.part_headers, 3, 1000),
            ("xml_depth", self.xml_depth, 16, 4096),
            ("xml_elements", self.xml_elements, 100, 100_000_000),
            ("xml_attributes", self.xml_attributes, 16, 10_000),
            ("xml_namespaces", self.xml_namespaces, 8, 1000),
            ("xml_name_bytes", self.xml_name_bytes, 64, 4096),
            ("xml_attribute_kib", self.xml_attribute_kib, 1, 16_384),
            ("xml_text_kib", self.xml_text_kib, 1, 1 << 20),
            ("concurrent_requests", self.concurrent_requests, 0, 100_000),
            ("short_requests", self.short_requests, 0, 100_000),
            ("handshakes", self.handshakes, 1, 100_000),
            ("handshakes_per_address", self.handshakes_per_address, 1, 100_000),
            ("query_results", self.query_results, 1, 10_000_000),
            ("retrieve_documents", self.retrieve_documents, 1, 100_000),
        ] {
            faults.range(key, value as u64, least, most);
        }
        if self.document_mib > self.request_mib {
            faults.add(
                "document_mib",
                "is larger than limits.request_mib, so that no such document could arrive",
                "limits.request_mib より大きいため、その大きさの文書は受信できません",
            );
        }
    }
}
