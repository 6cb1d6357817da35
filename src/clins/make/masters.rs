//! Code tables. Disease, medicine, usage, allergen and department masters are licensed or local: the operator
//! exports them as CSV files into one directory ([`FILES`]); none is needed, and without one nothing is looked up in
//! it. The listed laboratory items are facts of the published profiles and built in; `lab-items.csv` replaces them.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use super::csv::Table;
use crate::wire::hl7v2::charset::{self, CharacterSet};

/// A file, its columns, what it is for.
pub struct File {
    pub name: &'static str,
    pub columns: &'static [&'static str],
    pub purpose_en: &'static str,
    pub purpose_ja: &'static str,
}

/// All files that are read, where they exist. UTF-8 or Shift_JIS.
pub const FILES: &[File] = &[
    File {
        name: "disease.csv",
        columns: &["key", "exchange", "name"],
        purpose_en: "病名管理番号 by 交換用コード, and its name; columns icd10 and icd10_name add the ICD-10 code",
        purpose_ja: "交換用コードから病名管理番号と病名を得る。列icd10とicd10_nameがあればICD-10コードも付与",
    },
    File {
        name: "modifier.csv",
        columns: &["key", "exchange", "name"],
        purpose_en: "修飾語管理番号 by 交換用コード, and its name",
        purpose_ja: "修飾語の管理番号・交換用コード・表記",
    },
    File {
        name: "medicine.csv",
        columns: &["hot9", "yj", "name"],
        purpose_en: "YJ code by HOT9 code, and its name",
        purpose_ja: "HOT9コードからYJコードと名称を得る",
    },
    File {
        name: "general-name.csv",
        columns: &["code", "name"],
        purpose_en: "names of 一般名処方 codes",
        purpose_ja: "一般名処方コードの名称",
    },
    File {
        name: "usage.csv",
        columns: &["code", "name"],
        purpose_en: "16-digit usage codes of the e-prescription master; only these are sent as such",
        purpose_ja: "電子処方箋用法マスタの16桁コード。ここにあるものだけを標準用法として送信",
    },
    File {
        name: "unit.csv",
        columns: &["name", "code"],
        purpose_en: "MERIT-9 unit code by unit name, where messages carry none",
        purpose_ja: "単位表記からMERIT-9単位コードを得る",
    },
    File {
        name: "jfagy.csv",
        columns: &["code", "name"],
        purpose_en: "names of J-FAGY allergen codes",
        purpose_ja: "J-FAGYアレルゲンコードの名称",
    },
    File {
        name: "department.csv",
        columns: &["local", "code", "name"],
        purpose_en: "SS-MIX2 department code by the institution's own",
        purpose_ja: "院内診療科コードからSS-MIX2診療科コードを得る",
    },
    File {
        name: "lab-local.csv",
        columns: &["local", "specimen", "jlac10"],
        purpose_en: "JLAC10 code by the institution's own item code; specimen may be empty for any",
        purpose_ja: "院内検査コード(と材料)からJLAC10コードを得る。材料は空欄可",
    },
    File {
        name: "lab-items.csv",
        columns: &["kind", "display", "jlac10"],
        purpose_en: "the listed items (kind core or infection, display of the profile); replaces the built-in table",
        purpose_ja: "対象検査項目(kind は core か infection)。内蔵表を置き換える",
    },
    File {
        name: "ucum.csv",
        columns: &["unit", "ucum"],
        purpose_en: "UCUM code by unit; adds to the built-in table",
        purpose_ja: "単位表記からUCUMコードを得る。内蔵表に追加",
    },
];

