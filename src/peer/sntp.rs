//! How far our clock is from a time server's: one question of SNTP (RFC 4330, the client's part of NTP version 4).
//! ITI-1, Consistent Time.

use std::io;
use std::time::Duration;

use jiff::Timestamp;
use tokio::net::UdpSocket;
use tokio::time::{Instant, timeout};

/// Registered for NTP.
const PORT: u16 = 123;
const PATIENCE: Duration = Duration::from_secs(3);
/// Seconds from 1900 to 1970.
const EPOCH: i64 = 2_208_988_800;
const PACKET: usize = 48;
/// Leap 0, version 4, mode 3 (client).
const CLIENT: u8 = 0b00_100_011;

#[derive(Debug, thiserror::Error)]
pub enum SntpError {
    #[error("it cannot be asked: {0}")]
    Io(#[from] io::Error),
    #[error("no answer within {} s", PATIENCE.as_secs())]
    Silent,
    #[error("its answer is none to our question, or it does not know the time itself")]
    Unusable,
}

/// An answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offset {
    /// Microseconds that the server is ahead of us.
    pub micros: i64,
    /// Of the way there and back; half of it is how wrong the offset may be.
    pub delay: i64,
    pub stratum: u8,
}

/// Asks `host` or `host:port`. `now` is our clock, looked at once: what passes after is measured.
pub async fn ask(server: &str, now: impl Fn() -> Timestamp) -> Result<Offset, SntpError> {
    let bare = server.rsplit_once(':').is_none_or(|(_, port)| port.parse::<u16>().is_err());
    let address = if bare { format!("{server}:{PORT}") } else { server.to_owned() };
    let asked = async {
        let found = tokio::net::lookup_host(&address).await?.next();
        let to = found.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the name has no address"))?;
        let socket = UdpSocket::bind(if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" }).await?;
        socket.connect(to).await?;
        // What we say is our time need not be it: the server gives it back, and nobody else can.
        let cookie = u64::from_be_bytes(uuid::Uuid::new_v4().as_bytes()[..8].try_into().unwrap_or([1; 8]));
        let mut question = [0; PACKET];
        question[0] = CLIENT;
        question[40..].copy_from_slice(&cookie.to_be_bytes());
        let (sent_at, begun) = (now().as_microsecond(), Instant::now());
        socket.send(&question).await?;
        let mut answer = [0; 512];
        loop {
            let count = socket.recv(&mut answer).await?;
            let passed = i64::try_from(begun.elapsed().as_micros()).unwrap_or(i64::MAX);
            if let Some(packet) = answer.get(..count).and_then(|a| a.first_chunk::<PACKET>())
                && packet[24..32] == cookie.to_be_bytes()
            {
                return read(packet, sent_at, sent_at.saturating_add(passed)).ok_or(SntpError::Unusable);
            }
        }
    };
    timeout(PATIENCE, asked).await.map_err(|_| SntpError::Silent)?
}

/// Offset and delay of an answer (RFC 4330 5).
fn read(packet: &[u8; PACKET], sent_at: i64, received_at: i64) -> Option<Offset> {
    let (leap, mode, stratum) = (packet[0] >> 6, packet[0] & 7, packet[1]);
    let usable = mode == 4 && leap != 3 && (1..=15).contains(&stratum);
    let at = |from: usize| micros(packet.get(from..from + 8)?);
    let (arrived, answered) = (at(32)?, at(40)?);
    usable.then(|| Offset {
        micros: ((arrived - sent_at) + (answered - received_at)) / 2,
        delay: (received_at - sent_at) - (answered - arrived),
        stratum,
    })
}

/// An NTP timestamp as microseconds since 1970; those of the era that began in 1968 and will end in 2104.
fn micros(octets: &[u8]) -> Option<i64> {
    let part = |from: usize| Some(u32::from_be_bytes(octets.get(from..from + 4)?.try_into().ok()?));
    let (seconds, fraction) = (part(0)?, part(4)?);
    if seconds == 0 && fraction == 0 {
        return None;
    }
    let era = if seconds < 0x8000_0000 { 1_i64 << 32 } else { 0 };
    let seconds = i64::from(seconds) + era - EPOCH;
    Some(seconds * 1_000_000 + ((i64::from(fraction) * 1_000_000) >> 32))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ntp(micros: i64) -> [u8; 8] {
        let seconds = u32::try_from((micros / 1_000_000 + EPOCH) & 0xffff_ffff).unwrap();
        let fraction = u32::try_from(((micros % 1_000_000) << 32) / 1_000_000 + 1).unwrap();
        [seconds.to_be_bytes(), fraction.to_be_bytes()].concat().try_into().unwrap()
    }

    #[test]
    fn timestamps_are_read_in_both_eras() {
        for micros_of in [1_700_000_000_250_000, 2_100_000_000_000_000_i64] {
            assert_eq!(micros(&ntp(micros_of)), Some(micros_of));
        }
        assert_eq!(micros(&[0; 8]), None);
    }

    #[tokio::test]
    async fn the_offset_is_half_the_sum_of_both_ways() {
        let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = server.local_addr().unwrap().to_string();
        let ours: Timestamp = "2026-11-30T00:00:00Z".parse().unwrap();
        let theirs = ours.as_microsecond() + 2_500_000;
        let served = tokio::spawn(async move {
            for good in [true, false] {
                let mut question = [0; PACKET];
                let (_, from) = server.recv_from(&mut question).await.unwrap();
                let mut answer = [0; PACKET];
                answer[0] = if good { 0b00_100_100 } else { 0b11_100_100 };
                answer[1] = 2;
                answer[24..32].copy_from_slice(&question[40..48]);
                answer[32..40].copy_from_slice(&ntp(theirs));
                answer[40..48].copy_from_slice(&ntp(theirs));
                // A forged one before it is passed over.
                server.send_to(&[0; PACKET], from).await.unwrap();
                server.send_to(&answer, from).await.unwrap();
            }
        });
        let offset = ask(&address, || ours).await.unwrap();
        assert!((offset.micros - 2_500_000).abs() <= offset.delay + 1000, "{offset:?}");
        assert_eq!(offset.stratum, 2);
        assert!(matches!(ask(&address, || ours).await, Err(SntpError::Unusable)));
        served.await.unwrap();
    }
}
