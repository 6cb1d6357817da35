//! Names of files and folders of an SS-MIX2 standard storage (jahis-profile.md §4.1):
//! `root/123/456/1234567/20250930/OML-11/1234567_20250930_OML-11_000000000000123_20250930083000000_01_1`.

use super::Kind;

/// コンディションフラグ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flag {
    Current,
    Superseded,
    Deleted,
}

/// What a file name says. The patient id is not shown by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct FileName {
    pub patient_id: String,
    /// `None` where the kind has no date (`-`).
    pub date: Option<String>,
    /// データ種別, `OML-11`.
    pub data_kind: String,
    pub order: String,
    /// 17 digits, to the millisecond.
    pub occurred: String,
    /// `None`: `-`.
    pub department: Option<String>,
    pub flag: Flag,
}

impl std::fmt::Debug for FileName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FileName({} {:?})", self.data_kind, self.flag)
    }
}

/// データ種別 that is converted, its message, what it makes. Prescriptions make nothing by themselves.
pub const DATA_KINDS: &[(&str, &str, Option<Kind>)] = &[
    ("PPR-01", "PPR^ZD1", Some(Kind::Conditions)),
    ("ADT-61", "ADT^A60", Some(Kind::Allergies)),
    ("OML-11", "OUL^R22", Some(Kind::Laboratory)),
    ("OMP-01", "RDE^O11", None),
];

/// Reads a path or a bare file name, and holds the folders against it. `None`: none of the storage.
pub fn read(path: &str) -> Option<FileName> {
    let folders: Vec<&str> = path.split(['/', '\\']).collect();
    let (name, folders) = folders.split_last()?;
    // The patient id may hold an underscore; what follows it may not.
    let mut parts: Vec<&str> = name.rsplitn(7, '_').collect();
    parts.reverse();
    let [patient_id, date, data_kind, order, occurred, department, flag] = parts[..] else { return None };
    let flag = match flag {
        "1" => Flag::Current,
        "2" => Flag::Superseded,
        "0" => Flag::Deleted,
        _ => return None,
    };
    let digits = |text: &str, n: usize| text.len() == n && text.bytes().all(|b| b.is_ascii_digit());
    let kind = |text: &str| {
        let (letters, number) = text.split_once('-').unwrap_or_default();
        letters.len() == 3 && letters.bytes().all(|b| b.is_ascii_uppercase()) && digits(number, 2)
    };
    let fits = !patient_id.is_empty()
        && (date == "-" || digits(date, 8))
        && kind(data_kind)
        && !order.is_empty()
        && digits(occurred, 17);
    // Folders, where there are any, repeat the name: …/patient/date/kind/file.
    let agree = match folders {
        [.., p, d, k] => *p == patient_id && *d == date && *k == data_kind,
        _ => true,
    };
    (fits && agree).then(|| FileName {
        patient_id: patient_id.to_owned(),
        date: Some(date).filter(|d| *d != "-").map(str::to_owned),
        data_kind: data_kind.to_owned(),
        order: order.to_owned(),
        occurred: occurred.to_owned(),
        department: Some(department).filter(|d| *d != "-").map(str::to_owned),
        flag,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &str = "0001_234567_20250930_OML-11_000000000000123_20250930083000000_01_1";

    #[test]
    fn names_are_read_and_held_against_their_folders() {
        let file = read(NAME).unwrap();
        assert_eq!((file.patient_id.as_str(), file.date.as_deref()), ("0001_234567", Some("20250930")));
        assert_eq!((file.data_kind.as_str(), file.flag), ("OML-11", Flag::Current));
        assert!(read(&format!("/s/000/1_2/0001_234567/20250930/OML-11/{NAME}")).is_some());
        assert!(read(&format!("/s/000/1_2/0009/20250930/OML-11/{NAME}")).is_none());
        let undated = read("123_-_PPR-01_1_20250930083000000_-_0").unwrap();
        assert_eq!((undated.date, undated.department, undated.flag), (None, None, Flag::Deleted));
        assert!(!format!("{file:?}").contains("0001"));
        for bad in ["", "x", "1_20250930_OML-11_1_2025_01_1", "1_20250930_OML-11_1_20250930083000000_01_9"] {
            assert!(read(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn every_kind_has_a_source() {
        for kind in [Kind::Conditions, Kind::Allergies, Kind::Laboratory] {
            assert!(DATA_KINDS.iter().any(|(.., k)| *k == Some(kind)));
        }
    }
}