/// A file that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{file}: {text}")]
pub struct MasterFault {
    pub file: String,
    pub text: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disease {
    pub key: String,
    pub exchange: String,
    pub name: String,
    pub icd10: String,
    pub icd10_name: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    pub code: String,
    pub name: String,
}

/// Which list a laboratory item is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LabKind {
    Core,
    Infection,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabItem {
    pub kind: LabKind,
    /// As the profile has it: items are recognised by system and display.
    pub display: String,
}

#[derive(Debug, Default)]
pub struct Masters {
    diseases: HashMap<String, Disease>,
    /// Exchange code → keys; more than one key decides nothing.
    disease_exchanges: HashMap<String, Vec<String>>,
    modifiers: HashMap<String, Named>,
    modifier_exchanges: HashMap<String, Vec<String>>,
    hot9: HashMap<String, HashSet<String>>,
    medicines: HashMap<String, String>,
    general_names: HashMap<String, String>,
    usages: HashMap<String, String>,
    units: HashMap<String, String>,
    jfagy: HashMap<String, String>,
    departments: HashMap<String, Named>,
    lab_local: HashMap<(String, String), String>,
    lab_items: HashMap<String, LabItem>,
    ucum: HashMap<String, String>,
}

const LAB_ITEMS: &str = include_str!("lab_items.csv");

/// Units whose UCUM code is not in question, as hospitals write them.
const UCUM: &[(&str, &str)] = &[
    ("g/dL", "g/dL"),
    ("g/dl", "g/dL"),
    ("mg/dL", "mg/dL"),
    ("mg/dl", "mg/dL"),
    ("mg/L", "mg/L"),
    ("g/L", "g/L"),
    ("μg/dL", "ug/dL"),
    ("ug/dL", "ug/dL"),
    ("μg/mL", "ug/mL"),
    ("ug/mL", "ug/mL"),
    ("ng/mL", "ng/mL"),
    ("ng/ml", "ng/mL"),
    ("ng/dL", "ng/dL"),
    ("pg/mL", "pg/mL"),
    ("pg/ml", "pg/mL"),
    ("mmol/L", "mmol/L"),
    ("mEq/L", "meq/L"),
    ("mEq/l", "meq/L"),
    ("U/L", "U/L"),
    ("IU/L", "[IU]/L"),
    ("IU/mL", "[IU]/mL"),
    ("mIU/mL", "m[IU]/mL"),
    ("μIU/mL", "u[IU]/mL"),
    ("%", "%"),
    ("fL", "fL"),
    ("fl", "fL"),
    ("pg", "pg"),
    ("秒", "s"),
    ("sec", "s"),
    ("mm/h", "mm/h"),
    ("10^4/μL", "10*4/uL"),
    ("10^3/μL", "10*3/uL"),
    ("10^6/μL", "10*6/uL"),
    ("/μL", "/uL"),
    ("mL/min/1.73m2", "mL/min/{1.73_m2}"),
    ("mg/gCr", "mg/g{Cre}"),
    ("g/gCr", "g/g{Cre}"),
    ("g/day", "g/d"),
    ("mg/day", "mg/d"),
];

/// JLAC10 material codes of the listed items.
const MATERIALS: &[(&str, &str)] = &[
    ("001", "尿(含むその他)"),
    ("004", "蓄尿"),
    ("018", "全血"),
    ("019", "全血(添加物入り)"),
    ("020", "動脈血"),
    ("021", "毛細管血"),
    ("022", "血漿"),
    ("023", "血清"),
    ("033", "血液ろ紙"),
];

impl Masters {
    /// Nothing but what is built in.
    pub fn built_in() -> Masters {
        let mut masters = Masters::default();
        // Compared with the corpus by a test; a line that is wrong is left out rather than a panic.
        if let Ok(table) = Table::read(LAB_ITEMS, &[]) {
            masters.take_items(&table);
        }
        masters.ucum = UCUM.iter().map(|(unit, ucum)| ((*unit).to_owned(), (*ucum).to_owned())).collect();
        masters
    }

    /// The files of a directory; a file that is not there is an empty table.
    pub fn load(directory: &Path) -> Result<Masters, MasterFault> {
        let mut masters = Masters::built_in();
        for file in FILES {
            let path = directory.join(file.name);
            let fault = |text: String| MasterFault { file: path.display().to_string(), text };
            let bytes = match std::fs::read(&path) {
                Ok(bytes) => bytes,
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
                Err(e) => return Err(fault(e.to_string())),
            };
            masters.take(file, &text_of(bytes)).map_err(fault)?;
        }
        Ok(masters)
    }

    /// One file's text.
    pub fn take(&mut self, file: &File, text: &str) -> Result<(), String> {
        let table = Table::read(text, file.columns).map_err(|e| e.to_string())?;
        let one = |v: &str| v.to_owned();
        match file.name {
            "disease.csv" => {
                for [key, exchange, name, icd10, icd10_name] in
                    table.rows(["key", "exchange", "name", "icd10", "icd10_name"])
                {
                    if !exchange.is_empty() {
                        self.disease_exchanges.entry(one(exchange)).or_default().push(one(key));
                    }
                    let row = Disease {
                        key: one(key),
                        exchange: one(exchange),
                        name: one(name),
                        icd10: one(icd10),
                        icd10_name: one(icd10_name),
                    };
                    self.diseases.insert(one(key), row);
                }
            }
            "modifier.csv" => {
                for [key, exchange, name] in table.rows(["key", "exchange", "name"]) {
                    if !exchange.is_empty() {
                        self.modifier_exchanges.entry(one(exchange)).or_default().push(one(key));
                    }
                    self.modifiers.insert(one(key), Named { code: one(exchange), name: one(name) });
                }
            }
            "medicine.csv" => {
                for [hot9, yj, name] in table.rows(["hot9", "yj", "name"]) {
                    if !hot9.is_empty() && !yj.is_empty() {
                        self.hot9.entry(one(hot9)).or_default().insert(one(yj));
                    }
                    self.medicines.insert(one(yj), one(name));
                }
            }
            "general-name.csv" => self.general_names.extend(pairs(&table, ["code", "name"])),
            "usage.csv" => self.usages.extend(pairs(&table, ["code", "name"])),
            "unit.csv" => self.units.extend(pairs(&table, ["name", "code"])),
            "jfagy.csv" => self.jfagy.extend(pairs(&table, ["code", "name"])),
            "department.csv" => {
                for [local, code, name] in table.rows(["local", "code", "name"]) {
                    self.departments.insert(one(local), Named { code: one(code), name: one(name) });
                }
            }
            "lab-local.csv" => {
                for [local, specimen, jlac10] in table.rows(["local", "specimen", "jlac10"]) {
                    self.lab_local.insert((one(local), one(specimen)), one(jlac10));
                }
            }
            "lab-items.csv" => {
                self.lab_items.clear();
                self.take_items(&table);
            }
            "ucum.csv" => self.ucum.extend(pairs(&table, ["unit", "ucum"])),
            other => return Err(format!("{other} is read by nothing")),
        }
        Ok(())
    }

    fn take_items(&mut self, table: &Table) {
        for [kind, display, jlac10] in table.rows(["kind", "display", "jlac10"]) {
            let kind = match kind {
                "core" => LabKind::Core,
                "infection" => LabKind::Infection,
                _ => continue,
            };
            self.lab_items.insert(jlac10.to_owned(), LabItem { kind, display: display.to_owned() });
        }
    }

    pub fn has_diseases(&self) -> bool {
        !self.diseases.is_empty()
    }

    pub fn disease(&self, key: &str) -> Option<&Disease> {
        self.diseases.get(key)
    }

    /// The one disease of an exchange code.
    pub fn disease_of(&self, exchange: &str) -> Option<&Disease> {
        match self.disease_exchanges.get(exchange)?.as_slice() {
            [key] => self.diseases.get(key),
            _ => None,
        }
    }

    /// Exchange code and name of a modifier.
    pub fn modifier(&self, key: &str) -> Option<&Named> {
        self.modifiers.get(key)
    }

    /// The one key of a modifier's exchange code.
    pub fn modifier_of(&self, exchange: &str) -> Option<&str> {
        match self.modifier_exchanges.get(exchange)?.as_slice() {
            [key] => Some(key),
            _ => None,
        }
    }

    /// The one YJ code of a HOT9 code.
    pub fn yj_of(&self, hot9: &str) -> Option<&str> {
        let found = self.hot9.get(hot9)?;
        let mut codes = found.iter();
        match (codes.next(), codes.next()) {
            (Some(only), None) => Some(only),
            _ => None,
        }
    }

    pub fn medicine(&self, yj: &str) -> Option<&str> {
        self.medicines.get(yj).map(String::as_str).filter(|n| !n.is_empty())
    }

    pub fn general_name(&self, code: &str) -> Option<&str> {
        self.general_names.get(code).map(String::as_str)
    }

    pub fn usage(&self, code: &str) -> Option<&str> {
        self.usages.get(code).map(String::as_str)
    }

    pub fn unit(&self, name: &str) -> Option<&str> {
        self.units.get(name).map(String::as_str)
    }

    pub fn jfagy(&self, code: &str) -> Option<&str> {
        self.jfagy.get(code).map(String::as_str)
    }

    pub fn department(&self, local: &str) -> Option<&Named> {
        self.departments.get(local)
    }

    /// The JLAC10 code of an institution's item, for its specimen or for any.
    pub fn lab_local(&self, local: &str, specimen: &str) -> Option<&str> {
        let of = |specimen: &str| self.lab_local.get(&(local.to_owned(), specimen.to_owned()));
        of(specimen).or_else(|| of("")).map(String::as_str)
    }

    pub fn lab_item(&self, jlac10: &str) -> Option<&LabItem> {
        self.lab_items.get(jlac10)
    }

    pub fn lab_items(&self) -> impl Iterator<Item = (&str, &LabItem)> {
        self.lab_items.iter().map(|(code, item)| (code.as_str(), item))
    }

    pub fn ucum(&self, unit: &str) -> Option<&str> {
        // The micro sign and the Greek letter look alike.
        self.ucum.get(&unit.replace('\u{b5}', "μ")).map(String::as_str)
    }

    /// The name of a JLAC10 material code.
    pub fn material(code: &str) -> Option<&'static str> {
        MATERIALS.iter().find(|(c, _)| *c == code).map(|(_, name)| *name)
    }
}

fn pairs<'t>(table: &'t Table, columns: [&'t str; 2]) -> impl Iterator<Item = (String, String)> + 't {
    table.rows(columns).map(|[a, b]| (a.to_owned(), b.to_owned()))
}

/// UTF-8, else Shift_JIS as the publishers of masters write it.
fn text_of(bytes: Vec<u8>) -> String {
    match String::from_utf8(bytes) {
        Ok(text) => text,
        // The decoder ends lines in CR, as HL7 does.
        Err(e) => charset::decode(e.as_bytes(), CharacterSet::Cp932, true).text.replace('\r', "\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_read() {
        let mut masters = Masters::built_in();
        for file in FILES {
            let text = format!("{}\n{}", file.columns.join(","), vec!["1"; file.columns.len()].join(","));
            masters.take(file, &text).unwrap_or_else(|e| panic!("{}: {e}", file.name));
            assert!(!file.purpose_ja.is_ascii() && !file.purpose_en.is_empty());
        }
        assert_eq!(masters.disease_of("1").map(|d| d.name.as_str()), Some("1"));
        assert_eq!((masters.yj_of("1"), masters.lab_local("1", "023")), (Some("1"), None));
    }

    #[test]
    fn what_is_ambiguous_decides_nothing() {
        let mut masters = Masters::built_in();
        masters
            .take(
                &FILES[0],
                "key,exchange,name\n20061593,B0EF,高血圧症\n20061594,B0EF,高血圧\n20054178,XX01,胃癌",
            )
            .unwrap();
        assert_eq!(masters.disease_of("B0EF"), None);
        assert_eq!(masters.disease_of("XX01").map(|d| d.key.as_str()), Some("20054178"));
        masters.take(&FILES[2], "hot9,yj,name\n1,a,x\n1,b,y\n2,c,z\n2,c,z").unwrap();
        assert_eq!((masters.yj_of("1"), masters.yj_of("2")), (None, Some("c")));
    }

    #[test]
    fn masters_come_in_shift_jis_too() {
        let directory = std::env::temp_dir().join(format!("chiren-masters-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let mut bytes = b"key,exchange,name\r\n1,2,".to_vec();
        bytes.extend_from_slice(&[0x88, 0xdd, 0x8a, 0xe0, b'\r', b'\n']);
        std::fs::write(directory.join("disease.csv"), bytes).unwrap();
        let masters = Masters::load(&directory).unwrap();
        std::fs::write(directory.join("usage.csv"), "kode,name\n").unwrap();
        let fault = Masters::load(&directory).unwrap_err();
        std::fs::remove_dir_all(&directory).unwrap();
        assert_eq!(masters.disease("1").map(|d| d.name.as_str()), Some("胃癌"));
        assert!(fault.to_string().contains("usage.csv"));
    }

    #[test]
    fn listed_items_are_built_in() {
        let masters = Masters::built_in();
        let items: Vec<_> = masters.lab_items().collect();
        let displays = |kind| {
            items
                .iter()
                .filter(|(_, i)| i.kind == kind)
                .map(|(_, i)| &i.display)
                .collect::<HashSet<_>>()
                .len()
        };
        // 51 core slices less FBS, which has the codes of BS; 53 of infections.
        assert_eq!((items.len(), displays(LabKind::Core), displays(LabKind::Infection)), (630, 50, 53));
        assert!(items.iter().all(|(code, _)| code.len() == 17));
        assert_eq!(masters.lab_item("3H015000002326101").map(|i| i.display.as_str()), Some("K"));
        assert_eq!(masters.lab_item("5F016141002302311").map(|i| i.display.as_str()), Some("HBs抗原(判定)"));
    }
}
